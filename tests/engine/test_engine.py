"""The engine as a whole: whole rollouts on a fake clock, from the first look to silence at rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from modelrollout.core.model import (
    Counts,
    Margin,
    Phase,
    Selector,
    Sli,
)
from modelrollout.core.observation import WorkloadSeen
from modelrollout.core.rates import Exposure
from modelrollout.core.reasons import Reason
from modelrollout.runtime.queue import Priority
from tests.engine.api import LoopClock
from tests.engine.metrics import Load
from tests.engine.world import build, phase, quick, running
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)


async def test_a_good_candidate_walks_to_promoted_and_then_nothing_is_written() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    assert world.api.weight(spec.key) == 10_000
    raised = [w.weight for w in world.api.writes if w.what == "route"]
    assert raised == [500, 5000, 10_000]
    before, reads = len(world.api.writes), world.api.reads
    for _ in range(10):
        world.engine.enqueue(spec.key, Priority.RESYNC)
        await asyncio.sleep(600)
    assert len(world.api.writes) == before
    assert world.api.reads == reads
    await world.stop()


async def test_a_bad_candidate_is_off_the_traffic_soon_after_it_shows() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await asyncio.sleep(7)
    turned = asyncio.get_running_loop().time()
    world.metrics.change("serving", "fraud-v8", START + turned, Load(errors=0.6))
    done = await world.until(lambda: world.api.weight(spec.key) == 0)
    # One tick of 5 s, one scrape, and a look every quarter of a second.
    assert done - turned <= 15
    await world.until(lambda: phase(world, spec.key) is Phase.ROLLED_BACK)
    assert [w.weight for w in world.api.writes if w.what == "route"][-1] == 0
    await world.stop()


@pytest.mark.parametrize("later", [0.1, 2.0, 4.0, 6.0])
async def test_bug_a_candidate_that_turned_bad_at_a_raise_kept_its_traffic_until_the_step_had_settled(
    later: float,
) -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await asyncio.sleep(later)
    turned = asyncio.get_running_loop().time()
    world.metrics.change("serving", "fraud-v8", START + turned, Load(errors=1.0))
    done = await world.until(lambda: world.api.weight(spec.key) == 0)
    # At worst the tick in which it turns holds too few bad answers, and the next one tells.
    assert done - turned <= 11.5
    await world.until(lambda: phase(world, spec.key) is Phase.ROLLED_BACK)
    await world.stop()


RESTARTS = Counts(None, Selector("requests_total", equal=(("code", "500"),)), Exposure.REPLICAS)
GUARD = Sli("restarts", RESTARTS, None, margin=Margin(2.0, 0.0))


async def test_events_without_a_total_hold_nobody_by_their_silence() -> None:
    spec = quick("fraud")
    spec = replace(spec, slis=(*spec.slis, GUARD))
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec, legacy=Load(errors=0.0), candidate=Load(errors=0.0))
    await world.start()
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    status = world.api.status(spec.key)
    assert [ledger.sli for ledger in status.budget] == ["availability"]
    raised = [record.message for record in status.decisions if record.action == "Raise"]
    assert "restarts: no evidence of harm: candidate 0 in " in raised[-1]
    await world.stop()


async def test_more_events_of_a_candidate_than_of_legacy_take_it_off() -> None:
    """Its errors are within the wide margin of the other SLI: only the guard minds them."""
    spec = quick("fraud")
    steps = tuple(replace(each, min_duration=120.0) for each in spec.steps)
    spec = replace(spec, slis=(*spec.slis, GUARD), steps=steps)
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec, legacy=Load(errors=0.0005), candidate=Load(errors=0.005))
    await world.start()
    await world.until(lambda: phase(world, spec.key) is Phase.ROLLED_BACK)
    status = world.api.status(spec.key)
    assert status.reason == Reason.SLI_FAILED
    assert "restarts: candidate " in status.message
    assert "fails margin 2x; odds against chance" in status.message
    (guard,) = (sli for sli in status.slis if sli.name == "restarts")
    assert guard.rates is not None
    assert guard.rates.worse >= guard.rates.worse_limit
    await world.stop()


async def test_what_can_not_be_proven_is_told_in_accepted_and_stops_nothing() -> None:
    spec = quick("fraud")
    strict = replace(spec.slis[0], allowed=0.01, margin=Margin(1.25, 0.0))
    spec = replace(spec, slis=(strict,), analysis=replace(spec.analysis, tolerance=0.00001))
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec, legacy=Load(rate=20, errors=0.001))
    await world.start()
    await world.until(lambda: world.api.weight(spec.key) == 500)
    status = world.api.status(spec.key)
    accepted = status.condition("Accepted")
    assert accepted is not None
    assert accepted.status == "True"
    assert accepted.message == "; ".join(status.notes)
    assert "availability: margin 1.25 + 0.00002 is not provable at 5 % of 20 requests/s" in accepted.message
    await world.stop()


async def test_a_deleted_rollout_gives_the_traffic_back_and_is_forgotten() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.edit(spec.key, deleting=True)
    await world.until(lambda: spec.key not in world.api.objects, limit=30)
    assert world.api.weight(spec.key) == 0
    await asyncio.sleep(1)
    assert world.store.peek(spec.key) is None
    assert len(world.rounds) == 0
    names = {"rollout": "fraud", "rollout_namespace": "serving"}
    assert world.telemetry.registry.get_sample_value("modelrollout_rollout_weight_ratio", names) is None
    await world.stop()


async def test_a_rollout_that_vanishes_is_forgotten() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    del world.api.objects[spec.key]
    world.store.doubt(spec.key)
    world.engine.enqueue(spec.key)
    await asyncio.sleep(1)
    assert world.store.peek(spec.key) is None
    await world.stop()


async def test_a_candidate_that_dies_is_reverted_without_prometheus() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.metrics.fail["default"] = "Unreachable"
    legacy, _ = world.api.workloads[spec.key]
    world.api.workloads[spec.key] = (legacy, WorkloadSeen("candidate-template", 2, 0, True))
    world.engine.enqueue(spec.key)
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=2)
    await world.stop()


async def test_the_journal_has_a_line_per_change_with_the_inputs_of_the_decision() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    assert len(world.journal.entries) <= len([w for w in world.api.writes])
    last = world.journal.entries[-1]
    assert {"v", "code", "key", "now", "spec", "status", "observation", "decision"} <= last.keys()
    await world.stop()


async def test_the_heartbeat_moves() -> None:
    world = await running()
    await asyncio.sleep(30)
    assert LoopClock().monotonic() - world.engine.heartbeat <= 1
    await world.stop()
