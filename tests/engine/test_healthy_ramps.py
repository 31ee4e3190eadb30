"""Whole rollouts on random requests and errors, from samples through rounds, tracker and `decide` to routes.

Everything is the engine's own but the clock and the cluster; the traffic follows the weights that it sets.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from modelrollout.core.model import Analysis, Phase, RolloutSpec, Step, Weight
from modelrollout.core.reasons import Reason
from tests.engine.api import LoopClock
from tests.engine.traffic import EVERY, RandomTraffic
from tests.engine.world import World, build, spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

RUNS = 20
RAMP = tuple(Step(Weight(100 * percent), 45.0, 1800.0) for percent in (5, 25, 50, 100))
"""Three minutes, if no step has to wait for requests."""


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


async def test_bug_a_raise_took_a_question_of_its_own() -> None:
    """What the step before had cost was written rarely, and read again for each new step from that moment on."""
    world, specs = await ramps((0.01, 0.01), seed=1)
    assert isinstance(world.metrics, RandomTraffic)
    moments = Counter(at for _, query, at in world.metrics.asked if "up" in query.metrics)
    assert len(moments) > 30
    assert set(moments.values()) == {1}
    raises = [w for w in world.api.writes if w.what == "route" and w.weight and w.weight > 500]
    assert len(raises) == 3 * len(specs)


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
