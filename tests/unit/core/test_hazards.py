"""Hazards of the reliability page, section 6, as far as the decision alone can run into them: whole tables each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from modelrollout.core.decide import decide
from modelrollout.core.intents import SetWeight
from modelrollout.core.invariants import cap
from modelrollout.core.model import FULL, ZERO, ActionVerb, Analysis, Epoch, Hold, Outcome, Phase, Step, Verdict, Weight
from modelrollout.core.observation import (
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    HardGuardFinding,
    LedgerState,
    NoDataCause,
    PreflightPassed,
    PreflightUnknown,
    RouteSeen,
    SpecProblem,
    WorkloadAbsent,
)
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.runtime.questions import start_of_evidence
from tests.scene import LEGACY, READY, World, assessed, make_spec, reasons, started

LADDERS = ((5, 25, 100), (100,), (10, 50, 100), (1, 2, 3, 100), (0, 30, 100))


def ladder(weights: tuple[int, ...]) -> tuple[Step, ...]:
    return tuple(Step(Weight(w * 100), 60.0, 21_600.0) for w in weights)


@pytest.mark.parametrize("edited", LADDERS)
@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WAIT])
def test_hazard_h01_no_weight_that_is_found_makes_the_next_one_larger_than_its_step(
    edited: tuple[int, ...], verdict: Verdict
) -> None:
    """The place is the step of the record, never the weight's place in a list, whatever the route and the list are."""
    base = started(5, 40, 100)
    base.run(70)
    assert base.weight == 40
    for found, late in product(range(101), (0.0, 120.0)):
        world = replace(base, actions=[], writes=[], told=[])
        world.edit_route(found)
        world.spec = replace(world.spec, steps=ladder(edited), generation=2)
        world.verdict = verdict
        world.now += late
        before = world.status
        world.step()
        assert world.status is not None
        allowed = cap(world.status)
        assert world.route_weight <= max(allowed, found * 100), (found, late)
        assert allowed <= 4_000, (found, late, before)


def test_hazard_h03_a_first_step_of_zero_percent_starts_once_whatever_dies() -> None:
    for crash in range(6):
        world = World(spec=make_spec(0, 50, 100))
        for decision in range(8):
            world.carry_out(world.decide(), upto=crash % 2 if decision == crash else 99)
            world.now += 1
        started_here = [r for r in world.state.decisions if r.action == "Raise"]
        assert (len(started_here), world.state.attempt) == (1, 1), crash
        assert (world.weight, world.state.phase) == (0, Phase.PROGRESSING)
        world.run(80)
        assert world.weight == 50, "a hold at weight 0 is a step like any other"
        assert len([r for r in world.state.decisions if r.action == "Raise"]) == 2


def _paused_by_spec(world: World) -> None:
    world.spec = replace(world.spec, paused=True, generation=2)


def _paused_by_action(world: World) -> None:
    world.act(ActionVerb.PAUSE)


def _disputed(world: World) -> None:
    for weight in (15, 16):
        world.edit_route(weight)
        world.settle()


def _no_data(world: World) -> None:
    silent = assessed(Verdict.NO_DATA, no_data=NoDataCause.STALE)
    world.evidence = EvidenceSeen(world.step_started + 1, world.now + 5, (silent,))


def _unreachable(world: World) -> None:
    world.evidence = EvidenceUnreachable("Timeout", world.now)


def _invalid(world: World) -> None:
    world.problem = SpecProblem(Reason.SOURCE_NOT_FOUND, "MetricSource 'default'")


def _short(world: World) -> None:
    world.candidate = replace(READY, endpoints=1)


def _nothing(world: World) -> None:
    world.evidence = EvidencePending()


WAITING: tuple[Callable[[World], None], ...] = (
    _paused_by_spec,
    _paused_by_action,
    _disputed,
    _no_data,
    _unreachable,
    _invalid,
    _short,
    _nothing,
)


def _bad(world: World, **changes: object) -> None:
    found = assessed(**({"verdict": Verdict.WAIT} | changes))  # type: ignore[arg-type]  # fields of SliAssessment
    world.evidence = EvidenceSeen(world.step_started + 1, world.now, (found,))


def _fails(world: World) -> None:
    _bad(world, verdict=Verdict.FAIL)


