"""Runs one plan in real time: the workload, faults at the operator's writes, until the rollout is and stays at rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from e2e.chaos.drive import AT_REST, MISHAPS, Run
from e2e.chaos.faults import Crash, Fail, Failure, Span
from e2e.chaos.real.faults import Fault, Hurt, Hurts, Plan, nearest
from e2e.chaos.real.proxy import Cut, Mishap, Proxy, Sent
from e2e.chaos.real.stage import Hands, Operator, Stage
from e2e.chaos.real.upstream import Upstream
from e2e.chaos.real.witness import history
from e2e.chaos.transport import Die
from e2e.chaos.workloads import workloads
from e2e.chaos.world import Trigger

LIMIT = 120.0
"""Seconds in which every workload must have come to its end, whatever goes wrong."""
SETTLE, QUIET = 4.0, 8.0
"""Seconds for the last words, and then those in which nothing may be written."""
LINGER = 10.0
RESTART = 1.0
POLL = 0.05
SLOW = 0.3
TIMEOUT = 5.0
WORKLOADS = ("promote", "fail-at-50", "abort", "delete")
"""Those of virtual time that are played here, by their names there."""


@dataclass(frozen=True, slots=True)
class World:
    """What all runs share."""

    hands: Hands
    upstream: Upstream
    directory: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and what only real time tells. `back`: seconds from each SIGKILL to the first renewed Lease."""

    plan: Plan
    run: Run
    took: float
    back: tuple[float, ...]
    missed: tuple[str, ...] = field(default=())
    """Faults whose write never came."""


