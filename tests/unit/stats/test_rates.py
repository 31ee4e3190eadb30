"""The comparison of rates: what it says, what a FAIL takes, what it costs to have fewer alternatives."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from modelrollout.core.rates import ArmEvents
from modelrollout.stats.conditional import Side, alternatives, log_increments, log_mixture
from modelrollout.stats.rates import (
    CARRIED,
    FACTORS,
    LOG_PRIOR,
    RateComparison,
    RateFindings,
    RateStratum,
    advance_rates,
    spread,
    understood,
)
from modelrollout.stats.sequential import CARRIED as OTHER
from modelrollout.stats.sequential import LASTING, LEAST_BAD, OVERWHELMING, Comparison
from modelrollout.stats.sequential import understood as shares_understood
from tests.scene import WIDE

LIMIT = log(100)
SOME = ArmEvents(9, 3600.0)
CERTAIN = RateFindings(6.0, 1.0, event_strata=3, strata=9, candidate=SOME, legacy=SOME, ratio=None)


def stratum(n: int, own: int = 0, other: int = 0, **odd: object) -> RateStratum:
    base = RateStratum(ArmEvents(own, 5.0), ArmEvents(other, 45.0), end=1000.0 + 5 * n)
    return replace(base, **odd)  # type: ignore[arg-type]  # fields of RateStratum


def fed(*strata: RateStratum, ratio: float = 1.25) -> RateComparison:
    one = RateComparison(ratio)
    for each in strata:
        advance_rates([one], [each])
    return one


def test_a_fail_takes_evidence_events_and_strata() -> None:
    assert CERTAIN.fails(LIMIT)
    assert not replace(CERTAIN, worse=LIMIT - 0.1).fails(LIMIT)
    assert not replace(CERTAIN, candidate=ArmEvents(int(LEAST_BAD) - 1, 1.0)).fails(LIMIT)
    assert not replace(CERTAIN, event_strata=1).fails(LIMIT)
    assert replace(CERTAIN, worse=LIMIT + OVERWHELMING, candidate=ArmEvents(3, 1.0), event_strata=1).fails(LIMIT)


def test_evidence_that_came_with_one_stratum_waits_for_the_next() -> None:
    """Decision 15, for rates: what is left without the stratum that added most must be a quarter of the limit."""
    assert not replace(CERTAIN, largest=6.0 - LASTING * LIMIT + 0.1).fails(LIMIT)
    burst = fed(*[stratum(n) for n in range(10)], stratum(10, own=12), stratum(11))
    assert burst.findings().worse > LIMIT + OVERWHELMING
    assert not burst.findings().fails(LIMIT)
    for n in (12, 13):
        advance_rates([burst], [stratum(n, own=3)])
    assert burst.findings().fails(LIMIT)


def test_more_events_than_the_exposure_explains_are_harm_and_as_many_are_none() -> None:
    sick = fed(*[stratum(n, own=n % 10 == 0, other=n % 40 == 0) for n in range(100)]).findings()
    assert (sick.candidate, sick.legacy) == (ArmEvents(10, 500.0), ArmEvents(3, 4500.0))
    assert sick.ratio == pytest.approx(30.0)
    assert sick.fails(LIMIT)
    well = fed(*[stratum(n, own=n % 100 == 0, other=n % 10 == 5) for n in range(100)]).findings()
    assert well.worse < 0


def test_silence_says_nothing_in_either_arm() -> None:
    assert fed(*[stratum(n) for n in range(500)]).findings().worse == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "odd",
    [{"judged": False}, {"legacy": ArmEvents(0, 0.0)}, {"candidate": ArmEvents(9, 0.0)}],
    ids=["not judged", "no legacy", "no candidate"],
)
def test_a_stratum_without_both_arms_is_not_told(odd: dict[str, object]) -> None:
    untold: RateStratum = replace(stratum(1, own=9), **odd)  # type: ignore[arg-type]  # fields of RateStratum
    assert fed(stratum(0), untold).findings() == fed(stratum(0)).findings()


def test_the_null_is_the_margins_ratio() -> None:
    """Twice the rate: harm beside a margin of 1, none beside one of 3."""
    strata = [stratum(n, own=2, other=9) for n in range(60)]
    assert fed(*strata, ratio=1.0).findings().worse > LIMIT
    assert fed(*strata, ratio=3.0).findings().worse < 0


def test_evidence_is_tempered_by_what_earlier_strata_taught_of_clusters() -> None:
    events = [stratum(n, own=2, other=3) for n in range(30)]
    clustered = [stratum(n, chi=60.0, degrees=8) for n in range(-60, 0)]
    assert fed(*clustered, *events).findings().worse < fed(*events).findings().worse / 2
    first = stratum(0, own=5, chi=500.0, degrees=8)
    assert fed(first).findings().worse == fed(replace(first, chi=0.0, degrees=0)).findings().worse


def test_a_late_onset_is_found_in_half_the_time_that_it_would_take_without_restarts() -> None:
    """Two hours of legacy's own rate in both arms, then ten times that."""
    calm = [stratum(n, own=int(n % 90 == 0), other=int(n % 10 == 0)) for n in range(1440)]
    sick = [stratum(n, own=int(n % 9 == 0), other=int(n % 10 == 0)) for n in range(1440, 2400)]

    def looks(one: RateComparison, strata: list[RateStratum]) -> int:
        for n, each in enumerate(strata):
            advance_rates([one], [each])
            if one.findings().fails(LIMIT):
                return n
        pytest.fail("it was never found")

    # Without time going by there are no restarts.
    plain = looks(fed(*[replace(each, end=1000.0) for each in calm]), [replace(each, end=1000.0) for each in sick])
    assert looks(fed(*calm), sick) < plain / 2


