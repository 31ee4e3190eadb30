from math import log

import pytest

from modelrollout.core.model import STANDARD_TIERS, Margin, Sli, Verdict
from modelrollout.core.observation import ArmCounts, Attribution, HardGuardFinding, NoDataCause, SliAssessment
from modelrollout.core.split import Split
from modelrollout.stats.guards import sum_counts
from modelrollout.stats.judge import Judge, Limits, Reading
from modelrollout.stats.sequential import Findings
from modelrollout.stats.ticks import NoTick, Tick, TickCounts, TickGrid, TickPair
from modelrollout.stats.windows import last_ticks, strata_of
from tests.unit.stats.fleet import ORIGIN, sli

GRID = TickGrid(ORIGIN, 5.0)
STALE, MISSING = NoTick(NoDataCause.STALE), NoTick(NoDataCause.MISSING)
UNSEEN = TickCounts(0, 0, sampled=False)
LEGACY = TickCounts(100, 1)


def judge(
    one: Sli, *, stratum: int = 1, late: bool = False, step: Margin | None = None, split_holds: bool = True
) -> Judge:
    """Of one of two critical SLIs; without a `step` the arms are not compared for a PASS."""
    limits = Limits(log(200), log(20))
    return Judge(
        one, STANDARD_TIERS, GRID, stratum=stratum, late=late, limits=limits, step=step, split_holds=split_holds
    )


def judged(
    *candidate: Tick,
    legacy: Tick = LEGACY,
    allowed: float = 0.01,
    late: bool = False,
    newest: float | None = None,
    carried: float = 0.0,
    since_start: int | None = None,
) -> SliAssessment:
    ticks = [TickPair(n + 1, tick, legacy) for n, tick in enumerate(candidate)]
    counts = sum_counts(candidate)
    reading = Reading(
        ticks,
        counts if since_start is None else ArmCounts(since_start, 0),
        sum_counts(pair.legacy for pair in ticks),
        newest,
        carried,
    )
    one = judge(sli(allowed=allowed), stratum=1, late=late)
    return one.assess(reading, ORIGIN + 5 * len(candidate) + 1)


def test_a_pass_takes_the_needed_events() -> None:
    assert judged(TickCounts(36, 0)).verdict is Verdict.WAIT
    found = judged(TickCounts(37, 0))
    assert (found.verdict, found.needed) == (Verdict.PASS, 37)
    assert (found.candidate, found.legacy) == (ArmCounts(37, 0), ArmCounts(100, 1))
    assert (found.name, found.critical, found.allowed) == ("errors", True, 0.01)


@pytest.mark.parametrize(
    ("slight", "holds", "verdict"),
    [(False, True, Verdict.INVALID), (True, True, Verdict.PASS), (False, False, Verdict.PASS)],
)
def test_only_a_split_that_is_far_off_makes_the_sli_invalid(slight: bool, holds: bool, verdict: Verdict) -> None:
    split = Split(2_000, 20_000, 0.05, slight=slight)
    found = Findings(0.0, 0.0, 9.0, 0.0, 0.0, 9, 0.01, 100.0, split=split)
    reading = Reading([TickPair(1, TickCounts(900, 9), LEGACY)], ArmCounts(900, 9), ArmCounts(900, 9), None, 0.0, found)
    one = judge(sli(allowed=0.05), step=Margin(1.25, 0.01), split_holds=holds).assess(reading, ORIGIN)
    assert (one.verdict, one.split) == (verdict, split)


@pytest.mark.parametrize(
    ("worse", "held", "blamed"),
    [(3.0, 2.0, Attribution.CANDIDATE), (2.0, 2.0, Attribution.AWAITING), (3.0, 0.5, Attribution.AWAITING)],
)
def test_a_tier_is_the_candidates_when_the_evidence_of_the_rollout_says_so(
    worse: float, held: float, blamed: Attribution
) -> None:
    """A large candidate beside a small legacy that is half as bad: the window alone can't tell."""
    found = Findings(worse, held, 0.0, own_bad=80, bad_strata=9, strata=9, usual=0.03, needed=100.0)
    ticks = [TickPair(n + 1, TickCounts(100, 8), TickCounts(10, int(n < 3))) for n in range(10)]
    reading = Reading(ticks, ArmCounts(1000, 80), ArmCounts(100, 3), None, 0.0, found)
    one = judge(sli(allowed=0.01), step=Margin(1.25, 0.01)).assess(reading, ORIGIN + 51)
    assert [found.attribution for found in one.tiers if found.tier.factor == 6] == [blamed]


def test_events_of_the_whole_step_count_for_a_pass() -> None:
    assert judged(TickCounts(1, 0), since_start=37).verdict is Verdict.PASS


def test_half_of_the_requests_bad_is_a_fail() -> None:
    found = judged(TickCounts(20, 10))
    assert found.verdict is Verdict.FAIL
    assert found.hard_guard == HardGuardFinding(10, 20)


OUT, WELL = TickCounts(50, 50), TickCounts(50, 0)
LEGACY_OUT, LEGACY_WELL = TickCounts(450, 450), TickCounts(450, 2)


