"""Questions that many ask at about the same time, put together.

A new leader looks for the metrics of every rollout in mid-step. Each look is a question that differs from the others in
namespace and pods alone, so some of them are one question, whose answer each looks through for its own pods.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from modelrollout.ports import Metrics, NoAnswer, QueryResult, SeriesQuery
from modelrollout.runtime.arms import Split
from modelrollout.runtime.behind import TOO_MUCH
from modelrollout.runtime.questions import FEW_ROLLOUTS, READ_LIMIT

GATHER = 0.25
"""Seconds in which questions come together: those of a burst come one after the other, as rollouts are looked at."""
TIMEOUT = "Timeout"
"""Whoever has waited that long is told so, and asks again by itself."""

Found = Split | NoAnswer
Kind = tuple[str, SeriesQuery]
"""A source, and what questions have in common: all but namespaces and pods."""


@dataclass(slots=True)
class _Asked:
    query: SeriesQuery
    at: float
    answer: asyncio.Future[Found] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Joined:
    """Asks for up to `FEW_ROLLOUTS` at once, one question of a kind after the other.

    A source that can't answer that much is asked for half as many, and for more again when it answers.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._most: dict[str, int] = defaultdict(lambda: FEW_ROLLOUTS)
        self._waiting: dict[Kind, list[_Asked]] = defaultdict(list)
        self._tasks: dict[Kind, asyncio.Task[None]] = {}

    async def read(self, source: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[Found]:
        """As `Metrics.read`, a result per query, in order; a result has series of others too.

        `at` is the latest of those that ask together. Raises what the adapter raises, to all of them.
        """
        return await asyncio.gather(*(self._one(source, query, at) for query in queries))

    async def stop(self) -> None:
        """Nobody waits any more."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, source: str, query: SeriesQuery, at: float) -> Found:
        # A question that names no pods would make one of all that are asked with it.
        kind = (source, replace(query, namespaces=(), pods=".+" if query.pods else ""))
        asked = _Asked(query, at)
        self._waiting[kind].append(asked)
        if kind not in self._tasks:
            self._tasks[kind] = asyncio.get_running_loop().create_task(self._serve(kind))
        return await asked.answer

    async def _serve(self, kind: Kind) -> None:
        source, waiting = kind[0], self._waiting[kind]
        try:
            while waiting:
                if len(waiting) < self._most[source]:
                    await asyncio.sleep(GATHER)
                wanted = [each for each in waiting if not each.answer.done()]
                group, waiting[:] = wanted[: self._most[source]], wanted[self._most[source] :]
                if group:
                    waiting[:0] = await self._ask(source, group)
        finally:
            del self._tasks[kind], self._waiting[kind]
            for left in waiting:
                left.answer.cancel()

    async def _ask(self, source: str, group: Sequence[_Asked]) -> Sequence[_Asked]:
        """Tell them; those who are to be asked for again, fewer at once."""
        try:
            result = await self._answer(source, _together(group), max(each.at for each in group))
        except asyncio.CancelledError:
            for each in group:
                each.answer.cancel()
            raise
        except Exception as error:
            for each in group:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return ()
        if isinstance(result, NoAnswer) and result.kind in TOO_MUCH and len(group) > 1:
            self._most[source] = max(1, len(group) // 2)
            if result.kind != TIMEOUT:
                return group
        elif not isinstance(result, NoAnswer):
            self._most[source] = min(FEW_ROLLOUTS, 2 * self._most[source])
        found = looked_up(result)
        for each in group:
            if not each.answer.done():
                each.answer.set_result(found)
        return ()

    async def _answer(self, source: str, query: SeriesQuery, at: float) -> QueryResult:
        # Others wait behind it.
        try:
            async with asyncio.timeout(READ_LIMIT):
                (result,) = await self._metrics.read(source, [query], at=at)
        except TimeoutError:
            return NoAnswer(TIMEOUT)
        return result


def looked_up(result: QueryResult) -> Found:
    """A result, to be looked up by arm."""
    return result if isinstance(result, NoAnswer) else Split(result.series)


def _together(group: Sequence[_Asked]) -> SeriesQuery:
    namespaces = sorted({name for each in group for name in each.query.namespaces})
    pods = dict.fromkeys(each.query.pods for each in group)
    return replace(group[0].query, namespaces=tuple(namespaces), pods="|".join(pods))
