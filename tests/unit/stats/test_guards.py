from math import comb

import pytest

from modelrollout.core.model import STANDARD_TIERS, BurnAction, BurnTier
from modelrollout.core.observation import ArmCounts, Attribution, HardGuardFinding, NoDataCause, TierFinding
from modelrollout.stats.guards import (
    attribute,
    attribute_outage,
    binomial_tail,
    burn_limit,
    burning,
    candidate_tail,
    events_for_pass,
    exceeds,
    find_tier,
    hard_guard,
    least_legacy,
    least_sample,
    sum_counts,
    without_edges,
)
from modelrollout.stats.ticks import NoTick, Tick, TickCounts

CRITICAL = STANDARD_TIERS[0]


@pytest.mark.parametrize(("factor", "most"), [(12, 52), (6, 104), (2, 310)])
def test_three_bad_events_of_so_many_are_certain_at_99_9(factor: float, most: int) -> None:
    assert exceeds(3, most, factor * 0.001) >= 0.99 > exceeds(3, most + 1, factor * 0.001)


@pytest.mark.parametrize(("factor", "most"), [(12, 5), (6, 9), (2, 28)])
def test_one_bad_event_of_so_few_would_be_certain_so_three_are_asked_for(factor: float, most: int) -> None:
    limit = factor * 0.001
    assert exceeds(1, most, limit) >= 0.99 > exceeds(1, most + 1, limit)
    assert not burning(1, most, 1, most, limit)
    assert not burning(2, most, 2, most, limit)
    assert burning(3, most, 3, most, limit)


def test_a_tier_needs_its_short_window_too() -> None:
    assert burning(30, 100, 2, 10, 0.12)
    assert not burning(30, 100, 1, 10, 0.12)
    assert not burning(30, 100, 0, 0, 0.12)


def test_the_posterior_is_that_of_jeffreys() -> None:
    # Beta(1/2, 1/2) is the arcsine law: P(p > 1/4) = 1 - (2/pi) asin(1/2) = 2/3.
    assert exceeds(0, 0, 0.25) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("allowed", "factor", "limit"),
    [(0.001, 12, 0.012), (0.01, 12, 0.12), (0.05, 12, 0.5), (0.1, 2, 0.2), (0.6, 2, 0.6)],
)
def test_a_factor_never_asks_for_more_than_half(allowed: float, factor: float, limit: float) -> None:
    assert burn_limit(allowed, factor) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("allowed", "sizes"),
    [
        (0.001, (209, 667, 3334, 11500)),
        (0.005, (42, 167, 734, 2400)),
        (0.01, (21, 84, 367, 1250)),
        (0.05, (None, 14, 67, 240)),
    ],
)
def test_least_samples_are_those_of_the_table(allowed: float, sizes: tuple[int | None, ...]) -> None:
    for factor, size in zip((14.4, 6, 3, 2), sizes, strict=True):
        assert size is None or least_sample(allowed, factor) == size


def test_tiers_take_the_next_column_of_the_table() -> None:
    assert [least_legacy(0.001, factor) for factor in (12, 6, 5, 2, 1.5)] == [209, 667, 667, 11500, 11500]
    assert least_legacy(0.001, 20) == least_sample(0.001, 20)


def test_a_capped_factor_below_the_allowed_share_has_a_plain_minimum() -> None:
    assert least_sample(0.6, 2) == 20


@pytest.mark.parametrize(("allowed", "needed"), [(0.001, 382), (0.01, 37), (0.02, 20), (0.1, 20)])
def test_a_pass_takes_as_many_events_as_would_show_one_bad(allowed: float, needed: int) -> None:
    assert events_for_pass(allowed, STANDARD_TIERS) == needed


def test_the_events_of_a_pass_follow_the_highest_reverting_tier() -> None:
    pause = BurnTier("p", 50, 60, 60, BurnAction.PAUSE)
    revert = BurnTier("r", 4, 60, 60, BurnAction.ROLLBACK)
    assert events_for_pass(0.001, (pause, revert)) == 1149
    assert events_for_pass(0.001, (pause,)) == 90
    assert events_for_pass(0.01, ()) == 459


@pytest.mark.parametrize(("k", "n", "p"), [(1, 5, 0.3), (3, 5, 0.3), (5, 5, 0.3), (2, 40, 0.01)])
def test_the_tail_is_the_sum_of_the_binomial(k: int, n: int, p: float) -> None:
    assert binomial_tail(k, n, p) == pytest.approx(sum(comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(k, n + 1)))


