"""Whole rollouts on random requests and errors, from samples through rounds, tracker and `decide` to routes.

Everything is the engine's own but the clock and the cluster; the traffic follows the weights that it sets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from modelrollout.core.model import Analysis, Phase, RolloutSpec, Step, Weight
from modelrollout.core.reasons import Reason
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, QueryResult, SeriesQuery, SourceSpec
from tests.engine.world import FakeMetrics, LoopClock, World, build, spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

RUNS = 20
RATE = 20.0
"""Requests a second of each rollout, both arms together."""
EVERY = 5.0
PODS = 2
RAMP = tuple(Step(Weight(100 * percent), 45.0, 1800.0) for percent in (5, 25, 50, 100))
"""Three minutes, if no step has to wait for requests."""


@dataclass
class Pod:
    """One pod with its counters: good and bad requests so far, and what each scrape saw."""

    arm: int
    scraped_at: float
    counters: list[int] = field(default_factory=lambda: [0, 0])
    samples: list[tuple[float, int, int]] = field(default_factory=list)


class RandomTraffic(FakeMetrics):
    """Poisson requests, split by the weights of the moment; each bad with the probability of its arm."""

    def __init__(self, errors: tuple[float, float], seed: int) -> None:
        super().__init__()
        self.specs["default"] = SourceSpec("default", ArmsByPod(), EVERY)
        self.errors = errors
        self._rng = np.random.default_rng(seed)
        self._pods: dict[tuple[str, str], list[Pod]] = {}

    def meet(self, spec: RolloutSpec) -> None:
        """Pods of both arms, scraped at moments of their own."""
        for arm, side in enumerate((spec.legacy, spec.candidate)):
            phases = self._rng.integers(0, int(EVERY), PODS)
            self._pods[spec.key.name, side.deployment] = [Pod(arm, float(phase)) for phase in phases]

    def second(self, now: float, shares: dict[str, float]) -> None:
        """One second of traffic up to `now`; `shares`: the candidate's by rollout."""
        for (name, _), pods in self._pods.items():
            for pod in pods:
                share = shares[name] if pod.arm else 1 - shares[name]
                n = int(self._rng.poisson(RATE * share / PODS))
                bad = int(self._rng.binomial(n, self.errors[pod.arm]))
                pod.counters[0] += n - bad
                pod.counters[1] += bad
                if now % EVERY == pod.scraped_at:
                    pod.samples.append((now, pod.counters[0], pod.counters[1]))

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        return [Answer(tuple(self._found(at, query.window))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        # A month of the same traffic with half of the errors: no rollout starts on a spent budget.
        grown = []
        for series in self._found(at, 60.0):
            share = 0.995 if series.labels["code"] == "200" else 0.005
            grown.append(Series(series.labels, ((at, RATE * query.window * share / PODS),)))
        return Answer(tuple(grown))

    def _found(self, at: float, window: float) -> list[Series]:
        found = []
        for (_, deployment), pods in self._pods.items():
            for number, pod in enumerate(pods):
                inside = [x for x in pod.samples if at - window < x[0] <= at]
                for code, place in (("200", 1), ("500", 2)):
                    labels = {
                        "__name__": "requests_total",
                        "namespace": "serving",
                        "pod": f"{deployment}-5d9c7b6f4-x2x9{number}",
                        "code": code,
                    }
                    # A label child is there from its first event on.
                    samples = tuple((x[0], float(x[place])) for x in inside if x[place])
                    found.append(Series(labels, samples))
        return [series for series in found if series.samples]


async def ramps(errors: tuple[float, float], seed: int, *, outage: range = range(0)) -> tuple[World, list[RolloutSpec]]:
    """`RUNS` rollouts side by side until none is under way any more; in the seconds of `outage` every request fails."""
    metrics = RandomTraffic(errors, seed)
    specs = [spec_named(f"m{i}", steps=RAMP, analysis=Analysis(interval=EVERY)) for i in range(RUNS)]
    world = build(metrics=metrics)
    for spec in specs:
        metrics.meet(spec)
        world.api.create(spec)
    clock = LoopClock()

    def shares() -> dict[str, float]:
        return {spec.key.name: (world.api.weight(spec.key) or 0) / 10_000 for spec in specs}

    for before in range(-120, 1):
        metrics.second(START + before, shares())

    async def traffic() -> None:
        while True:
            await asyncio.sleep(1.0)
            metrics.errors = (1.0, 1.0) if round(clock.monotonic()) in outage else errors
            metrics.second(round(clock.now()), shares())

    flow = asyncio.create_task(traffic())
    await world.start()
    ended = (Phase.PROMOTED, Phase.ROLLED_BACK)
    await world.until(lambda: all(phase_of(world, spec) in ended for spec in specs), limit=3600.0, step=1.0)
    await world.stop()
    flow.cancel()
    await asyncio.gather(flow, return_exceptions=True)
    return world, specs


def phase_of(world: World, spec: RolloutSpec) -> Phase | None:
    status = world.api.objects[spec.key].status
    return status.phase if status else None


async def test_a_healthy_candidate_with_one_percent_errors_is_never_reverted() -> None:
    """20 requests a second, 1 % errors in both arms, objective 99 %: 20 ramps."""
    world, specs = await ramps((0.01, 0.01), seed=1)
    for spec in specs:
        status = world.api.objects[spec.key].status
        assert status is not None
        assert (status.phase, status.incident) == (Phase.PROMOTED, None), status.message
        routes = [w.weight for w in world.api.writes if w.what == "route" and w.key == spec.key]
        assert routes == [500, 2500, 5000, 10_000]


async def test_a_sick_candidate_under_the_same_traffic_is_always_reverted() -> None:
    world, specs = await ramps((0.01, 0.3), seed=2)
    assert {phase_of(world, spec) for spec in specs} == {Phase.ROLLED_BACK}
    assert {world.api.weight(spec.key) for spec in specs} == {0}


async def test_an_outage_of_both_arms_pauses_the_ramps() -> None:
    """What both use is down for a minute, from the middle of the second step on.

    A candidate can be reverted only before the first scrape of legacy in the outage: decision 12 gives the share.
    """
    world, specs = await ramps((0.01, 0.01), seed=3, outage=range(70, 130))
    reverted = 0
    for spec in specs:
        status = world.api.objects[spec.key].status
        assert status is not None
        raised = [w.at for w in world.api.writes if w.what == "route" and w.key == spec.key and w.weight]
        assert not [at for at in raised if 70 + EVERY + 2 < at < 130], "the weight must not rise in the middle of it"
        if status.incident is not None:
            reverted += 1
            assert status.incident.opened - START < 70 + EVERY + 2, status.message
            continue
        assert status.phase is Phase.PROMOTED
        assert Reason.SHARED_DEGRADATION in [decision.reason for decision in status.decisions]
    assert reverted <= 1
