"""What was planned is what the comparison takes: seeded streams against the planner, both sides."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from modelrollout.core.model import Margin
from modelrollout.core.observation import ArmCounts
from modelrollout.stats.planning import needed_for_fail, needed_for_pass
from modelrollout.stats.sequential import Comparison, Findings, Stratum, advance

RUNS = 40
HISTORY = 60
"""Strata of legacy alone before the step: the operator knows it by then."""
MARGIN = Margin(1.25, 0.0005)


def measured(share: float, times: float, weight: float, per_tick: float, found: Callable[[Findings], bool]) -> float:
    """Candidate requests until the comparison finds it, on average over seeded runs; 5 s ticks."""
    draw = np.random.default_rng(7)
    runs = [Comparison(MARGIN) for _ in range(RUNS)]

    def move(some: list[Comparison], weight: float, tick: int) -> None:
        own, other = (draw.poisson(per_tick * w, len(some)) for w in (weight, 1 - weight))
        bad, other_bad = draw.binomial(own, min(1.0, share * times)), draw.binomial(other, share)
        counts = np.column_stack([own, bad, other, other_bad]).tolist()
        judged = tick >= 0
        strata = [Stratum(ArmCounts(n, e), ArmCounts(m, f), 5.0 * tick, 5.0, judged) for n, e, m, f in counts]
        advance(some, strata)

    for tick in range(-HISTORY, 0):
        move(runs, 0.0, tick)
    for one in runs:
        one.begin(MARGIN)
    waited, tick = 0, 0
    while runs:
        move(runs, weight, tick)
        tick += 1
        waited += len(runs)
        runs = [one for one in runs if not found(one.findings())]
        assert tick < 3000
    return waited * per_tick * weight / RUNS


@pytest.mark.parametrize(("share", "weight", "per_tick"), [(0.01, 0.25, 2000), (0.0, 0.05, 4000)])
def test_a_good_candidate_passes_no_later_than_planned_and_not_much_sooner(
    share: float, weight: float, per_tick: float
) -> None:
    planned = float(needed_for_pass(share, weight, MARGIN.ratio, MARGIN.difference, 0.05))
    took = measured(share, 1.0, weight, per_tick, lambda findings: findings.fine >= log(20))
    assert 0.65 * planned < took < 1.1 * planned


@pytest.mark.parametrize(("times", "weight", "per_tick"), [(2.0, 0.05, 1000), (3.0, 0.25, 100)])
def test_a_bad_candidate_fails_when_planned(times: float, weight: float, per_tick: float) -> None:
    planned = float(needed_for_fail(0.01 * times, 0.01, weight, MARGIN.ratio, MARGIN.difference, 0.01))
    took = measured(0.01, times, weight, per_tick, lambda findings: findings.fails(log(100)))
    assert 0.75 * planned < took < 1.35 * planned