class Driver:
    """One run in a namespace of its own."""

    def __init__(self, plan: Plan, world: World, namespace: str, *, patience: float = 0.0) -> None:
        self.plan, self._world = plan, world
        workload = workloads()[plan.workload]
        self._run = Run(nearest(plan), workload, patience=patience)
        self._waiting: list[Fault] = sorted(plan.faults, key=lambda fault: fault.at)
        self._failing: list[tuple[Failure, int]] = []
        self.stage = Stage(world.hands, namespace)
        self._namespace = namespace
        self.proxy = Proxy(world.upstream, self._meets, self._kill, self._told)
        self._killed = 0
        """The life that was killed last."""
        self._back: list[float] = []
        self._pending: float = 0.0
        """When the process that is to be back was killed; 0 when none is."""
        self.operator: Operator

    async def main(self) -> Outcome:
        """All of it."""
        begun = time.time()
        await self.proxy.start()
        self.operator = Operator(self.proxy.port, self._namespace, self._world.directory / self._namespace)
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.stage.furnish()
            self._start()
            tasks.append(asyncio.create_task(self._container()))
            script = asyncio.create_task(SCRIPTS[self.plan.workload](self))
            tasks.append(script)
            if await self._until(lambda: script.done() and self._over(), limit=LIMIT):
                script.result()
                self._run.rest = time.time()
                await self._watch()
        finally:
            for task in tasks:
                task.cancel()
            self.operator.end()
            await self.proxy.stop()
            self.stage.close()
        await asyncio.sleep(0.5)  # the witness may be a little late
        return self._close(time.time() - begun)

    def _close(self, took: float) -> Outcome:
        run, seen = self._run, self._world.hands.witness.seen[self._namespace]
        run.history = history(seen, self._namespace, self.proxy.authors)
        run.end = {"rollout": self.stage.rollout, "route": self.stage.weight}
        run.errors += self.operator.bugs()
        run.writes = self.proxy.writes
        missed = tuple(str(fault) for fault in self._waiting)
        return Outcome(self.plan, run, took, tuple(self._back), missed)

    def _over(self) -> bool:
        stage, now = self.stage, time.time()
        if now < self._run.disturbed or self._pending:
            return False
        if not self._run.workload.ends:
            return stage.rollout is None
        rolled = stage.phase in AT_REST and now >= self._told_at() + LINGER
        return stage.phase in self._run.workload.ends or rolled

    def _told_at(self) -> float:
        return max((s.at for s in self._world.hands.witness.seen[self._namespace]), default=time.time())

    async def _watch(self) -> None:
        await asyncio.sleep(SETTLE)
        before = len(self.proxy.log)
        await asyncio.sleep(QUIET)
        self._run.late = [f"{sent.method} {sent.target}" for sent in self.proxy.log[before:]]

    async def _until(self, condition: Callable[[], bool], *, limit: float = LIMIT) -> bool:
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(POLL)
        return True

    # --- the workload ------------------------------------------------------------------------------------------------

    async def at(self, percent: float) -> None:
        """The candidate has that weight, for a moment already."""
        stage = self.stage
        await self._until(lambda: (stage.weight or 0.0) >= percent or stage.phase in AT_REST)
        await asyncio.sleep(0.7)

    def due(self, what: str, *, evidence: bool = False) -> None:
        """From now on the weight must go to 0."""
        self._run.triggers.append(Trigger(time.time(), what, evidence=evidence))

    # --- the process -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.operator.start()
        self.proxy.life = self.operator.lives

    async def _container(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            code = self.operator.ended
            if code is None:
                continue
            self.proxy.died()
            if not self._pending:
                self._run.errors.append(f"the operator ended by itself with code {code}")
            await asyncio.sleep(RESTART)
            self._start()

    def _kill(self) -> None:
        self.operator.kill()
        self.proxy.died()
        self._killed = self.operator.lives
        self._pending = time.time()

    def _told(self, sent: Sent) -> None:
        if self._pending and sent.target == "leases" and sent.life > self._killed:
            now = time.time()
            self._back.append(now - self._pending)
            self._pending = 0.0
            self._disturbed(now)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _meets(self, sent: Sent) -> Mishap | None:
        mishap: Mishap | None = None
        if not sent.number:
            return None
        for fault in [f for f in self._waiting if f.at == sent.number]:
            self._waiting.remove(fault)
            mishap = self._begin(fault) or mishap
        if mishap is None and self._failing:
            failure, left = self._failing.pop()
            if left > 1:
                self._failing.append((failure, left - 1))
            timeout = failure in (Failure.TIMEOUT, Failure.TIMEOUT_APPLIED)
            self._disturbed(time.time() + (TIMEOUT if timeout else 1.0))
            return MISHAPS[failure]
        return mishap

    def _begin(self, fault: Fault) -> Mishap | None:
        match fault:
            case Crash(after=after):
                return Die(applied=after)
            case Fail(failure=failure, span=span):
                self._failing.append((failure, 3 if span is Span.THRICE else 1))
                return None
            case Hurts(hurt=Hurt.PARTIAL):
                self._disturbed(time.time() + 1.0)
                return Cut()
            case Hurts(hurt=hurt, seconds=seconds):
                self._hurt(hurt, begins=True)
                asyncio.get_running_loop().call_later(seconds, lambda: self._hurt(hurt, begins=False))
                self._disturbed(time.time() + seconds)
                return None

    def _hurt(self, hurt: Hurt, *, begins: bool) -> None:
        match hurt:
            case Hurt.SLOW:
                self.proxy.delay = SLOW if begins else 0.0
            case Hurt.STORM:
                self.proxy.storm = begins
            case Hurt.AWAY:
                self.proxy.away(begins)
            case Hurt.FROZEN:
                self.proxy.freeze(begins)
            case Hurt.PARTIAL:
                raise AssertionError(hurt)

    def _disturbed(self, until: float) -> None:
        self._run.disturbed = max(self._run.disturbed, until)


async def _promote(driver: Driver) -> None:
    return


async def _fails(driver: Driver) -> None:
    await driver.at(50)
    driver.stage.break_candidate()
    driver.due("errors", evidence=True)


async def _abort(driver: Driver) -> None:
    await driver.at(50)
    await driver.stage.act("Abort")
    driver.due("abort")


async def _delete(driver: Driver) -> None:
    await driver.at(50)
    await driver.stage.delete()
    driver.due("delete")


SCRIPTS: dict[str, Callable[[Driver], Coroutine[None, None, None]]] = dict(
    zip(WORKLOADS, (_promote, _fails, _abort, _delete), strict=True)
)
