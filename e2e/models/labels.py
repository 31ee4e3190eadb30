"""Send true labels some time after the answers, through the same gateway as the predictions."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

BATCH = 200
EVERY = 0.2
ATTEMPTS = 3
RETRY_AFTER = 1.0


@dataclass(slots=True)
class LabelCounts:
    """What became of the labels. `lost` could not be delivered; `dropped` were not due when the run ended."""

    counted: int = 0
    unmatched: int = 0
    lost: int = 0
    dropped: int = 0


@dataclass(order=True, frozen=True, slots=True)
class _Waiting:
    due: float
    order: int
    attempts: int = field(compare=False)
    item: Mapping[str, Any] = field(compare=False)


class Labels:
    """A queue of labels by due time (of the loop's clock), and the task that posts them in batches."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, clock: Callable[[], float]) -> None:
        self._session, self._url, self._clock = session, url, clock
        self._queue: list[_Waiting] = []
        self._order = itertools.count()
        self._closing = False
        self.counts = LabelCounts()

    def add(self, item: Mapping[str, Any], *, due: float) -> None:
        """Queue one label."""
        heapq.heappush(self._queue, _Waiting(due, next(self._order), 1, item))

    @property
    def waiting(self) -> int:
        """How many are queued."""
        return len(self._queue)

    async def run(self) -> None:
        """Post what is due, until `close`."""
        while not self._closing:
            await asyncio.sleep(EVERY)
            while await self.post_due():
                pass

    def close(self) -> None:
        """Let `run` end after the post it is at; a cancelled post would lose its labels uncounted."""
        self._closing = True

    async def finish(self, *, linger: float) -> None:
        """Post what becomes due within `linger` seconds, and drop the rest."""
        until = self._clock() + linger
        while self._queue and self._queue[0].due <= until:
            await asyncio.sleep(max(0.0, min(EVERY, self._queue[0].due - self._clock())))
            await self.post_due()
        self.counts.dropped += len(self._queue)
        self._queue.clear()

    async def post_due(self) -> bool:
        """Post one batch of due labels; False when none was due."""
        batch: list[_Waiting] = []
        while self._queue and self._queue[0].due <= self._clock() and len(batch) < BATCH:
            batch.append(heapq.heappop(self._queue))
        if not batch:
            return False
        try:
            async with self._session.post(self._url, json=[waiting.item for waiting in batch]) as answer:
                # 404: counted none of them, in the same form as success.
                body = await answer.json() if answer.status in (200, 404) else None
            if not isinstance(body, dict) or "counted" not in body:
                raise aiohttp.ClientPayloadError(f"feedback was answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self._again(batch)
            return True
        self.counts.counted += body["counted"]
        self.counts.unmatched += body["unmatched"]
        return True

    def _again(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            if waiting.attempts >= ATTEMPTS:
                self.counts.lost += 1
            else:
                due = self._clock() + RETRY_AFTER
                heapq.heappush(self._queue, _Waiting(due, next(self._order), waiting.attempts + 1, waiting.item))

    def as_dict(self) -> dict[str, int]:
        """Return the counts and how many wait."""
        return {**asdict(self.counts), "waiting": self.waiting}
