"""Many plans side by side: which ones, and what came of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.chaos.real.drive import Driver, Outcome
from e2e.chaos.real.families import FAMILIES, kind_of
from e2e.chaos.real.faults import Plan
from e2e.chaos.real.oracles import check
from e2e.chaos.real.world import World
from e2e.chaos.reverts import Violation, zero_after

APART = 1.5
"""Seconds between two starts: the first seconds of a process are the dearest."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan, and the family that it was made for."""

    plan: Plan
    family: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a plan. Times in seconds of real time; `reverted`: from the reason of a revert to weight 0."""

    asked: Asked
    violations: tuple[Violation, ...]
    versions: int
    writes: int
    took: float
    back: tuple[float, ...]
    takeovers: tuple[float, ...]
    reverted: float | None
    missed: bool

    @property
    def plan(self) -> Plan:
        """What was run."""
        return self.asked.plan

    @property
    def kind(self) -> str:
        """Its faults, for tables."""
        return ", ".join(map(kind_of, self.plan.faults)) or "no fault"

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        violations = [f"{v.oracle}: {v.text}" for v in self.violations]
        found: dict[str, object] = {"plan": str(self.plan), "family": self.asked.family, "violations": violations}
        found |= {"workload": self.plan.workload, "kind": self.kind, "versions": self.versions, "writes": self.writes}
        found |= {"took": round(self.took, 1), "back": [round(x, 2) for x in self.back]}
        found |= {"takeovers": [round(x, 2) for x in self.takeovers]}
        return found | {"reverted": self.reverted and round(self.reverted, 2), "missed": self.missed}


@dataclass(eq=False)
class Campaign:
    """Runs plans in namespaces of their own. What it knows of the workloads outlives the worlds they ran in."""

    patience: float = 0.0
    """Seconds that a busy machine may take longer than promised."""
    _references: dict[str, Outcome] = field(default_factory=dict)
    _serial: int = 0
    last: Outcome | None = None
    """The newest run."""

    async def references(self, worlds: Sequence[World], names: Sequence[str]) -> list[Verdict]:
        """Run the workloads without faults."""
        found = []
        async for asked, outcome, world in self._outcomes(worlds, [Asked(Plan(name), "reference") for name in names]):
            self._references[outcome.plan.workload] = outcome
            found.append(self._judged(asked, outcome, world))
        return found

    @property
    def writes(self) -> dict[str, int]:
        """How many the operator sent in each workload's reference run."""
        # In the order of their names, or chance would draw other plans whenever another run ended first.
        return {name: sum(outcome.run.writes.values()) for name, outcome in sorted(self._references.items())}

    async def verdicts(
        self, worlds: Sequence[World], plans: Sequence[Asked], *, until: float | None = None
    ) -> AsyncIterator[Verdict]:
        """As they come, one run in each world at a time; begins no new one after `until` (monotonic seconds)."""
        async for asked, outcome, world in self._outcomes(worlds, plans, until=until):
            yield self._judged(asked, outcome, world)

    async def _outcomes(
        self, worlds: Sequence[World], plans: Sequence[Asked], *, until: float | None = None
    ) -> AsyncIterator[tuple[Asked, Outcome, World]]:
        left = iter(plans)
        free = list(worlds)
        running: dict[asyncio.Task[Outcome], tuple[Asked, World]] = {}
        try:
            while True:
                while free and (until is None or time.monotonic() < until):
                    asked = next(left, None)
                    if asked is None:
                        break
                    self._serial += 1
                    world = free.pop()
                    driver = Driver(asked.plan, world, f"real-{self._serial}", patience=self.patience)
                    running[asyncio.create_task(driver.main())] = (asked, world)
                    await asyncio.sleep(APART)
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    asked, world = running.pop(task)
                    free.append(world)
                    self.last = task.result()
                    yield asked, self.last, world
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _judged(self, asked: Asked, outcome: Outcome, world: World) -> Verdict:
        run = outcome.run
        known = self._references.get(outcome.plan.workload)
        found = check(run, known.run if known is not None and outcome.plan.faults else None, outcome.takeovers)
        if world.hands.witness.blind:
            found = [Violation("harness", f"the witness has missed something: {world.hands.witness.blind}")]
        strange = world.hands.prometheus.strange
        if strange:
            found.append(Violation("harness", f"the stand-in for Prometheus does not know {strange[0]}"))
        return Verdict(
            asked,
            tuple(found),
            len(run.history),
            sum(run.writes.values()),
            outcome.took,
            outcome.back,
            outcome.takeovers,
            _reverted(outcome),
            bool(outcome.missed),
        )


def made(writes: Mapping[str, int], families: Sequence[str], *, count: int | None, seed: int) -> list[Asked]:
    """Plans of these families for workloads of so many writes; `count`: no more than so many of each family, drawn."""
    found = []
    for family in families:
        asked = [
            Asked(Plan(name, faults), family)
            for name, many in writes.items()
            for faults in FAMILIES[family](many, random.Random(f"{name}/{seed}"))
        ]
        if count is not None and count < len(asked):
            chosen = sorted(random.Random(seed).sample(range(len(asked)), count))
            asked = [asked[index] for index in chosen]
        found += asked
    return found


def _reverted(outcome: Outcome) -> float | None:
    for trigger in outcome.run.triggers:
        down = zero_after(outcome.run, trigger.at)
        return None if down is None else down - trigger.at
    return None
