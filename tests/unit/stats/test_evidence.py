from dataclasses import replace

import numpy as np
import pytest

from modelrollout.core.model import ArmLabels, ErrorBudget, ProfileRef, Step, Verdict, Weight
from modelrollout.core.observation import (
    ArmCounts,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    LedgerState,
    NoDataCause,
    SliAssessment,
)
from modelrollout.stats import sequential
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker, is_late
from modelrollout.stats.guards import sum_counts
from modelrollout.stats.judge import Reading
from modelrollout.stats.sequential import Comparison
from modelrollout.stats.track import SliTrack
from tests.scene import own
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, Fleet, again, series, sli, spec, step, tracker


def steady(
    *,
    until: float = 400.0,
    scrape: float = 5.0,
    legacy: tuple[float, float] = (90.0, 1.0),
    candidate: tuple[float, float] = (10.0, 0.0),
    since: float = -60.0,
    phases: tuple[float, float] = (1.0, 3.0),
    pod: str = "c-1",
    fleet: Fleet | None = None,
) -> Fleet:
    """One pod an arm, scraped from `since` on; rates are good and bad requests a scrape."""
    fleet = fleet or Fleet()
    for arm, name, rates, phase in (("legacy", "l-1", legacy, phases[0]), ("candidate", pod, candidate, phases[1])):
        for n in range(int((until - since) / scrape)):
            at = ORIGIN + since + phase + n * scrape
            counters = {"200": 1000 + n * rates[0]}
            if rates[1]:
                counters["500"] = 50 + n * rates[1]
            fleet.scrape(arm, name, at, counters)
    return fleet


def seen(tracked: EvidenceTracker, now: float) -> EvidenceSeen:
    found = tracked.assess(ORIGIN + now)
    assert isinstance(found, EvidenceSeen)
    return found


def run(tracked: EvidenceTracker, fleet: Fleet, begin: float, end: float, every: float = 5.0) -> None:
    now = begin
    while now <= end:
        step(tracked, fleet, ORIGIN + now)
        now += every


def only(found: EvidenceSeen) -> SliAssessment:
    assert len(found.slis) == 1
    return found.slis[0]


def test_nothing_is_due_before_the_first_whole_tick_is_over_and_stored() -> None:
    tracked = tracker(since=ORIGIN + 2)
    assert tracked.span(ORIGIN + 10.9) is None
    span = tracked.span(ORIGIN + 11)
    assert span is not None
    assert (span.first, span.last, span.start, span.end, span.at) == (2, 2, ORIGIN + 5, ORIGIN + 10, ORIGIN + 11)


def test_a_first_read_reaches_back_for_bases_and_ages_and_a_later_one_for_bases() -> None:
    tracked = tracker()
    first = tracked.span(ORIGIN + 6)
    assert first is not None
    # Tick and offset 6 s, slack 15 s, warm-up 30 s, and a second because windows are open on the left.
    assert first.window == 6 + 15 + 30 + 1
    step(tracked, steady(), ORIGIN + 6)
    later = tracked.span(ORIGIN + 11)
    assert later is not None
    assert (later.first, later.last, later.window) == (2, 2, 6 + 15 + 1)


def test_no_evidence_before_the_first_read() -> None:
    tracked = tracker()
    assert tracked.assess(ORIGIN + 100) == EvidencePending()
    tracked.feed(tracked.span(ORIGIN + 6) or pytest.fail("due"), {})
    assert tracked.assess(ORIGIN + 100) == EvidencePending()


def test_counts_of_the_step_are_exact() -> None:
    tracked, fleet = tracker(), steady()
    run(tracked, fleet, 6, 61)
    found = seen(tracked, 61.5)
    assert (found.since, found.tick) == (ORIGIN, ORIGIN + 60)
    assert only(found).candidate == ArmCounts(12 * 10, 0)
    assert only(found).legacy == ArmCounts(12 * 91, 12)
    assert only(found).verdict is Verdict.PASS
    assert only(found).sample_age == pytest.approx(3.5)


def test_a_span_read_twice_changes_nothing() -> None:
    tracked, fleet = tracker(), steady()
    span = step(tracked, fleet, ORIGIN + 6)
    before = tracked.assess(ORIGIN + 6)
    assert span is not None
    tracked.feed(span, {"errors": fleet.read(span.at, span.window)})
    assert tracked.assess(ORIGIN + 6) == before


