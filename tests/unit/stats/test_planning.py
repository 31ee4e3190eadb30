"""The planner's formulas against the tables of the design page (sections 2.3, 3.2, 4.1) and against their meaning."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr

from modelrollout.stats.planning import (
    EQUALS,
    FINEST_DIFFERENCE,
    MOST,
    NEWTON,
    information,
    late,
    needed_for_fail,
    needed_for_pass,
    provable_difference,
    provable_ratio,
)

Floats = npt.NDArray[np.float64]
RATE = 200.0
RARE = 1e-5
"""A share and an exposure so small that only their first order counts."""


@pytest.mark.parametrize(
    ("share", "weight", "seconds"),
    [
        (0.001, 0.05, (1824, 550, 180, 54)),
        (0.001, 0.25, (488, 153, 53, 17)),
        (0.01, 0.05, (180, 54, 18, 5)),
        (0.01, 0.25, (48, 15, 5, 2)),
    ],
)
def test_seconds_to_rollback_are_those_of_the_table(share: float, weight: float, seconds: tuple[int, ...]) -> None:
    worse = share * np.array([2, 3, 5, 10])
    needed = needed_for_fail(worse, share, weight, 1.0, 0.0, 0.01)
    assert tuple(np.round(needed / (weight * RATE))) == seconds


def test_wald_ticks_are_those_of_the_table() -> None:
    share = np.array([0.01, 0.01, 0.01, 0.01, 0.001, 0.001])
    nats = information(share * [1.5, 2, 3, 5, 3, 10], share, 0.05, 1.0, 0.0)
    assert log(100) / (nats * RATE * 15) == pytest.approx([29.8, 8.38, 2.52, 0.82, 25.6, 2.5], abs=0.06)


@pytest.mark.parametrize(
    ("margin", "events"),
    [(1.0, (63.8, 23.8, 10.7, 5.7, 3.3, 1.3)), (1.25, (294, 48.5, 15.8, 7.2, 3.8, 1.4))],
)
def test_bad_events_to_rollback_are_those_of_the_table(margin: float, events: tuple[float, ...]) -> None:
    worse = RARE * np.array([1.5, 2, 3, 5, 10, 100])
    nats = information(worse, RARE, RARE, margin, 0.0) / RARE
    assert log(100) / nats * worse == pytest.approx(events, rel=0.01, abs=0.06)


def test_bad_events_for_a_pass_are_those_of_the_page() -> None:
    margins = np.array([1.1, 1.2, 1.25, 1.5, 2, 3])
    events = log(20) / (information(RARE, RARE, RARE, margins, 0.0) / RARE) * RARE
    assert events == pytest.approx(log(20) / (margins - 1 - np.log(margins)), rel=2e-3)
    assert events == pytest.approx([639, 170, 112, 31.7, 9.8, 3.3], rel=0.01)


@pytest.mark.parametrize(
    ("weight", "minutes"),
    [(0.01, (155, 44, 14)), (0.05, (33, 9.3, 2.9)), (0.25, (8.5, 2.5, 0.8)), (0.5, (6.6, 2.0, 0.7))],
)
def test_planned_minutes_are_those_of_the_table(weight: float, minutes: tuple[float, ...]) -> None:
    margins = np.array([1.25, 1.5, 2])
    needed = needed_for_pass(0.01, weight, margins, 0.0, 0.05) / (weight * RATE * 60)
    assert needed == pytest.approx(minutes, rel=0.035, abs=0.05)
    rarer = needed_for_pass(0.001, weight, margins, 0.0, 0.05) / (weight * RATE * 60)
    assert rarer == pytest.approx(10 * needed, rel=0.02)


def halved(candidate: Floats, legacy: Floats, exposure: Floats, ratio: Floats, difference: Floats) -> Floats:
    """The information by halving the bracket until nothing is left of it, as slow as sure."""
    highest = np.clip((1 - difference) / ratio, 0.0, 1.0)
    own = (candidate - difference) / ratio
    low, high = np.clip(np.minimum(legacy, own), 0, highest), np.clip(np.maximum(legacy, own), 0, highest)
    for _ in range(200):
        x = 0.5 * (low + high)
        y = ratio * x + difference
        falls = exposure * ratio * (y - candidate) * x * (1 - x) + (1 - exposure) * (x - legacy) * y * (1 - y) < 0
        low, high = np.where(falls, x, low), np.where(falls, high, x)
    y = np.clip(ratio * x + difference, 0, 1)
    terms = [rel_entr(p, q) + rel_entr(1 - p, 1 - q) for p, q in ((candidate, y), (legacy, x))]
    found: Floats = np.maximum(0.0, exposure * terms[0] + (1 - exposure) * terms[1])
    return found


@pytest.mark.parametrize("equal", [True, False])
def test_newton_finds_what_halving_finds(equal: bool) -> None:
    rng, size = np.random.default_rng(4), 20_000

    def spread(least: float, most: float) -> Floats:
        return np.exp(rng.uniform(log(least), log(most), size))

    legacy = spread(1e-6, 0.99) * (rng.random(size) < 0.9)
    candidate = legacy if equal else np.where(rng.random(size) < 0.1, 1.0, spread(1e-6, 0.99))
    exposure = np.where(rng.random(size) < 0.5, spread(1e-6, 0.5), 1 - spread(1e-6, 0.5))
    ratio = rng.choice([1.0, 1.05, 1.25, 2.0, 10.0], size)
    difference = spread(1e-6, 0.5) * (rng.random(size) < 0.6)
    expected = halved(candidate, legacy, exposure, ratio, difference)
    found = information(candidate, legacy, exposure, ratio, difference, newton=EQUALS if equal else NEWTON)
    assert np.array_equal(np.isfinite(found), np.isfinite(expected))
    known = np.isfinite(expected)
    # Logarithms near 1 are exact to 1e-16, absolutely.
    assert found[known] == pytest.approx(expected[known], rel=1e-9, abs=1e-14)


def test_the_example_of_the_page_takes_11_hours() -> None:
    assert needed_for_pass(0.001, 0.5, 1.25, 0.0, 0.05) / (0.5 * 20 * 3600) == pytest.approx(11, abs=0.3)


def test_p90_is_that_of_the_table() -> None:
    """Blend e-process of section 2.3: 13.8, 4.6, 39.2, 4.6 ticks on average, 21, 7, 65, 7 at 90 %."""
    assert late(0.01) == pytest.approx(1.705, abs=0.001)
    for mean, p90 in ((12.2, 21), (4.2, 7), (39.2, 65), (4.2, 7)):
        assert mean * late(0.01) == pytest.approx(p90, rel=0.15)


def divergence(x: float, pc: float, pl: float, w: float, a: float, b: float) -> float:
    y = a * x + b
    own, other = rel_entr(pc, y) + rel_entr(1 - pc, 1 - y), rel_entr(pl, x) + rel_entr(1 - pl, 1 - x)
    return float(w * own + (1 - w) * other)


def test_information_is_the_least_divergence_to_the_margin() -> None:
    draw = np.random.default_rng(1)
    for _ in range(60):
        pc, pl = 10 ** draw.uniform(-4, -0.3, 2)
        w, a, b = draw.uniform(0.01, 0.99), draw.uniform(1, 3), draw.uniform(0, 0.1)
        found = minimize_scalar(
            divergence,
            bounds=(1e-9, min(1, (1 - b) / a) - 1e-9),
            args=(pc, pl, w, a, b),
            method="bounded",
            options={"xatol": 1e-13},
        )
        assert float(information(pc, pl, w, a, b)) == pytest.approx(found.fun, rel=1e-5, abs=1e-12)


def test_without_bad_events_the_rule_of_three_holds() -> None:
    for exposure in (0.0, 0.01, 0.5, 1.0):
        needed = float(needed_for_pass(0.0, exposure, 1.25, 0.0005, 0.05))
        assert needed == pytest.approx((log(20) + 2) / 0.0005, rel=1e-3)
    nearly = float(needed_for_pass(1e-9, 0.05, 1.25, 0.0005, 0.05))
    assert nearly == pytest.approx(float(needed_for_pass(0.0, 0.05, 1.25, 0.0005, 0.05)), rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.001, 0.1, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("exposure", [0.0, 0.0001, 0.05, 0.5, 1.0])
def test_needed_is_finite_and_falls_when_the_margin_grows(share: float, exposure: float) -> None:
    by_ratio = needed_for_pass(share, exposure, np.geomspace(1, 20, 40), 0.0005, 0.05)
    by_difference = needed_for_pass(share, exposure, 1.25, np.linspace(0, 1.2, 40), 0.05)
    for needed in (by_ratio, by_difference):
        assert np.isfinite(needed).all()
        assert (needed >= 0).all()
        assert (np.diff(needed) <= 1e-6 * needed[:-1]).all()


def test_what_can_not_be_told_apart_takes_for_ever() -> None:
    assert needed_for_pass(0.01, 0.5, 1.0, 0.0, 0.05) == MOST
    assert needed_for_fail(0.0125, 0.01, 0.5, 1.25, 0.0, 0.01) == MOST
    assert needed_for_fail(0.011, 0.01, 0.5, 1.25, 0.0, 0.01) == MOST, "it is within the margin"
    assert needed_for_pass(0.01, 1.0, 1.25, 0.0, 0.05) > 1e9, "nothing is left to compare with"


def test_alone_or_in_a_batch_the_bits_are_the_same() -> None:
    draw = np.random.default_rng(2)
    count = 501
    share = np.where(draw.random(count) < 0.1, 0.0, 10 ** draw.uniform(-6, -0.1, count))
    exposure, ratio = draw.uniform(0, 1, count), draw.uniform(1, 4, count)
    difference = draw.choice([0.0, 0.0005, 0.01], count)
    batch = needed_for_pass(share, exposure, ratio, difference, 0.05)
    columns = np.column_stack([share, exposure, ratio, difference])
    strided = needed_for_pass(columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3], 0.05)
    for i in range(count):
        one = needed_for_pass(float(share[i]), float(exposure[i]), float(ratio[i]), float(difference[i]), 0.05)
        assert float(one).hex() == float(batch[i]).hex() == float(strided[i]).hex()


def test_the_smallest_provable_margin_is_proven_and_no_smaller_one() -> None:
    requests = np.array([5000.0, 21_600.0, 150_000.0])
    ratio = provable_ratio(requests, 0.001, 0.05, 0.0, 0.05)
    assert ratio[0] > ratio[1] > ratio[2] > 1
    for had, found in zip(requests, ratio, strict=True):
        assert needed_for_pass(0.001, 0.05, found, 0.0, 0.05) <= had
        assert needed_for_pass(0.001, 0.05, found * 0.999, 0.0, 0.05) > had
    difference = provable_difference(requests, 0.001, 0.05, 1.25, 0.05)
    for had, found in zip(requests, difference, strict=True):
        assert needed_for_pass(0.001, 0.05, 1.25, found, 0.05) <= had
        assert needed_for_pass(0.001, 0.05, 1.25, found * 0.999, 0.05) > had


def test_no_more_is_asked_for_than_equality() -> None:
    assert provable_difference(1e6, 0.001, 0.05, 1.25, 0.05) == pytest.approx(FINEST_DIFFERENCE)
    assert provable_ratio(1e6, 0.001, 0.05, 0.01, 0.05) == 1


def test_no_ratio_helps_when_nothing_is_ever_bad() -> None:
    assert np.isinf(provable_ratio(1e6, 0.0, 0.05, 0.0, 0.05))
