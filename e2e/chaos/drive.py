"""Runs a plan: the workload's script, the faults at their writes, until the rollout is at rest and stays there."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

from e2e.chaos import loop
from e2e.chaos.apiserver.objects import Version
from e2e.chaos.exchanges import Exchange
from e2e.chaos.faults import (
    Blocked,
    Blurred,
    Crash,
    Edited,
    Fail,
    Failure,
    Fault,
    Parted,
    Plan,
    Poisoned,
    Slowed,
    Span,
    Unwell,
)
from e2e.chaos.interfere import LEASE_SECONDS, POISON, edit, poison
from e2e.chaos.scene import OPERATORS
from e2e.chaos.transport import Die, Drag, Late, Lose, Mishap, Refuse, Sent, Silence
from e2e.chaos.views import Blur
from e2e.chaos.workload import Workload
from e2e.chaos.workloads import workloads
from e2e.chaos.world import Trigger, World
from modelrollout.adapters.kube.resources import LEASES, Body

LIMIT = 1200.0
"""Seconds of virtual time in which every workload must have come to its end, whatever goes wrong."""
QUIET = 130.0
"""Seconds watched afterwards: two full lists, in which nothing may be written."""
MINUTE = 60.0
LAG = 10.0
SYNCHRONISED = 60.0
"""Seconds for which a new leader writes until somebody has mended its clock: it jumps."""
BELATED = 8.0
"""Seconds after which a late write is carried out: longer than its sender waits."""
AT_REST = ("Promoted", "RolledBack")
LINGER = 30.0
LAST_TRY = 35.0
"""Seconds after a fault within which what nobody waits for is tried once more: results of actions."""
DRAG = Drag(4.6)
"""Just short of what the operator waits for an answer; to read and write the Lease takes too long."""
MISHAPS: dict[Failure, Mishap] = {
    Failure.CONFLICT: Refuse(409),
    Failure.THROTTLED: Refuse(429, (("Retry-After", "1"),)),
    Failure.INTERNAL: Refuse(500),
    Failure.UNAVAILABLE: Refuse(503),
    Failure.RESET: Lose(applied=False),
    Failure.RESET_APPLIED: Lose(applied=True),
    Failure.TIMEOUT: Silence(applied=False),
    Failure.TIMEOUT_APPLIED: Silence(applied=True),
    Failure.LATE: Late(BELATED),
}

LASTS = {Failure.TIMEOUT: 5.0, Failure.TIMEOUT_APPLIED: 5.0, Failure.LATE: BELATED + 1.0}
"""Seconds until nothing is left of a failure, where that is more than one."""


@dataclass
class Run:
    """What is left of a run. Times are epoch seconds."""

    plan: Plan
    workload: Workload
    history: list[Version] = field(default_factory=list)
    writes: Counter[str] = field(default_factory=Counter)
    """Writes that the operator sent, Lease aside, by what they were about."""
    triggers: list[Trigger] = field(default_factory=list)
    disturbed: float = 0.0
    """When the last fault was over."""
    silences: list[tuple[float, float]] = field(default_factory=list)
    """From when until when views told nothing although they stood."""
    rest: float | None = None
    """When the workload's end was reached; None if it never was."""
    end: Body = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """What the operator logged as a bug, and what broke in it."""
    answered: list[float] = field(default_factory=list)
    sent: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    """Writes of the operator's processes; none where only the stored objects are seen."""
    shown: dict[tuple[str, str], str] = field(default_factory=dict)
    """Rollouts and their phases on the leader's `/metrics` at the end."""
    stored: dict[tuple[str, str], str] = field(default_factory=dict)
    """The same as the API server has them."""
    late: list[str] = field(default_factory=list)
    """Operator's writes after the rollout was at rest."""
    patience: float = 0.0
    """Seconds that a slow machine may take longer than promised; none in virtual time."""

    def operators(self, history: list[Version]) -> list[Version]:
        """Those of the operator for the rollout, the leader election aside."""
        mine = (v for v in history if v.agent.startswith(OPERATORS) and v.resource is not LEASES)
        return [v for v in mine if not v.place[1].startswith(POISON)]


