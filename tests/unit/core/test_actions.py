"""What people order: pause, resume, approve, promote, abort, retry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import (
    ActionVerb,
    Phase,
    Verdict,
)
from modelrollout.core.observation import (
    PreflightUnknown,
    SpecProblem,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import World, make_spec, reasons, started


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