def paired(*pairs: tuple[Tick, Tick], stratum: int = 1) -> SliAssessment:
    """Candidate and legacy tick by tick."""
    ticks = [TickPair(n + 1, *pair) for n, pair in enumerate(pairs)]
    reading = Reading(ticks, sum_counts(p.candidate for p in ticks), sum_counts(p.legacy for p in ticks), None)
    return judge(sli(allowed=0.01), stratum=stratum).assess(reading, ORIGIN)


@pytest.mark.parametrize("legacy", [LEGACY_WELL, TickCounts(0, 0), STALE, TickCounts(0, 0, sampled=False)])
def test_the_hard_guard_waits_for_nothing_while_legacy_is_well_or_unknown(legacy: Tick) -> None:
    found = paired(*[(WELL, LEGACY_WELL)] * 40, (OUT, legacy))
    assert found.verdict is Verdict.FAIL
    assert found.hard_guard == HardGuardFinding(50, 50, Attribution.CANDIDATE)


def test_an_outage_of_both_arms_is_not_the_candidates() -> None:
    calm = [(WELL, LEGACY_WELL)] * 60
    for n in range(1, 25):
        found = paired(*calm, *[(OUT, LEGACY_OUT)] * n)
        assert found.verdict is Verdict.WAIT, "it must neither revert nor pass"
        assert found.hard_guard == HardGuardFinding(50, 50, Attribution.SHARED)
        assert all(tier.attribution is Attribution.SHARED for tier in found.tiers)


def test_an_outage_of_both_arms_at_little_traffic_is_not_the_candidates() -> None:
    """Found on real data: a blizzard over two arms of one airline, some flights an hour each."""
    calm, out = (TickCounts(1, 0), TickCounts(1, 0)), (TickCounts(1, 1), TickCounts(1, 1))
    found = [paired(*[calm] * 200, *[out] * n).hard_guard for n in range(10, 40)]
    assert {guard.attribution for guard in found if guard} == {Attribution.SHARED}
    assert all(found)
    alone = (TickCounts(1, 1), TickCounts(1, 0))
    died = paired(*[calm] * 200, *[alone] * 10)
    assert died.hard_guard == HardGuardFinding(10, 20, Attribution.CANDIDATE)


def test_a_candidate_that_stays_down_after_a_shared_outage_is_reverted() -> None:
    outage = [(WELL, LEGACY_WELL)] * 60 + [(OUT, LEGACY_OUT)] * 6
    last_seen = paired(*outage, (OUT, LEGACY_WELL))
    assert last_seen.verdict is Verdict.WAIT, "legacy's last bad scrape may be of the same moment"
    assert paired(*outage, *[(OUT, LEGACY_WELL)] * 2).verdict is Verdict.FAIL


def test_legacy_may_have_been_scraped_before_the_candidate() -> None:
    """A scrape every 3 ticks: legacy's outage shows two ticks before the candidate's, in the stratum before."""
    unseen = TickCounts(0, 0, sampled=False)
    calm = [(WELL, unseen), (unseen, LEGACY_WELL), (unseen, unseen)] * 20
    edge = [(WELL, unseen), (unseen, LEGACY_OUT), (unseen, unseen), (OUT, unseen)]
    assert paired(*calm, *edge, stratum=3).verdict is Verdict.WAIT


def test_a_reverting_tier_blamed_on_the_candidate_is_a_fail() -> None:
    found = judged(TickCounts(100, 25))
    assert found.verdict is Verdict.FAIL
    assert found.hard_guard is None
    assert [(f.tier.name, f.attribution) for f in found.tiers] == [
        ("critical", Attribution.CANDIDATE),
        ("high", Attribution.CANDIDATE),
        # Too few requests of legacy to tell on a tier that looks for doubled errors.
        ("elevated", Attribution.UNAVAILABLE),
    ]


def test_without_a_legacy_to_compare_with_the_tier_alone_fails() -> None:
    found = judged(TickCounts(100, 25), legacy=TickCounts(0, 0))
    assert found.verdict is Verdict.FAIL
    assert found.tiers[0].attribution is Attribution.UNAVAILABLE


def test_a_shared_incident_is_not_blamed() -> None:
    found = judged(TickCounts(100, 25), legacy=TickCounts(1000, 250))
    assert found.verdict is Verdict.WAIT
    assert found.tiers[0].attribution is Attribution.SHARED


def test_the_pausing_tier_fails_nothing_but_keeps_from_passing() -> None:
    found = judged(TickCounts(1000, 40))
    assert [(f.tier.name, f.attribution) for f in found.tiers] == [("elevated", Attribution.UNAVAILABLE)]
    assert found.verdict is Verdict.WAIT


def names(found: SliAssessment) -> list[str]:
    return [finding.tier.name for finding in found.tiers]


def test_the_short_window_holds_the_last_minute() -> None:
    quiet = [TickCounts(10, 0)] * 12
    assert "critical" in names(judged(TickCounts(100, 60), *quiet[:11]))
    assert "critical" not in names(judged(TickCounts(100, 60), *quiet))


