"""A wall clock that was wrong and is put right: evidence goes on at once, and nobody waits for what it had said."""

from __future__ import annotations

import asyncio
import logging

import pytest

from modelrollout.core.model import FULL, Phase, RolloutSpec, Step, Weight
from modelrollout.runtime.jumps import JUMP, Jumps
from tests.engine.api import LoopClock
from tests.engine.metrics import Load
from tests.engine.world import build, phase, spec_named

pytestmark = pytest.mark.looptime(start=0)


def slow() -> RolloutSpec:
    return spec_named("fraud", steps=(Step(Weight(500), 600.0, 3600.0), Step(FULL, 20.0, 3600.0)))


@pytest.mark.parametrize("ahead", [300.0, -300.0])
async def test_bug_a_step_begun_by_a_clock_that_was_wrong_was_judged_when_its_time_had_come(ahead: float) -> None:
    """A weight set by hand is put back, and the step begins anew: five minutes from now, said the wrong clock."""
    clock, spec = LoopClock(), slow()
    world = build(clock=clock)
    world.api.create(spec)
    world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: world.api.weight(spec.key) == 500)
    clock.ahead = ahead
    world.metrics.fail["default"] = "ClockSkew"
    world.api.route_by_hand(spec.key, 300)
    world.engine.enqueue(spec.key)
    await world.until(lambda: world.api.weight(spec.key) == 500, limit=20)
    await asyncio.sleep(30)
    clock.ahead = 0.0
    world.metrics.fail.clear()
    begun = asyncio.get_running_loop().time()
    world.metrics.change("serving", spec.candidate.deployment, clock.now(), Load(errors=0.5))
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=60)
    assert asyncio.get_running_loop().time() - begun < 40
    await world.until(lambda: phase(world, spec.key) is Phase.ROLLED_BACK, limit=5)
    await world.stop()


async def test_a_jump_is_told_once_and_small_ones_not_at_all() -> None:
    clock = LoopClock()
    jumps = Jumps(clock)
    clock.ahead = JUMP - 1
    assert jumps.since_last() == 0.0
    clock.ahead = -20.0
    assert jumps.since_last() == pytest.approx(-20.0)
    assert jumps.since_last() == 0.0


async def test_a_jump_has_every_rollout_looked_at_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock, spec = LoopClock(), slow()
    world = build(clock=clock)
    world.api.create(spec)
    world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: world.api.weight(spec.key) == 500)
    with caplog.at_level(logging.WARNING):
        clock.ahead = 60.0
        await asyncio.sleep(2)
    assert "the clock has jumped by 60 s: every rollout is looked at again" in caplog.messages
    await world.stop()
