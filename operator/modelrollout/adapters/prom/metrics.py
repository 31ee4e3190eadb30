"""The `Metrics` port on real Prometheus servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from modelrollout.adapters.prom import parse, render
from modelrollout.adapters.prom.sources import Ask, Sources
from modelrollout.core.observation import SpecProblem
from modelrollout.ports import NoAnswer, QueryResult, SeriesQuery, SourceSpec

TOTAL_TIMEOUT = 30.0
"""Seconds for one query over days: it reads millions of samples where a tick reads dozens."""
RENEW_AFTER = 10.0
"""Seconds between two looks at the Secret of a source that refuses its token."""


class PrometheusMetrics:
    """Asks the servers of a registry.

    An answer to a `read` or its absence arrives within the source's timeout, whatever the server does; all its queries
    share that time. Raises SpecError for a query that can't be rendered, and nothing for what servers do.
    """

    def __init__(self, sources: Sources, *, total_timeout: float = TOTAL_TIMEOUT) -> None:
        self._sources = sources
        self._total_timeout = total_timeout
        self._renewed: dict[str, float] = {}

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The source, or why it can't be used."""
        return self._sources.spec(name)

    def allowed(self, name: str, namespace: str) -> bool:
        """Whether the source may be used from this namespace."""
        return self._sources.allowed(name, namespace)

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """Raw samples at one pinned time, a result per query, in order."""
        return await self._ask(name, [(render.samples(query), parse.matrix) for query in queries], at=at)

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Per series, its increase over the window as one sample at `at`. Approximate: see `render.increases`.

        Takes up to `total_timeout` seconds after its turn: half of the source's connections serve such queries at
        most. Where there is but one, the source's own timeout holds.
        """
        await self._renew(name)
        server = self._sources.server(name)
        if server is None:
            return NoAnswer("Unreachable")
        connection = server.source.connection
        seconds = self._total_timeout if connection.max_concurrency > 1 else connection.timeout
        async with server.slow:
            asks = [(render.increases(query), parse.totals)]
            return (await server.ask(asks, at=at, deadline=time.monotonic() + seconds))[0]

    async def _ask(self, name: str, asks: Sequence[Ask], *, at: float) -> Sequence[QueryResult]:
        await self._renew(name)
        server = self._sources.server(name)
        if server is None:
            return [NoAnswer("Unreachable")] * len(asks)
        return await server.ask(asks, at=at, deadline=time.monotonic() + server.source.connection.timeout)

    async def _renew(self, name: str) -> None:
        """Look for a new token after the old one was refused, now and then."""
        server = self._sources.server(name)
        if server is None or not server.unauthorised:
            return
        now = time.monotonic()
        if now - self._renewed.get(name, float("-inf")) < RENEW_AFTER:
            return
        self._renewed[name] = now
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(server.source.connection.timeout):
                await self._sources.refresh(name)