def test_the_ends_of_the_tail() -> None:
    assert (binomial_tail(0, 0, 0.5), binomial_tail(0, 9, 0.5), binomial_tail(10, 9, 0.5)) == (1.0, 1.0, 0.0)


def pair(n_c: int, e_c: int, n_l: int, e_l: int) -> tuple[ArmCounts, ArmCounts]:
    return ArmCounts(n_c, e_c), ArmCounts(n_l, e_l)


def test_the_candidates_share_of_bad_events_is_held_against_its_share_of_requests() -> None:
    assert candidate_tail([pair(100, 3, 900, 1)]) == pytest.approx(binomial_tail(3, 4, 0.1))


def test_each_stratum_has_its_own_share() -> None:
    strata = [pair(10, 0, 990, 40), pair(500, 2, 500, 2)]
    assert candidate_tail(strata) == pytest.approx(binomial_tail(2, 44, (40 * 0.01 + 4 * 0.5) / 44))


def test_strata_with_one_arm_only_say_nothing() -> None:
    assert candidate_tail([pair(10, 10, 0, 0), pair(0, 0, 10, 5), pair(10, 0, 10, 0)]) == 1.0
    assert candidate_tail([]) == 1.0


@pytest.mark.parametrize(
    ("strata", "result"),
    [
        ([pair(100, 50, 20, 0)], Attribution.UNAVAILABLE),
        ([pair(100, 50, 21, 0)], Attribution.CANDIDATE),
        ([pair(100, 20, 900, 180)] * 4, Attribution.SHARED),
        ([pair(100, 3, 900, 9)], Attribution.AWAITING),
        ([pair(1000, 30, 900, 27)] * 4, Attribution.SHARED),
    ],
)
def test_rows_of_attribution_in_order(strata: list[tuple[ArmCounts, ArmCounts]], result: Attribution) -> None:
    assert attribute(strata, 0.01, 21) is result


def test_evidence_of_the_whole_rollout_ends_the_wait_for_attribution_but_blames_nobody_for_a_shared_incident() -> None:
    assert attribute([pair(100, 3, 900, 9)], 0.01, 21) is Attribution.AWAITING
    assert attribute([pair(100, 3, 900, 9)], 0.01, 21, worse=True) is Attribution.CANDIDATE
    assert attribute([pair(100, 20, 900, 180)] * 4, 0.01, 21, worse=True) is Attribution.SHARED


def test_a_candidate_worse_than_a_bad_legacy_is_blamed() -> None:
    assert attribute([pair(200, 100, 900, 90)] * 3, 0.01, 21) is Attribution.CANDIDATE


def test_few_requests_of_legacy_are_enough_when_they_fail() -> None:
    assert attribute([pair(10, 10, 20, 20)] * 4, 0.01, 84) is Attribution.SHARED
    assert attribute([pair(10, 10, 20, 0)] * 4, 0.01, 84) is Attribution.UNAVAILABLE
    assert attribute([pair(10, 10, 4, 4)] * 4, 0.01, 84) is Attribution.UNAVAILABLE
    assert attribute([pair(10, 10, 20, 2), *[pair(10, 10, 20, 0)] * 3], 0.01, 84) is Attribution.UNAVAILABLE


def test_the_last_pods_of_legacy_that_drain_excuse_no_candidate() -> None:
    drained = [pair(2000, 1000, 20, 10)] * 4
    assert attribute(drained, 0.01, 84) is Attribution.UNAVAILABLE
    assert attribute_outage(drained, ArmCounts(20, 10), 0.01) is Attribution.CANDIDATE
    assert attribute_outage([pair(100, 100, 4, 4)] * 4, ArmCounts(4, 4), 0.01) is Attribution.CANDIDATE


def test_the_edge_of_an_incident_that_one_arm_was_scraped_at_first_blames_nobody() -> None:
    quiet, edge, both = pair(50, 0, 950, 1), pair(50, 45, 950, 300), pair(50, 50, 950, 950)
    assert candidate_tail([quiet, edge]) <= 0.002
    assert attribute([quiet] * 9 + [edge], 0.01, 21) is Attribution.SHARED
    assert attribute([quiet] * 8 + [edge, both, both], 0.01, 21) is Attribution.SHARED


