"""A step that is due without a verdict: what it costs, when it is given up, and when that must wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import Analysis, Hold, Outcome, Phase, Verdict
from modelrollout.core.observation import EvidencePending, EvidenceSeen, EvidenceUnreachable, LedgerState
from modelrollout.core.reasons import EventReason
from tests.scene import World, assessed, make_spec

HOLD = 600.0


def undecided(then: Outcome) -> World:
    """At the first of two steps, without a verdict, one tick before its shortest time is over."""
    world = World(spec=make_spec(5, 100, analysis=Analysis(interval=5.0, inconclusive=Hold(HOLD, then))))
    world.settle()
    world.verdict = Verdict.WAIT
    world.run(55)
    return world


def test_bug_a_step_due_before_its_verdict_cost_a_status_write_more() -> None:
    """Found by the audit log of a real cluster: the moment it became due, and the first ledger, were written."""
    world = World(spec=make_spec(5, 25, 100))
    world.settle()
    writes, told = len(world.writes), len(world.told)
    for _ in range(4):
        world.now += 5
        world.settle()
    ledger = LedgerState("availability", 40.0)
    for _ in range(12):  # 20 s undecided beyond its shortest time
        world.now += 5
        world.evidence = EvidenceSeen(world.now - 10, world.now, (assessed(Verdict.WAIT),), (ledger,))
        world.settle()
    assert len(world.writes) == writes
    world.evidence = EvidenceSeen(world.now - 5, world.now, (assessed(Verdict.PASS),), (ledger,))
    world.settle()
    assert world.writes[writes:] == ["status", "route 2500"]
    assert [a.reason for a in world.told[told:]] == [EventReason.STEP_STARTED]


def test_bug_the_end_of_a_rollout_was_written_twice() -> None:
    """MetricsFresh changed once more when the evidence of a promoted rollout was dropped."""
    world = World(spec=make_spec(100))
    world.settle()
    world.run(60)
    assert world.state.phase is Phase.PROMOTED
    writes = len(world.writes)
    world.evidence = EvidencePending()
    world.run(30)
    assert len(world.writes) == writes


def test_a_step_long_overdue_is_written_once_with_what_it_waits_for() -> None:
    world = undecided(Outcome.PAUSE)
    writes = len(world.writes)
    world.run(35)
    assert world.writes[writes:] == ["status"]
    assert "waiting: 500 of 383 candidate requests needed" in world.state.message
    world.run(20)
    assert world.writes[writes:] == ["status"]


@pytest.mark.parametrize("then", [Outcome.ROLLBACK, Outcome.PROMOTE, Outcome.PAUSE])
@pytest.mark.parametrize("away", ["no evidence yet", "unreachable"])
def test_nothing_is_given_up_without_evidence(then: Outcome, away: str) -> None:
    """The operator or the metric source was away for longer than the hold: that says nothing about the candidate."""
    world = undecided(then)
    world.now += 3 * HOLD
    world.evidence = EvidencePending() if away == "no evidence yet" else EvidenceUnreachable("Timeout", world.now - 5)
    world.settle()
    assert (world.weight, world.state.phase) == (5, Phase.PROGRESSING)


def test_a_pause_by_people_before_the_step_is_due_stops_the_clock() -> None:
    world = undecided(Outcome.ROLLBACK)
    world.spec = replace(world.spec, paused=True)
    world.settle()
    world.run(3 * HOLD, every=30)
    assert (world.weight, world.state.phase) == (5, Phase.PAUSED)
    world.spec = replace(world.spec, paused=False)
    world.run(HOLD - 30, every=30)
    assert (world.weight, world.state.phase) == (5, Phase.PROGRESSING)
    world.run(60, every=30)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_gaps_in_the_data_do_not_set_the_clock_back() -> None:
    world = undecided(Outcome.ROLLBACK)
    world.run(HOLD / 2, every=30)
    world.verdict = Verdict.NO_DATA
    world.run(30)
    world.verdict = Verdict.WAIT
    world.run(HOLD / 2, every=30)
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