def _guard(world: World) -> None:
    _bad(world, hard_guard=HardGuardFinding(20, 30))


def _spent(world: World) -> None:
    ledger = LedgerState("availability", 10.0, 20.0, 20.0, lower=15.0)
    world.evidence = EvidenceSeen(world.step_started + 1, world.now, (assessed(Verdict.PASS),), (ledger,))


def _aborted(world: World) -> None:
    world.act(ActionVerb.ABORT)


def _deleted(world: World) -> None:
    world.deleting = True


def _vanished(world: World) -> None:
    world.candidate, world.revision = WorkloadAbsent("not found"), None


def _emptied(world: World) -> None:
    world.candidate = replace(READY, endpoints=0)


TRIGGERS: tuple[Callable[[World], None], ...] = (_fails, _guard, _spent, _aborted, _deleted, _vanished, _emptied)


@pytest.mark.parametrize("waits", WAITING, ids=lambda f: f.__name__.strip("_"))
@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda f: f.__name__.strip("_"))
def test_hazard_h04_nothing_that_waits_hides_a_reason_to_go_back(
    waits: Callable[[World], None], trigger: Callable[[World], None]
) -> None:
    world = started(5, 40, 100, approval=2)
    world.run(100)
    waits(world)
    world.run(15)
    assert world.weight > 0
    trigger(world)
    world.now += 0.5
    world.settle()
    assert world.weight == 0, (world.state.phase, world.state.reason)


def test_hazard_h06_a_held_rollback_tells_and_ends_within_one_look() -> None:
    world = started(5, 40, 100)
    world.run(70)
    world.legacy = replace(LEGACY, endpoints=0)
    world.act(ActionVerb.ABORT)
    world.run(600, every=60)
    assert (world.weight, world.state.phase) == (40, Phase.ROLLING_BACK)
    assert reasons(world).count(EventReason.ROLLBACK_BLOCKED) == 1, "told once, not at each look"
    decision = world.decide()
    assert decision.wake_at is not None
    assert decision.wake_at - world.now <= 5
    world.legacy = replace(LEGACY, endpoints=1)
    world.step()
    assert world.weight == 0


@pytest.mark.parametrize("ends", [_aborted, _deleted, _vanished, _paused_by_spec, _unreachable])
def test_hazard_h07_ended_before_the_first_sample_is_no_pass(ends: Callable[[World], None]) -> None:
    for ticks in range(1, 15):
        world = started(5, 25, 100)
        world.evidence = EvidencePending()
        world.run(5.0 * ticks)
        ends(world)
        world.run(30)
        assert not [x for x in world.state.slis if x.verdict is Verdict.PASS], ticks
        assert not [x for x in world.state.history if x.outcome == "Promoted"], ticks
        assert world.weight <= 5, ticks


def test_the_epoch_of_a_newer_leader_is_never_written_over_by_a_smaller_one() -> None:
    world = started(5, 25, 100)
    seen = world.observe()
    newer = decide(world.spec, world.state, replace(seen, epoch=Epoch(7)), world.now).status
    assert newer.leader_epoch == 7
    assert decide(world.spec, newer, replace(seen, epoch=Epoch(3)), world.now + 5).status.leader_epoch == 7
    assert decide(None, newer, replace(seen, epoch=Epoch(3)), world.now + 5).status.leader_epoch == 7


@pytest.mark.parametrize("then", [Outcome.PAUSE, Outcome.ROLLBACK])
def test_hazard_h10_missing_data_end_by_policy_at_their_deadline(then: Outcome) -> None:
    world = started(5, 100, analysis=Analysis(interval=5.0, no_data=Hold(300.0, then)))
    world.run(20)
    began = world.now + 5
    while world.state.phase is Phase.PROGRESSING and world.now < began + 1_000:
        _no_data(world)
        world.run(5)
    ended = {Outcome.PAUSE: (5, Phase.PAUSED), Outcome.ROLLBACK: (0, Phase.ROLLED_BACK)}
    assert (world.weight, world.state.phase, world.state.reason) == (*ended[then], Reason.NO_DATA)
    assert 300 <= world.now - began <= 310


