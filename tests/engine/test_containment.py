"""What goes wrong with one rollout, or with the API server, harms no other and is over when its cause is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from modelrollout.core.decide import decide
from modelrollout.core.intents import Decision, Move, SetWeight
from modelrollout.core.model import (
    ActionVerb,
    Epoch,
    Key,
    Phase,
    RolloutSpec,
    Weight,
)
from modelrollout.core.observation import ActionRequest, Observation, SpecProblem
from modelrollout.core.status import Holds, RolloutStatus
from modelrollout.errors import ApiUnavailable
from modelrollout.runtime.queue import Priority
from tests.engine.metrics import Load
from tests.engine.world import build, phase, quick, running, spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)


async def test_a_poison_rollout_leaves_the_others_alone() -> None:
    good, poison = quick("good"), quick("poison")

    def decider(spec: RolloutSpec | None, status: RolloutStatus | None, obs: Observation, now: float) -> Decision:
        if spec is not None and spec.key == poison.key:
            raise ZeroDivisionError("poison")
        return decide(spec, status, obs, now)

    world = build(decider=decider)
    for spec in (good, poison):
        world.api.create(spec)
        world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: phase(world, good.key) is Phase.PROMOTED)
    assert world.api.objects[poison.key].status is None
    assert not [w for w in world.api.writes if w.key == poison.key]
    assert world.telemetry.registry.get_sample_value("modelrollout_bugs_total")
    await world.stop()


async def test_a_decision_that_raises_beyond_its_record_is_not_carried_out_and_a_revert_still_is() -> None:
    spec = quick("fraud")
    mad = False

    def decider(spec: RolloutSpec | None, status: RolloutStatus | None, obs: Observation, now: float) -> Decision:
        decision = decide(spec, status, obs, now)
        if not mad or decision.urgent:
            return decision
        return replace(decision, intent=SetWeight(Weight(10_000), segments=False, move=Move.RAISE))

    world = build(decider=decider)
    world.api.create(spec)
    world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: world.api.weight(spec.key) == 500)
    mad, before = True, len(world.api.writes)
    await asyncio.sleep(60)
    assert len(world.api.writes) == before
    assert world.telemetry.registry.get_sample_value("modelrollout_bugs_total")
    world.api.actions[spec.key].append(ActionRequest("stop", "uid-a", ActionVerb.ABORT, START + 60))
    world.engine.enqueue(spec.key, Priority.URGENT)
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=2)
    await world.stop()


async def test_a_decision_that_always_changes_something_is_slowed_down() -> None:
    spec = quick("fraud")

    def restless(_: RolloutSpec | None, status: RolloutStatus | None, __: Observation, now: float) -> Decision:
        old = status or RolloutStatus()
        return Decision(replace(old, attempt=old.attempt + 1))

    world = build(decider=restless)
    world.api.create(spec)
    world.api.watch = None
    await world.start()
    await asyncio.sleep(60)
    assert 20 < len(world.api.writes) < 60
    await world.stop()


async def test_bug_a_moment_gone_by_that_changes_nothing_was_looked_at_without_a_pause() -> None:
    spec, looks = quick("fraud"), 0

    def impatient(_: RolloutSpec | None, status: RolloutStatus | None, __: Observation, now: float) -> Decision:
        nonlocal looks
        looks += 1
        assert looks < 1000, "time does not go on"
        return Decision(status or RolloutStatus(), wake_at=now - 1)

    world = build(decider=impatient)
    world.api.create(spec)
    await world.start()
    await asyncio.sleep(60)
    assert 50 < looks < 70
    await world.stop()


async def test_an_unreadable_object_is_told_so_once() -> None:
    world = build()
    key = world.api.create(problem="spec.steps: must not be empty")
    await world.start()
    await asyncio.sleep(60)
    assert phase(world, key) is Phase.INVALID
    assert [w.what for w in world.api.writes] == ["status"]
    await world.stop()


async def test_an_object_that_becomes_unreadable_in_mid_rollout_can_still_be_aborted() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.edit(spec.key, spec=None, generation=2)
    await asyncio.sleep(30)
    assert world.api.weight(spec.key) == 5000
    world.api.actions[spec.key].append(ActionRequest("stop", "uid-a", ActionVerb.ABORT, START))
    world.engine.enqueue(spec.key, Priority.URGENT)
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=2)
    await world.stop()


async def test_bug_a_candidate_is_judged_on_while_its_rollout_is_invalid() -> None:
    """A spec that became wrong in mid-rollout ended the evidence, and a bad candidate kept its traffic."""
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.edit(spec.key, problem=SpecProblem("InvalidSpec", "spec.steps[0].weight: must be above 0"))
    await world.until(lambda: phase(world, spec.key) is Phase.INVALID)
    await asyncio.sleep(20)
    world.metrics.change("serving", "fraud-v8", START + asyncio.get_running_loop().time(), Load(errors=0.6))
    await asyncio.sleep(20)
    assert world.api.weight(spec.key) == 0
    await world.stop()


async def test_after_an_outage_of_the_api_server_a_revert_is_done_within_two_seconds() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.down = True
    world.api.actions[spec.key].append(ActionRequest("stop", "uid-a", ActionVerb.ABORT, START))
    world.engine.enqueue(spec.key, Priority.URGENT)
    await asyncio.sleep(300)
    world.api.down = False
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=2)
    await world.until(lambda: [r.name for r in world.api.results] == ["stop"], limit=10)
    await world.stop()


async def test_throttling_and_outages_do_not_take_a_worker_for_good() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    stuck = asyncio.Event()

    async def never() -> None:
        await stuck.wait()

    original, world.api.reach = world.api.reach, never  # type: ignore[method-assign]  # the API server hangs
    await asyncio.sleep(120)
    world.api.reach = original  # type: ignore[method-assign]
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    await world.stop()


async def test_an_api_error_is_no_bug() -> None:
    spec = quick("fraud")
    world = await running(spec)

    def flaky(what: str, _: Key, after: bool) -> None:
        if int(asyncio.get_running_loop().time() * 10) % 3 == 0:
            raise ApiUnavailable("503")

    world.api.fault = flaky
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    assert not world.telemetry.registry.get_sample_value("modelrollout_bugs_total")
    await world.stop()


async def test_a_way_back_that_waits_for_pods_is_looked_at_past_the_watches() -> None:
    """A watch that stands and tells nothing held it up until the next full list."""
    world, spec = build(), spec_named("m")
    key = world.api.create(spec)
    waits = RolloutStatus(phase=Phase.ROLLING_BACK, weight=Weight(500), holds=Holds(blocked=START))
    world.store.put(replace(world.api.objects[key], status=waits))
    reads = []
    for _ in range(25):
        await world.gather(key, Epoch(1))
        reads.append(world.routing.fresh_reads)
        await asyncio.sleep(1)
    assert [reads[at] for at in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 2]
    world.store.put(replace(world.api.objects[key], status=replace(waits, holds=Holds()), resource_version="999"))
    for _ in range(25):
        await world.gather(key, Epoch(1))
        await asyncio.sleep(1)
    assert world.routing.fresh_reads == 2, "what waits for nothing is told by watches"
