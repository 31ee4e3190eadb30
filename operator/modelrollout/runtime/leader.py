"""Leader election over one Lease: a pure stepping function and a driver.

Who holds the Lease is decided by the API server's optimistic lock. Expiry is judged by our own monotonic clock since
we last saw the record change, so that skewed or jumping wall clocks can't make two leaders. `transitions` grows by one
each time the Lease changes hands and fences writes (reliability I5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelrollout.core.model import NO_EPOCH, Epoch
from modelrollout.errors import RolloutError
from modelrollout.ports import Clock, LeaseRecord, LeaseStore

log = logging.getLogger(__name__)

DURATION = 15.0
RENEW_DEADLINE = 10.0
PERIOD = 2.0
CALL_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The Lease as last read, and the monotonic time at which it was first seen to be so."""

    record: LeaseRecord | None
    since: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else holds the Lease."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write `record` to hold the Lease; `create` when there is none."""

    record: LeaseRecord
    create: bool


def look(seen: Seen | None, record: LeaseRecord | None, *, mono: float) -> Seen:
    """`seen` with the newest reading: its time moves only when the record changed."""
    if seen is not None and seen.record == record:
        return seen
    return Seen(record, mono)


def step(seen: Seen, me: str, *, mono: float, stamp: str, known: Epoch = NO_EPOCH) -> Wait | Write:
    """What a contender does: create, renew what is its own, take what is free or expired, otherwise wait.

    `stamp` is the wall time written for people; nobody's decision depends on it. `known`: the highest epoch that any
    rollout's status carries. A Lease that was deleted begins to count anew, and its holder would be taken for deposed
    for ever: so its epoch goes beyond what is known, by a write that only the present holder can make.
    """
    record = seen.record
    if record is None:
        return Write(LeaseRecord(me, Epoch(known + 1), DURATION, stamp, ""), create=True)
    if record.holder == me:
        mine = record.transitions if record.transitions >= known else Epoch(known + 1)
        return Write(LeaseRecord(me, mine, DURATION, stamp, record.resource_version), create=False)
    if record.holder == "" or mono >= seen.since + max(record.duration, 1.0):
        taken = Epoch(max(record.transitions, known) + 1)
        return Write(LeaseRecord(me, taken, DURATION, stamp, record.resource_version), create=False)
    return Wait()


class Leader:
    """Holds the Lease while it can; `epoch()` is the right to write, at this very moment.

    `changed` is called with True when the Lease is won and with False when it is lost. `known`: see `step`.
    """

    def __init__(
        self,
        store: LeaseStore,
        clock: Clock,
        me: str,
        changed: Callable[[bool], None],
        *,
        known: Callable[[], Epoch] = lambda: NO_EPOCH,
    ) -> None:
        self.me = me
        self._store = store
        self._clock = clock
        self._changed = changed
        self._known = known
        self._seen: Seen | None = None
        self._held: LeaseRecord | None = None
        self._until = float("-inf")
        self._told = False
        self.before: LeaseRecord | None = None
        """The Lease as we found it when we last won it; None: there was none."""

    def epoch(self) -> Epoch | None:
        """Our epoch while the Lease is surely ours, else None."""
        if self._held is None or self._clock.monotonic() >= self._until:
            return None
        return self._held.transitions

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read; empty when nobody did."""
        return self._seen.record.holder if self._seen and self._seen.record else ""

    async def run(self) -> None:
        """Contend and renew until cancelled; then let go, so that the next one need not wait."""
        try:
            while True:
                await self.once()
                await asyncio.sleep(self._pause())
        finally:
            self._tell(False)

    async def once(self) -> None:
        """One round: read, decide, perhaps write. Errors are logged, never raised: the next round tries again."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._contend()
        except (RolloutError, TimeoutError) as error:
            log.warning("lease: %s: %s", type(error).__name__, error)
        self._tell(self.epoch() is not None)

    async def release(self) -> None:
        """Give the Lease back if it is ours; best effort."""
        held, self._held = self._held, None
        self._tell(False)
        if held is None:
            return
        free = LeaseRecord("", held.transitions, 1.0, self._stamp(), held.resource_version)
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._store.write(free, create=False)
        except (RolloutError, TimeoutError) as error:
            log.warning("lease not given back: %s", error)

    async def _contend(self) -> None:
        mono = self._clock.monotonic()
        found = await self._store.read()
        self._seen = look(self._seen, found, mono=mono)
        # The right to write is counted from before the request: the Lease can't have been renewed earlier.
        asked = self._clock.monotonic()
        move = step(self._seen, self.me, mono=asked, stamp=self._stamp(), known=self._known())
        if isinstance(move, Wait):
            self._held = None
            return
        stored = await self._store.write(move.record, create=move.create)
        if not self._told:
            self.before = found
        self._seen = Seen(stored, asked)
        self._held = stored
        self._until = asked + RENEW_DEADLINE

    def _pause(self) -> float:
        # Wake up when the right to write ends, not a period later: the queue must close in time.
        left = self._until - self._clock.monotonic()
        return min(PERIOD, left) if self._told and left > 0 else PERIOD

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _tell(self, leading: bool) -> None:
        if leading != self._told:
            self._told = leading
            log.info("leader: %s", f"yes, epoch {self.epoch()}" if leading else "no")
            self._changed(leading)
