"""Many plans side by side on one API server: which ones, and what came of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from e2e.chaos.faults import Crash
from e2e.chaos.real.drive import Driver, Outcome, World
from e2e.chaos.real.faults import Fault, Hurts, Plan, crashes, others
from e2e.chaos.real.oracles import check
from e2e.chaos.reverts import Violation, zero_after

APART = 1.5
"""Seconds between two starts: the first seconds of a process are the dearest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a plan. Times in seconds of real time; `reverted`: from the reason of a revert to weight 0."""

    plan: Plan
    violations: tuple[Violation, ...]
    versions: int
    writes: int
    took: float
    back: tuple[float, ...]
    reverted: float | None
    missed: bool

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        violations = [f"{v.oracle}: {v.text}" for v in self.violations]
        found: dict[str, object] = {"plan": str(self.plan), "violations": violations, "versions": self.versions}
        found |= {"writes": self.writes, "took": round(self.took, 1), "back": [round(x, 2) for x in self.back]}
        return found | {"reverted": self.reverted and round(self.reverted, 2), "missed": self.missed}


class Campaign:
    """Runs plans in namespaces of their own, `parallel` at once."""

    def __init__(self, world: World, *, parallel: int, patience: float) -> None:
        self._world, self._patience = world, patience
        self._parallel = parallel
        self._serial = 0
        self._references: dict[str, Outcome] = {}
        self.last: Outcome
        """The newest run."""

    async def references(self, names: Sequence[str]) -> list[Verdict]:
        """Run the workloads without faults."""
        found = []
        async for outcome in self._outcomes([Plan(name) for name in names]):
            self._references[outcome.plan.workload] = outcome
            found.append(self._judged(outcome))
        return found

    def plans(self, names: Sequence[str], *, family: str, count: int | None, seed: int) -> list[Plan]:
        """Plans of a family for these workloads; `count`: so many of them, drawn."""
        found = []
        for name in names:
            writes = sum(self._references[name].run.writes.values())
            found += [Plan(name, faults) for faults in combinations(family, writes, random.Random(f"{name}/{seed}"))]
        if count is None or count >= len(found):
            return found
        return random.Random(seed).sample(found, count)

    async def verdicts(self, plans: Sequence[Plan], *, until: float | None = None) -> AsyncIterator[Verdict]:
        """As they come; begins no new one after `until` (monotonic seconds)."""
        async for outcome in self._outcomes(plans, until=until):
            yield self._judged(outcome)

    async def _outcomes(self, plans: Sequence[Plan], *, until: float | None = None) -> AsyncIterator[Outcome]:
        left = iter(plans)
        running: set[asyncio.Task[Outcome]] = set()
        while True:
            while len(running) < self._parallel and (until is None or time.monotonic() < until):
                plan = next(left, None)
                if plan is None:
                    break
                self._serial += 1
                driver = Driver(plan, self._world, f"real-{self._serial}", patience=self._patience)
                running.add(asyncio.create_task(driver.main()))
                await asyncio.sleep(APART)
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self.last = task.result()
                yield self.last

    def _judged(self, outcome: Outcome) -> Verdict:
        run = outcome.run
        known = self._references.get(outcome.plan.workload)
        found = check(run, known.run if known is not None and outcome.plan.faults else None)
        strange = self._world.hands.prometheus.strange
        if strange:
            found.append(Violation("harness", f"the stand-in for Prometheus does not know {strange[0]}"))
        return Verdict(
            outcome.plan,
            tuple(found),
            len(run.history),
            sum(run.writes.values()),
            outcome.took,
            outcome.back,
            _reverted(outcome),
            bool(outcome.missed),
        )


def combinations(family: str, writes: int, rng: random.Random) -> list[tuple[Fault, ...]]:
    """What goes wrong in the plans of a family, for a run of so many writes.

    `crash`: every crash point. `others`: every other fault at every write. `all`: both. `pairs`: a SIGKILL and
    something else, or a second one, at two writes drawn by `rng`; as many as there are crash points.
    """
    alone: list[Fault] = list(crashes(writes))
    rest: list[Fault] = list(others(writes))
    match family:
        case "crash":
            return [(fault,) for fault in alone]
        case "others":
            return [(fault,) for fault in rest]
        case "all":
            return [(fault,) for fault in [*alone, *rest]]
        case "pairs":
            pairs = [(fault, rng.choice([*alone, *rest])) for fault in alone]
            return [tuple(sorted(pair, key=lambda fault: fault.at)) for pair in pairs]
        case _:
            raise ValueError(f"{family!r} is no family")


def _reverted(outcome: Outcome) -> float | None:
    for trigger in outcome.run.triggers:
        down = zero_after(outcome.run.history, trigger.at)
        return None if down is None else down - trigger.at
    return None


def kind_of(fault: Fault) -> str:
    """The family of a fault, for tables."""
    if isinstance(fault, Crash):
        return f"SIGKILL {'after' if fault.after else 'before'} the write"
    if isinstance(fault, Hurts):
        return f"{fault.hurt} for {fault.seconds:g} s" if fault.seconds > 1 else str(fault.hurt)
    return f"{fault.failure} {fault.span}"
