"""Sample ratio mismatch: published vectors, error rates under peeking, and what counts as a mismatch."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from modelrollout.stats.ratio_check import alarm, deviation, log_bayes_factor, mismatch

PUBLISHED = (-2.950560785, -3.681900877, -3.860658431, -4.183813982)
TICKS = ([20, 17, 9], [18, 21, 8], [4, 6, 4], [18, 19, 11])


def test_published_vectors() -> None:
    """Acceptance test 4: three arms at .4/.4/.2, prior 1, 1, 1 (values of the ssrm test suite)."""
    counts = np.cumsum(TICKS, axis=0)
    found = log_bayes_factor(counts, np.tile([0.4, 0.4, 0.2], (4, 1)), prior=np.ones(3))
    assert found == pytest.approx(PUBLISHED, abs=1e-9)


def test_a_candidate_share_stands_for_two_arms() -> None:
    counts = [[480, 9520], [530, 9470]]
    pairs = log_bayes_factor(counts, [[0.05, 0.95], [0.05, 0.95]])
    assert log_bayes_factor(counts, [0.05, 0.05]).tolist() == pairs.tolist()


def test_a_promise_of_nothing_or_of_all_is_not_compared() -> None:
    assert log_bayes_factor([[0, 5000], [5000, 3]], [0.0, 1.0]).tolist() == [0.0, 0.0]


def test_a_step_without_requests_says_nothing() -> None:
    assert log_bayes_factor([[0, 0]], [0.05])[0] == pytest.approx(0.0, abs=1e-9)


def test_false_alarms_stay_below_a_thousandth_at_every_look() -> None:
    """Three steps with shares of their own, the factors added up: 0.1 % over 120 looks."""
    rng = np.random.default_rng(8)
    runs, looks = 4000, 40
    before, ever = np.zeros(runs), np.full(runs, -np.inf)
    for share in (0.05, 0.25, 0.5):
        counts = np.zeros((runs, 2))
        for _ in range(looks):
            own = rng.binomial(300, share, runs)
            counts += np.stack([own, 300 - own], axis=1)
            ever = np.maximum(ever, before + log_bayes_factor(counts, np.full(runs, share)))
        before = before + log_bayes_factor(counts, np.full(runs, share))
    assert alarm(ever).mean() <= 0.001


def test_half_a_point_too_little_at_five_percent_is_found() -> None:
    rng = np.random.default_rng(9)
    runs = 300
    counts, found = np.zeros((runs, 2)), np.full(runs, 99.0)
    for tick in range(1, 41):
        own = rng.binomial(3000, 0.045, runs)
        counts += np.stack([own, 3000 - own], axis=1)
        found = np.where((found == 99) & alarm(log_bayes_factor(counts, np.full(runs, 0.05))), tick, found)
    assert found.mean() == pytest.approx(11.5, abs=1.5), "the page measured 11.5 ticks"


def test_a_certain_but_small_deviation_is_a_warning_only() -> None:
    counts, expected = np.array([[4600.0, 95400.0], [4000.0, 96000.0]]), np.array([[5000.0, 95000.0]] * 2)
    factor = log_bayes_factor(counts, [0.05, 0.05])
    assert alarm(factor).tolist() == [True, True]
    assert deviation(counts, expected) == pytest.approx([0.08, 0.2])
    assert mismatch(factor, counts, expected).tolist() == [False, True]


def test_a_large_deviation_by_chance_is_no_mismatch() -> None:
    counts, expected = np.array([[8.0, 92.0]]), np.array([[5.0, 95.0]])
    factor = log_bayes_factor(counts, [0.05])
    assert factor[0] < log(1000)
    assert mismatch(factor, counts, expected).tolist() == [False]


def test_the_smaller_arm_tells_at_high_weights() -> None:
    assert deviation([[9700, 300]], [[9500, 500]]) == pytest.approx([0.4])
