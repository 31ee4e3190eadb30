"""Prometheus as the operator's port sees it, with everything that can be wrong with it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from e2e.chaos.traffic import Counted
from modelrollout.adapters.prom.connect import MAX_SKEW, SKEWED
from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.observation import SpecProblem
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, Clock, NoAnswer, QueryResult, SeriesQuery, SourceSpec

FOREVER = 1e9
SHIFT = 300.0
LATE = 60.0


class Trouble(StrEnum):
    """What is wrong with the metrics for a while."""

    DOWN = "down"
    HANG = "hang"
    ERROR = "http-503"
    BAD_QUERY = "http-422"
    REDIRECT = "http-302"
    PARTIAL = "partial"
    HUGE = "too-large"
    GARBAGE = "garbage"
    EMPTY = "empty"
    NAN = "nan"
    TWICE = "twice"
    LATE = "late"
    AHEAD = "ahead"
    BEHIND = "behind"


NO_ANSWER = {
    Trouble.DOWN: "Unreachable",
    Trouble.ERROR: "HTTP 503",
    Trouble.BAD_QUERY: "HTTP 422",
    Trouble.REDIRECT: "HTTP 302",
    Trouble.PARTIAL: "Partial",
    Trouble.HUGE: "TooLarge",
    Trouble.GARBAGE: "BadAnswer",
}


@dataclass(slots=True)
class Prometheus:
    """One server for all processes. `queries`: how many it was asked."""

    traffic: Counted
    clock: Clock
    rng: random.Random
    trouble: Trouble | None = None
    queries: int = 0
    answered: list[float] = field(default_factory=list)
    """When an answer with samples went out, epoch seconds."""

    def date(self) -> float:
        """What time the server says it is, epoch seconds."""
        return self.clock.now() + self._shift()

    def _shift(self) -> float:
        match self.trouble:
            case Trouble.AHEAD:
                return SHIFT
            case Trouble.BEHIND:
                return -SHIFT
            case _:
                return 0.0

    async def ask(self, query: SeriesQuery, at: float) -> QueryResult:
        """The answer to one query."""
        self.queries += 1
        await asyncio.sleep(self.rng.uniform(0.002, 0.05))
        trouble = self.trouble
        if trouble is Trouble.HANG:
            await asyncio.sleep(FOREVER)
        if trouble in NO_ANSWER:
            return NoAnswer(NO_ANSWER[trouble])
        if trouble is Trouble.EMPTY:
            return Answer(())
        shift = self._shift()
        # A server whose clock is off stamps its samples with it; nothing later than now has been scraped yet.
        latest = self.clock.now() - (LATE if trouble is Trouble.LATE else 0.0)
        found = self.traffic.series(query, min(at - shift, latest))
        series = [_shifted(one, shift) for one in found]
        if trouble is Trouble.NAN:
            series = [replace(one, times=(), values=(), rejected=one.times) for one in series]
        if trouble is Trouble.TWICE:
            series += [replace(one, labels={**one.labels, "replica": "b"}) for one in series]
        if trouble in (None, Trouble.TWICE):
            self.answered.append(self.clock.now())
        return Answer(tuple(series))


def _shifted(series: Series, shift: float) -> Series:
    return replace(series, times=tuple([t + shift for t in series.times])) if shift else series


class ChaosMetrics:
    """`Metrics` of one process: the operator's own registry of sources, answers from the one server."""

    def __init__(self, sources: Sources, server: Prometheus, clock: Clock) -> None:
        self._sources = sources
        self._server = server
        self._clock = clock

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The source, or why it can't be used."""
        return self._sources.spec(name)

    def allowed(self, name: str, namespace: str) -> bool:
        """Whether the source may be used from this namespace."""
        return self._sources.allowed(name, namespace)

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """A result per query, in order."""
        return await asyncio.gather(*(self._ask(query, at) for query in queries))

    async def _ask(self, query: SeriesQuery, at: float) -> QueryResult:
        found = await self._server.ask(query, at)
        # As the real adapter does by the `Date` of an answer.
        apart = abs(self._server.date() - self._clock.now())
        return NoAnswer(SKEWED) if apart > MAX_SKEW and isinstance(found, Answer) else found

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Increases over a long window."""
        found = await self._ask(query, at)
        if isinstance(found, NoAnswer):
            return found
        whole = [s for s in found.series if len(s.times) > 1]
        return Answer(tuple(replace(s, times=(at,), values=(s.values[-1] - s.values[0],)) for s in whole))