def test_a_restart_begins_counts_anew_and_keeps_the_ledger() -> None:
    tracked, fleet = tracker(), steady(candidate=(10, 3), legacy=(70, 21))
    run(tracked, fleet, 6, 61)
    ledger = tracked.ledgers[0]
    tracked = again(tracked, since=ORIGIN + 62)
    assert tracked.assess(ORIGIN + 62) == EvidencePending()
    run(tracked, fleet, 66, 76)
    found = seen(tracked, 76)
    assert found.since == ORIGIN + 62
    assert only(found).candidate == ArmCounts(2 * 13, 6)
    assert found.ledgers[0].candidate_total == ledger.candidate_total + 3 * 13
    assert found.ledgers[0].tick == ORIGIN + 75


def test_a_dead_candidate_fails_within_two_ticks() -> None:
    tracked, fleet = tracker(), steady(candidate=(0, 50))
    run(tracked, fleet, 6, 6)
    assert only(seen(tracked, 6)).verdict is Verdict.FAIL


def test_answers_that_failed_are_asked_for_again() -> None:
    tracked, fleet = tracker(), steady()
    run(tracked, fleet, 6, 11)
    for now in (16.0, 21.0):
        span = tracked.span(ORIGIN + now)
        assert span is not None
        tracked.feed(span, {"errors": f"Timeout {now:g}"})
    assert tracked.assess(ORIGIN + 22) == EvidenceUnreachable("Timeout 21", ORIGIN + 16)
    span = step(tracked, fleet, ORIGIN + 26)
    assert span is not None
    assert (span.first, span.last) == (3, 5)
    assert only(seen(tracked, 26)).candidate == ArmCounts(50, 0)


def test_ticks_of_long_ago_are_read_half_an_hour_at_a_time() -> None:
    tracked, fleet = tracker(), steady(until=5000)
    span = step(tracked, fleet, ORIGIN + 5001)
    assert span is not None
    assert (span.first, span.last, span.behind) == (1, 360, True)
    assert tracked.assess(ORIGIN + 5001) == EvidencePending()
    span = step(tracked, fleet, ORIGIN + 5001)
    assert span is not None
    assert (span.first, span.last) == (361, 720)
    span = step(tracked, fleet, ORIGIN + 5001)
    assert span is not None
    assert (span.last, span.behind) == (1000, False)
    assert only(seen(tracked, 5001)).candidate == ArmCounts(10_000, 0)


def test_a_fail_of_long_ago_is_told_before_all_is_read() -> None:
    tracked, fleet = tracker(), steady(until=5000, candidate=(0, 50))
    step(tracked, fleet, ORIGIN + 5001)
    assert only(seen(tracked, 5001)).verdict is Verdict.FAIL


def test_ticks_older_than_a_day_are_given_up() -> None:
    span = tracker().span(ORIGIN + 100_001)
    assert span is not None
    assert span.first == 20_000 - 86_400 // 5 + 1


def test_a_gap_that_is_given_up_does_not_stretch_windows() -> None:
    tracked, fleet = tracker(), steady(until=20, candidate=(0, 50))
    run(tracked, fleet, 6, 16)
    steady(fleet=fleet, since=90_000, until=91_000)
    now = ORIGIN + 90_996
    while tracked.span(now) is not None:
        step(tracked, fleet, now)
    found = only(seen(tracked, 90_996))
    assert found.hard_guard is None
    assert found.tiers == ()


def test_a_failure_of_one_sli_makes_evidence_unreachable_unless_another_fails() -> None:
    rollout = spec(sli("errors"), sli("latency"))
    good, dead = steady(), steady(candidate=(0, 50))
    tracked = tracker(rollout)
    span = tracked.span(ORIGIN + 6)
    assert span is not None
    tracked.feed(span, {"errors": good.read(span.at, span.window), "latency": "HTTP 503"})
    assert tracked.assess(ORIGIN + 6) == EvidenceUnreachable("HTTP 503", ORIGIN + 6)
    tracked = tracker(rollout)
    tracked.feed(span, {"errors": dead.read(span.at, span.window), "latency": "HTTP 503"})
    found = seen(tracked, 6)
    assert [one.verdict for one in found.slis] == [Verdict.FAIL, Verdict.WAIT]
    assert found.slis[1].note == "no answer from Prometheus: HTTP 503"
    tracked.feed(span, {"latency": good.read(span.at, span.window)})
    assert [one.verdict for one in seen(tracked, 6).slis] == [Verdict.FAIL, Verdict.WAIT]
    assert seen(tracked, 6).slis[1].note == ""