def test_hazard_h12_good_metrics_before_the_change_and_no_traffic_after_it_advance_nothing() -> None:
    world = started(5, 25, 100)
    world.run(60)
    assert world.weight == 25
    silent = assessed(Verdict.NO_DATA, no_data=NoDataCause.NO_TRAFFIC)
    for _ in range(60):
        world.now += 60
        world.evidence = EvidenceSeen(world.step_started + 1, world.now, (silent,))
        world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PROGRESSING)
    assert {x.verdict for x in world.state.slis} == {Verdict.NO_DATA}
    assert FULL not in {r.weight for r in world.state.decisions}
    assert ZERO not in {r.weight for r in world.state.decisions if r.action == "Raise"}


def test_bug_a_revision_first_seen_by_a_clock_that_was_ahead_is_judged_from_its_first_step_on() -> None:
    """Ticks began when the wrong clock said: for five minutes nobody saw that every other request of it failed."""
    world = World(spec=make_spec(10, 100), preflight=PreflightUnknown("ClockSkew"))
    right = world.now
    world.now += 300.0
    for _ in range(4):
        world.step()
    assert world.status is not None
    assert world.status.phase is Phase.PREFLIGHT
    assert world.status.grid > right + 290.0
    world.now, world.preflight = right + 60.0, PreflightPassed()
    for _ in range(4):
        world.step()
    assert world.status.step is not None
    assert world.route_weight == 1_000
    ticks = 2 * world.spec.analysis.interval
    assert start_of_evidence(world.spec, world.status) <= right + 60.0 + world.spec.traffic.settle + ticks


@pytest.mark.parametrize("late", [30.0, 90.0, 3_000.0])
def test_bug_a_raise_that_was_refused_for_more_than_a_minute_was_taken_for_somebodys_edit(late: float) -> None:
    """The API server answered 503 for a minute, twice: put back once, then paused for ever, and nobody had done it."""
    world = started(5, 50, 100)
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, generation=7)
    world.now += 70
    decision = world.decide()
    assert decision.status.step is not None
    assert decision.status.step.route == 7
    world.carry_out(decision, upto=1)
    assert world.route_weight == 500
    for _ in range(3):  # the status is written each time, the route never
        world.now += late
        decision = world.decide()
        assert isinstance(decision.intent, SetWeight)
        assert (decision.intent.weight, decision.status.phase) == (5_000, Phase.PROGRESSING)
        assert "finishing the step to 50 %" in decision.status.message
        assert decision.status.holds.foreign is None
        world.carry_out(decision, upto=1)


def without_generation(world: World) -> None:
    """As a canary Ingress: a change of its annotation is none of its spec."""
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, generation=0)


def raised_after_an_edit() -> World:
    """At 40 % of 5, 40, 100, whose raise is recorded and lost; somebody's weight was put back in the step before."""
    world = started(5, 40, 100)
    without_generation(world)
    world.edit_route(7)
    without_generation(world)
    world.run(5)
    without_generation(world)
    assert (world.weight, world.state.holds.foreign is not None) == (5, True)
    world.now += 70
    decision = world.decide()
    assert isinstance(decision.intent, SetWeight)
    world.carry_out(decision, upto=1)
    assert (world.weight, world.state.weight) == (5, 4000)
    return world


def test_bug_after_somebodys_edit_a_lost_raise_of_a_canary_ingress_was_taken_for_another_one() -> None:
    world = raised_after_an_edit()
    world.now += 1
    world.settle()
    assert (world.weight, world.state.phase) == (40, Phase.PROGRESSING)


def test_after_a_lost_raise_was_finished_the_next_weight_is_left_to_a_person() -> None:
    world = raised_after_an_edit()
    world.now += 1
    world.settle()
    world.edit_route(5)
    without_generation(world)
    world.run(20)
    assert (world.weight, world.state.phase, world.state.reason) == (5, Phase.PAUSED, Reason.ROUTE_CONFLICT)


def test_a_weight_that_somebody_lowered_after_the_raise_is_not_taken_for_it() -> None:
    world = started(5, 50, 100)
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, generation=7)
    world.now += 70
    world.step()
    assert world.route_weight == 5_000
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, weight=Weight(500), generation=9)
    world.now += 61
    decision = world.decide()
    assert decision.status.holds.foreign == world.now
    assert "somebody changed the route from 50 % to 5 %: put back once" in decision.status.message
