from math import log, sqrt

import numpy as np
import pytest

from modelrollout.core.observation import ArmCounts, LedgerState
from modelrollout.stats.ledger import attributed, book, lower_bound, prior_variance

NONE = ArmCounts(0, 0)


def test_the_candidate_is_charged_with_what_exceeds_legacys_share() -> None:
    cost, variance = attributed(ArmCounts(100, 5), ArmCounts(400, 8), recent=ArmCounts(999, 19), allowed=0.01)
    assert cost == pytest.approx(5 - 100 * 0.02)
    assert variance == pytest.approx(100 * 0.0195 * 0.9805 * 1.25)


def test_a_better_candidate_earns() -> None:
    assert attributed(ArmCounts(100, 0), ArmCounts(100, 3), recent=ArmCounts(100, 3), allowed=0.01)[0] == -3


def test_legacy_without_requests_is_stood_in_for_by_its_last_minute() -> None:
    cost, variance = attributed(ArmCounts(100, 5), NONE, recent=ArmCounts(199, 3), allowed=0.01)
    assert cost == pytest.approx(5 - 100 * 3 / 199)
    assert variance == pytest.approx(100 * 0.0175 * 0.9825 * (1 + 100 / 199))


def test_without_any_legacy_the_objective_is_the_reference() -> None:
    cost, variance = attributed(ArmCounts(100, 5), NONE, recent=NONE, allowed=0.01)
    assert cost == 4.0
    assert variance == pytest.approx(100 * 0.0099)


def booked(*strata: tuple[ArmCounts, ArmCounts], limit: float | None = 100.0) -> LedgerState:
    state = LedgerState("s", limit, tick=7.0, rate=1.5)
    for candidate, legacy in strata:
        state = book(state, candidate, legacy, recent=legacy, allowed=0.01)
    return state


def test_the_sum_is_signed_and_its_peak_is_kept() -> None:
    state = booked((ArmCounts(100, 12), ArmCounts(100, 2)), (ArmCounts(100, 0), ArmCounts(100, 4)))
    assert (state.spent, state.peak) == (6, 10)
    assert (state.candidate_bad, state.candidate_total) == (12, 200)
    assert (state.tick, state.rate) == (7.0, 1.5)


def test_a_negative_sum_has_no_peak() -> None:
    assert booked((ArmCounts(100, 0), ArmCounts(100, 4))).peak == 0


def test_the_variance_grows_with_the_dispersion() -> None:
    plain = book(LedgerState("s", 1.0), ArmCounts(9, 1), ArmCounts(9, 1), recent=ArmCounts(9, 1), allowed=0.01)
    spread = book(
        LedgerState("s", 1.0), ArmCounts(9, 1), ArmCounts(9, 1), recent=ArmCounts(9, 1), allowed=0.01, dispersion=2.0
    )
    assert spread.variance == 2 * plain.variance > 0


def test_the_lower_bound_is_the_normal_mixture() -> None:
    assert lower_bound(50.0, 3.0, prior=1.0) == pytest.approx(50 - sqrt(4 * (log(4) + 2 * log(100))))
    assert booked((ArmCounts(100, 12), ArmCounts(100, 2))).lower == pytest.approx(
        lower_bound(10, 100 * (2.5 / 101) * (98.5 / 101) * 2, prior=1.0)
    )


def test_the_bound_is_tightest_where_a_dead_candidate_is_decided_on() -> None:
    assert prior_variance(10_000.0, 0.01) == pytest.approx(99)
    assert prior_variance(10.0, 0.01) == prior_variance(None, 0.01) == 1


def test_the_gross_limit() -> None:
    state = LedgerState("s", 100.0, spent=100.0, variance=24.0 - 3.0)
    below = book(state, ArmCounts(15, 15), NONE, recent=ArmCounts(1, 0), allowed=0.01)
    assert not below.gross_over
    variance = 21 + 15 * 0.25 * 0.75 * 16
    assert below.spent - 100 < 3 * sqrt(variance + 1)
    above = book(LedgerState("s", 100.0, spent=118.0), ArmCounts(15, 15), NONE, recent=NONE, allowed=0.01)
    assert above.gross_over


def test_without_a_limit_nothing_is_over() -> None:
    state = booked((ArmCounts(10_000, 9_000), ArmCounts(10_000, 0)), limit=None)
    assert not state.gross_over
    assert state.spent == 9_000
    assert state.lower is not None


def test_a_single_bad_event_of_a_new_service_trips_nothing() -> None:
    state = booked((ArmCounts(10, 1), ArmCounts(10, 0)), limit=0.2)
    assert not state.gross_over
    assert state.lower is not None
    assert state.lower < 0


MINUTES: dict[float, dict[float, float]] = {
    0.001: {0.01: 86, 0.05: 17, 0.10: 8.6, 0.25: 3.5, 0.50: 1.7},
    0.01: {0.01: 864, 0.05: 173, 0.10: 86, 0.25: 35, 0.50: 17},
}


@pytest.mark.parametrize(("allowed", "weight"), [(a, w) for a, row in MINUTES.items() for w in row])
def test_a_dead_candidate_exhausts_the_share_as_the_table_says(allowed: float, weight: float) -> None:
    """Error-budget target 5: within 10 % of the table, the lower bound being what decides."""
    rps, tick = 100, 1.0
    limit = 0.02 * allowed * rps * 30 * 86_400
    candidate, legacy = round(rps * weight * tick), round(rps * (1 - weight) * tick)
    state, ticks, recent, carry = LedgerState("s", limit), 0, ArmCounts(0, 0), 0.0
    while state.lower is None or state.lower <= limit:
        carry += legacy * allowed
        bad = int(carry)
        carry -= bad
        recent = ArmCounts(60 * legacy, round(60 * legacy * allowed))
        state = book(state, ArmCounts(candidate, candidate), ArmCounts(legacy, bad), recent=recent, allowed=allowed)
        ticks += 1
    # The table rounds to two digits.
    assert ticks * tick / 60 == pytest.approx(MINUTES[allowed][weight], rel=0.10)


def test_noise_of_a_healthy_candidate_stays_within_three_sigma_and_trips_nothing() -> None:
    """Statistics test 16: a ramp of 240 ticks, both arms at 1 %, 300 runs."""
    rng = np.random.default_rng(7)
    weights = np.repeat([0.01, 0.05, 0.25, 0.5], 60)
    inside = 0
    for _ in range(300):
        n = rng.poisson(100, 240)
        n_c = rng.binomial(n, weights)
        e_c, e_l = rng.binomial(n_c, 0.01), rng.binomial(n - n_c, 0.01)
        state = LedgerState("s", 518.0)
        for i in range(240):
            window = slice(max(0, i - 11), i + 1)
            recent = ArmCounts(int((n - n_c)[window].sum()), int(e_l[window].sum()))
            candidate, legacy = ArmCounts(int(n_c[i]), int(e_c[i])), ArmCounts(int(n[i] - n_c[i]), int(e_l[i]))
            state = book(state, candidate, legacy, recent=recent, allowed=0.01)
            assert state.lower is not None
            assert not state.gross_over
            assert state.lower <= 518.0
        inside += abs(state.spent) <= 3 * sqrt(state.variance)
    assert inside >= 0.99 * 300