def test_one_sli_without_an_answer_is_pending() -> None:
    tracked = tracker(spec(sli("errors"), sli("latency")))
    step(tracked, steady(), ORIGIN + 6)
    assert tracked.assess(ORIGIN + 6) == EvidencePending()


def test_a_rollout_without_slis_has_no_tick() -> None:
    bare = replace(spec(), slis=())
    tracked = EvidenceTracker(bare, {}, grid=ORIGIN, since=ORIGIN, scrape=5.0, ledgers=())
    assert tracked.span(ORIGIN + 100) is None
    assert tracked.assess(ORIGIN + 100) == EvidenceSeen(ORIGIN, ORIGIN, ())


def test_a_young_pod_is_judged_after_warmup() -> None:
    tracked, fleet = tracker(), steady()
    for n in range(20):
        fleet.scrape("candidate", "c-2", ORIGIN + 23 + 5 * n, {"500": 50 * n})
    run(tracked, fleet, 6, 51)
    assert own(only(seen(tracked, 51))).bad == 0
    run(tracked, fleet, 56, 61)
    # First scraped at 23 s: the first tick that begins 30 s later is (55, 60].
    assert own(only(seen(tracked, 61))).bad == 50


def test_vanished_candidate_is_stale_and_keeps_its_counts() -> None:
    tracked, fleet = tracker(), steady(until=30)
    run(tracked, fleet, 6, 41)
    assert only(seen(tracked, 41)).verdict is Verdict.PASS
    run(tracked, fleet, 46, 51)
    found = only(seen(tracked, 51))
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.STALE)
    assert found.candidate == ArmCounts(60, 0)


def test_no_candidate_series_is_missing_after_two_ticks() -> None:
    tracked, fleet = tracker(), steady()
    fleet.arms["candidate"].clear()
    run(tracked, fleet, 6, 6)
    assert only(seen(tracked, 6)).verdict is Verdict.WAIT
    run(tracked, fleet, 11, 11)
    assert only(seen(tracked, 11)).no_data is NoDataCause.MISSING


def test_only_odd_values_are_rejected() -> None:
    tracked, fleet = tracker(), steady()
    for labels in fleet.arms["candidate"]:
        fleet.arms["candidate"][labels] = []
        fleet.rejected[labels] = tuple(ORIGIN + t for t in (-4.0, 1.0, 6.0))
    run(tracked, fleet, 6, 11)
    assert only(seen(tracked, 11)).no_data is NoDataCause.REJECTED


def test_an_idle_candidate_has_no_traffic() -> None:
    tracked, fleet = tracker(), steady(candidate=(0, 0))
    run(tracked, fleet, 6, 11)
    assert only(seen(tracked, 11)).no_data is NoDataCause.NO_TRAFFIC


def test_an_idle_arm_that_is_a_label_has_no_traffic_either() -> None:
    one = replace(sli(), arms=ArmLabels("destination", "l", "c"))
    tracked, fleet = tracker(spec(one)), steady()
    fleet.arms["candidate"].clear()
    run(tracked, fleet, 6, 11)
    assert only(seen(tracked, 11)).no_data is NoDataCause.NO_TRAFFIC


def test_an_unscraped_arm_that_is_a_label_of_targets_is_no_idle_one() -> None:
    one = replace(sli(), arms=ArmLabels("role", "legacy", "candidate"))
    tracked, fleet = tracker(spec(one)), steady()
    fleet.arms["candidate"].clear()
    for n in range(-12, 20):
        fleet.scrape("legacy", "l-1", ORIGIN + 5 * n, {"": 1.0}, name="up")
    run(tracked, fleet, 6, 11)
    assert only(seen(tracked, 11)).no_data is NoDataCause.MISSING


