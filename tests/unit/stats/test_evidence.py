"""Reading: which ticks are due, what they add up to, what is told when answers fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import Verdict
from modelrollout.core.observation import (
    ArmCounts,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
)
from modelrollout.stats.evidence import EvidenceTracker
from tests.unit.stats.fleet import ORIGIN, again, sli, spec, step, tracker
from tests.unit.stats.tracked import only, run, seen, steady


def test_nothing_is_due_before_the_first_whole_tick_is_over_and_stored() -> None:
    tracked = tracker(since=ORIGIN + 2)
    assert tracked.span(ORIGIN + 10.9) is None
    span = tracked.span(ORIGIN + 11)
    assert span is not None
    assert (span.first, span.last, span.start, span.end, span.at) == (2, 2, ORIGIN + 5, ORIGIN + 10, ORIGIN + 11)


def test_reads_reach_back_for_bases_the_first_of_a_step_no_further_than_others() -> None:
    """Else a tick in which a step begins would take a question of its own."""
    tracked = tracker()
    first = tracked.span(ORIGIN + 6)
    assert first is not None
    # Tick and offset 6 s, slack 15 s, and a second because windows are open on the left.
    assert first.window == 6 + 15 + 1
    step(tracked, steady(), ORIGIN + 6)
    later = tracked.span(ORIGIN + 11)
    assert later is not None
    assert (later.first, later.last, later.window) == (2, 2, 6 + 15 + 1)


def test_a_first_read_that_comes_more_than_a_day_late_learns_the_ages_of_targets_too() -> None:
    tracked = tracker()
    late = tracked.span(ORIGIN + 100_001)
    assert late is not None
    assert late.first > 1
    assert late.window == 1800 + 1 + 15 + 30 + 1
    step(tracked, steady(since=13_500, until=15_500), late.at)
    later = tracked.span(ORIGIN + 100_001)
    assert later is not None
    assert later.window == 1800 + 1 + 15 + 1


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
