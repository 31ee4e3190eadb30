"""Pods that are young, gone, idle or odd, and arms that are a label."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import ArmLabels, ErrorBudget, ProfileRef, Verdict
from modelrollout.core.observation import (
    ArmCounts,
    NoDataCause,
)
from modelrollout.stats.evidence import is_late
from tests.scene import own
from tests.unit.stats.fleet import ORIGIN, sli, spec, tracker
from tests.unit.stats.tracked import only, run, seen, steady


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
    tracked, fleet = tracker(), steady()
    for labels, samples in fleet.arms["candidate"].items():
        fleet.arms["candidate"][labels] = [sample for sample in samples if sample[0] < ORIGIN + 30]
    run(tracked, fleet, 6, 41)
    assert only(seen(tracked, 41)).verdict is Verdict.PASS
    run(tracked, fleet, 46, 51)
    found = only(seen(tracked, 51))
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.STALE)
    assert found.candidate == ArmCounts(60, 0)


def test_bug_an_outage_of_all_scrapes_was_blamed_on_the_candidate() -> None:
    tracked, fleet = tracker(), steady(until=30)
    run(tracked, fleet, 6, 51)
    found = only(seen(tracked, 51))
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.BOTH_ARMS)
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
