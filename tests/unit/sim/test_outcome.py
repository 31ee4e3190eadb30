"""Shares of many runs: exact intervals, times, reasons; the same runs whatever the number of processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.many import Job, play, play_all
from modelrollout.sim.outcome import Outcome, Result, interval, shares
from modelrollout.sim.scenario import ArmName, Change, Scenario
from modelrollout.sim.traffic import Constant
from tests.scene import make_spec
from tests.unit.sim.test_streams import ERRORS


def run(seed: int, outcome: Outcome, seconds: float, reason: str = "Promoted") -> Result:
    return Result(seed, outcome, reason, "", seconds, ())


@pytest.mark.parametrize(
    ("count", "runs", "low", "high"),
    # Published values of Clopper and Pearson's interval (95 %).
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1, 100, 0.0003, 0.0545)],
)
def test_interval(count: int, runs: int, low: float, high: float) -> None:
    assert interval(count, runs) == pytest.approx((low, high), abs=5e-5)


def test_shares() -> None:
    results = [run(i, Outcome.PROMOTED, 100.0 + i) for i in range(11)]
    results += [run(20, Outcome.REVERTED, 30.0, "BudgetBurn"), run(21, Outcome.REVERTED, 50.0, "HardGuard")]
    results += [run(22, Outcome.REVERTED, 40.0, "BudgetBurn")]
    promoted, reverted = shares(results)
    assert (promoted.outcome, promoted.count, promoted.share) == (Outcome.PROMOTED, 11, 11 / 14)
    assert (promoted.median, promoted.p90) == (105.0, 109.0)
    assert (reverted.count, reverted.median) == (3, 40.0)
    assert reverted.reasons == (("BudgetBurn", 2), ("HardGuard", 1))
    assert reverted.low < reverted.share < reverted.high


def test_processes_play_the_same_runs() -> None:
    spec = make_spec(slis=(ERRORS,))
    sick = Change("errors", (ArmName.CANDIDATE,), difference=0.3)
    scenario = Scenario(traffic=Constant(100.0), changes=(sick,), duration=600.0)
    job = Job(spec, scenario, SourceSpec("default", ArmsByPod(), 5.0))
    alone = play(job, range(5, 11))
    together = sorted((r for batch in play_all(job, 5, 6, processes=2) for r in batch), key=lambda r: r.seed)
    assert together == alone
    assert [r for batch in play_all(job, 5, 6, processes=1) for r in batch] == alone
    assert len({r.seconds for r in alone} | {r.events for r in alone}) > 1, "chance differs with the seed"


def test_nobody_waits_for_runs_that_are_not_wanted_any_more() -> None:
    job = Job(make_spec(slis=(ERRORS,)), Scenario(duration=60.0), SourceSpec("default", ArmsByPod(), 5.0))
    endless = play_all(job, 0, 1_000_000, processes=2)
    assert len(next(endless)) == 4
    endless.close()  # would take hours if it played the rest


def test_a_result_counts_what_the_candidate_answered() -> None:
    scenario = replace(Scenario(), traffic=Constant(100.0), duration=120.0)
    (found,) = play(Job(make_spec(slis=(ERRORS,)), scenario, SourceSpec("default", ArmsByPod(), 5.0)), range(1, 2))
    ((name, total, bad),) = found.events
    assert (name, found.seed) == ("errors", 1)
    assert 0 <= bad < total
