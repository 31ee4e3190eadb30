"""Faults of the decision that the search through all states of small rollouts found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import ActionVerb, Phase, Step, Verdict, Weight
from modelrollout.core.observation import (
    Attribution,
    EvidenceSeen,
    HardGuardFinding,
    NoDataCause,
    PreflightPassed,
    PreflightUnknown,
    RouteAbsent,
    RouteSeen,
    SpecProblem,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import LEGACY, READY, World, assessed, make_spec, reasons, started

SHORT = replace(READY, endpoints=1)
NO_PODS = replace(READY, endpoints=0)
NO_LEGACY = replace(LEGACY, endpoints=0)


def disputed(*weights: int) -> World:
    """The route was edited, put back, and edited again."""
    world = started(*weights)
    world.edit_route(15)
    world.settle()
    world.edit_route(16)
    world.settle()
    assert world.state.reason == Reason.ROUTE_CONFLICT
    return world


def ladder(*weights: int) -> tuple[Step, ...]:
    return tuple(Step(Weight(w * 100), 60.0, 21_600.0) for w in weights)


def test_bug_a_disputed_route_kept_the_users_of_a_candidate_without_endpoints() -> None:
    world = disputed(5, 25, 100)
    world.candidate = NO_PODS
    world.settle()
    assert (world.weight, world.state.reason) == (0, Reason.CANDIDATE_UNREADY)


def test_bug_an_invalid_rollout_kept_the_users_of_a_candidate_without_endpoints() -> None:
    world = started(5, 25, 100)
    world.problem = SpecProblem(Reason.SOURCE_NOT_FOUND, "MetricSource 'default'")
    world.settle()
    assert (world.weight, world.state.phase) == (5, Phase.INVALID)
    world.candidate = NO_PODS
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.INVALID)
    world.candidate = READY
    world.run(900, every=60)
    assert (world.weight, world.state.phase) == (0, Phase.INVALID), "ready all the time, and never raised while Invalid"
    world.problem = None
    world.settle()
    assert (world.weight, world.state.phase) == (5, Phase.PROGRESSING)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.NO_DATA, Verdict.WAIT])
def test_bug_evidence_that_comes_after_the_promotion_took_it_back(verdict: Verdict) -> None:
    world = started(100)
    world.run(70)
    assert world.state.phase is Phase.PROMOTED
    guard = HardGuardFinding(20, 30, Attribution.SHARED) if verdict is Verdict.WAIT else None
    late = assessed(verdict, hard_guard=guard, no_data=NoDataCause.STALE if verdict is Verdict.NO_DATA else None)
    world.evidence = EvidenceSeen(world.step_started + 1, world.now + 5, (late,))
    world.run(5)
    assert (world.state.phase, world.state.reason) == (Phase.PROMOTED, Reason.PROMOTED)


def test_bug_a_raise_cut_short_was_finished_with_too_few_pods() -> None:
    world = started(5, 100)
    world.run(55)
    world.now += 5
    world.carry_out(world.decide(), upto=1)
    world.candidate = SHORT
    world.settle()
    assert world.weight == 5, "half of the pods can't take all requests"
    world.candidate = READY
    world.settle()
    assert world.weight == 100


def test_a_raise_cut_short_is_finished_when_the_pods_are_enough_for_it() -> None:
    world = started(5, 25, 100)
    world.run(55)
    world.now += 5
    world.carry_out(world.decide(), upto=1)
    world.candidate = SHORT
    world.settle()
    assert world.weight == 25


def test_bug_a_missing_route_was_made_with_traffic_for_a_candidate_without_endpoints() -> None:
    world = started(5, 25, 100)
    world.route, world.candidate = RouteAbsent(), NO_PODS
    world.step()
    assert world.route_weight == 0
    world.settle()
    world.candidate = READY
    world.settle()
    assert world.weight == 5
    assert EventReason.ROUTE_CONFLICT not in reasons(world), "nobody is blamed"


def test_a_route_made_for_too_few_pods_grows_when_they_are_back() -> None:
    world = started(100)
    world.route, world.candidate = RouteAbsent(), SHORT
    world.settle()
    assert world.route_weight == 0
    world.now += 100
    world.candidate = READY
    world.settle()
    assert world.weight == 100
    assert EventReason.ROUTE_CONFLICT not in reasons(world), "nobody is blamed"
    assert world.state.decisions[-1].action == "Return"


def test_bug_a_route_of_another_shape_was_lowered_onto_a_legacy_without_endpoints() -> None:
    world = World(preflight=PreflightUnknown())
    world.settle()
    world.route = RouteSeen(Weight(10_000), Weight(0), "x", shape_ok=False, accepted=True)
    world.legacy = NO_LEGACY
    world.settle()
    assert (world.weight, world.state.reason) == (100, Reason.LEGACY_NOT_READY)
    world.legacy = LEGACY
    world.settle()
    assert world.weight == 0


def test_bug_a_changed_weight_of_a_shaped_route_had_no_record() -> None:
    world = started(5, 25, 100)
    world.route = RouteAbsent()
    world.settle()
    assert world.weight == 5
    record = world.state.decisions[-1]
    assert (record.action, record.weight) == ("Shape", 500)
    assert "0 % -> 5 %" in record.message
    assert reasons(world)[-1] == EventReason.WEIGHT_CHANGED


def test_bug_steps_edited_before_the_start_and_back_lowered_the_weight_of_a_step() -> None:
    world = World(spec=make_spec(5, 25, 100), preflight=PreflightUnknown())
    world.settle()
    world.spec = replace(world.spec, steps=ladder(100), generation=2)
    world.preflight = PreflightPassed()
    world.step()
    assert world.weight == 100
    world.spec = replace(world.spec, steps=ladder(5, 25, 100), generation=3)
    world.run(65)
    assert "route 2500" not in world.writes
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


def test_bug_an_approval_outlived_the_plan_that_it_was_given_for() -> None:
    world = started(5, 25, 100, approval=1)
    world.run(70)
    assert world.state.reason == Reason.APPROVAL
    world.candidate = SHORT
    world.act(ActionVerb.APPROVE)
    world.settle()
    assert world.state.approved == 1
    gated = (*ladder(5), replace(ladder(50)[0], approval=True), *ladder(100))
    world.spec = replace(world.spec, steps=gated, generation=2)
    world.candidate = READY
    world.run(70)
    assert (world.weight, world.state.reason) == (5, Reason.APPROVAL)
    world.act(ActionVerb.APPROVE)
    world.run(5)
    assert world.weight == 50


def test_bug_a_dispute_at_rest_was_never_over() -> None:
    world = started(100)
    world.run(70)
    assert world.state.phase is Phase.PROMOTED
    for weight in (40, 41):
        world.edit_route(weight)
        world.settle()
    assert world.state.reason == Reason.ROUTE_CONFLICT
    world.edit_route(100)
    world.settle()
    assert (world.state.phase, world.state.reason) == (Phase.PROMOTED, Reason.PROMOTED)
    assert world.state.condition("Stalled").status == "False"  # type: ignore[union-attr]  # always present


def test_bug_a_resume_action_did_not_settle_a_dispute_at_rest_as_its_message_says() -> None:
    world = started(5, 100)
    world.verdict = Verdict.FAIL
    world.run(20)
    assert world.state.phase is Phase.ROLLED_BACK
    for weight in (40, 41):
        world.edit_route(weight)
        world.settle()
    assert "Resume" in world.state.message
    world.act(ActionVerb.RESUME)
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (0, Phase.ROLLED_BACK, Reason.SLI_FAILED)


def test_bug_legacy_not_ready_stayed_the_reason_of_a_rollout_that_is_over() -> None:
    world = started(5, 100)
    world.verdict = Verdict.FAIL
    world.run(20)
    world.edit_route(40)
    world.legacy = NO_LEGACY
    world.settle()
    assert (world.weight, world.state.reason) == (40, Reason.LEGACY_NOT_READY)
    world.legacy = LEGACY
    world.settle()
    assert (world.weight, world.state.reason) == (0, Reason.SLI_FAILED)


def test_bug_a_blocked_revision_that_went_away_stayed_the_reason_of_the_promoted_one() -> None:
    world = started(100)
    world.run(70)
    world.legacy, world.revision = NO_LEGACY, "rev-b"
    world.settle()
    assert (world.weight, world.state.reason) == (100, Reason.ROLLBACK_BLOCKED)
    world.legacy, world.revision = LEGACY, "rev-a"
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (100, Phase.PROMOTED, Reason.PROMOTED)


def test_bug_the_weight_that_comes_back_to_a_candidate_had_no_record() -> None:
    world = started(5, 25, 100)
    world.run(65)
    world.candidate = NO_PODS
    world.settle()
    world.candidate = READY
    world.settle()
    assert world.weight == 25
    record = world.state.decisions[-1]
    assert (record.action, record.weight) == ("Return", 2500)


def test_bug_a_return_cut_short_was_taken_for_an_edit() -> None:
    world = started(5, 25, 100)
    world.run(65)
    world.candidate = NO_PODS
    world.settle()
    world.now += 100
    world.candidate = READY
    world.carry_out(world.decide(), upto=1)
    assert world.weight == 0
    world.run(10)
    assert world.weight == 25
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_bug_weight_withdrawn_late_was_blamed_on_somebody_and_not_recorded() -> None:
    """The candidate's pods go while legacy has none; later legacy is back."""
    world = started(5, 25, 100)
    world.run(65)
    world.candidate, world.legacy = NO_PODS, NO_LEGACY
    world.settle()
    assert world.weight == 25
    world.now += 100
    world.legacy = LEGACY
    world.settle()
    assert world.weight == 0
    assert EventReason.ROUTE_CONFLICT not in reasons(world)
    assert world.state.decisions[-1].action == "Lower"
    assert reasons(world)[-1] == EventReason.WEIGHT_CHANGED


def test_pods_that_come_back_beside_a_raised_route_do_not_empty_it_onto_no_legacy() -> None:
    world = started(5, 25, 100)
    world.edit_route(40)
    world.candidate, world.legacy = NO_PODS, NO_LEGACY
    world.settle()
    world.candidate = READY
    world.settle()
    assert world.weight == 40
    world.legacy = LEGACY
    world.settle()
    assert world.weight == 5


def test_bug_segments_taken_off_with_a_new_shape_had_no_record() -> None:
    world = World(spec=make_spec(0, 50, segments=True), preflight=PreflightUnknown())
    world.settle()
    world.route = RouteSeen(Weight(0), Weight(10_000), "x", shape_ok=False, accepted=True)
    world.step()
    assert world.route.segments == 0
    assert world.state.decisions[-1].action == "Shape"
