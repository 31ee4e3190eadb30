"""The walk of one revision: steps, promotion, pauses, approvals, actions, edits, deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.core.model import (
    FULL,
    ZERO,
    ActionVerb,
    Analysis,
    Hold,
    Labels,
    Margin,
    Outcome,
    Phase,
    Step,
    Verdict,
    Weight,
)
from modelrollout.core.observation import (
    EvidenceSeen,
    EvidenceUnreachable,
    PreflightFailed,
    PreflightPassed,
    PreflightUnknown,
    RouteSeen,
    RouteUnusable,
    SliCheckpoint,
    SpecProblem,
    WorkloadAbsent,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import LEGACY, READY, World, assessed, make_spec


def started(*weights: int, **changes: object) -> World:
    """A world whose rollout is at its first step."""
    world = World(spec=make_spec(*weights, **changes))  # type: ignore[arg-type]  # passed on to make_spec
    world.settle()
    return world


def reasons(world: World) -> list[str]:
    return [a.reason for a in world.told]


def test_good_candidate_is_promoted_step_by_step() -> None:
    world = started(1, 5, 25, 50, 100)
    seen = [world.weight]
    for _ in range(70):
        world.run(5)
        if seen[-1] != world.weight:
            seen.append(world.weight)
    assert seen == [1, 5, 25, 50, 100]
    assert world.state.phase is Phase.PROMOTED
    assert world.state.condition("Promoted").status == "True"  # type: ignore[union-attr]  # present by the line above
    assert world.state.history[-1].outcome == "Promoted"


def test_a_step_costs_one_status_write_one_route_write_and_one_event() -> None:
    world = started(5, 25, 100)
    world.run(30)
    writes, told = len(world.writes), len(world.told)
    world.run(60)
    assert world.writes[writes:] == ["status", "route 2500"]
    assert [a.reason for a in world.told[told:]] == [EventReason.STEP_STARTED]


def test_status_is_written_before_a_raise_and_after_a_lowering() -> None:
    world = started(5, 100)
    raised = world.writes[-2:]
    world.run(20)
    world.verdict = Verdict.FAIL
    before = len(world.writes)
    world.run(5)
    assert raised == ["status", "route 500"]
    assert world.writes[before : before + 2] == ["route 0", "status"]


def test_at_rest_nothing_is_written() -> None:
    world = started(100)
    world.run(120)
    assert world.state.phase is Phase.PROMOTED
    writes = len(world.writes)
    world.run(3000, every=300)
    assert len(world.writes) == writes


def test_no_advance_before_the_shortest_time_nor_without_a_pass() -> None:
    world = started(5, 25, 100)
    world.run(55)
    assert world.weight == 5
    world.verdict = Verdict.WAIT
    world.run(600)
    assert world.weight == 5
    assert "waiting: 500 of 383 candidate requests needed" in world.state.message


@pytest.mark.parametrize("verdict", [Verdict.WAIT, Verdict.NO_DATA, Verdict.INVALID])
def test_no_verdict_but_pass_advances(verdict: Verdict) -> None:
    world = started(5, 25, 100)
    world.verdict = verdict
    world.run(400)
    assert world.weight == 5


def test_hazard_h12_good_metrics_from_before_the_step_do_not_count() -> None:
    world = started(5, 25, 100)
    world.run(60)
    assert world.weight == 25
    step = world.state.step
    assert step is not None
    world.evidence = EvidenceSeen(step.started - 1, step.started + 3000, (assessed(Verdict.PASS),))
    world.run(3600, every=60)
    assert world.weight == 25


def test_approval_is_asked_for_and_given() -> None:
    world = started(5, 25, 100, approval=1)
    world.run(90)
    assert (world.weight, world.state.phase, world.state.reason) == (5, Phase.PAUSED, Reason.APPROVAL)
    world.act(ActionVerb.APPROVE)
    world.run(5)
    assert world.weight == 25


def test_approval_of_the_first_step_is_asked_for_before_any_traffic() -> None:
    world = started(5, 100, approval=0)
    world.run(30)
    assert (world.weight, world.state.reason) == (0, Reason.APPROVAL)
    world.act(ActionVerb.APPROVE)
    world.settle()
    assert world.weight == 5


def test_a_bad_candidate_is_reverted_while_it_waits_for_approval() -> None:
    world = started(5, 25, 100, approval=1)
    world.run(90)
    world.verdict = Verdict.FAIL
    world.run(5)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


@pytest.mark.parametrize("paused_by", ["spec", "action"])
def test_hazard_h4_a_pause_never_hides_a_failure(paused_by: str) -> None:
    world = started(5, 25, 100)
    world.run(20)
    if paused_by == "spec":
        world.spec = replace(world.spec, paused=True, generation=2)
    else:
        world.act(ActionVerb.PAUSE)
    world.run(100)
    assert (world.weight, world.state.phase) == (5, Phase.PAUSED)
    world.verdict = Verdict.FAIL
    world.run(5)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_pause_and_resume_by_action() -> None:
    world = started(5, 25, 100)
    world.act(ActionVerb.PAUSE)
    world.run(200)
    assert (world.weight, world.state.reason) == (5, Reason.PAUSED_BY_ACTION)
    world.act(ActionVerb.RESUME)
    world.run(5)
    assert world.weight == 25
    assert EventReason.PAUSED in reasons(world)


def test_promote_action_skips_the_rest() -> None:
    world = started(5, 25, 50, 100, min_duration=3600.0)
    world.act(ActionVerb.PROMOTE)
    world.run(10)
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


@pytest.mark.parametrize("phase", ["progressing", "paused", "promoted", "invalid", "preflight"])
def test_abort_wins_in_every_phase(phase: str) -> None:
    world = World(spec=make_spec(5, 25, 100))
    if phase == "preflight":
        world.preflight = PreflightUnknown()
    world.settle()
    match phase:
        case "paused":
            world.act(ActionVerb.PAUSE)
            world.run(5)
        case "promoted":
            world.run(400)
        case "invalid":
            world.problem = SpecProblem("SourceNotFound", "no MetricSource")
            world.run(5)
    expected = {
        "progressing": Phase.PROGRESSING,
        "paused": Phase.PAUSED,
        "promoted": Phase.PROMOTED,
        "invalid": Phase.INVALID,
        "preflight": Phase.PREFLIGHT,
    }[phase]
    assert world.state.phase is expected
    world.act(ActionVerb.ABORT, reason="support tickets")
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
    assert world.state.is_rejected("rev-a")
    assert "support tickets" in world.state.message


def test_rejected_revision_stays_rejected_until_retry() -> None:
    world = started(5, 100)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(10)
    world.verdict = Verdict.PASS
    world.run(3600, every=60)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
    world.act(ActionVerb.RETRY)
    world.settle()
    assert (world.weight, world.state.attempt) == (5, 2)


def test_rejected_revision_is_known_again_after_another_one() -> None:
    world = started(5, 100)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(10)
    world.verdict, world.revision = Verdict.PASS, "rev-b"
    world.run(10)
    assert world.weight == 5
    world.revision = "rev-a"
    world.run(100)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_new_revision_in_mid_rollout_starts_from_zero() -> None:
    world = started(5, 25, 100)
    world.run(70)
    assert world.weight == 25
    world.revision = "rev-b"
    decision = world.step()
    assert world.weight == 0
    assert decision.urgent
    assert world.state.history[-1].outcome == "Superseded"
    world.settle()
    assert (world.weight, world.state.revision) == (5, "rev-b")


def test_edited_steps_keep_the_weight_and_restart_the_evidence() -> None:
    world = started(5, 25, 100)
    world.run(70)
    began = world.state.step
    steps = tuple(Step(Weight(w * 100), 60.0, 21_600.0) for w in (10, 50, 100))
    world.spec = replace(world.spec, steps=steps, generation=2)
    writes = len(world.writes)
    world.step()
    assert world.writes[writes:] == ["status"]
    assert world.weight == 25
    assert world.state.step is not None
    assert began is not None
    assert world.state.step.started > began.started
    world.run(60)
    assert world.weight == 50


SLI = make_spec().slis[0]
ANALYSIS = make_spec().analysis
OLD_EVIDENCE = (SliCheckpoint("availability", 1.0, (1.0,)),)


@pytest.mark.parametrize(
    "edit",
    [
        {"slis": (replace(SLI, margin=Margin(1.5, 0.0005)),)},
        {"slis": (replace(SLI, margin=Margin(1.25, 0.001)),)},
        {"slis": (replace(SLI, labels=Labels()),)},
        {"analysis": replace(ANALYSIS, false_rollback=0.02)},
        {"analysis": replace(ANALYSIS, false_promote=0.1)},
        {"analysis": replace(ANALYSIS, tolerance=0.001)},
    ],
    ids=["ratio", "difference", "labels", "falseRollback", "falsePromote", "tolerance"],
)
def test_an_edit_of_what_evidence_is_held_against_restarts_it(edit: dict[str, Any]) -> None:
    world = started(5, 25, 100)
    world.run(30)
    began = world.state.step
    world.status = replace(world.state, checkpoints=OLD_EVIDENCE)
    world.spec = replace(world.spec, **edit, generation=2)
    world.step()
    assert began is not None
    assert world.state.step == replace(began, started=world.now)
    assert world.state.checkpoints == ()
    assert world.weight == 5
    assert EventReason.EVIDENCE_RESTARTED in reasons(world)


def test_a_rollout_begins_with_what_legacys_past_teaches_and_a_step_with_the_evidence_so_far() -> None:
    world = World(spec=make_spec(5, 25, 100), preflight=PreflightPassed(checkpoints=OLD_EVIDENCE))
    world.settle()
    assert world.weight == 5
    assert world.state.checkpoints == OLD_EVIDENCE
    newer = (SliCheckpoint("availability", world.now, (2.0,)),)
    world.now += 65
    passed = world.present_evidence()
    assert isinstance(passed, EvidenceSeen)
    world.evidence = replace(passed, checkpoints=newer)
    world.step()
    assert world.weight == 25
    assert world.state.checkpoints == newer


def test_legacy_template_change_restarts_the_evidence() -> None:
    world = started(5, 25, 100)
    world.run(55)
    world.status = replace(world.state, checkpoints=OLD_EVIDENCE)
    world.legacy = replace(LEGACY, template_hash="other")
    world.run(55)
    assert world.weight == 5
    assert world.state.checkpoints == OLD_EVIDENCE, "evidence of harm is not forgotten, and its risk not spent twice"
    assert EventReason.EVIDENCE_RESTARTED in reasons(world)
    world.run(10)
    assert world.weight == 25


def test_hazard_h01_an_edited_weight_is_put_back_once_then_a_person_is_asked() -> None:
    world = started(5, 40, 100)
    world.run(70)
    world.edit_route(45)
    world.run(5)
    assert world.weight == 40
    assert EventReason.ROUTE_CONFLICT in reasons(world)
    assert world.step_started == world.now, "requests of the other weight are no evidence of this step"
    world.edit_route(46)
    world.run(300)
    assert (world.weight, world.state.phase, world.state.reason) == (46, Phase.PAUSED, Reason.ROUTE_CONFLICT)
    assert world.state.condition("Stalled").status == "True"  # type: ignore[union-attr]  # always present
    world.verdict = Verdict.FAIL
    world.run(5)
    assert world.weight == 0


def test_route_conflict_ends_when_the_weight_is_put_back_by_hand() -> None:
    world = started(5, 40, 100)
    world.edit_route(7)
    world.run(5)
    world.edit_route(8)
    world.run(20)
    world.edit_route(5)
    world.run(5)
    assert world.state.phase is Phase.PROGRESSING
    assert world.step_started == world.now, "requests of the other weight are no evidence of this step"


def test_an_unfinished_raise_is_finished_and_nobody_is_blamed() -> None:
    world = started(5, 25, 100)
    world.run(55)
    world.now += 5
    decision = world.decide()
    world.carry_out(decision, upto=1)  # killed between status and route
    assert (world.weight, world.state.weight) == (5, 2500)
    world.now += 10
    world.settle()
    assert world.weight == 25
    assert EventReason.ROUTE_CONFLICT not in reasons(world)
    assert world.step_started == world.now, "until now requests were split by the weight before"


def test_bug_a_finished_raise_does_not_move_the_moment_from_which_edits_are_foreign() -> None:
    """The step begins anew when the route follows; counted from there, whoever lowers it would never be noticed."""
    world = started(5, 25, 100)
    world.run(55)
    world.now += 5
    world.carry_out(world.decide(), upto=1)
    world.now += 40
    world.settle()
    assert EventReason.ROUTE_CONFLICT not in reasons(world)
    world.now += 30
    world.edit_route(5)
    world.settle()
    assert EventReason.ROUTE_CONFLICT in reasons(world)


@pytest.mark.parametrize("upto", [0, 1])
def test_an_unfinished_rollback_is_finished(upto: int) -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.verdict = Verdict.FAIL
    world.now += 15
    world.carry_out(world.decide(), upto=upto)
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_prometheus_away_freezes_then_pauses_then_goes_on() -> None:
    world = started(5, 25, 100)
    world.run(20)
    world.evidence = EvidenceUnreachable("HTTP 503", world.now)
    world.run(300)
    assert (world.weight, world.state.phase, world.state.reason) == (5, Phase.PROGRESSING, Reason.METRICS_UNREACHABLE)
    assert world.state.condition("MetricsFresh").status == "False"  # type: ignore[union-attr]  # always present
    world.run(7200, every=60)
    assert (world.weight, world.state.phase) == (5, Phase.PAUSED)
    world.evidence = None
    world.run(5)
    assert world.weight == 25


def test_candidate_without_endpoints_loses_traffic_and_gets_it_back() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.candidate = replace(READY, endpoints=0)
    decision = world.step()
    assert decision.urgent
    assert (world.weight, world.state.reason) == (0, Reason.CANDIDATE_UNREADY)
    world.candidate = READY
    world.settle()
    assert world.weight == 25
    world.candidate = replace(READY, endpoints=0)
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
    assert world.state.incident is not None
    assert world.state.incident.reason == Reason.CANDIDATE_UNHEALTHY


def test_candidate_not_ready_by_its_deadline_is_rejected() -> None:
    world = World(spec=make_spec(5, 100), candidate=replace(READY, endpoints=0))
    world.settle()
    assert world.state.reason == Reason.CANDIDATE_NOT_READY
    world.run(605)
    assert world.state.phase is Phase.ROLLED_BACK
    assert "route 500" not in world.writes


def test_candidate_deployment_deleted_in_mid_rollout() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.candidate, world.revision = WorkloadAbsent('candidate.deployment "fraud-v8" not found'), None
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_hazard_h06_legacy_half_available_does_not_hold_a_rollback_and_at_zero_does() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.legacy = replace(LEGACY, endpoints=0)
    world.verdict = Verdict.FAIL
    world.run(15)
    assert (world.weight, world.state.phase) == (25, Phase.ROLLING_BACK)
    assert EventReason.ROLLBACK_BLOCKED in reasons(world)
    world.legacy = replace(LEGACY, endpoints=1)
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_hazard_h11_legacy_scaled_to_zero_refuses_the_start() -> None:
    world = World(spec=make_spec(5, 100), legacy=replace(LEGACY, wanted=0, endpoints=0))
    world.settle()
    world.run(100)
    assert (world.weight, world.state.reason) == (0, Reason.LEGACY_NOT_READY)


def test_hazard_h10_a_step_without_verdict_ends_by_policy() -> None:
    outcomes = {}
    for then in Outcome:
        world = started(5, 100, analysis=Analysis(interval=5.0, inconclusive=Hold(600.0, then)))
        world.verdict = Verdict.WAIT
        world.run(900, every=30)
        outcomes[then] = (world.weight, world.state.phase)
    assert outcomes == {
        Outcome.PAUSE: (5, Phase.PAUSED),
        Outcome.ROLLBACK: (0, Phase.ROLLED_BACK),
        Outcome.PROMOTE: (100, Phase.PROGRESSING),
    }


@pytest.mark.parametrize(
    ("change", "reason", "part"),
    [
        ({"preflight": PreflightFailed("MetricNotFound", "no series named x")}, Reason.METRIC_NOT_FOUND, "named x"),
        ({"problem": SpecProblem("SourceNotFound", "MetricSource 'default'")}, Reason.SOURCE_NOT_FOUND, "'default'"),
        ({"candidate": WorkloadAbsent('"fraud-v8" not found'), "revision": None}, Reason.REF_NOT_FOUND, "fraud-v8"),
        ({"route": RouteUnusable("route 'x' has no rule 'y'")}, Reason.REF_NOT_FOUND, "rule 'y'"),
    ],
)
def test_what_does_not_resolve_is_said_and_mended_by_itself(
    change: dict[str, object], reason: Reason, part: str
) -> None:
    world = World(spec=make_spec(5, 100))
    good = {key: getattr(world, key) for key in change}
    for key, value in change.items():
        setattr(world, key, value)
    world.settle()
    if "candidate" not in change:
        assert (world.state.phase, world.state.reason) == (Phase.INVALID, reason)
    assert part in world.state.message
    assert world.state.condition("Ready").status == "False"  # type: ignore[union-attr]  # always present
    writes, told = len(world.writes), len(world.told)
    world.run(60)
    assert (len(world.writes), len(world.told)) == (writes, told)
    for key, value in good.items():
        setattr(world, key, value)
    world.run(10)
    assert world.weight == 5


def test_spent_budget_holds_the_start_until_a_person_overrides() -> None:
    world = World(spec=make_spec(5, 100), preflight=PreflightPassed((), (("availability", 0.04, 100.0),)))
    world.settle()
    world.run(100)
    assert (world.weight, world.state.reason) == (0, Reason.BUDGET_EXHAUSTED)
    assert "4.00 %" in world.state.message
    world.act(ActionVerb.APPROVE)
    world.settle()
    assert world.weight == 5


def test_deletion_in_mid_rollout_sends_traffic_back_then_lets_go() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.deleting = True
    world.settle()
    assert (world.weight, world.gone) == (0, True)
    assert world.writes[-1] == "release"


def test_deletion_after_promotion_leaves_users_with_the_candidate() -> None:
    world = started(100)
    world.run(120)
    world.deleting = True
    world.step()
    assert (world.weight, world.gone) == (100, True)


def test_deletion_with_a_dead_legacy_lets_go_in_time_and_says_so() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.legacy = replace(LEGACY, endpoints=0)
    world.deleting = True
    world.run(25)
    assert world.gone
    assert "left with the candidate at 25 %" in world.told[-1].message


def test_segments_are_on_from_the_first_step_and_off_at_the_revert() -> None:
    world = started(5, 100, segments=True)
    assert isinstance(world.route, RouteSeen)
    assert (world.route.weight, world.route.segments) == (500, 10_000)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(5)
    assert isinstance(world.route, RouteSeen)
    assert (world.route.weight, world.route.segments) == (0, 0)


def test_a_handled_action_is_answered_again_and_not_applied_again() -> None:
    world = started(5, 25, 100)
    world.act(ActionVerb.PAUSE)
    (action,) = world.actions
    world.step()
    world.actions = [action]  # its result was lost
    world.act(ActionVerb.RESUME)
    world.actions = [action, *world.actions[1:]]
    decision = world.step()
    assert decision.results[0].applied
    assert not world.state.paused_by_action


@pytest.mark.parametrize(
    ("verb", "part"),
    [
        (ActionVerb.RESUME, "not paused"),
        (ActionVerb.APPROVE, "nothing waits for approval"),
        (ActionVerb.RETRY, "was not rolled back"),
    ],
)
def test_actions_out_of_place_are_refused_with_a_reason(verb: ActionVerb, part: str) -> None:
    world = started(5, 100)
    world.act(verb)
    (result,) = world.step().results
    assert not result.applied
    assert part in result.message


def test_an_action_for_another_revision_is_refused() -> None:
    world = started(5, 100)
    world.act(ActionVerb.ABORT, revision="rev-z")
    (result,) = world.step().results
    assert not result.applied
    assert "rev-z" in result.message
    assert world.weight == 5


def test_promoted_rollout_does_not_mind_that_legacy_is_removed() -> None:
    world = started(100)
    world.run(120)
    world.legacy = WorkloadAbsent('legacy.deployment "fraud-v7" not found')
    world.run(100)
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


def test_a_rollout_made_anew_after_a_promotion_moves_nobody() -> None:
    """A restored backup has no status; the route still gives the candidate everything."""
    world = World(spec=make_spec(5, 100), route=RouteSeen(FULL, ZERO, "7", accepted=True))
    world.settle()
    world.run(100)
    assert (world.weight, world.state.phase, world.state.reason) == (100, Phase.PROMOTED, Reason.FOUND_AT_FULL)
    assert not [w for w in world.writes if w.startswith("route")]
    assert reasons(world) == [EventReason.PROMOTED]
    world.revision = "rev-b"
    world.settle()
    assert world.weight == 5  # its successor starts like any other, from 0


def test_a_rollout_made_anew_in_the_middle_begins_at_its_first_step() -> None:
    world = World(spec=make_spec(5, 100), route=RouteSeen(Weight(4000), ZERO, "7", accepted=True))
    world.settle()
    assert [w for w in world.writes if w.startswith("route")] == ["route 0", "route 500"]


def test_promoted_is_not_told_of_a_revision_that_still_waits() -> None:
    """`kubectl wait --for=condition=Promoted` after a change of the spec returned at once while legacy was down."""
    world = started(100)
    world.run(120)
    world.legacy = replace(LEGACY, endpoints=0)
    world.spec, world.revision = replace(world.spec, generation=world.spec.generation + 1), "rev-b"
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (100, Phase.PROMOTED, Reason.ROLLBACK_BLOCKED)
    promoted = world.state.condition("Promoted")
    assert promoted is not None
    assert promoted.status == "False"


def test_rolled_back_rollout_does_not_mind_that_the_candidate_is_removed() -> None:
    world = started(5, 100)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(10)
    world.candidate, world.revision = WorkloadAbsent("gone"), None
    world.run(100)
    assert world.state.phase is Phase.ROLLED_BACK


def test_swapped_names_after_a_promotion_move_no_traffic() -> None:
    world = started(100)
    world.run(120)
    spec = world.spec
    world.spec = replace(spec, legacy=spec.candidate, candidate=replace(spec.legacy, deployment="v9", service="v9"))
    # The route as the router sees it under the new names: the new legacy has everything, the shape is the old one.
    world.route = RouteSeen(Weight(0), Weight(0), "77", shape_ok=False, accepted=True)
    world.revision = "rev-b"
    writes = len(world.writes)
    world.step()
    world.step()
    assert "route 0" in world.writes[writes:]
    assert world.state.phase is Phase.PREFLIGHT


def test_blocking_mode_is_in_progress_until_the_end() -> None:
    calm, blocking = started(100), started(100, blocking=True)
    pairs = [(w.state.condition("Ready"), w.state.condition("Reconciling")) for w in (calm, blocking)]
    assert [(a.status, b.status) for a, b in pairs if a and b] == [("True", "False"), ("False", "True")]
    blocking.run(120)
    ready, reconciling = blocking.state.condition("Ready"), blocking.state.condition("Reconciling")
    assert ready is not None
    assert reconciling is not None
    assert (ready.status, reconciling.status) == ("True", "False")


def test_steps_edited_to_fewer_than_the_present_one() -> None:
    """Found by the state machine: the list of steps became shorter than the index, and the decision raised."""
    world = started(5, 25, 50, 100)
    world.run(130)
    assert world.weight == 50
    world.spec = replace(world.spec, steps=(Step(Weight(10_000), 60.0, 21_600.0),), generation=2)
    world.run(5)
    assert world.weight == 50
    world.run(70)
    assert world.weight == 100


def test_abort_takes_down_a_route_that_was_raised_by_hand_after_a_rollback() -> None:
    """Found by the state machine: an abort in RolledBack did nothing although users were sent to the candidate."""
    world = started(5, 100)
    world.act(ActionVerb.ABORT)
    world.settle()
    world.edit_route(30)
    world.run(5)
    world.edit_route(77)
    world.run(5)
    assert world.weight == 77
    world.act(ActionVerb.ABORT)
    world.settle()
    assert world.weight == 0
