"""The engine as a whole: whole rollouts on a fake clock, failures contained to their key, silence at rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from modelrollout.core.decide import decide
from modelrollout.core.intents import Decision, Move, SetWeight
from modelrollout.core.model import (
    ActionVerb,
    Counts,
    Epoch,
    Key,
    Margin,
    Phase,
    RolloutSpec,
    Selector,
    Sli,
    Step,
    Weight,
)
from modelrollout.core.observation import ActionRequest, Observation, SpecProblem, WorkloadSeen
from modelrollout.core.rates import Exposure
from modelrollout.core.reasons import Reason
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import ApiUnavailable
from modelrollout.runtime.queue import Priority
from tests.engine.api import FIRST, LoopClock
from tests.engine.metrics import Load
from tests.engine.world import World, build, spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

QUICK = tuple(Step(Weight(w * 100), 20.0, 3600.0) for w in (5, 50, 100))


def quick(name: str, namespace: str = "serving") -> RolloutSpec:
    return spec_named(name, namespace, steps=QUICK)


async def running(*specs: RolloutSpec, candidate: Load | None = None) -> World:
    world = build()
    for spec in specs:
        world.api.create(spec)
        world.metrics.serve(spec, candidate=candidate)
    await world.start()
    return world


def phase(world: World, key: Key) -> Phase | None:
    status = world.api.objects[key].status
    return status.phase if status else None


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


async def all_bad(*specs: RolloutSpec) -> tuple[World, int]:
    """One worker beside the urgent one, all of these at 50 % and turned bad; and how much was written by then."""
    world = build(workers=2)
    for spec in specs:
        world.api.create(spec)
        world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: all(world.api.weight(spec.key) == 5000 for spec in specs))
    world.api.latency = 0.05
    turned = START + asyncio.get_running_loop().time()
    for spec in specs:
        world.metrics.change(spec.key.namespace, spec.candidate.deployment, turned, Load(errors=1.0))
    return world, len(world.api.writes)


async def test_where_many_turn_bad_at_once_all_routes_are_lowered_before_the_statuses_are_written() -> None:
    specs = [quick(f"m{number}") for number in range(12)]
    world, before = await all_bad(*specs)
    await world.until(lambda: all(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.01)
    await world.until(lambda: all(phase(world, spec.key) is Phase.ROLLED_BACK for spec in specs), limit=60)
    writes = world.api.writes[before:]
    lowered = [place for place, write in enumerate(writes) if write.what == "route" and write.weight == 0]
    assert len(lowered) == len(specs), "each once"
    # The two workers may have met nobody else in the queue when they took the last ones.
    assert sum(write.what == "status" for write in writes[: lowered[-1]]) <= 2
    told = Counter(a.reason for place, a in world.announcer.told if place > before)
    assert set(told.values()) == {len(specs)}, "and each is told once"
    await world.stop()


async def test_a_status_that_is_owed_gives_way_to_an_edit_and_the_decision_is_derived_anew() -> None:
    specs = [quick(f"m{number}") for number in range(6)]
    world, _ = await all_bad(*specs)
    await world.until(lambda: any(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.001)
    for spec in specs:
        world.api.edit(spec.key, generation=2, spec=replace(spec, generation=2))
    await world.until(lambda: all(world.api.status(spec.key).observed_generation == 2 for spec in specs), limit=60)
    assert {phase(world, spec.key) for spec in specs} == {Phase.ROLLED_BACK}
    assert {world.api.weight(spec.key) for spec in specs} == {0}
    await world.stop()


async def test_a_leader_that_lost_its_lease_forgets_what_it_owed() -> None:
    specs = [quick(f"m{number}") for number in range(6)]
    world, before = await all_bad(*specs)
    await world.until(lambda: any(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.001)
    world.epoch = None
    world.engine.lead(False)
    await asyncio.sleep(1)
    assert "status" not in {write.what for write in world.api.writes[before:]}
    world.epoch = Epoch(9)
    world.engine.lead(True)
    await world.until(lambda: all(phase(world, spec.key) is Phase.ROLLED_BACK for spec in specs), limit=60)
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


async def test_a_standby_writes_nothing_and_takes_over_where_the_leader_stopped() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await world.stop()
    standby = build(world.api, world.metrics)
    standby.epoch = None
    for obj in world.api.objects.values():
        standby.store.put(obj)
    standby.tasks = [asyncio.create_task(standby.engine.run()), asyncio.create_task(standby.rounds.run())]
    writes = len(world.api.writes)
    standby.engine.enqueue(spec.key)
    await asyncio.sleep(60)
    assert len(world.api.writes) == writes
    standby.epoch = Epoch(2)
    standby.engine.lead(True)
    await standby.until(lambda: phase(standby, spec.key) is Phase.PROMOTED)
    assert {w.epoch for w in world.api.writes[writes:] if w.what == "status"} == {2}
    assert [w.weight for w in world.api.writes if w.what == "route"] == [500, 5000, 10_000]
    await standby.stop()


async def test_bug_a_look_while_the_lease_had_lapsed_for_a_moment_was_lost() -> None:
    """Renewed before the end was noticed, so leadership was neither lost nor won, and nothing came back to the rollout
    until the next full list: minutes, for an abort too."""
    spec = quick("fraud")
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec)
    world.epoch = None
    await world.start()
    await asyncio.sleep(3)
    assert world.api.writes == []
    world.epoch = FIRST
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await world.stop()


async def test_a_new_leader_looks_first_at_rollouts_that_move() -> None:
    """Every first look asks the API server: many at rest would hold up the one that may have to be reverted."""
    world = build()
    world.api.watch = None
    for name, there in (("a", Phase.PROMOTED), ("b", Phase.ROLLED_BACK), ("c", Phase.PROGRESSING), ("d", Phase.IDLE)):
        spec = quick(name)
        world.api.create(spec)
        world.api.edit(spec.key, status=RolloutStatus(phase=there))
        world.store.put(world.api.objects[spec.key])
    new = quick("e")
    world.api.create(new)
    world.store.put(world.api.objects[new.key])
    world.engine.lead(True)
    order = [(await world.queue.take()).key.name for _ in range(5)]
    assert order == ["c", "e", "a", "b", "d"]


async def test_a_leader_that_loses_the_lease_stops_writing() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    world.epoch = None
    world.engine.lead(False)
    writes = len(world.api.writes)
    await asyncio.sleep(300)
    assert len(world.api.writes) == writes
    await world.stop()


async def test_reverts_overtake_when_the_api_server_is_slow() -> None:
    specs = [quick(f"m{i}", f"ns{i}") for i in range(60)]
    world = await running(*specs)
    await world.until(lambda: all(world.api.weight(s.key) == 500 for s in specs))
    world.api.latency = 0.2
    victims = specs[-5:]
    for spec in specs[:-5]:
        world.engine.enqueue(spec.key)
    for spec in victims:
        world.api.actions[spec.key].append(ActionRequest("stop", f"uid-{spec.key}", ActionVerb.ABORT, START))
        world.engine.enqueue(spec.key, Priority.URGENT)
    took = await world.until(lambda: all(world.api.weight(s.key) == 0 for s in victims), limit=2)
    assert took
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
