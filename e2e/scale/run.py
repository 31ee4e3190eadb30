"""The scenarios, one after the other over one fleet: start-up, all moving, a killed leader, all bad at once, at rest.

When a candidate counts as bad: the timestamp in Prometheus of the first sample that shows it (`exporter`: the whole
time since the sample before was bad). Its tick ends at the next multiple of the interval, and `at`, `read_offset`
later, is the time for which the operator asks for it. What is measured is from `at` to the moment at which a watch of
ours on the API server's HTTPRoutes told the weight 0.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.scale.exporter import shard_of
from e2e.scale.figures import epoch, quantile, raised_after, read_at, told
from e2e.scale.fleet import INTERVAL
from e2e.scale.gateway import answering
from e2e.scale.process import Operator
from e2e.scale.seed import Seed
from e2e.scale.witness import Audit, Witness, writes
from e2e.scale.world import World, load, world
from modelrollout.adapters.kube.client import KubeClient

LATE = "modelrollout_evaluation_lateness_seconds"
LAG = "modelrollout_event_loop_lag_seconds"
LOOKS = "modelrollout_reconciles_total"
EVALUATED = f"{LATE}_count"
POLL = 1.0
"""Seconds between two looks; longer for more than a thousand rollouts, whose numbers are work for the operator."""
TICKS = 3
"""Ticks for which it is counted how many rollouts were judged."""
QUIET = 10.0
"""Seconds without a look at any rollout after which the operator counts as at rest."""
BEHIND = 30.0
"""Seconds after which a tick that is judged is one of the past."""
FEWEST = 0.5
IN_STEP = 1.015
"""Fewest and most judgements a rollout and tick where nobody is behind any more."""


class TooSlow(RuntimeError):
    """Something did not come about in time; the message says what."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: one size and number of SLIs, for so many seconds each."""

    rollouts: int
    slis: int
    seconds: float
    rest: float
    failover: bool = True
    patience: float = 240.0
    """Seconds that anything may take."""


@dataclass
class Found:
    """Figures by scenario and name, in order."""

    plan: Plan
    loads: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, scenario: str, **figures: Any) -> None:
        """More figures of a scenario."""
        self.figures.setdefault(scenario, {}).update(figures)
        print(f"  {scenario}: " + ", ".join(f"{name} {value}" for name, value in figures.items()), flush=True)


def measure(plan: Plan, directory: Path) -> Found:
    """All scenarios of one plan; `directory` keeps the operators' logs."""
    found = Found(plan, [load()])
    print(f"{plan.rollouts} rollouts, {plan.slis} SLIs each; load {found.loads[0]}", flush=True)
    with world(plan.rollouts, plan.slis) as around, answering(around.api.kubeconfig):
        asyncio.run(_Run(plan, around, directory, found).all())
    found.loads.append(load())
    return found