def test_late_slis_are_told_by_their_profile_or_name() -> None:
    assert is_late(sli("accuracy"))
    assert is_late(replace(sli("quality"), source=ProfileRef("generic", "accuracy")))
    assert not is_late(replace(sli("quality"), source=ProfileRef("generic", "errors")))
    assert not is_late(sli("errors"))


def test_without_tiers_a_pass_takes_what_shows_the_objective() -> None:
    tracked, fleet = tracker(spec(budget=ErrorBudget(tiers=()))), steady()
    run(tracked, fleet, 6, 6)
    assert only(seen(tracked, 6)).needed == 459


def test_the_rate_of_cost_is_that_of_the_last_minute() -> None:
    tracked, fleet = tracker(), steady(candidate=(8, 2), legacy=(90, 10))
    run(tracked, fleet, 6, 121)
    assert seen(tracked, 121).ledgers[0].rate == pytest.approx((2 - 10 * 0.1) / 5)


def test_the_ledger_is_booked_once_from_where_it_stood() -> None:
    stored = LedgerState("errors", 100.0, spent=7.0, peak=9.0, candidate_bad=10, candidate_total=20, tick=ORIGIN + 30)
    tracked = EvidenceTracker(spec(), {"errors": ERROR_PLAN}, grid=ORIGIN, since=ORIGIN, scrape=5.0, ledgers=[stored])
    run(tracked, steady(candidate=(8, 2), legacy=(90, 10)), 6, 61)
    ledger = tracked.ledgers[0]
    assert ledger.spent == pytest.approx(7 + 6 * 1.0)
    assert (ledger.candidate_bad, ledger.candidate_total, ledger.tick) == (10 + 12, 20 + 60, ORIGIN + 60)
    assert ledger.allowed == 100.0


def test_ticks_between_the_ledger_and_the_step_are_booked_but_no_evidence() -> None:
    stored = LedgerState("errors", 100.0, tick=ORIGIN + 20)
    tracked = EvidenceTracker(
        spec(), {"errors": ERROR_PLAN}, grid=ORIGIN, since=ORIGIN + 40, scrape=5.0, ledgers=[stored]
    )
    run(tracked, steady(candidate=(8, 2), legacy=(90, 10)), 51, 51)
    assert only(seen(tracked, 51)).candidate == ArmCounts(20, 4)
    assert tracked.ledgers[0].candidate_total == 60


def test_while_the_step_has_not_begun_there_is_a_ledger_without_a_rate() -> None:
    stored = LedgerState("errors", 100.0, tick=ORIGIN + 20, rate=3.0)
    tracked = EvidenceTracker(
        spec(), {"errors": ERROR_PLAN}, grid=ORIGIN, since=ORIGIN + 40, scrape=5.0, ledgers=[stored]
    )
    run(tracked, steady(), 31, 31)
    assert tracked.assess(ORIGIN + 31) == EvidencePending()
    assert (tracked.ledgers[0].candidate_total, tracked.ledgers[0].rate) == (20, None)


@pytest.mark.parametrize("arm", ["legacy", "candidate"])
def test_ticks_without_data_cost_nothing(arm: str) -> None:
    tracked, fleet = tracker(), steady(candidate=(8, 2))
    fleet.arms[arm].clear()
    run(tracked, fleet, 6, 21)
    ledger = tracked.ledgers[0]
    assert (ledger.spent, ledger.candidate_total, ledger.tick) == (0, 0, ORIGIN + 20)


def test_strata_are_as_long_as_a_scrape() -> None:
    """Scrapes every 15 s at different moments: ticks of 5 s never hold samples of both arms, strata of 15 s do."""
    tracked = tracker(scrape=15.0)
    fleet = steady(scrape=15.0, candidate=(24, 6), legacy=(270, 30), phases=(1.0, 8.0))
    run(tracked, fleet, 6, 106)
    ledger = tracked.ledgers[0]
    assert ledger.tick == ORIGIN + 105
    assert ledger.spent == pytest.approx(7 * (6 - 30 * 0.1))
    assert only(seen(tracked, 106)).legacy == ArmCounts(7 * 300, 7 * 30)