def test_an_edge_is_two_strata_long() -> None:
    late = [pair(50, 50, 950, 100)] * 3
    assert without_edges([pair(50, 0, 950, 1), *late]) == [pair(50, 0, 950, 1), late[0]]
    assert without_edges(late[:2]) == []
    assert without_edges([pair(0, 0, 0, 0), *late]) == [pair(0, 0, 0, 0), late[0]]


def test_in_an_incident_of_both_it_takes_more_to_blame_the_candidate() -> None:
    usual, incident = pair(100, 10, 900, 30), pair(100, 33, 900, 180)
    for strata in ([usual], [incident]):
        assert 0.002 < candidate_tail(strata) <= 0.01
    edges = [pair(40, 40, 40, 0)] * 2
    assert attribute([usual], 0.05, 21) is Attribution.CANDIDATE
    assert without_edges([incident, *edges]) == [incident]
    assert attribute([incident, *edges], 0.05, 21) is Attribution.SHARED


def find(long: ArmCounts, short: ArmCounts) -> TierFinding | None:
    return find_tier(CRITICAL, long=long, short=short, allowed=0.01, blame=lambda: Attribution.SHARED)


def test_a_tier_is_published_with_its_numbers() -> None:
    found = find(ArmCounts(100, 30), ArmCounts(10, 5))
    assert found == TierFinding(CRITICAL, 30, 100, float(exceeds(30, 100, 0.12)), Attribution.SHARED)


def test_a_tier_that_is_not_true_is_nothing() -> None:
    assert find(ArmCounts(100, 12), ArmCounts(10, 5)) is None


def hard(*ticks: Tick, allowed: float = 0.01) -> HardGuardFinding | None:
    return hard_guard(ticks, allowed)


def test_half_of_the_last_twenty_requests() -> None:
    assert hard(TickCounts(1000, 0), TickCounts(10, 4), TickCounts(10, 6)) == HardGuardFinding(10, 20)
    assert hard(TickCounts(1000, 0), TickCounts(10, 3), TickCounts(10, 6)) is None


def test_only_as_many_ticks_as_it_takes() -> None:
    assert hard(TickCounts(100, 100), TickCounts(25, 12)) is None
    assert hard(TickCounts(100, 0), TickCounts(25, 13)) == HardGuardFinding(13, 25)


def test_too_few_requests_for_the_hard_guard() -> None:
    assert hard(TickCounts(19, 19)) is None
    assert hard() is None


def test_ticks_without_data_are_passed_over() -> None:
    gap = NoTick(NoDataCause.STALE)
    assert hard(TickCounts(12, 12), gap, TickCounts(0, 0), TickCounts(8, 8)) == HardGuardFinding(20, 20)


def test_an_sli_that_allows_much_needs_certainty() -> None:
    assert hard(TickCounts(20, 11), allowed=0.4) is None
    assert hard(TickCounts(20, 15), allowed=0.4) == HardGuardFinding(15, 20)


HEALTHY, DEAD = pair(50, 0, 950, 9), pair(50, 50, 950, 9)
BOTH = pair(50, 50, 950, 950)


@pytest.mark.parametrize(
    ("legacy", "result"),
    [
        (ArmCounts(950, 0), Attribution.CANDIDATE),
        (ArmCounts(950, 9), Attribution.CANDIDATE),
        (ArmCounts(0, 0), Attribution.CANDIDATE),
        (ArmCounts(2, 2), Attribution.CANDIDATE),
        (ArmCounts(950, 950), Attribution.SHARED),
        (ArmCounts(20, 10), Attribution.SHARED),
    ],
    ids=["clean", "within its objective", "silent", "hardly there", "dead", "few requests"],
)
def test_an_outage_is_the_candidates_unless_legacy_is_certainly_in_it(legacy: ArmCounts, result: Attribution) -> None:
    assert attribute_outage([HEALTHY] * 9 + [BOTH] * 3, legacy, 0.01) is result


def test_a_dead_candidate_is_blamed_two_strata_later_while_legacy_is_ill_too() -> None:
    ill, dead = pair(50, 5, 950, 95), pair(50, 50, 950, 95)
    found = [attribute_outage([ill] * (12 - n) + [dead] * n, dead[1], 0.01) for n in range(1, 5)]
    assert found == [Attribution.SHARED, Attribution.SHARED, Attribution.CANDIDATE, Attribution.CANDIDATE]


def test_sums_leave_out_ticks_without_data() -> None:
    assert sum_counts([TickCounts(3, 1), NoTick(NoDataCause.MISSING), TickCounts(4, 2)]) == ArmCounts(7, 3)
