"""The engine: workers that take a key, look, decide, write, and plan the next look. Failures stay with their key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from modelrollout.core.decide import decide
from modelrollout.core.intents import Decision, Move, SetWeight
from modelrollout.core.invariants import forbidden
from modelrollout.core.model import Epoch, Key, Phase, RolloutSpec
from modelrollout.core.observation import Observation
from modelrollout.core.situation import AT_REST
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Bug, Conflict, Denied, Gone, SpecError, Throttled, Transient
from modelrollout.ports import Clock, Journal
from modelrollout.runtime.backoff import SLOW, SLOW_ROLLBACK, Backoff
from modelrollout.runtime.commit import Act, Commit, Committed
from modelrollout.runtime.fence import Deposed
from modelrollout.runtime.gather import Gather, Gathered
from modelrollout.runtime.jumps import Jumps
from modelrollout.runtime.notices import Notices
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.queue import Priority, Work, WorkQueue
from modelrollout.runtime.record import entry
from modelrollout.runtime.refusals import Resting
from modelrollout.runtime.rounds import Rounds
from modelrollout.runtime.store import Store
from modelrollout.runtime.telemetry import Telemetry

log = logging.getLogger(__name__)

LISTED = 0.01
"""Seconds that a full list may take for each rollout: reading its objects one by one takes longer, and the list too."""
WORKERS = 16
SPINS = 20
"""Decisions in a row for one key that each changed something: more is a loop, and is slowed down as a fault."""
AGAIN = 1.0
"""Seconds until a look is repeated that was asked for at a moment gone by and found nothing to change."""
LAPSED = 0.5
"""Seconds after which a look is tried again that began without the right to write."""
BUG_CAP = 300.0
HEARTBEAT = 1.0
RECONCILE_LIMIT = 60.0
"""Seconds after which a reconcile is given up: a port that never answers must not take a worker for good."""

Decide = Callable[[RolloutSpec | None, RolloutStatus | None, Observation, float], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the engine is made of."""

    queue: WorkQueue
    store: Store
    gather: Gather
    commit: Commit
    rounds: Rounds
    preflights: Preflights
    journal: Journal | None
    clock: Clock
    telemetry: Telemetry
    notices: Notices = field(default_factory=Notices)
    epoch: Callable[[], Epoch | None]
    decide: Decide = decide
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class _Done:
    """A decision with what it was made of, at `now`."""

    gathered: Gathered
    decision: Decision
    now: float


@dataclass(frozen=True, slots=True)
class _Debt(_Done):
    """A decision whose route is lowered and whose status is still to be written."""

    owed: Act