class _Listener(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.CRITICAL:
            text = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self._run.errors.append(f"{record.getMessage()}\n{text}".strip())


class Driver:
    """One run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workload = workloads()[plan.workload]
        self.run = Run(plan, self.workload)
        self._waiting = sorted(plan.faults, key=lambda fault: fault.at)
        self._failing: list[tuple[Fail, str, float, int]] = []
        """Each with the target of its write, until when, and how often more."""
        self._parted: tuple[str, float] | None = None
        self._slowed: tuple[str, float] | None = None
        self._count = 0
        self._mending = False
        self.world: World

    async def main(self) -> Run:
        """All of it."""
        listener = _Listener(self.run)
        log = logging.getLogger()
        log.addHandler(listener)
        self.world = world = World(self.plan.seed, self.workload.spec(), self._meets, carrier=self.workload.carrier)
        try:
            await world.begin()
            if any(isinstance(fault, Parted | Slowed) for fault in self.plan.faults):
                skew = next((f.skew for f in self.plan.faults if isinstance(f, Parted)), 0.0)
                await asyncio.sleep(1)
                world.start("standby", skew=skew)
            script = asyncio.ensure_future(self.workload.script(world))
            if await world.until(lambda: script.done() and self._over(), limit=LIMIT):
                script.result()
                self.run.rest = world.clock.now()
                await self._watch()
            else:
                script.cancel()
        finally:
            self.run.shown = world.shown()
            world.end()
            log.removeHandler(listener)
        self._close()
        return self.run

    def _over(self) -> bool:
        """Whether the rollout is at its end and nothing that was done to the world is still to be followed."""
        world, now = self.world, self.world.clock.now()
        if now < max([self.run.disturbed, *(end for _, end in self.run.silences)]):
            return False
        if not self.workload.ends:
            return world.rollout is None
        # Another end than the usual one is an end too, but a status may be on its way from one to the next.
        return world.phase in self.workload.ends or (
            world.phase in AT_REST and now >= max(world.told_at, self.run.disturbed) + LINGER
        )

    async def _watch(self) -> None:
        # What the last decision still has to say: its Event, results of actions; one of these writes may begin a fault.
        await asyncio.sleep(10)
        while (left := self.run.disturbed + LAST_TRY - self.world.clock.now()) > 0:
            await asyncio.sleep(left)
        history = self.world.server.store.history
        before = len(history)
        await asyncio.sleep(QUIET)
        late = self.run.operators(history[before:])
        self.run.late = [f"{v.resource.plural} {v.place[1]}" for v in late]

    def _close(self) -> None:
        run, world = self.run, self.world
        run.history = world.server.store.history
        run.stored = world.stored()
        run.exchanges = world.exchanges.all
        run.triggers = world.triggers
        run.end = {"rollout": world.rollout, "route": world.route, "plane": world.plane.end()}
        run.answered = world.prometheus.answered

    # --- faults ------------------------------------------------------------------------------------------------------

    def _meets(self, sent: Sent) -> Mishap | None:
        """What happens to a request of the operator."""
        now = self.world.clock.now()
        self.run.sent += 1
        if self._parted is not None and sent.sender == self._parted[0] and now < self._parted[1]:
            return Silence(applied=False)
        if sent.writes and sent.sender.startswith("standby") and not self._mending:
            # It leads, by this plan's partition or by another fault: somebody will mend its clock.
            self._mending = True
            wrong = any(process.clock.skew for process in self.world.processes)
            self._later(SYNCHRONISED, self.world.synchronise, disturbs=wrong)
        mishap = None
        if sent.writes and not sent.target.startswith("leases"):
            self.run.writes[sent.target] += 1
            self._count += 1
            for fault in [f for f in self._waiting if f.at == self._count]:
                self._waiting.remove(fault)
                mishap = self._begin(fault, sent, now) or mishap
        mishap = mishap or self._failed(sent, now)
        if mishap is None and self._slowed is not None and sent.sender == self._slowed[0] and now < self._slowed[1]:
            return DRAG
        return mishap

    def _begin(self, fault: Fault, sent: Sent, now: float) -> Mishap | None:
        world = self.world
        match fault:
            case Crash(after=after):
                self._disturbed(now + 1.0)
                world.restart_later(sent.sender)
                return Die(applied=after)
            case Fail(span=span):
                self._failing.append((fault, sent.target, now + MINUTE, 3 if span is Span.THRICE else 1))
            case Blurred(blur=blur, kinds=kinds, seconds=seconds):
                world.views.blurred(blur, frozenset(kinds), lag=LAG)
                self._later(seconds, world.views.cleared, disturbs=blur is not Blur.SILENT)
                if blur is Blur.LATE:
                    self._disturbed(now + seconds + LAG)
                if blur is Blur.SILENT:
                    self.run.silences.append((now, now + seconds))
            case Edited(edit=what):
                self._disturbed(now + edit(world, what))
            case Unwell(trouble=trouble, seconds=seconds):
                world.prometheus.trouble = trouble
                self._later(seconds, self._well)
            case Parted(seconds=seconds, skew=skew, held=held):
                self._parted = (sent.sender, now + seconds)
                self._disturbed(now + (seconds if held else LEASE_SECONDS))
                if skew:
                    self._disturbed(now + seconds + SYNCHRONISED)
                return Late(seconds) if held else Silence(applied=False)
            case Slowed(seconds=seconds):
                self._slowed = (sent.sender, now + seconds)
                # The standby is not slow, and in office by then.
                self._disturbed(now + LEASE_SECONDS)
            case Poisoned(poison=what):
                poison(world, what)
                self._disturbed(now)
            case Blocked(seconds=seconds):
                running = asyncio.get_running_loop()
                assert isinstance(running, loop.VirtualLoop)
                running.stand_still(seconds)
                self._disturbed(now + seconds)
        return None

    def _failed(self, sent: Sent, now: float) -> Mishap | None:
        for index, (fault, target, until, left) in enumerate(self._failing):
            if fault.span is Span.KIND:
                if now >= until:
                    del self._failing[index]
                    return None
                self._disturbed(until)
                if sent.writes and sent.target == target:
                    return MISHAPS[fault.failure]
                continue
            if fault.span is Span.MINUTE:
                if now >= until:
                    del self._failing[index]
                    return None
                self._disturbed(until)
                # A conflict is an answer to a write; an outage does not ask what a request wants.
                hit = sent.writes if fault.failure is Failure.CONFLICT else True
                return MISHAPS[fault.failure] if hit else None
            if sent.writes and not sent.target.startswith("leases"):
                self._failing[index] = (fault, target, until, left - 1)
                if left == 1:
                    del self._failing[index]
                self._disturbed(now + LASTS.get(fault.failure, 1.0))
                return MISHAPS[fault.failure]
        return None

    def _later(self, seconds: float, what: object, *, disturbs: bool = True) -> None:
        assert callable(what)
        asyncio.get_running_loop().call_later(seconds, what)
        if disturbs:
            self._disturbed(self.world.clock.now() + seconds)

    def _well(self) -> None:
        self.world.prometheus.trouble = None

    def _disturbed(self, until: float) -> None:
        self.run.disturbed = max(self.run.disturbed, until)


def drive(plan: Plan) -> Run:
    """Run a plan in virtual time."""
    return loop.run(Driver(plan).main())
