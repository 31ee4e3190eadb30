"""`Metrics` with a stopwatch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from modelrollout.core.observation import SpecProblem
from modelrollout.ports import Metrics, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime.telemetry import Telemetry


class MeasuredMetrics:
    """Passes everything on, and tells telemetry how long reads took and what came of them."""

    def __init__(self, inner: Metrics, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The source, or why it can't be used."""
        return self._inner.source(name)

    def allowed(self, name: str, namespace: str) -> bool:
        """Whether the source may be used from this namespace."""
        return self._inner.allowed(name, namespace)

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """Raw samples."""
        begun = asyncio.get_running_loop().time()
        results: Sequence[QueryResult] = ()
        try:
            results = await self._inner.read(name, queries, at=at)
            return results
        finally:
            self._told(name, results, len(queries), begun)

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Increase over the whole window."""
        begun = asyncio.get_running_loop().time()
        results: Sequence[QueryResult] = ()
        try:
            results = (await self._inner.total(name, query, at=at),)
            return results[0]
        finally:
            self._told(name, results, 1, begun)

    def _told(self, name: str, results: Sequence[QueryResult], queries: int, begun: float) -> None:
        failed = next((r.kind for r in results if isinstance(r, NoAnswer)), None)
        result = failed or ("ok" if results else "Timeout")
        seconds = asyncio.get_running_loop().time() - begun
        self._telemetry.asked(name, queries=queries, result=result, seconds=seconds)
