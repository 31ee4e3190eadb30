"""What changes under a running rollout: specs, revisions, legacy, weights edited by others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.core.intents import SetWeight
from modelrollout.core.model import (
    ActionVerb,
    Labels,
    Margin,
    Phase,
    Step,
    Verdict,
    Weight,
)
from modelrollout.core.observation import (
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    LedgerState,
    PreflightPassed,
    PreflightUnknown,
    SliCheckpoint,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import LEGACY, World, make_spec, reasons, started


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
    spent = (LedgerState("availability", allowed=100.0, spent=3.0, peak=4.0, tick=world.now),)
    world.evidence = replace(passed, checkpoints=newer, ledgers=spent)
    world.step()
    assert world.weight == 25
    assert world.state.checkpoints == newer
    assert world.state.budget == spent


def test_what_discovery_has_found_is_in_the_status_and_is_told_anew_after_an_edit() -> None:
    """An edited threshold was rounded in silence: the notes stayed those of the spec that the rollout began with."""
    rounded = "slis[availability]: threshold 320ms is no bucket boundary of x; 300ms is used"
    found = PreflightPassed(notes=(rounded,), counted=(("availability", "x_bucket up to 300ms"),))
    world = World(spec=make_spec(5, 25, 100), preflight=found)
    world.settle()
    assert world.state.notes == (rounded,)
    assert [sli.counted for sli in world.state.slis] == ["x_bucket up to 300ms"]
    world.run(70)
    assert world.weight == 25
    assert [sli.counted for sli in world.state.slis] == ["x_bucket up to 300ms"], "the next step begins with them too"
    world.spec = replace(world.spec, slis=(replace(SLI, margin=Margin(1.5, 0.0005)),), generation=2)
    world.preflight = PreflightUnknown()
    world.step()
    assert not any("300ms" in note for note in world.state.notes)
    lowered = "slis[availability]: threshold 250ms is no bucket boundary of x; 200ms is used"
    world.preflight = PreflightPassed(notes=(lowered,), counted=(("availability", "x_bucket up to 200ms"),))
    writes = len(world.writes)
    world.step()
    assert world.writes[writes:] == ["status"], "who reads the status is told at once"
    assert world.state.notes == (lowered,)
    assert [sli.counted for sli in world.state.slis] == ["x_bucket up to 200ms"]
    accepted = world.state.condition("Accepted")
    assert accepted is not None
    assert accepted.message == lowered


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


def test_bug_evidence_of_a_foreign_weight_was_kept_when_a_pause_came_with_its_end() -> None:
    world = started(5, 40, 100)
    world.edit_route(7)
    world.run(5)
    world.edit_route(8)
    world.run(20)
    world.edit_route(5)
    world.spec = replace(world.spec, paused=True)
    world.run(5)
    assert (world.state.phase, world.state.reason) == (Phase.PAUSED, Reason.PAUSED_BY_SPEC)
    assert world.step_started == world.now
    ended = world.now
    world.run(20)
    assert world.step_started == ended, "once"


def test_bug_what_failed_as_somebody_put_the_weight_back_was_forgotten_with_the_step() -> None:
    """By a Promote action it then got all users, and was promoted: the look that saw it fail saw the step begin."""
    world = started(5, 40, 100)
    world.edit_route(7)
    world.run(5)
    world.edit_route(8)
    world.run(20)
    world.act(ActionVerb.PROMOTE)
    world.run(5)
    assert (world.weight, world.state.reason, world.state.skip) == (8, Reason.ROUTE_CONFLICT, True)
    world.edit_route(5)
    world.verdict = Verdict.FAIL
    world.step()
    assert (world.weight, world.state.phase, world.state.reason) == (0, Phase.ROLLING_BACK, Reason.SLI_FAILED)


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


def test_bug_a_raise_that_was_refused_again_and_again_began_its_step_anew_with_each_try() -> None:
    """Each write of the status asked for other evidence, whose answer was the next try: five writes a second."""
    world = started(5, 25, 100)
    world.run(55)
    world.now += 5
    world.carry_out(world.decide(), upto=1)
    begun = world.step_started
    begins = []
    for later in (0.25, 0.5, 4.0, 12.0):
        world.now = begun + later
        decision = world.decide()
        assert isinstance(decision.intent, SetWeight)
        assert decision.status.step is not None
        begins.append(decision.status.step.started - begun)
    assert begins == [0.0, 0.0, 0.0, 12.0], "requests of long ago were split by the weight before"


def unfinished() -> World:
    """A raise from 5 to 25 % is recorded, and the route was not written."""
    world = started(5, 25, 100)
    world.run(55)
    world.now += 5
    world.carry_out(world.decide(), upto=1)
    assert (world.weight, world.state.weight) == (5, 2500)
    return world


def test_bug_a_raise_whose_write_failed_for_a_minute_was_finished_while_prometheus_was_away() -> None:
    """What it was decided on is a minute old then, and nobody knows how the candidate does."""
    world = unfinished()
    begun, written = world.now, len(world.writes)
    world.now += 60
    world.evidence = EvidencePending()
    world.settle()
    assert (world.weight, len(world.writes)) == (5, written), "asked first, and nothing is written meanwhile"
    world.evidence = EvidenceUnreachable("Timeout", begun)
    world.run(30)
    assert world.weight == 5
    assert (world.state.reason, world.state.phase) == (Reason.METRICS_UNREACHABLE, Phase.PROGRESSING)
    assert "the weight is frozen at 5 %" in world.state.message
    world.evidence = None
    world.settle()
    assert (world.weight, world.state.reason) == (25, Reason.PROGRESSING)
    assert world.state.holds.unreachable is None
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_an_unfinished_raise_waits_for_prometheus_from_its_first_moment() -> None:
    world = unfinished()
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.run(5)
    assert world.weight == 5


def test_a_lowered_weight_is_not_put_back_while_prometheus_is_away() -> None:
    world = started(5, 25, 100)
    world.run(90)
    assert world.weight == 25
    world.edit_route(7)
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.run(10)
    assert (world.weight, world.state.reason) == (7, Reason.METRICS_UNREACHABLE)
    world.evidence = None
    world.run(5)
    assert world.weight == 25


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


def test_bug_who_lowered_the_weight_again_within_a_minute_of_the_raise_was_overruled_for_ever() -> None:
    """A GitOps tool put Git's weight back at each sync, and each time it was taken for a raise that was cut short."""
    world = started(5, 25, 100)
    puts = len(world.writes)
    world.edit_route(0)
    world.run(15)
    assert world.weight == 5, "once it may be our own raise, cut short"
    world.edit_route(0)
    world.run(10)
    assert (world.weight, world.state.phase, world.state.reason) == (0, Phase.PAUSED, Reason.ROUTE_CONFLICT)
    assert "somebody changed the route from 5 % to 0 % again" in world.state.message
    world.run(300)
    assert world.writes[puts:].count("route 500") == 1, "never again without a person"
    assert world.state.reason == Reason.ROUTE_CONFLICT
    world.act(ActionVerb.RESUME)
    world.run(15)
    assert (world.weight, world.state.phase) == (5, Phase.PROGRESSING)


def test_bug_each_raise_gave_a_new_minute_in_which_lowering_was_overruled() -> None:
    """Steps of ten seconds: every sync met a raise that was younger than a minute."""
    world = started(5, 25, 50, 100, min_duration=10.0)
    world.edit_route(0)
    world.run(10)
    assert world.weight == 5
    world.run(10)
    assert world.weight == 25
    world.edit_route(5)
    world.run(120)
    assert (world.weight, world.state.reason) == (5, Reason.ROUTE_CONFLICT), "also at the weight of the step before"


def test_a_disputed_route_at_nothing_stays_disputed_for_who_takes_over() -> None:
    world = started(5, 25, 100)
    for _ in range(2):
        world.edit_route(0)
        world.run(15)
    told = len(world.told)
    world.evidence = EvidencePending()
    world.run(30)
    assert (world.state.phase, world.state.reason) == (Phase.PAUSED, Reason.ROUTE_CONFLICT)
    assert world.told[told:] == []


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
