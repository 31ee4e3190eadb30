"""What goes wrong around a rollout: metrics, workloads, references, budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import (
    ZERO,
    ActionVerb,
    AdoptRoute,
    Analysis,
    Hold,
    ManagedRoute,
    Outcome,
    ParentRef,
    Phase,
    Traffic,
    Verdict,
)
from modelrollout.core.observation import (
    EvidencePending,
    EvidenceUnreachable,
    PreflightFailed,
    PreflightPassed,
    RouteSeen,
    RouteUnusable,
    SpecProblem,
    WorkloadAbsent,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import LEGACY, READY, World, make_spec, reasons, started


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


def test_bug_a_gateway_whose_controller_was_away_left_a_healthy_rollout_paused_for_its_split() -> None:
    """The route has the weight but users are split as before: no further raise, and no evidence by that weight."""
    world = started(5, 25, 100)
    world.run(70)
    assert world.weight == 25
    world.route = replace(seen(world), accepted=None)
    world.verdict = Verdict.INVALID
    world.run(300)
    assert (world.weight, world.state.phase, world.state.reason) == (25, Phase.PROGRESSING, Reason.ROUTE_PENDING)
    assert "the gateway has not taken the change to 25 %" in world.state.message
    began = world.step_started
    world.route = replace(seen(world), accepted=True)
    world.settle()
    assert began < world.step_started == world.now
    assert world.state.reason == Reason.PROGRESSING
    world.verdict = Verdict.PASS
    world.run(140)
    assert world.state.phase is Phase.PROMOTED
    assert reasons(world).count(EventReason.EVIDENCE_RESTARTED) == 1


def test_bad_evidence_reverts_also_when_the_gateway_does_not_answer() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.route = replace(seen(world), accepted=None)
    world.run(30)
    world.verdict = Verdict.FAIL
    world.run(15)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_a_route_that_its_owner_must_mend_holds_the_step_in_its_own_words_and_can_be_reverted() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.route = replace(seen(world), accepted=False, unfit="no http route asks for x-tier", detail="more")
    world.run(300)
    assert (world.weight, world.state.reason) == (25, Reason.ROUTE_NOT_ACCEPTED)
    assert world.state.message == "step 3 waits: no http route asks for x-tier"
    world.verdict = Verdict.FAIL
    world.run(15)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


@pytest.mark.parametrize("accepted", [None, False])
def test_nothing_is_promoted_before_the_gateway_has_taken_the_last_step(accepted: bool | None) -> None:
    world = started(5, 100)
    world.run(65)
    assert world.weight == 100
    world.route = replace(seen(world), accepted=accepted)
    world.run(600)
    assert world.state.phase == Phase.PROGRESSING
    world.route = replace(seen(world), accepted=True)
    world.run(80)
    assert reasons(world)[-1] == EventReason.PROMOTED


def seen(world: World) -> RouteSeen:
    assert isinstance(world.route, RouteSeen)
    return world.route


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


def test_bug_a_candidate_that_came_back_got_its_traffic_while_prometheus_was_away() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.candidate = replace(READY, endpoints=0)
    world.settle()
    world.candidate, world.evidence = READY, EvidenceUnreachable("Timeout", world.now)
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (0, Phase.PAUSED, Reason.METRICS_UNREACHABLE)
    assert "is ready again; metric source 'default' does not answer (Timeout)" in world.state.message
    world.run(700)
    assert (world.weight, world.state.phase) == (0, Phase.PAUSED), "a ready candidate has no deadline to miss"
    world.evidence = None
    world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PROGRESSING)


def test_bug_a_rollback_whose_record_was_lost_was_told_without_its_numbers() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.verdict = Verdict.FAIL
    world.now += 15
    world.carry_out(world.decide(), upto=1)
    assert world.weight == 0
    world.settle()
    assert world.state.phase is Phase.ROLLED_BACK
    assert [x.verdict for x in world.state.slis] == [Verdict.FAIL]
    assert world.state.incident is not None
    assert world.state.incident.weight == 2500


@pytest.mark.parametrize("since_the_raise", [15, 600])
def test_bug_a_restarted_operator_raised_the_candidate_that_it_had_just_reverted(since_the_raise: float) -> None:
    """Killed between the two writes of a revert: the next process has seen no evidence yet, and the route shows 0."""
    world = started(5, 25, 100)
    world.run(70)
    world.verdict = Verdict.FAIL
    world.now += since_the_raise
    world.carry_out(world.decide(), upto=1)
    assert (world.weight, world.state.phase) == (0, Phase.PROGRESSING)
    for unknown in (EvidencePending(), EvidenceUnreachable("Timeout", world.now)):
        world.evidence = unknown
        world.settle()
        assert world.weight == 0
    assert "the weight is frozen at 0 %" in world.state.message
    world.evidence = None
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
    assert world.writes.count("route 2500") == 1


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


@pytest.mark.parametrize(
    ("router", "whose"),
    [
        (ManagedRoute((ParentRef("public", "infra"),)), "Gateway infra/public has not answered"),
        (ManagedRoute((ParentRef("a"), ParentRef("b"))), "Gateway serving/a and Gateway serving/b have not answered"),
        (AdoptRoute("fraud"), "a Gateway of HTTPRoute serving/fraud has not answered"),
    ],
)
def test_a_gateway_that_does_not_answer_is_named_with_the_field_and_what_to_look_at(
    router: ManagedRoute | AdoptRoute, whose: str
) -> None:
    world = World(make_spec(5, 100, traffic=Traffic(router)))
    world.route = RouteSeen(ZERO, ZERO, "1", accepted=None)
    world.settle()
    assert (world.state.phase, world.state.reason) == (Phase.PREFLIGHT, Reason.ROUTE_PENDING)
    assert world.state.message.startswith(whose)
    assert "parentRefs" in world.state.message
    assert world.state.message.endswith("a listener of it takes routes from namespace serving")
