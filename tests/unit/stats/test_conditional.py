"""The conditional binomial: an e-value at every null, whatever the rates; exact algebra; silence without exposure."""

from __future__ import annotations

from math import comb, log

import numpy as np
import pytest
from scipy.special import betaln

from modelrollout.stats.conditional import (
    ALTERNATIVES,
    LOG_PRIOR,
    Floats,
    Side,
    alternatives,
    limit,
    log_increments,
    log_mixture,
)

SIZES = [(5, 7), (1, 30), (20, 20), (3, 60)]
NULLS = [0.8, 1.0, 1.5, 3.0]


def outcomes(size: int, share: float) -> Floats:
    return np.array([comb(size, k) * share**k * (1.0 - share) ** (size - k) for k in range(size + 1)])


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("sizes", SIZES)
def test_no_null_lets_it_grow(sizes: tuple[int, int], null: float, side: Side) -> None:
    """Acceptance test 1: E[f] <= 1 over all outcomes, for every alternative and true share."""
    n_c, n_l = sizes
    e_c, e_l = (grid.ravel() for grid in np.meshgrid(range(n_c + 1), range(n_l + 1), indexing="ij"))
    nulls = np.full(len(e_c), null)
    ratios = alternatives(nulls, side)
    factor = np.exp(log_increments(e_c, e_l, np.full(len(e_c), n_c / (n_c + n_l)), null=nulls, ratios=ratios))
    most = 0.0
    for share_l in np.concatenate([np.geomspace(1e-6, 0.3, 25), np.linspace(0.3, 1.0, 29)]):
        for within in (1.0, 0.7, 0.2):  # at the boundary of the null, and inside
            share_c = null * share_l * within if side is Side.WORSE else null * share_l / within
            if share_c <= 1.0:
                chance = np.outer(outcomes(n_c, share_c), outcomes(n_l, share_l)).ravel()
                most = max(most, float((chance @ factor).max()))
    assert 0.5 < most <= 1.0 + 1e-9


def test_the_prior_is_a_blend() -> None:
    assert len(LOG_PRIOR) == ALTERNATIVES == 64
    assert np.exp(LOG_PRIOR).sum() == pytest.approx(1.0)
    assert np.exp(LOG_PRIOR[:32]).sum() == pytest.approx(0.5)
    assert LOG_PRIOR[32] > LOG_PRIOR[-1]
    worse, fine = alternatives(np.array([1.25]), Side.WORSE), alternatives(np.array([1.25]), Side.FINE)
    assert worse.min() > 1.25 > fine.max()
    assert worse * fine == pytest.approx(np.full((1, 64), 1.25**2))


def test_one_stratum_by_hand() -> None:
    share, null, ratio = 0.25, 1.0, 3.0
    q0, q = share, share * ratio / (share * ratio + 1 - share)
    found = log_increments([4], [2], [share], null=np.array([null]), ratios=np.array([[ratio]]))
    assert found[0, 0] == pytest.approx(4 * log(q / q0) + 2 * log((1 - q) / (1 - q0)), rel=1e-14)


def test_a_constant_share_and_a_dense_prior_give_the_closed_form() -> None:
    """Lindon and Malek: the mean over a Beta prior of the chance is ln B(a + e_c, b + e_l) - ln B(a, b) - null part."""
    share, e_c, e_l = 0.3, 17, 21
    chance = (np.arange(20_000) + 0.5) / 20_000
    ratios = (chance / (1 - chance) * (1 - share) / share)[None, :]
    logs = log_increments([e_c], [e_l], [share], null=np.ones(1), ratios=ratios)
    closed = betaln(1 + e_c, 1 + e_l) - betaln(1, 1) - e_c * log(share) - e_l * log(1 - share)
    assert log(np.exp(logs).mean()) == pytest.approx(closed, abs=1e-6)


def test_nothing_is_learned_without_exposure_or_events() -> None:
    ones = np.ones(4)
    found = log_increments([3, 3, 0, 0], [2, 2, 0, 5], [0.0, 1.0, 0.4, 0.4], null=ones, ratios=2 * np.ones((4, 1)))
    assert found[:3].tolist() == [[0.0], [0.0], [0.0]]
    assert found[3, 0] < 0


def test_restarts_three_times_as_frequent_are_found_and_equal_ones_pass() -> None:
    """Counts without a denominator: exposure is the candidate's part of pod time."""
    rng = np.random.default_rng(3)
    runs, ticks, share = 500, 200, 0.2

    def odds(ratio: float, *, null: float, side: Side) -> tuple[float, float]:
        grown, ever = np.zeros((runs, ALTERNATIVES)), np.full(runs, -np.inf)
        nulls = np.full(runs, null)
        for _ in range(ticks):
            own, other = rng.poisson(0.4 * share * ratio, runs), rng.poisson(0.4 * (1 - share), runs)
            grown += log_increments(own, other, np.full(runs, share), null=nulls, ratios=alternatives(nulls, side))
            ever = np.maximum(ever, log_mixture(grown))
        return float((ever >= limit(0.05)).mean()), float((ever >= limit(0.01)).mean())

    false = odds(1.0, null=1.0, side=Side.WORSE)
    assert false[0] <= 0.05
    assert false[1] <= 0.01
    assert odds(3.0, null=1.0, side=Side.WORSE)[1] >= 0.9
    assert odds(1.0, null=3.0, side=Side.FINE)[0] >= 0.9
