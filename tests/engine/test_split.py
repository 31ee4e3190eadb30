"""Requests held against the weights of the route, from samples to the decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from modelrollout.core.model import Analysis, Phase, RolloutSpec, Step, Weight
from modelrollout.core.reasons import Reason
from tests.engine.api import Crash, LoopClock
from tests.engine.traffic import EVERY, RandomTraffic
from tests.engine.world import World, build, spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)

STEPS = tuple(Step(Weight(100 * percent), 45.0, 1800.0) for percent in (5, 50, 100))
SPEC = spec_named("m", steps=STEPS, slis=(sli(),), analysis=Analysis(interval=EVERY))


async def flowing(world: World, share: Callable[[float], float]) -> asyncio.Task[None]:
    """Traffic of all pods from two minutes ago on; `share`: what the candidate gets of it at a route weight."""
    metrics, clock = world.metrics, LoopClock()
    assert isinstance(metrics, RandomTraffic)

    def shares() -> dict[str, float]:
        return {SPEC.key.name: share((world.api.weight(SPEC.key) or 0) / 10_000)}

    async def flow() -> None:
        while True:
            await asyncio.sleep(1.0)
            metrics.second(round(clock.now()), shares())

    for before in range(-120, 1):
        metrics.second(START + before, shares())
    return asyncio.create_task(flow())


def world_of(spec: RolloutSpec, *, seed: int) -> World:
    metrics = RandomTraffic((0.01, 0.01), seed)
    world = build(metrics=metrics)
    metrics.meet(spec)
    world.api.create(spec)
    return world


def raised(world: World) -> bool:
    """Whether the second step is recorded."""
    status = world.api.objects[SPEC.key].status
    return status is not None and status.weight == 5000


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_router_that_halves_the_weight_holds_the_rollout_until_it_is_mended() -> None:
    world = world_of(SPEC, seed=1)
    mended = False
    flow = await flowing(world, lambda weight: weight if mended or weight < 0.5 else weight / 2)
    await world.start()
    await asyncio.sleep(1.0)
    await world.until(lambda: world.api.status(SPEC.key).phase is Phase.PAUSED, limit=600.0)
    status = world.api.status(SPEC.key)
    assert status.reason == Reason.INCONCLUSIVE
    assert "requests are not split as the route says: the candidate has " in status.message
    assert "its weight promises " in status.message
    held = world.api.weight(SPEC.key)
    await asyncio.sleep(300.0)
    assert world.api.weight(SPEC.key) == held == 5000
    mended = True
    await world.until(lambda: world.api.status(SPEC.key).phase is Phase.PROMOTED, limit=7200.0, step=1.0)
    await world.stop()
    await ended(flow)


async def test_callers_beside_the_route_can_be_allowed_for() -> None:
    """A quarter of legacy's requests do not come by the route."""
    spec = replace(SPEC, analysis=replace(SPEC.analysis, split_holds=False))
    world = world_of(spec, seed=4)
    flow = await flowing(world, lambda weight: 0.75 * weight)
    await world.start()
    await asyncio.sleep(1.0)
    await world.until(lambda: world.api.status(SPEC.key).weight == 10_000, limit=600.0)
    why = world.api.status(SPEC.key).decisions[-1].message
    assert "requests are not split as the route says" in why
    await world.stop()
    await ended(flow)


async def test_bug_a_raise_made_up_for_after_a_crash_held_its_rollout_for_ever() -> None:
    """Killed between status and route, back after half a minute: the requests until then went by the weight before."""
    world = world_of(SPEC, seed=2)
    flow = await flowing(world, lambda weight: weight)

    def die(what: str, key: object, done: bool) -> None:
        if what == "route" and not done and raised(world):
            raise Crash

    world.api.fault = die
    await world.start()
    await world.until(lambda: raised(world), limit=600.0)
    world.api.fault = None
    await world.stop()
    assert world.api.weight(SPEC.key) == 500
    await asyncio.sleep(30.0)
    again = build(world.api, world.metrics)
    await again.start()
    await again.until(lambda: again.api.status(SPEC.key).phase is Phase.PROMOTED, limit=600.0)
    assert Reason.INCONCLUSIVE not in {record.reason for record in again.api.status(SPEC.key).decisions}
    await again.stop()
    await ended(flow)


async def test_a_weight_between_the_steps_is_what_requests_are_held_against() -> None:
    """Steps are edited at 50 %: the weight stays, though the step below it is now one of 20 %."""
    world = world_of(SPEC, seed=3)
    flow = await flowing(world, lambda weight: weight)
    await world.start()
    await world.until(lambda: world.api.weight(SPEC.key) == 5000, limit=600.0)
    await asyncio.sleep(5.0)
    edited = (*STEPS[:1], replace(STEPS[1], weight=Weight(2000), min_duration=120.0), STEPS[2])
    world.api.edit(SPEC.key, spec=replace(SPEC, steps=edited, generation=2), generation=2)
    await world.until(lambda: world.api.status(SPEC.key).phase is Phase.PROMOTED, limit=600.0)
    records = world.api.status(SPEC.key).decisions
    assert Reason.INCONCLUSIVE not in {record.reason for record in records}
    assert [record.weight for record in records if record.action == "Restart"] == [5000]
    await world.stop()
    await ended(flow)