class Engine:
    """Runs the workers; `heartbeat` is the loop time at which the loop was last known to turn."""

    def __init__(self, parts: Parts, *, workers: int = WORKERS) -> None:
        self._p = parts
        self._workers = workers
        self._spins: dict[Key, int] = {}
        self._owed: dict[Key, _Debt] = {}
        self._awaited = float("-inf")
        self.heartbeat = float("-inf")

    async def run(self) -> None:
        """Work until cancelled. One worker takes urgent work only, so that a revert never waits for a slow raise."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            for index in range(self._workers):
                group.create_task(self._work(urgent_only=index == 0))

    def lead(self, leading: bool, *, listing: float = 0.0) -> None:
        """Start or stop to hand out work; everything is looked at when leadership is won.

        `listing`: seconds that a full list may take which has just been asked for; of many rollouts it may take longer.
        Until it is in (`listed`), or they are over, only what takes traffic off is looked at: a look at what is in
        doubt reads eight objects one by one.
        """
        self._p.telemetry.leading(leading)
        self._owed.clear()
        if not leading:
            self._p.queue.close()
            return
        for key in self._p.store:
            # What an earlier leader wrote last may not have reached the watch yet.
            self._p.store.doubt(key)
        listing = listing and max(listing, LISTED * len(self._p.store))
        self._awaited = asyncio.get_running_loop().time() + listing
        self._p.queue.postpone(listing)
        self._look_at_all()
        self._p.queue.open()

    def listed(self) -> None:
        """The full list is in: everything is looked at, without a read for what the list has told."""
        self._awaited = float("-inf")
        self._look_at_all()

    def enqueue(self, key: Key, priority: Priority = Priority.NORMAL) -> None:
        """Look at the key soon."""
        left = self._awaited - asyncio.get_running_loop().time()
        if left > 0 and priority >= Priority.NORMAL:
            self._p.queue.add_after(key, left, priority)
        else:
            self._p.queue.add(key, priority)

    def _look_at_all(self) -> None:
        for key in self._p.store:
            obj, phase = self._p.store.glance(key), self._p.store.phase(key)
            if phase is Phase.ROLLING_BACK or (obj is not None and obj.deleting):
                self.enqueue(key, Priority.URGENT)
            else:
                # A look may ask the API server: a thousand at rest must not stand before one that moves traffic.
                self.enqueue(key, Priority.RESYNC if phase in AT_REST else Priority.NORMAL)

    def forget(self, key: Key) -> None:
        """The rollout is gone: drop everything that is kept about it."""
        self._p.queue.forget(key)
        self._p.store.forget(key)
        self._p.rounds.drop(key)
        self._p.preflights.forget(key)
        self._p.backoff.reset(key)
        self._p.commit.refusals.clear(key)
        self._p.telemetry.forget(key)
        self._p.notices.forget(key)
        self._spins.pop(key, None)
        self._owed.pop(key, None)

    async def _work(self, *, urgent_only: bool) -> None:
        while True:
            work = await self._p.queue.take(urgent_only=urgent_only)
            try:
                await self.reconcile(work)
            finally:
                self._p.queue.done(work.key)
            # A look that waits for nothing, and another one in the queue: thousands in a row leave the loop to nobody.
            await asyncio.sleep(0)

    async def reconcile(self, work: Work) -> None:
        """One look at one rollout. Raises nothing but cancellation."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._p.telemetry.waited(work.priority.name.lower(), work.waited)
        try:
            async with asyncio.timeout(RECONCILE_LIMIT):
                outcome = await self._once(work)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            outcome = self._failed(work, error)
        self._p.telemetry.reconciled(outcome, loop.time() - begun)

    async def _once(self, work: Work) -> str:
        epoch = self._p.epoch()
        if epoch is None:
            # The Lease may be renewed before anybody has noticed that it had lapsed: then nothing is looked at anew.
            self._p.queue.add_after(work.key, LAPSED, work.priority)
            return "standby"
        owed = self._owed.pop(work.key, None)
        if owed is not None:
            return await self._finish(work, owed, self._p.commit.settle(owed.owed))
        gathered = await self._p.gather(work.key, epoch)
        self._p.notices.look(gathered.obj)
        now = self._p.clock.now()
        decision = self._p.decide(gathered.spec, gathered.obj.status, gathered.observation, now)
        for text in forbidden(gathered.observation, decision):
            raise Bug(f"a decision that must not be carried out: {text}", subject=str(work.key))
        return await self._finish(work, _Done(gathered, decision, now), self._p.commit(gathered, decision))

    async def _finish(self, work: Work, done: _Done, commit: Awaitable[Committed]) -> str:
        gathered, decision = done.gathered, done.decision
        try:
            committed = await commit
        except Exception as error:
            # Urgency is known only now: the next try of a revert must overtake everything and come soon.
            return self._failed(replace(work, priority=Priority.URGENT) if decision.urgent else work, error)
        if committed.owed is not None:
            self._owed[work.key] = _Debt(gathered, decision, done.now, committed.owed)
            self._p.queue.add(work.key, Priority.RECORD)
            return "lowered"
        if committed.changed and self._p.journal is not None:
            self._p.journal.append(entry(gathered, decision, done.now))
        self._p.telemetry.decided(gathered, decision, committed)
        if committed.obj is None:
            self.forget(work.key)
            return "released"
        self._plan(work, gathered, decision, committed)
        return "changed" if committed.changed else "unchanged"

    def _plan(self, work: Work, gathered: Gathered, decision: Decision, committed: Committed) -> None:
        key = work.key
        urgent = Priority.URGENT if decision.urgent else Priority.NORMAL
        if committed.results_pending:
            self._p.queue.add_after(key, self._p.backoff.failed((key, "results")), urgent)
        else:
            self._p.backoff.reset((key, "results"))
        if committed.changed:
            # Level-triggered: look at what was made, without waiting for the watch to tell.
            spins = self._spins[key] = self._spins.get(key, 0) + 1
            if spins > SPINS:
                raise Bug(f"{spins} decisions in a row changed something", subject=str(key))
            lowered = isinstance(decision.intent, SetWeight) and decision.intent.move is Move.LOWER
            self._p.queue.add(key, Priority.RECORD if lowered else urgent)
        else:
            self._spins.pop(key, None)
            self._p.backoff.reset(key)
        if decision.wake_at is not None:
            left = decision.wake_at - self._p.clock.now()
            # A moment that is over and has changed nothing waits for news, such as the step's first evidence.
            self._p.queue.add_after(key, left if left > 0 or committed.changed else AGAIN, urgent)

    def _failed(self, work: Work, error: Exception) -> str:
        """Say what went wrong, and plan the next try by its class."""
        key, queue, backoff = work.key, self._p.queue, self._p.backoff
        urgent = work.priority is Priority.URGENT
        match error:
            case Deposed():
                log.warning("%s", error)
                queue.add_after(key, backoff.failed(key, urgent=urgent), work.priority)
                return "deposed"
            case Gone():
                if self._p.store.glance(key) is None:
                    self.forget(key)
                    return "gone"
                # Something it refers to went away under our hands.
                self._p.store.doubt(key)
                queue.add_after(key, backoff.conflicted(key, urgent=urgent), work.priority)
                return "conflict"
            case Conflict():
                log.debug("%s", error)
                self._p.store.doubt(key)
                queue.add_after(key, backoff.conflicted(key, urgent=urgent), work.priority)
                return "conflict"
            case Throttled(retry_after=wait):
                queue.add_after(key, max(wait, backoff.failed(key, urgent=urgent)), work.priority)
                log.warning("%s: %s", key, error)
                return "throttled"
            case Transient() | TimeoutError():
                self._p.store.doubt(key)
                queue.add_after(key, backoff.failed(key, urgent=urgent), work.priority)
                log.warning("%s: %s: %s", key, type(error).__name__, error)
                return "transient"
            case Resting(seconds=seconds):
                queue.add_after(key, seconds, work.priority)
                return "refused"
            case SpecError() | Denied():
                queue.add_after(key, SLOW_ROLLBACK if urgent else SLOW, work.priority)
                log.error("%s: %s: %s", key, type(error).__name__, error)
                return "refused"
            case _:
                # Frozen: nothing is written for this key until it works again; every other key goes on.
                self._p.store.doubt(key)
                queue.add_after(key, backoff.failed(key, urgent=urgent, cap=BUG_CAP), work.priority)
                log.error("%s: frozen by a bug", key, exc_info=error)
                self._p.telemetry.bug()
                return "bug"

    async def _beat(self) -> None:
        loop, jumps = asyncio.get_running_loop(), Jumps(self._p.clock)
        while True:
            begun = loop.time()
            self.heartbeat = begun
            await asyncio.sleep(HEARTBEAT)
            if jump := jumps.since_last():
                log.warning("the clock has jumped by %.0f s: every rollout is looked at again", jump)
                self._look_at_all()
            self._p.telemetry.lag(max(0.0, loop.time() - begun - HEARTBEAT))
