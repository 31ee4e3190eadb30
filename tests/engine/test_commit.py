"""The order of writes, and what is left when the process dies at any of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.intents import (
    ActionResult,
    AddFinalizer,
    Announcement,
    Decision,
    DropFinalizer,
    Intent,
    Move,
    SetWeight,
    Severity,
    ShapeRoute,
)
from modelrollout.core.model import FULL, ZERO, Epoch, Key, Phase, Verdict, Weight
from modelrollout.core.observation import EvidencePending, EvidenceSeen, LedgerState, RouteSeen
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import ApiUnavailable, Bug, Conflict, Gone
from modelrollout.runtime.commit import Committed
from modelrollout.runtime.fence import Deposed
from modelrollout.runtime.gather import Gathered
from tests.engine.api import Crash
from tests.engine.world import World, build
from tests.scene import assessed, make_spec

pytestmark = pytest.mark.looptime(start=0)

FIVE, QUARTER = Weight(500), Weight(2500)
NEWS = (Announcement(Severity.NORMAL, "WeightChanged", "moved"),)
AT_FIVE = RolloutStatus(phase=Phase.PROGRESSING, revision="r1", weight=FIVE, leader_epoch=Epoch(1))
RAISED = replace(AT_FIVE, weight=QUARTER, message="step 2")
LOWERED = replace(AT_FIVE, phase=Phase.ROLLING_BACK, weight=ZERO, message="back")
RAISE = Decision(RAISED, SetWeight(QUARTER, segments=False, move=Move.RAISE), NEWS)
LOWER = Decision(LOWERED, SetWeight(ZERO, segments=False, move=Move.LOWER), NEWS, urgent=True)


async def at_five(**changes: object) -> tuple[World, Key]:
    world = build(**changes)  # type: ignore[arg-type]  # keywords of `build`
    key = world.api.create(make_spec())
    world.api.objects[key] = replace(world.api.objects[key], status=AT_FIVE, finalizer=True)
    world.api.routes[key] = RouteSeen(FIVE, FIVE, world.api.version(), accepted=True)
    return world, key


async def committed(world: World, key: Key, decision: Decision) -> Committed:
    return await world.commit(await world.gather(key, Epoch(1)), decision)


def whats(world: World) -> list[str]:
    return [w.what for w in world.api.writes]


async def test_a_raise_writes_the_status_first_and_reads_the_route_live_in_between() -> None:
    world, key = await at_five()
    await committed(world, key, RAISE)
    assert whats(world) == ["status", "route"]
    assert world.routing.fresh_reads == 1
    assert world.api.weight(key) == QUARTER
    assert [count for count, _ in world.announcer.told] == [2]


async def test_a_lowering_writes_the_route_first_and_reads_nothing() -> None:
    world, key = await at_five()
    await committed(world, key, LOWER)
    assert whats(world) == ["route", "status"]
    assert world.routing.fresh_reads == 0
    assert world.api.weight(key) == 0
    assert [count for count, _ in world.announcer.told] == [2]


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("what", ["status", "route"])
@pytest.mark.parametrize("decision", [RAISE, LOWER], ids=["raise", "lower"])
async def test_a_crash_at_any_write_never_leaves_the_status_below_the_route(
    decision: Decision, what: str, done: bool
) -> None:
    world, key = await at_five()

    def die(written: str, _: Key, after: bool) -> None:
        if (written, after) == (what, done):
            raise Crash

    world.api.fault = die
    with pytest.raises(Crash):
        await committed(world, key, decision)
    claimed = world.api.status(key).weight
    assert claimed is not None
    assert claimed >= (world.api.weight(key) or 0)
    # Whoever comes next decides again on what is stored, and ends in the same place.
    world.api.fault = None
    after = build(world.api)
    if decision is RAISE and world.api.status(key) == RAISED:
        await committed(after, key, replace(decision, announcements=()))
    elif world.api.weight(key) != decision.intent.weight:  # type: ignore[union-attr]  # both decisions set a weight
        await committed(after, key, decision)
    else:
        await committed(after, key, replace(decision, intent=None))
    assert world.api.weight(key) == decision.status.weight
    assert world.api.status(key) == decision.status


async def test_bug_a_status_of_nothing_came_with_the_finalizer_and_looked_like_a_rollout_done() -> None:
    world, key = await at_five()
    world.api.objects[key] = replace(world.api.objects[key], finalizer=False, status=None)
    done = await committed(world, key, Decision(RolloutStatus(), AddFinalizer()))
    assert whats(world) == ["finalizer"]
    assert done.changed, "the first status is decided on at once"
    assert world.api.objects[key].status is None


async def test_letting_go_writes_status_then_route_owner_then_finalizer() -> None:
    world, key = await at_five()
    world.api.edit(key, deleting=True)
    gone = replace(AT_FIVE, reason="Deleting")
    done = await committed(world, key, Decision(gone, DropFinalizer(), NEWS))
    assert whats(world) == ["status", "release", "unfinalizer"]
    assert done.obj is None
    assert key not in world.api.objects


async def test_bug_a_weight_set_by_hand_between_the_last_look_and_the_end_was_left_behind() -> None:
    world, key = await at_five()
    world.api.edit(key, deleting=True)
    seen = await world.gather(key, Epoch(1))
    world.api.route_by_hand(key, 4500)
    with pytest.raises(Conflict):
        await world.commit(seen, Decision(replace(AT_FIVE, reason="Deleting"), DropFinalizer()))
    assert key in world.api.objects
    assert "unfinalizer" not in whats(world)


async def test_letting_go_of_what_is_gone_is_done() -> None:
    world, key = await at_five()
    seen = await world.gather(key, Epoch(1))
    del world.api.objects[key]
    done = await world.commit(seen, Decision(replace(AT_FIVE, reason="Deleting"), DropFinalizer()))
    assert done.obj is None


@pytest.mark.parametrize(
    ("weight", "order"),
    [(QUARTER, ["status", "shape"]), (ZERO, ["shape", "status"])],
    ids=["more: status first", "less: route first"],
)
async def test_shaping_keeps_the_safety_order(weight: Weight, order: list[str]) -> None:
    world, key = await at_five()
    await committed(world, key, Decision(replace(AT_FIVE, weight=weight, reason="x"), ShapeRoute(weight)))
    assert whats(world) == order


async def test_a_route_that_changed_since_the_decision_is_not_raised() -> None:
    world, key = await at_five()
    seen = await world.gather(key, Epoch(1))
    world.api.route_by_hand(key, 4000)
    with pytest.raises(Conflict):
        await world.commit(seen, RAISE)
    assert world.api.weight(key) == 4000
    assert world.store.doubted(key)


async def test_a_lowering_gets_through_an_editor_at_once() -> None:
    world, key = await at_five()
    seen = await world.gather(key, Epoch(1))
    world.api.route_by_hand(key, 4000)
    await world.commit(seen, LOWER)
    assert world.api.weight(key) == 0


async def test_a_status_conflict_does_not_delay_a_lowering() -> None:
    world, key = await at_five()
    seen = await world.gather(key, Epoch(1))
    world.api.edit(key, generation=2)
    with pytest.raises(Conflict):
        await world.commit(seen, LOWER)
    assert world.api.weight(key) == 0
    assert world.announcer.told == []


async def test_an_ambiguous_write_leaves_the_key_in_doubt() -> None:
    world, key = await at_five()

    def lost(what: str, _: Key, after: bool) -> None:
        if what == "status" and after:
            raise ApiUnavailable("timeout, but applied")

    world.api.fault = lost
    with pytest.raises(ApiUnavailable):
        await committed(world, key, RAISE)
    assert whats(world) == ["status"]
    assert world.store.doubted(key)
    world.api.fault = None
    assert (await world.gather(key, Epoch(1))).obj.status == RAISED


@pytest.mark.parametrize("decision", [RAISE, LOWER], ids=["raise", "lower"])
async def test_a_deposed_leader_writes_nothing(decision: Decision) -> None:
    world, key = await at_five()
    world.api.objects[key] = replace(world.api.objects[key], status=replace(AT_FIVE, leader_epoch=Epoch(2)))
    with pytest.raises(Deposed, match="epoch 2"):
        await committed(world, key, decision)
    assert world.api.writes == []


@pytest.mark.parametrize("decision", [RAISE, LOWER], ids=["raise", "lower"])
async def test_without_the_lease_nothing_is_written(decision: Decision) -> None:
    world, key = await at_five()
    world.epoch = None
    with pytest.raises(Deposed):
        await committed(world, key, decision)
    assert world.api.writes == []


async def test_a_lease_lost_between_status_and_route_stops_the_raise() -> None:
    world, key = await at_five()

    def lose(what: str, _: Key, after: bool) -> None:
        if what == "status" and after:
            world.epoch = None

    world.api.fault = lose
    with pytest.raises(Deposed):
        await committed(world, key, RAISE)
    assert whats(world) == ["status"]


async def test_a_difference_that_nobody_would_read_is_not_written() -> None:
    world, key = await at_five()
    done = await committed(world, key, Decision(replace(AT_FIVE, message="12,001 requests so far")))
    assert not done.changed
    assert world.api.writes == []


async def test_the_epoch_alone_is_not_written_but_every_write_carries_it() -> None:
    world, key = await at_five()
    world.epoch = Epoch(7)
    await committed(world, key, Decision(replace(AT_FIVE, leader_epoch=Epoch(7))))
    assert world.api.writes == []
    await committed(world, key, Decision(replace(AT_FIVE, phase=Phase.PAUSED)))
    assert [w.epoch for w in world.api.writes] == [7]


async def test_a_raise_that_no_status_records_is_a_bug() -> None:
    world, key = await at_five()
    with pytest.raises(Bug):
        await committed(world, key, Decision(AT_FIVE, SetWeight(QUARTER, segments=False, move=Move.RAISE)))
    assert world.api.writes == []


BAD = EvidenceSeen(0.0, 0.0, (assessed(Verdict.FAIL),))


async def test_bad_evidence_that_came_after_the_decision_stops_a_raise() -> None:
    world, key = await at_five(newest=lambda _: BAD)
    with pytest.raises(Conflict):
        await committed(world, key, RAISE)
    assert world.api.writes == []


async def turned_bad() -> tuple[World, Key]:
    """Bad evidence comes as soon as a status is stored."""
    newest: list[EvidenceSeen | EvidencePending] = [EvidencePending()]
    world, key = await at_five(newest=lambda _: newest[0])

    def turn(what: str, _: Key, after: bool) -> None:
        if what == "status" and after:
            newest[0] = BAD

    world.api.fault = turn
    return world, key


async def test_bad_evidence_between_status_and_route_unsays_the_raise() -> None:
    world, key = await turned_bad()
    with pytest.raises(Conflict):
        await committed(world, key, RAISE)
    assert whats(world) == ["status", "status"]
    assert world.api.status(key) == AT_FIVE
    assert world.announcer.told == []


async def test_a_raise_that_is_unsaid_leaves_spent_what_it_says_is_spent() -> None:
    world, key = await turned_bad()
    spent = (LedgerState("availability", allowed=100.0, spent=3.0, peak=4.0, tick=60.0),)
    with pytest.raises(Conflict):
        await committed(world, key, replace(RAISE, status=replace(RAISED, budget=spent)))
    assert world.api.status(key) == replace(AT_FIVE, budget=spent)


def _result(applied: bool = True) -> ActionResult:
    return ActionResult("fraud-abort", "uid-1", applied, "done")


async def test_a_result_is_written_after_the_status_that_remembers_it() -> None:
    world, key = await at_five()
    handled = replace(AT_FIVE, handled=("uid-1",), phase=Phase.PAUSED)
    done = await committed(world, key, Decision(handled, results=(_result(),)))
    assert whats(world) == ["status", "result"]
    assert not done.results_pending


async def test_a_result_whose_status_is_not_stored_is_not_written() -> None:
    world, key = await at_five()
    done = await committed(world, key, Decision(AT_FIVE, results=(_result(),)))
    assert done.results_pending
    assert world.api.writes == []


async def test_a_result_that_fails_does_not_undo_the_decision_and_is_sent_again() -> None:
    world, key = await at_five()

    def refuse(what: str, _: Key, after: bool) -> None:
        if what == "result":
            raise ApiUnavailable("503")

    world.api.fault = refuse
    handled = replace(AT_FIVE, handled=("uid-1",), phase=Phase.PAUSED)
    done = await committed(world, key, Decision(handled, results=(_result(),)))
    assert done.results_pending
    world.api.fault = None
    again = await committed(world, key, Decision(handled, results=(_result(),)))
    assert not again.results_pending
    assert whats(world) == ["status", "result"]


async def test_a_rollout_that_is_gone_is_gone() -> None:
    world, key = await at_five()
    seen: Gathered = await world.gather(key, Epoch(1))
    del world.api.objects[key]
    with pytest.raises(Gone):
        await world.commit(seen, Decision(replace(AT_FIVE, phase=Phase.PAUSED)))


async def test_a_route_that_vanishes_is_a_conflict_and_not_the_end_of_the_rollout() -> None:
    world, key = await at_five()
    seen = await world.gather(key, Epoch(1))
    intents: list[Intent] = [RAISE.intent, LOWER.intent]  # type: ignore[list-item]  # both have one
    del world.api.routes[key]
    for intent, status in zip(intents, (RAISED, LOWERED), strict=True):
        with pytest.raises(Conflict):
            await world.commit(
                await world.gather(key, Epoch(1)) if intent is LOWER.intent else seen, Decision(status, intent)
            )


async def test_full_weight_is_a_weight_like_any_other() -> None:
    world, key = await at_five()
    top = replace(AT_FIVE, weight=FULL, message="step 3", reason="x")
    await committed(world, key, Decision(top, SetWeight(FULL, segments=False, move=Move.RAISE)))
    assert world.api.weight(key) == FULL
