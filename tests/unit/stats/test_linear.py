"""The linear-null e-values: the boundary point, validity by enumeration, and rows that don't depend on each other."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from modelrollout.stats.dispersion import by_pod, effective, inflation, pearson, weight
from modelrollout.stats.linear import Floats, closest, increments
from modelrollout.stats.mixture import FINE, START, WORSE, alternatives, restart_capital, value

MARGINS = [(1.0, 0.0), (1.0, 0.05), (1.5, 0.0), (1.0, -0.05)]


def bisected(theta_c: Floats, theta_l: Floats, n_c: Floats, n_l: Floats, ratio: Floats, difference: Floats) -> Floats:
    """The same point by plain bisection of the derivative."""
    low = np.maximum(1e-9, (1e-9 - difference) / ratio) + 0.0 * theta_c
    high = np.minimum(1 - 1e-9, (1 - 1e-9 - difference) / ratio) + 0.0 * theta_c
    for _ in range(200):
        x = 0.5 * (low + high)
        y = ratio * x + difference
        slope = n_c * ratio * (y - theta_c) / (y * (1 - y)) + n_l * (x - theta_l) / (x * (1 - x))
        low, high = np.where(slope < 0, x, low), np.where(slope < 0, high, x)
    return np.asarray(x)


def test_the_closest_point_is_that_of_bisection() -> None:
    rng = np.random.default_rng(5)
    size = 20_000
    theta_l = np.clip(10 ** rng.uniform(-6, -0.3, size), 1e-6, 0.9)
    ratio = rng.choice([1.0, 1.1, 1.25, 1.5], size)
    difference = rng.choice([0.0, 1e-4, 5e-4, 0.01], size)
    bound = ratio * theta_l + difference
    theta_c = np.clip(bound * rng.choice(np.concatenate([1 + WORSE, 1 - FINE]), size), 1e-7, 0.97)
    n_c, n_l = np.ceil(10 ** rng.uniform(0, 5, size)), np.ceil(10 ** rng.uniform(0, 5, size))
    y, x = closest(theta_c, theta_l, n_c, n_l, ratio, difference)
    reference = bisected(theta_c, theta_l, n_c, n_l, ratio, difference)
    off = np.abs(x - reference) / reference
    assert np.quantile(off, 0.9999) < 1e-8
    assert np.array_equal(y, ratio * x + difference)


def test_equal_shares_meet_at_the_pooled_share() -> None:
    y, x = closest(np.array([0.3]), np.array([0.1]), 20.0, 60.0, 1.0, 0.0)
    assert x[0] == pytest.approx((20 * 0.3 + 60 * 0.1) / 80, rel=1e-12)
    assert y[0] == x[0]


def expectation(n_c: int, n_l: int, p_c: float, p_l: float, margin: tuple[float, float], *, worse: bool) -> Floats:
    """E[f] per alternative under true shares, by all outcomes."""
    outcomes = [(i, j) for i in range(n_c + 1) for j in range(n_l + 1)]
    e_c, e_l = (np.array(v, float) for v in zip(*outcomes, strict=True))
    ones = np.ones(len(outcomes))
    theta_l = 0.1 * ones
    bound = margin[0] * theta_l + margin[1]
    logs = increments(
        e_c,
        n_c * ones,
        e_l,
        n_l * ones,
        theta_c=alternatives(bound, worse=worse),
        theta_l=theta_l,
        ratio=margin[0] * ones,
        difference=margin[1] * ones,
        worse=worse,
    )
    odds = np.array(
        [
            comb(n_c, i) * p_c**i * (1 - p_c) ** (n_c - i) * comb(n_l, j) * p_l**j * (1 - p_l) ** (n_l - j)
            for i, j in outcomes
        ]
    )
    return np.asarray(odds @ np.exp(logs))


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize(("n_c", "n_l"), [(5, 7), (1, 30), (20, 20), (3, 60)])
@pytest.mark.parametrize("worse", [True, False])
def test_no_null_has_an_expectation_above_one(n_c: int, n_l: int, margin: tuple[float, float], worse: bool) -> None:
    ratio, difference = margin
    for p_l in (0.001, 0.01, 0.06, 0.1, 0.3, 0.6):
        bound = ratio * p_l + difference
        for p_c in (bound, bound * 0.5 if worse else bound * 1.5, bound - 0.01 if worse else bound + 0.01):
            if 0 <= p_c <= 1:
                assert expectation(n_c, n_l, p_c, p_l, margin, worse=worse).max() <= 1 + 1e-9


def test_evidence_grows_where_the_candidate_is_worse() -> None:
    assert expectation(20, 20, 0.6, 0.1, (1.0, 0.0), worse=True).max() > 100


def test_a_row_is_the_same_alone_and_among_others() -> None:
    rng = np.random.default_rng(2)
    n_c, n_l = rng.poisson(40, 50).astype(float), rng.poisson(300, 50).astype(float)
    e_c, e_l = np.minimum(n_c, rng.poisson(2, 50)), np.minimum(n_l, rng.poisson(4, 50))
    theta_l, ratio, difference = rng.uniform(0.001, 0.2, 50), np.full(50, 1.25), np.full(50, 0.0005)

    def logs(rows: slice) -> Floats:
        return increments(
            e_c[rows],
            n_c[rows],
            e_l[rows],
            n_l[rows],
            theta_c=alternatives((ratio * theta_l + difference)[rows], worse=True),
            theta_l=theta_l[rows],
            ratio=ratio[rows],
            difference=difference[rows],
            worse=True,
        )

    together = logs(slice(0, 50))
    for size in (1, 2, 3, 7):
        for start in range(0, 50 - size, 5):
            assert np.array_equal(logs(slice(start, start + size)), together[start : start + size])


def test_an_empty_stream_says_nothing() -> None:
    one = np.array([1.0])
    logs = increments(
        0 * one,
        0 * one,
        5 * one,
        100 * one,
        theta_c=alternatives(0.05 * one, worse=True),
        theta_l=0.05 * one,
        ratio=one,
        difference=0 * one,
        worse=True,
    )
    assert not logs.any()


def test_restarts_never_spend_more_than_is_kept_for_them() -> None:
    spent = sum(restart_capital(number) for number in range(1, 100_000))
    assert spent < 1 - START
    assert restart_capital(1) == restart_capital(12) > restart_capital(13)


def test_value_counts_cash_and_effects() -> None:
    logs = np.log(np.array([[0.5] * 4, [2.0, 0.0001, 0.0001, 0.0001]]))
    assert np.exp(value(logs, np.array([0.5, 0.0]))) == pytest.approx([1.0, 0.500075])


def test_clustered_errors_inflate_and_independent_ones_do_not() -> None:
    assert pearson([(100, 10), (100, 10)]) == (0.0, 1)
    chi, degrees = pearson([(100, 20), (100, 0)])
    assert chi == pytest.approx(22.22, abs=0.01)
    assert degrees == 1
    assert pearson([(100, 5)]) == (0.0, 0)
    assert pearson([(100, 0), (50, 0)]) == (0.0, 0)
    assert inflation(np.array([10.0]), np.array([40.0]))[0] == 1.0
    assert inflation(np.array([270.0]), np.array([90.0]))[0] == pytest.approx(2.5)
    ones = np.ones(1)
    same = effective(2.5 * ones, 100 * ones, n_c=100 * ones, n_l=100 * ones, pods_c=ones, pods_l=ones)
    assert same[0] == pytest.approx(2.5)
    few = effective(2.5 * ones, 100 * ones, n_c=2 * ones, n_l=1000 * ones, pods_c=ones, pods_l=10 * ones)
    assert 1.0 < few[0] < 1.1


@pytest.mark.parametrize("bad", [0.9, 3.0, 30.0])
def test_clustering_is_told_from_few_bad_events_as_from_many(bad: float) -> None:
    """Strata that weigh alike made 2.5 into 1.7 at 0.9 bad events a stratum, 1.9 at 3."""
    rng, pods, requests, strata = np.random.default_rng(1), 9, 400.0, 20_000
    mean = bad / pods
    counts = rng.poisson(rng.gamma(mean / 1.5, 1.5, (strata, pods)))
    found = [pearson([(requests, float(one)) for one in row]) for row in counts.tolist()]
    chi, degrees = (np.array(values, float) for values in zip(*found, strict=True))
    total = np.full(strata, pods * requests)
    weighed = weight(total, counts.sum(axis=1).astype(float), np.full(strata, bad / (pods * requests)))
    told = inflation(np.array([weighed @ chi]), np.array([weighed @ degrees]))[0]
    assert told == pytest.approx(2.5, rel=0.04)
    assert weighed @ degrees == pytest.approx(8 * strata * min(bad, 1.0), rel=0.05)


def test_pods_that_are_scraped_at_other_moments_of_a_stratum_are_compared() -> None:
    a, b = (("requests_total", name, "", name) for name in "ab")
    assert by_pod([[(b, 10.0, 1.0)], [], [(a, 20.0, 2.0), (b, 5.0, 9.0)]]) == [(20.0, 2.0), (15.0, 10.0)]
    assert by_pod([[(a, 0.0, 0.0), (b, 3.0, 4.0)]]) == [(3.0, 3.0)]
    assert by_pod([]) == []