def test_pods_scraped_in_other_ticks_of_a_stratum_tell_how_errors_cluster() -> None:
    tracked, fleet = tracker(scrape=15.0), Fleet()
    for name, phase, bad in (("l-1", 1.0, 20), ("l-2", 6.0, 0), ("l-3", 11.0, 0)):
        for n in range(30):
            at = ORIGIN - 90 + phase + 15 * n
            fleet.scrape("legacy", name, at, {"200": (100 - bad) * n, "500": bad * n})
            fleet.scrape("candidate", "c-" + name, at, {"200": 10 * n, "500": 0})
    run(tracked, fleet, 6, 306)
    seen(tracked, 306)
    values = tracked._tracks[0].comparison.values
    assert values[sequential._PODS] == 3 * values[sequential._STRATA]
    assert values[sequential._POD_EVENTS] / values[sequential._PODS] == 100
    assert values[sequential._CHI] > 5 * values[sequential._DEGREES] > 50


def test_a_shared_incident_costs_nothing_though_arms_are_scraped_at_different_ticks() -> None:
    tracked, fleet = tracker(scrape=15.0), Fleet()
    for arm, name, size, phase in (("legacy", "l-1", 300, 1.0), ("candidate", "c-1", 30, 8.0)):
        for n in range(12):
            bad = size * max(0, min(n, 8) - 6) / 2
            fleet.scrape(arm, name, ORIGIN - 60 + phase + 15 * n, {"200": size * n - bad, "500": bad})
    run(tracked, fleet, 6, 106)
    assert only(seen(tracked, 106)).candidate == ArmCounts(7 * 30, 30)
    assert tracked.ledgers[0].spent == 0


def test_a_new_step_inherits_no_rest_of_the_one_before() -> None:
    tracked, fleet = tracker(), Fleet()
    for n in range(4):
        fleet.scrape("candidate", "c-1", ORIGIN - 2 + 5 * n, {"500": 2.5 * n})
    run(tracked, fleet, 6, 6)
    tracked = again(tracked, since=ORIGIN + 5)
    run(tracked, fleet, 11, 11)
    assert only(seen(tracked, 11)).candidate == ArmCounts(2, 2)


def test_an_abandoned_gap_leaves_no_half_stratum_behind() -> None:
    tracked = tracker(scrape=15.0)
    fleet = steady(scrape=15.0, until=60, candidate=(24, 6), legacy=(270, 30))
    run(tracked, fleet, 6, 21)
    booked = tracked.ledgers[0].candidate_total
    steady(fleet=fleet, scrape=15.0, since=90_000, until=90_040)
    while tracked.span(ORIGIN + 90_001) is not None:
        step(tracked, fleet, ORIGIN + 90_001)
    assert tracked.ledgers[0].candidate_total == booked


def wild(seed: int, until: float) -> Fleet:
    """Pods that come, go, restart and fail at random; scrapes jitter and get lost."""
    rng = np.random.default_rng(seed)
    fleet = Fleet()
    for arm, pods in (("legacy", 3), ("candidate", 3)):
        for pod in range(pods):
            born = -60.0 if pod == 0 else float(rng.uniform(-60, until))
            died = until if pod == 0 else float(rng.uniform(born, until + 60))
            good, bad, at = 0, 0, born
            while at < died:
                if rng.random() < 0.02:
                    good = bad = 0
                good, bad = good + int(rng.poisson(20)), bad + int(rng.poisson(0.3))
                counters = {"200": good} | ({"500": bad} if bad else {})
                if rng.random() > 0.05:
                    fleet.scrape(arm, f"{arm}-{pod}", round(ORIGIN + at, 3), counters)
                at += 5.0 + float(rng.uniform(-0.2, 0.2))
    return fleet


TWO_STEPS = (Step(Weight(2500), 30.0, 600.0), Step(Weight(10_000), 30.0, 600.0))


