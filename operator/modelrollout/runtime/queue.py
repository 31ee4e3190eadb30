"""The work queue: keys only, each at most once, never handed to two workers at a time.

A level-triggered engine needs no events, only the names of what may have changed. So an add while the key waits is
merged, an add while it is processed runs it once more afterwards, and one heap keeps the moments at which keys want to
be looked at again. All times are loop time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from modelrollout.core.model import Key

SPARE = 64
"""Moments that hold no more and are kept anyway."""


class Priority(IntEnum):
    """Which work overtakes which; a key that waits in two classes waits in the more urgent one."""

    URGENT = 0
    """Takes traffic off a candidate: rollback, abort, deletion."""
    RECORD = 1
    """Traffic is off already; the status has still to say so."""
    NORMAL = 2
    RESYNC = 3


@dataclass(frozen=True, slots=True)
class Work:
    """A key handed to a worker; `waited`: seconds since it became ready."""

    key: Key
    priority: Priority
    waited: float


class WorkQueue:
    """Deduplicating, delayed queue with priorities, closed until `open` is called (only a leader dispatches).

    `late` is told how many seconds after its moment each delayed key was found due.
    """

    def __init__(self, *, late: Callable[[float], None] | None = None) -> None:
        self._ready: dict[Priority, OrderedDict[Key, float]] = {p: OrderedDict() for p in Priority}
        self._active: set[Key] = set()
        self._dirty: dict[Key, Priority] = {}
        self._wakes: dict[Key, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = count()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_urgent: deque[asyncio.Future[None]] = deque()
        self._open = False
        self._late = late

    def add(self, key: Key, priority: Priority = Priority.NORMAL) -> None:
        """Make the key ready now, or run it again when its present run is over."""
        if key in self._active:
            self._dirty[key] = min(priority, self._dirty.get(key, priority))
            return
        since = asyncio.get_running_loop().time()
        for other in Priority:
            if key in self._ready[other]:
                if other <= priority:
                    return
                since = self._ready[other].pop(key)
        self._ready[priority][key] = since
        self._rouse(priority)

    def add_after(self, key: Key, delay: float, priority: Priority = Priority.NORMAL) -> None:
        """Make the key ready `delay` seconds from now; the earliest of several moments wins."""
        at = asyncio.get_running_loop().time() + max(0.0, delay)
        known = self._wakes.get(key)
        if known is not None:
            priority = min(priority, known[1])
            if known[0] <= at:
                self._wakes[key] = (known[0], priority)
                return
        self._wakes[key] = (at, priority)
        heapq.heappush(self._heap, (at, next(self._serial), key))
        if len(self._heap) > 2 * len(self._wakes) + SPARE:
            # Moments that hold no more stay in the heap until their time: hours, one for each look at a rollout.
            self._heap = [(at, next(self._serial), key) for key, (at, _) in self._wakes.items()]
            heapq.heapify(self._heap)
        self._arm()

    def postpone(self, delay: float) -> None:
        """What is ready and takes no traffic off becomes ready `delay` seconds from now instead."""
        for priority in (Priority.NORMAL, Priority.RESYNC):
            keys = tuple(self._ready[priority])
            self._ready[priority].clear()
            for key in keys:
                self.add_after(key, delay, priority)

    async def take(self, *, urgent_only: bool = False) -> Work:
        """The next key, most urgent class first, oldest first within it. `done` must follow.

        The moment planned for the key is forgotten: whoever looks at it now plans the next one.
        """
        while True:
            work = self._pop(urgent_only)
            if work is not None:
                return work
            waiting = self._waiting_urgent if urgent_only else self._waiting
            future = asyncio.get_running_loop().create_future()
            waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    self._rouse_all()  # somebody else must do what this worker was woken for
                raise
            finally:
                if future in waiting:
                    waiting.remove(future)

    def done(self, key: Key) -> None:
        """The worker has finished with the key."""
        self._active.discard(key)
        again = self._dirty.pop(key, None)
        if again is not None:
            self.add(key, again)

    def forget(self, key: Key) -> None:
        """Drop the key's waiting work and planned moment."""
        self._wakes.pop(key, None)
        self._dirty.pop(key, None)
        for ready in self._ready.values():
            ready.pop(key, None)

    def open(self) -> None:
        """Start to hand out work."""
        self._open = True
        self._rouse_all()

    def close(self) -> None:
        """Stop to hand out work; what is ready stays ready."""
        self._open = False

    def depth(self, priority: Priority) -> int:
        """Keys ready in this class."""
        return len(self._ready[priority])

    @property
    def delayed(self) -> int:
        """Keys that wait for a moment."""
        return len(self._wakes)

    @property
    def active(self) -> int:
        """Keys being processed."""
        return len(self._active)

    def oldest_age(self) -> float:
        """Seconds that the oldest ready key has waited; 0 when none waits."""
        now = asyncio.get_running_loop().time()
        firsts = [next(iter(ready.values())) for ready in self._ready.values() if ready]
        return max((now - since for since in firsts), default=0.0)

    def planned(self, key: Key) -> float | None:
        """Loop time at which the key wants to be looked at again, if any."""
        wake = self._wakes.get(key)
        return wake[0] if wake else None

    def _pop(self, urgent_only: bool) -> Work | None:
        if not self._open:
            return None
        for priority in (Priority.URGENT,) if urgent_only else Priority:
            ready = self._ready[priority]
            if ready:
                key, since = ready.popitem(last=False)
                self._active.add(key)
                # What was planned as urgent stays urgent when lesser news comes first: a revert that failed would
                # otherwise be tried again at leisure.
                _, planned = self._wakes.pop(key, (0.0, priority))
                return Work(key, min(priority, planned), asyncio.get_running_loop().time() - since)
        return None

    def _rouse(self, priority: Priority) -> None:
        # A free general worker takes urgent work too, so that the reserved one stays free for the next.
        if not self._open:
            return
        queues = (self._waiting, self._waiting_urgent) if priority is Priority.URGENT else (self._waiting,)
        for waiting in queues:
            while waiting:
                future = waiting.popleft()
                if not future.done():
                    future.set_result(None)
                    return

    def _rouse_all(self) -> None:
        for waiting in (self._waiting, self._waiting_urgent):
            while waiting:
                future = waiting.popleft()
                if not future.done():
                    future.set_result(None)

    def _arm(self) -> None:
        while self._heap and self._wakes.get(self._heap[0][2], (None,))[0] != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            wake = self._wakes.get(key)
            if wake is None or wake[0] != at:
                continue
            del self._wakes[key]
            if self._late is not None:
                self._late(now - at)
            self.add(key, wake[1])
        self._arm()
