"""What the ledger is charged with, and strata as long as a scrape."""

from __future__ import annotations

import pytest

from modelrollout.core.observation import (
    ArmCounts,
    EvidencePending,
    LedgerState,
)
from modelrollout.stats import sequential
from modelrollout.stats.evidence import EvidenceTracker
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, Fleet, again, spec, step, tracker
from tests.unit.stats.tracked import only, run, seen, steady


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
