"""Runs one plan in real time: the workload, faults at the operator's writes, until the rollout is and stays at rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace

from e2e.chaos.drive import AT_REST, Run
from e2e.chaos.real.faults import Deposed, Plan, nearest
from e2e.chaos.real.misfortune import Misfortune
from e2e.chaos.real.process import Crew, Hooks
from e2e.chaos.real.stage import Stage
from e2e.chaos.real.witness import history
from e2e.chaos.real.world import World
from e2e.chaos.scene import OPERATORS
from e2e.chaos.workloads import workloads
from e2e.chaos.world import Trigger
from modelrollout.errors import Conflict, Gone, RolloutError

LIMIT = 150.0
"""Seconds in which every workload must have come to its end, whatever goes wrong."""
SETTLE, QUIET = 4.0, 8.0
"""Seconds for the last words, and then those in which nothing may be written."""
LINGER = 10.0
POLL = 0.05
AGAIN = 0.5
WORKLOADS = ("promote", "fail-at-50", "abort", "delete")
"""Those of virtual time that are played here, by their names there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and what only real time tells.

    `back`: seconds from each death of a leader until it renews its Lease again; `takeovers`: until a standby has it.
    """

    plan: Plan
    run: Run
    took: float
    back: tuple[float, ...]
    takeovers: tuple[float, ...] = ()
    missed: tuple[str, ...] = field(default=())
    """Faults whose write never came, and those that no process saw."""


class Driver:
    """One run in a namespace of its own."""

    def __init__(self, plan: Plan, world: World, namespace: str, *, patience: float = 0.0) -> None:
        self.plan, self._world, self._namespace = plan, world, namespace
        workload = workloads()[plan.workload]
        # Who sees nothing for so long may have gone through a whole rollout before the news of its abort.
        workload = replace(workload, brief=workload.brief or plan.blinds)
        self._run = Run(nearest(plan), workload, patience=patience)
        self.stage = Stage(world.hands, namespace)
        misfortune = self._misfortune = Misfortune(plan, self._run, lagging=world.lagging, etcd=world.etcd)
        broke = self._run.errors.append
        hooks = Hooks(misfortune.meets, misfortune.kill, misfortune.told, misfortune.began, broke)
        names = OPERATORS if any(isinstance(fault, Deposed) for fault in plan.faults) else OPERATORS[:1]
        directory = world.directory / namespace
        self._crew = misfortune.crew = Crew(names, world.upstream, directory, namespace=namespace, hooks=hooks)

    async def main(self) -> Outcome:
        """All of it."""
        begun = time.time()
        await self._crew.listen()
        script: asyncio.Task[None] | None = None
        try:
            await self.stage.furnish()
            await self._begin()
            script = task = asyncio.create_task(SCRIPTS[self.plan.workload](self))
            if await self._until(lambda: task.done() and self._over(), limit=LIMIT):
                task.result()
                self._run.rest = time.time()
                await self._watch()
        finally:
            if script is not None:
                script.cancel()
            await self._crew.end()
            await self._misfortune.end()
            self.stage.close()
        await asyncio.sleep(0.5)  # the witness may be a little late
        return self._close(time.time() - begun)

    async def _begin(self) -> None:
        leader, *standbys = self._crew.members
        if not standbys:
            await self.stage.roll_out()
        self._crew.start(leader)
        for member in standbys:
            # Whoever comes first leads; and a standby that has not seen the Lease does not know when it is over.
            await self._contends(1)
            self._crew.start(member)
            await self._contends(2)
            await self.stage.roll_out()

    async def _contends(self, count: int) -> None:
        if not await self._until(lambda: len(self._crew.ledger.contenders) >= count):
            self._run.errors.append(f"no more than {len(self._crew.ledger.contenders)} operators ask for the Lease")

    def _close(self, took: float) -> Outcome:
        run, seen = self._run, self._world.hands.witness.seen[self._namespace]
        ledger, misfortune = self._crew.ledger, self._misfortune
        run.history = history(seen, self._namespace, ledger.authors)
        run.end = {"rollout": self.stage.rollout, "route": self.stage.weight}
        for member in self._crew.members:
            run.errors += member.bugs()
        run.writes = ledger.writes
        return Outcome(self.plan, run, took, tuple(misfortune.back), tuple(misfortune.takeovers), misfortune.missed)

    def _over(self) -> bool:
        stage = self.stage
        if not self._misfortune.over:
            return False
        if not self._run.workload.ends:
            return stage.rollout is None
        rolled = stage.phase in AT_REST and time.time() >= self._told_at() + LINGER
        return stage.phase in self._run.workload.ends or rolled

    def _told_at(self) -> float:
        return max((s.at for s in self._world.hands.witness.seen[self._namespace]), default=time.time())

    async def _watch(self) -> None:
        await asyncio.sleep(SETTLE)
        log = self._crew.ledger.log
        before = len(log)
        await asyncio.sleep(QUIET)
        self._run.late = [f"{sent.method} {sent.target}" for sent in log[before:]]

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

    async def surely(self, act: Callable[[], Coroutine[None, None, None]]) -> None:
        """Somebody tries again until the API server does it."""
        while True:
            try:
                return await act()
            except (Conflict, Gone):
                return None  # it was done, and the answer was lost
            except RolloutError:  # it is away, or etcd is
                await asyncio.sleep(AGAIN)

    def due(self, what: str, *, evidence: bool = False) -> None:
        """From now on the weight must go to 0."""
        self._run.triggers.append(Trigger(time.time(), what, evidence=evidence))


async def _promote(driver: Driver) -> None:
    return


async def _fails(driver: Driver) -> None:
    await driver.at(50)
    driver.stage.break_candidate()
    driver.due("errors", evidence=True)


async def _abort(driver: Driver) -> None:
    await driver.at(50)
    await driver.surely(lambda: driver.stage.act("Abort"))
    driver.due("abort")


async def _delete(driver: Driver) -> None:
    await driver.at(50)
    await driver.surely(driver.stage.delete)
    driver.due("delete")


SCRIPTS: dict[str, Callable[[Driver], Coroutine[None, None, None]]] = dict(
    zip(WORKLOADS, (_promote, _fails, _abort, _delete), strict=True)
)