def test_the_long_window_holds_the_last_five_minutes() -> None:
    quiet = [TickCounts(0, 0)] * 59
    assert "critical" in names(judged(TickCounts(100, 30), *quiet[:58], TickCounts(3, 1)))
    assert "critical" not in names(judged(TickCounts(100, 30), *quiet, TickCounts(3, 1)))


def test_burn_is_that_of_the_shortest_window() -> None:
    assert judged(TickCounts(100, 50), *[TickCounts(10, 1)] * 12).burn == pytest.approx(10)
    assert judged(TickCounts(100, 50), *[TickCounts(0, 0)] * 12).burn is None


def test_the_age_of_the_newest_sample() -> None:
    assert judged(TickCounts(1, 0), newest=ORIGIN + 4).sample_age == 2
    assert judged(TickCounts(1, 0), newest=ORIGIN + 7).sample_age == 0
    assert judged(TickCounts(1, 0)).sample_age is None


def test_one_odd_tick_is_no_verdict_but_no_pass_either() -> None:
    assert judged(TickCounts(100, 0), MISSING).verdict is Verdict.WAIT
    assert judged(TickCounts(100, 0), MISSING, TickCounts(1, 0)).verdict is Verdict.PASS
    assert judged(TickCounts(100, 0), MISSING, UNSEEN, MISSING).verdict is Verdict.WAIT


def test_two_ticks_without_data_are_no_data() -> None:
    found = judged(TickCounts(100, 0), STALE, MISSING)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.MISSING)
    assert found.candidate == ArmCounts(100, 0)


def test_a_stale_total_is_no_data_at_once() -> None:
    found = judged(TickCounts(100, 0), STALE)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.STALE)


def test_a_fail_stands_when_the_data_end() -> None:
    found = judged(TickCounts(20, 20), STALE, STALE)
    assert (found.verdict, found.no_data) == (Verdict.FAIL, None)


def test_other_boundaries_are_invalid() -> None:
    odd = NoTick(NoDataCause.MISSING, 'no bucket le="0.3"')
    found = judged(odd, odd)
    assert (found.verdict, found.no_data, found.note) == (Verdict.INVALID, None, 'no bucket le="0.3"')
    assert judged(odd).verdict is Verdict.WAIT


def test_no_requests_in_two_scrapes_is_no_traffic() -> None:
    zero = TickCounts(0, 0)
    assert judged(zero).verdict is Verdict.WAIT
    found = judged(zero, zero)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.NO_TRAFFIC)
    assert judged(TickCounts(100, 0), zero, zero).no_data is NoDataCause.NO_TRAFFIC


def test_ticks_between_scrapes_are_no_silence() -> None:
    assert judged(TickCounts(100, 0), TickCounts(0, 0), UNSEEN, UNSEEN).verdict is Verdict.PASS
    assert judged(TickCounts(0, 0), UNSEEN, UNSEEN).verdict is Verdict.WAIT


def test_with_few_requests_a_longer_silence_is_normal() -> None:
    rare = [TickCounts(1, 0), TickCounts(0, 0)] * 20
    assert judged(*rare, *[TickCounts(0, 0)] * 3).verdict is Verdict.WAIT
    assert judged(*[TickCounts(1, 0)] * 20, *[TickCounts(0, 0)] * 4).verdict is Verdict.WAIT
    assert judged(*[TickCounts(1, 0)] * 20, *[TickCounts(0, 0)] * 5).no_data is NoDataCause.NO_TRAFFIC


def test_late_labels_are_waited_for() -> None:
    zero = TickCounts(0, 0)
    found = judged(zero, zero, late=True)
    assert (found.verdict, found.no_data, found.note) == (Verdict.WAIT, None, "no labels have arrived yet")
    assert judged(TickCounts(50, 0), zero, zero, late=True).note == "no new labels"
    assert judged(TickCounts(50, 0), zero, zero, late=True).verdict is Verdict.PASS
    assert judged(STALE, late=True).verdict is Verdict.NO_DATA


def test_bad_events_that_are_not_part_of_the_total_are_told() -> None:
    assert judged(TickCounts(5, 5), carried=3.0).note.startswith("3 bad events more than events in all")
    assert judged(TickCounts(5, 5), carried=0.5).note == ""


def test_nothing_read_yet_is_waiting() -> None:
    found = judged()
    assert (found.verdict, found.burn, found.note) == (Verdict.WAIT, None, "")


def test_last_ticks_go_by_the_grid_not_by_number() -> None:
    ticks = [TickPair(n, LEGACY, LEGACY) for n in (1, 2, 6, 7)]
    assert [pair.tick for pair in last_ticks(ticks, 3)] == [6, 7]
    assert last_ticks([], 3) == []


def test_strata_lie_on_the_grid() -> None:
    ticks = [TickPair(n, TickCounts(n, 0), STALE) for n in range(2, 8)]
    assert [candidate.total for candidate, _ in strata_of(ticks, 3)] == [2 + 3, 4 + 5 + 6, 7]
    assert all(legacy == ArmCounts(0, 0) for _, legacy in strata_of(ticks, 3))
