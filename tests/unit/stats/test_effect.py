"""Effects from running sums: Mantel-Haenszel values, intervals that hold at all looks, and honest absence."""

from __future__ import annotations

from math import asin, log, sqrt

import numpy as np
import pytest
from scipy.special import logsumexp

from modelrollout.core.observation import Effect, Interval
from modelrollout.stats.effect import COLUMNS, Estimates, Floats, effects, estimate, sums

STRATA = [(50, 3, 950, 20), (240, 9, 760, 18), (500, 30, 500, 25), (0, 0, 1000, 31), (100, 2, 0, 0)]


def total(strata: list[tuple[int, int, int, int]]) -> Floats:
    return np.asarray(sum(sums(*([value] for value in one)) for one in strata))


def test_mantel_haenszel_by_hand() -> None:
    both = [one for one in STRATA if one[0] and one[2]]
    own = sum(e_c * n_l / (n_c + n_l) for n_c, e_c, n_l, _ in both)
    other = sum(e_l * n_c / (n_c + n_l) for n_c, _, n_l, e_l in both)
    weight = sum(n_c * n_l / (n_c + n_l) for n_c, _, n_l, _ in both)
    found = effects(total(STRATA))[0]
    assert found.ratio.value == pytest.approx(own / other, rel=1e-12)
    assert found.difference.value == pytest.approx((own - other) / weight, rel=1e-12)
    assert found.size == pytest.approx(2 * asin(sqrt(own / weight)) - 2 * asin(sqrt(other / weight)), rel=1e-12)
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    assert found.ratio.low < own / other < found.ratio.high


def test_strata_that_lack_an_arm_add_nothing() -> None:
    assert not sums([0, 7, 0], [0, 2, 0], [9, 0, 0], [1, 0, 0]).any()
    assert sums([1], [0], [9], [1]).shape == (1, COLUMNS)


def test_a_changing_weight_and_a_changing_baseline_are_no_effect() -> None:
    """An incident while the candidate has half of the traffic: pooled, the candidate looks three times as bad."""
    quiet, incident = (50, 1, 950, 19), (500, 50, 500, 50)
    found = effects(total([quiet] * 3 + [incident]))[0]
    assert found.ratio.value == pytest.approx(1.0, rel=1e-2)
    assert (3 * 1 + 50) / (3 * 50 + 500) > 2.5 * (3 * 19 + 50) / (3 * 950 + 500)


def test_ratio_interval_is_the_level_set_of_the_exact_likelihood() -> None:
    """Against likelihoods on 200,001 points: the sums hold 33, the rest is interpolation. From 6 to 60,000 events."""
    for strata in ([(60, 4, 40, 2)], STRATA, STRATA * 20, [(30_000, 3100, 70_000, 7000)] * 6):
        fine = np.linspace(-log(64), log(64), 200_001)
        height = np.zeros_like(fine)
        for n_c, e_c, n_l, e_l in (one for one in strata if one[0] and one[2]):
            chance = n_c * np.exp(fine) / (n_c * np.exp(fine) + n_l)
            height += e_c * np.log(chance) + e_l * np.log1p(-chance)
        prior = -np.log1p((fine / 0.5) ** 2)
        mean = logsumexp(height + prior) - logsumexp(prior)
        inside = np.exp(fine[mean - height < log(20)])
        found = effects(total(strata))[0].ratio
        assert found.low is not None
        assert found.high is not None
        assert log(found.low) == pytest.approx(log(inside[0]), abs=0.002)
        assert log(found.high) == pytest.approx(log(inside[-1]), abs=0.002)


def test_no_requests_of_one_arm_is_nothing_known() -> None:
    nothing = Interval(None, None, None)
    assert effects(total([(0, 0, 100, 3)])) == (Effect(nothing, nothing, None),)


def test_no_bad_events_bound_the_difference_but_not_the_ratio() -> None:
    found = effects(total([(500, 0, 500, 0)] * 10))[0]
    assert found.ratio == Interval(None, None, None)
    assert found.difference.value == 0.0
    assert found.difference.high is not None
    assert 0.0005 < found.difference.high < 0.01
    assert found.size == 0.0


def test_without_legacy_events_a_ratio_has_only_a_lower_bound() -> None:
    found = effects(total([(500, 12, 500, 0)]))[0].ratio
    assert found.value is None
    assert found.high is None
    assert found.low is not None
    assert found.low > 1.0


def test_without_candidate_events_a_ratio_has_only_an_upper_bound() -> None:
    found = effects(total([(500, 0, 500, 12)]))[0].ratio
    assert found.value == 0.0
    assert found.low == 0.0
    assert found.high is not None
    assert found.high < 1.0


def test_clustered_errors_widen_the_intervals() -> None:
    plain = estimate(sums([400], [20], [600], [30]))
    clustered = estimate(sums([400], [20], [600], [30], temper=0.4))
    assert clustered.ratio_low < plain.ratio_low < plain.ratio_high < clustered.ratio_high
    assert clustered.difference_low < plain.difference_low
    assert clustered.ratio == plain.ratio


@pytest.mark.parametrize(
    ("share_c", "share_l", "weight", "requests"),
    [
        (0.0, 0.0, 0.25, 20),
        (0.001, 0.001, 0.25, 200),
        (0.01, 0.01, 0.05, 200),
        (0.1, 0.1, 0.25, 8),
        (0.1, 0.01, 0.5, 20),
    ],
)
def test_intervals_hold_at_all_looks(share_c: float, share_l: float, weight: float, requests: int) -> None:
    """A miss at any of 100 looks counts; at most 5 % of runs. Small counts are where normal bounds break."""
    rng = np.random.default_rng(17)
    runs = 400
    grown, missed = np.zeros((runs, COLUMNS)), np.zeros((2, runs), dtype=bool)
    found: Estimates
    for _ in range(100):
        every = rng.poisson(requests, runs)
        n_c = rng.binomial(every, weight)
        n_l = every - n_c
        grown += sums(n_c, rng.binomial(n_c, share_c), n_l, rng.binomial(n_l, share_l))
        found = estimate(grown)
        missed[0] |= (found.difference_low > share_c - share_l) | (found.difference_high < share_c - share_l)
        if share_l:
            missed[1] |= (found.ratio_low > share_c / share_l) | (found.ratio_high < share_c / share_l)
    assert (missed.mean(axis=1) <= 0.05).all()
