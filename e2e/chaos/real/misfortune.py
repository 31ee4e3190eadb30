"""What goes wrong in one run: begins each fault of its plan at its write, ends it, and knows when all is well again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping

from e2e.chaos.drive import MISHAPS, Run
from e2e.chaos.faults import Crash, Fail, Failure, Span
from e2e.chaos.real.faults import Deposed, Etcd, Fate, Fault, Hurt, Hurts, Plan, Stale, View, text
from e2e.chaos.real.lagging import Lagging
from e2e.chaos.real.ledger import Sent
from e2e.chaos.real.members import Members
from e2e.chaos.real.process import RESTART, Crew, Member
from e2e.chaos.real.proxy import Cut, Hold, Mishap, Proxy
from e2e.chaos.transport import Die, Drag, Late, Lose

TIMEOUT = 5.0
CATCH_UP = 2.0
"""Seconds until a server that hears again has heard all."""
ANSWERS = 8
"""Requests in a row that an API server must answer at once to count as well."""
AT_ONCE = 1.0
NEVER = 60.0
"""Seconds after which a process that was to read of the past will not."""
POLL = 0.1
SWITCHES: Mapping[Hurt, Callable[[Proxy, bool], None]] = {
    Hurt.SLOW: Proxy.slow,
    Hurt.STORM: Proxy.throttle,
    Hurt.AWAY: Proxy.away,
    Hurt.FROZEN: Proxy.freeze,
}


class Misfortune:
    """`run.disturbed` moves as faults begin and end. `back`: seconds from a death to the next renewal of the Lease."""

    def __init__(self, plan: Plan, run: Run, *, lagging: Lagging | None, etcd: Members | None) -> None:
        self._run, self._lagging, self._etcd = run, lagging, etcd
        self._waiting: list[Fault] = sorted(plan.faults, key=lambda fault: fault.at)
        self._stale_ones = [fault for fault in plan.faults if isinstance(fault, Stale)]
        self._failing: list[tuple[Failure, int]] = []
        self._gone: tuple[Member, int, float] | None = None
        """Who leads no more, its life then, and since when; None when somebody leads."""
        self._down: dict[str, float] = {}
        self._travels = False
        self._until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.back: list[float] = []
        self.takeovers: list[float] = []
        """Seconds until a standby held the Lease."""
        self.crew: Crew

    @property
    def over(self) -> bool:
        """Whether nothing is wrong any more."""
        now = time.time()
        return now >= max(self._run.disturbed, self._until) and self._gone is None and not self._tasks

    @property
    def missed(self) -> tuple[str, ...]:
        """Faults whose write never came, and those that no process saw."""
        blind = [fault for fault in self._stale_ones if not self.crew.ledger.past]
        return tuple(text(fault) for fault in (*self._waiting, *blind))

    async def end(self) -> None:
        """Undo what is shared with other runs. Raises ClusterError when etcd does not come back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lagging is not None:
            self._lagging.hold(False)
        if self._etcd is not None:
            await self._etcd.mend()
            await self._etcd.answering(ANSWERS, within=AT_ONCE)

    # --- what the crew tells -----------------------------------------------------------------------------------------

    def meets(self, member: Member, sent: Sent) -> Mishap | None:
        """What happens to a request."""
        mishap: Mishap | None = None
        if not sent.number:
            return None
        for fault in [f for f in self._waiting if f.at == sent.number]:
            self._waiting.remove(fault)
            mishap = self._begin(fault, member) or mishap
        if mishap is None and self._failing:
            failure, left = self._failing.pop()
            if left > 1:
                self._failing.append((failure, left - 1))
            timeout = failure in (Failure.TIMEOUT, Failure.TIMEOUT_APPLIED)
            self._disturbed(TIMEOUT if timeout else 1.0)
            failed = MISHAPS[failure]
            assert not isinstance(failed, Late | Drag), "the parser lets none through"
            return failed
        return mishap

    def kill(self, member: Member) -> None:
        """Kill a process as its write asks for."""
        self._gone = (member, member.proxy.life, time.time())
        member.kill(down=self._down.pop(member.name, RESTART))

    def told(self, sent: Sent) -> None:
        """A write was carried out."""
        if self._gone is None or sent.target != "leases" or sent.life == self._gone[1]:
            return
        member, _, since = self._gone
        self._gone = None
        same = sent.agent.startswith(f"{member.name}#")
        (self.back if same else self.takeovers).append(time.time() - since)
        self._disturbed(0.0)

    def began(self, member: Member) -> None:
        """A process begins."""
        if self._travels and self._lagging is not None:
            member.proxy.look_at(self._lagging.upstream)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _begin(self, fault: Fault, member: Member) -> Mishap | None:
        match fault:
            case Crash(after=after):
                return Die(applied=after)
            case Fail(failure=failure, span=span):
                self._failing.append((failure, 3 if span is Span.THRICE else 1))
                return None
            case Hurts():
                return self._hurt(fault)
            case Stale(view=view, seconds=seconds):
                self._stale(view, seconds)
                return None
            case Deposed():
                return self._deposed(fault, member)
            case Etcd():
                assert self._etcd is not None
                lost = asyncio.Event()
                self._begun(self._lose(self._etcd, fault, lost))
                return Hold(lost)

    def _hurt(self, fault: Hurts) -> Mishap | None:
        match fault.hurt:
            case Hurt.PARTIAL:
                self._disturbed(1.0)
                return Cut()
            case Hurt.LATE:
                arrives = asyncio.Event()
                self._later(fault.seconds, arrives.set)
                return Hold(arrives)
            case hurt:
                self._all(SWITCHES[hurt], True)
                self._later(fault.seconds, lambda: self._all(SWITCHES[hurt], False))
                return None

    def _all(self, switch: Callable[[Proxy, bool], None], yes: bool) -> None:
        for member in self.crew.members:
            switch(member.proxy, yes)

    def _stale(self, view: View, seconds: float) -> None:
        lagging = self._lagging
        assert lagging is not None
        lagging.hold(True)
        if view is View.LAG:
            self._look_at(lagging)
            self._later(seconds, lambda: lagging.hold(False))
            self._later(seconds + CATCH_UP, lambda: self._look_at(None))
        else:
            self._travels = True
            self._begun(self._travel(lagging, seconds))

    async def _travel(self, lagging: Lagging, seconds: float) -> None:
        until = time.monotonic() + NEVER
        while not self.crew.ledger.past and time.monotonic() < until:
            await asyncio.sleep(POLL)
        await asyncio.sleep(seconds)
        lagging.hold(False)
        await asyncio.sleep(CATCH_UP)
        self._look_at(None)
        self._disturbed(0.0)

    def _look_at(self, lagging: Lagging | None) -> None:
        self._travels = False
        for member in self.crew.members:
            member.proxy.look_at(None if lagging is None else lagging.upstream)

    def _deposed(self, fault: Deposed, member: Member) -> Mishap | None:
        self._gone = (member, member.proxy.life, time.time())
        self._until = time.time() + fault.seconds + TIMEOUT
        loop = asyncio.get_running_loop()
        match fault.fate:
            case Fate.KILLED:
                self._down[member.name] = fault.seconds
                return Die(applied=False)
            case Fate.PARTED:
                member.proxy.away(True)
                loop.call_later(fault.seconds, member.proxy.away, False)
                return Lose(applied=False)
            case Fate.HELD:
                arrives = asyncio.Event()
                member.stand_still(True)
                loop.call_later(fault.seconds, arrives.set)
                loop.call_later(fault.seconds, member.stand_still, False)
                return Hold(arrives)
            case Fate.STOPPED:
                member.stand_still(True)
                loop.call_later(fault.seconds, member.stand_still, False)
                return None

    async def _lose(self, etcd: Members, fault: Etcd, lost: asyncio.Event) -> None:
        try:
            await etcd.lose(fault.loss)
        finally:
            lost.set()
        mended = asyncio.create_task(self._mend(etcd, fault.seconds))
        try:
            await etcd.answering(ANSWERS, within=AT_ONCE)
            self._disturbed(0.0)
            await mended
        finally:
            mended.cancel()
        await etcd.answering(ANSWERS, within=AT_ONCE)

    def _begun(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._run.errors.append(f"the harness: {error}")

    async def _mend(self, etcd: Members, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await etcd.mend()

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(seconds, what)
        self._disturbed(seconds)

    def _disturbed(self, seconds: float) -> None:
        self._run.disturbed = max(self._run.disturbed, time.time() + seconds)