@pytest.mark.parametrize("seed", range(6))
def test_a_tracker_started_in_mid_step_equals_one_that_never_stopped(seed: int) -> None:
    """Acceptance 14, error-budget target 6: evidence, odds and ledger are the same, bit for bit.

    Evidence is stored when the step begins, the ledger at some later tick too.
    """
    rollout = replace(spec(), steps=TWO_STEPS)
    fleet = wild(seed, 320.0)
    first = tracker(rollout)
    run(first, fleet, 6, 101)
    stored = seen(first, 101)
    steadfast = tracker(rollout, since=ORIGIN + 113, stored=stored)
    run(steadfast, fleet, 106, 201)
    later = replace(stored, ledgers=steadfast.ledgers)
    run(steadfast, fleet, 206, 301)
    for known in (stored, later):
        fresh = tracker(rollout, since=ORIGIN + 113, stored=known)
        run(fresh, fleet, 301, 301)
        assert fresh.assess(ORIGIN + 301) == steadfast.assess(ORIGIN + 301)
    found = seen(steadfast, 301)
    assert own(found.slis[0]).total > 200
    assert found.ledgers[0].candidate_bad > 0
    assert found.slis[0].odds is not None
    assert found.slis[0].odds.worse != 0.0
    assert found.checkpoints[0].tick == ORIGIN + 300


def test_evidence_of_harm_outlives_its_step_and_of_health_does_not() -> None:
    rollout = replace(spec(), steps=(*TWO_STEPS[:1], Step(Weight(5000), 30.0, 600.0), *TWO_STEPS[1:]))
    tracked, fleet = tracker(rollout), steady(candidate=(9, 1), legacy=(89, 2))
    run(tracked, fleet, 6, 61)
    before = only(seen(tracked, 61)).odds
    tracked = tracker(rollout, since=ORIGIN + 80, stored=seen(tracked, 61), index=1)
    run(tracked, fleet, 66, 86)
    after = only(seen(tracked, 86)).odds
    assert before is not None
    assert after is not None
    assert before.worse > 1
    assert after.worse > before.worse - 1
    assert abs(after.fine) < abs(before.fine)
    assert (before.margin.difference, after.margin.difference) == (0.001, 0.0005)


def test_a_checkpoint_of_another_layout_begins_anew() -> None:
    tracked, fleet = tracker(), steady(candidate=(5, 5))
    run(tracked, fleet, 6, 61)
    found = seen(tracked, 61)
    other = replace(found.checkpoints[0], values=(2.0, *found.checkpoints[0].values[1:]))
    for checkpoints in ((other,), (replace(other, values=(1.0, 2.0)),), ()):
        fresh = tracker(since=ORIGIN + 62, stored=replace(found, checkpoints=checkpoints))
        assert fresh._tracks[0].comparison.carried() == Comparison(sli().margin).carried()


def reading_of(tracked: EvidenceTracker) -> Reading:
    track = tracked._tracks[0]
    assert isinstance(track, SliTrack)
    return track.reading()


def test_memory_does_not_grow_with_time() -> None:
    tracked = tracker(spec(budget=ErrorBudget(tiers=())))
    fleet = steady(until=700)
    run(tracked, fleet, 6, 601)
    found = only(seen(tracked, 601))
    assert found.candidate == ArmCounts(1200, 0)
    assert len(reading_of(tracked).ticks) == 300 // 5


def test_series_of_up_are_welcome() -> None:
    tracked = tracker()
    span = tracked.span(ORIGIN + 11)
    assert span is not None
    times = [ORIGIN - 2 + 5 * n for n in range(3)]
    up = series([(t, 1.0) for t in times], name="up", pod="c-1")
    late = series([(ORIGIN + 8, 3.0)], pod="c-1", code="200")
    tracked.feed(span, {"errors": ArmSeries(legacy=(), candidate=(up, late))})
    assert only(seen(tracked, 11)).candidate == ArmCounts(3, 0)


def test_sums_that_are_carried_along_are_those_of_the_ticks_of_the_step() -> None:
    fleet = steady(until=1000.0, candidate=(10.0, 1.0))
    tracked = tracker(spec(budget=ErrorBudget(tiers=())))
    for until, held in ((100, 20), (500, 60), (900, 60)):  # memory is 300 s without tiers
        run(tracked, fleet, 6.0, until + 1)
        reading = reading_of(tracked)
        ticks = [pair.candidate for pair in reading.ticks]
        assert len(ticks) == held
        assert reading.sums is not None
        assert [reading.sums.newest(n) for n in range(held + 1)] == [
            sum_counts(ticks[held - n :]) for n in range(held + 1)
        ]
        assert reading.sums.newest(held).total > reading.sums.newest(held).bad > held / 2
