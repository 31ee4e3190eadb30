"""The walk of one revision up its steps, and what a step takes."""

from __future__ import annotations

import pytest

from modelrollout.core.model import (
    ActionVerb,
    Phase,
    Verdict,
)
from modelrollout.core.observation import (
    EvidenceSeen,
)
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import assessed, started


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