class _Run:
    """One plan on its way. Only one thing happens at a time, so blocking calls are fine while no watch is open."""

    def __init__(self, plan: Plan, around: World, directory: Path, found: Found) -> None:
        self.plan, self.world, self.found = plan, around, found
        self.audit = Audit(around.api.audit_log)
        kubeconfig = around.api.kubeconfig
        self.operators = [
            Operator(kubeconfig, directory / f"operator-{name}.log", name) for name in ("first", "second")
        ]

    async def all(self) -> None:
        """Everything."""
        first, second = self.operators
        try:
            await self.seeded(first)
            leader = first
            self.started("start, all in mid-step", leader)
            self.evaluated_once(leader)
            self.moving(leader)
            if self.plan.failover:
                await self.failover(first, second)
                leader = second
            await self.turned(leader)
            self.at_rest("at rest, after all that", leader)
            leader.stop()
            self.started("start, all at rest", leader)
            self.at_rest("at rest, restarted", leader)
        finally:
            for operator in self.operators:
                operator.stop()

    async def seeded(self, operator: Operator) -> None:
        """The fleet, with no operator running."""
        async with await KubeClient.connect(self.world.api.kubeconfig, manager="scale-seed") as client:
            seed = Seed(client, self.plan.slis)
            await seed.first()
            operator.start()
            await seed.served()
            self.found.add("none", rss=round(operator.usage.rss()))
            operator.stop()
            begun = time.monotonic()
            await seed.fleet(self.plan.rollouts)
            print(f"  fleet made in {time.monotonic() - begun:.0f} s; load {load()}", flush=True)

    def started(self, scenario: str, operator: Operator) -> None:
        """From the start of the process until every rollout was looked at."""
        self.audit.skip()
        ready = operator.start()
        self.until("a first look", lambda: operator.numbers().sum(LOOKS) > 0)
        first = time.time() - operator.begun
        self.until("all looked at", lambda: operator.numbers().sum(LOOKS) >= self.plan.rollouts)
        all_looked = time.time() - operator.begun
        self.found.add(
            scenario,
            ready_s=round(ready, 1),
            first_decision_s=round(first, 1),
            all_looked_at_s=round(all_looked, 1),
            cpu_s=round(operator.usage.cpu(), 1),
            rss_peak=round(operator.usage.peak()),
        )

    def evaluated_once(self, operator: Operator) -> None:
        """Until every tick gives evidence of all rollouts."""
        begun, asked = operator.begun, self.world.queries()
        self.until("evidence of all rollouts in each tick", lambda: self.in_step(operator))
        self.found.add(
            "start, all in mid-step",
            all_judged_s=round(time.time() - begun, 1),
            queries=round(self.world.queries() - asked),
        )

    def moving(self, operator: Operator) -> None:
        """Some ticks of ordinary life."""
        before, cpu, queries = operator.numbers(), operator.usage.cpu(), self.world.queries()
        self.audit.skip()
        begun = time.monotonic()
        rss = []
        while time.monotonic() - begun < self.plan.seconds:
            time.sleep(INTERVAL)
            rss.append(operator.usage.rss())
        took = time.monotonic() - begun
        used = operator.usage.cpu() - cpu
        requests, queries = self.audit.requests(), self.world.queries() - queries
        after = operator.numbers()
        ticks = took / INTERVAL
        looks = after.sum(EVALUATED) - before.sum(EVALUATED)
        self.found.add(
            "moving",
            rss=round(max(rss)),
            cores=round(used / took, 3),
            queries_a_tick=round(queries / ticks, 2),
            evaluations_a_rollout_and_tick=round(looks / ticks / self.plan.rollouts, 2),
            late_p50=after.quantile(LATE, 0.5, before),
            late_p99=after.quantile(LATE, 0.99, before),
            loop_late_p99=after.quantile(LAG, 0.99, before),
            writes=writes(requests),
            requests=told(requests),
            longest_scrape_s=round(self.world.scrape_seconds(), 2),
            load=load(),
        )

    async def failover(self, first: Operator, second: Operator) -> None:
        """The leader dies at the moment a candidate turns bad."""
        second.start()
        time.sleep(INTERVAL)
        witness = Witness(self.world.api.kubeconfig)
        await witness.start()
        self.audit.skip()
        self.world.turn(0, 0)
        killed = first.kill()
        try:
            await self.until_async("the bad rollout is at 0", lambda: witness.seen[0][-1].share == 0.0)
        finally:
            await witness.stop()
        zero = witness.seen[0][-1].at - killed
        shown = self.world.turned()[shard_of(0)] - killed
        wrote = [e for e in self.audit.events() if e["verb"] in ("patch", "update", "create")]
        times = [epoch(str(e["requestReceivedTimestamp"])) for e in wrote]
        leases = [at for at, e in zip(times, wrote, strict=True) if e["objectRef"]["resource"] == "leases"]
        others = [at for at, e in zip(times, wrote, strict=True) if e["objectRef"]["resource"] != "leases"]
        self.found.add(
            "failover",
            lease_s=round(min((at for at in leases if at > killed), default=math.nan) - killed, 1),
            first_write_s=round(min((at for at in others if at > killed), default=math.nan) - killed, 1),
            bad_shown_s=round(shown, 1),
            bad_at_zero_s=round(zero, 1),
            raised_meanwhile=raised_after(witness.seen, dict.fromkeys((0,), killed)),
        )
        self.evaluated_again(second)

    def evaluated_again(self, operator: Operator) -> None:
        """The new leader has evidence of all."""
        begun = time.time()
        self.until("evidence of all rollouts after the failover", lambda: self.in_step(operator))
        self.found.add("failover", all_judged_after_that_s=round(time.time() - begun, 1))

    def in_step(self, operator: Operator) -> bool:
        """Whether every rollout is judged by ticks of the last half minute; those behind are judged more often."""
        before = operator.numbers()
        # More than one tick: of thousands of rollouts the reading of these numbers is work for the operator too.
        time.sleep(TICKS * INTERVAL)
        after = operator.numbers()
        judged = (after.sum(EVALUATED) - before.sum(EVALUATED)) / TICKS / self.plan.rollouts
        # An operator that can't judge all in each tick judges two ticks at a time, and is in step as well.
        return FEWEST <= judged <= IN_STEP and after.quantile(LATE, 0.99, before) <= BEHIND

    async def turned(self, operator: Operator) -> None:
        """All candidates turn bad within one tick."""
        witness = Witness(self.world.api.kubeconfig)
        await witness.start()
        self.audit.skip()
        before, cpu, asked = operator.numbers(), operator.usage.cpu(), time.time()
        done = witness.at_zero()
        # Just after a tick's edge: the next scrape of every shard is in the same tick.
        await asyncio.sleep(INTERVAL - time.time() % INTERVAL + 0.02)
        self.world.turn(0, self.plan.rollouts)
        try:
            await self.until_async("all routes at 0", lambda: witness.at_zero() >= self.plan.rollouts)
        finally:
            left = self.plan.rollouts - witness.at_zero()
            await witness.stop()
        await asyncio.sleep(INTERVAL)
        shown = self.world.turned()
        ats = {index: read_at(shown[shard_of(index)]) for index, told in witness.seen.items() if told[-1].at > asked}
        took = sorted(witness.seen[index][-1].at - at for index, at in ats.items())
        requests = self.audit.requests()
        after = operator.numbers()
        self.found.add(
            "all bad",
            measured=len(took),
            before=done,
            left=left,
            p50=round(quantile(took, 0.5), 2),
            p99=round(quantile(took, 0.99), 2),
            most=round(took[-1], 2),
            first=round(took[0], 2),
            ticks=len({round(at) for at in ats.values()}),
            raised_after=raised_after(witness.seen, ats),
            late_p99=after.quantile(LATE, 0.99, before),
            loop_late_p99=after.quantile(LAG, 0.99, before),
            cpu_s=round(operator.usage.cpu() - cpu, 1),
            rss_peak=round(operator.usage.peak()),
            requests=told(requests),
            load=load(),
        )

    def at_rest(self, scenario: str, operator: Operator) -> None:
        """Nothing moves any more."""
        seen, since = -1.0, time.monotonic()

        def still() -> bool:
            nonlocal seen, since
            now = operator.numbers().sum(LOOKS)
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= QUIET

        self.until("the operator is at rest", still)
        self.audit.skip()
        cpu, begun = operator.usage.cpu(), time.monotonic()
        time.sleep(self.plan.rest)
        took = time.monotonic() - begun
        requests = self.audit.requests()
        self.found.add(
            scenario,
            rss=round(operator.usage.rss()),
            cores=round((operator.usage.cpu() - cpu) / took, 4),
            writes=writes(requests),
            requests=told(requests),
        )

    def until(self, what: str, look: Callable[[], bool]) -> None:
        """Wait. Raises TooSlow."""
        end = time.monotonic() + self.plan.patience
        while not look():
            if time.monotonic() > end:
                raise TooSlow(f"{what}: not within {self.plan.patience:g} s")
            time.sleep(POLL * max(1.0, self.plan.rollouts / 1000))

    async def until_async(self, what: str, look: Callable[[], bool]) -> None:
        """Wait, and let the witness see. Raises TooSlow."""
        end = time.monotonic() + self.plan.patience
        while not look():
            if time.monotonic() > end:
                raise TooSlow(f"{what}: not within {self.plan.patience:g} s")
            await asyncio.sleep(0.1)