def test_a_step_gives_fresh_capital_to_the_evidence_that_goes_on() -> None:
    before = fed(*[stratum(n, own=int(n % 20 == 0), other=int(n % 5 == 0)) for n in range(40)])
    after = RateComparison(1.25, before.carried())
    assert after.findings() == replace(before.findings(), strata=0)
    advance_rates([after], [stratum(40)])
    advance_rates([before], [stratum(40)])
    assert after.values[1] > before.values[1]
    assert after.findings().worse == pytest.approx(before.findings().worse, abs=1e-9)


def test_a_checkpoint_is_small_and_of_one_family() -> None:
    carried = fed(stratum(0, own=1)).carried()
    assert len(carried) == CARRIED
    assert 8 * len(carried) * 4 / 3 < 600
    assert understood(carried)
    assert not shares_understood(carried)
    assert not understood(Comparison(WIDE).carried())
    assert len(Comparison(WIDE).carried()) == OTHER
    assert RateComparison(1.25, [2.0, *carried[1:]]).carried() == RateComparison(1.25).carried()


@pytest.mark.parametrize("factor", [2.0, 4.0, 10.0, 30.0])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_fewer_alternatives_cost_next_to_nothing(factor: float, share: float) -> None:
    """Beside the prior of the page with 64, where that has 4.6 nats: a tenth less on average, two tenths at most."""
    rng = np.random.default_rng(5)
    null = np.array([1.25])
    sick = share * factor / (share * factor + 1 - share)
    lost = []
    for _ in range(40):
        few, many = np.zeros((1, len(FACTORS))), np.zeros((1, 64))
        for _ in range(5000):
            own = int(rng.random() < sick)
            for grown, ratios in ((few, null[:, None] * FACTORS), (many, alternatives(null, Side.WORSE))):
                grown += log_increments([own], [1 - own], [share], null=null, ratios=ratios)
            whole = float(log_mixture(many)[0])
            if whole >= LIMIT:
                lost.append(whole - float(np.log(np.exp(few + LOG_PRIOR).sum())))
                break
    assert len(lost) >= 20
    assert np.mean(lost) < 0.1
    assert max(lost) < 0.2


def test_pods_that_share_their_events_evenly_show_no_cluster() -> None:
    assert spread([(5.0, 2), (5.0, 2), (5.0, 2)]) == (0.0, 2)
    assert spread([(5.0, 6), (5.0, 0), (5.0, 0)]) == pytest.approx((12.0, 2))
    assert spread([(10.0, 4), (5.0, 2)]) == (0.0, 1)
    assert spread([(5.0, 6)]) == (0.0, 0)
    assert spread([(5.0, 0), (5.0, 0)]) == (0.0, 0)
    assert spread([(5.0, 3), (0.0, 1)]) == (0.0, 0)


def test_false_alarms_at_the_margin_stay_below_their_risk() -> None:
    """2000 rollouts of 240 strata exactly at the margin, weights that ramp: no more than 1 % fail."""
    rng = np.random.default_rng(8)
    runs, failed = 2000, np.zeros(2000, dtype=bool)
    comparisons = [RateComparison(1.25) for _ in range(runs)]
    for look in range(240):
        share = (0.05, 0.25, 0.5)[look // 80]
        own, other = rng.poisson(0.8 * share * 1.25, runs), rng.poisson(0.8 * (1 - share), runs)
        advance_rates(
            comparisons,
            [
                RateStratum(ArmEvents(int(a), share), ArmEvents(int(b), 1 - share), end=1000.0 + 15 * look)
                for a, b in zip(own, other, strict=True)
            ],
        )
        if look % 8 == 7:
            failed |= [one.findings().worse >= LIMIT for one in comparisons]
    assert failed.mean() <= 0.01
