"""Trackers fed from a fleet, for tests of the evidence."""

from __future__ import annotations

from modelrollout.core.observation import (
    EvidenceSeen,
    SliAssessment,
)
from modelrollout.stats.evidence import EvidenceTracker
from tests.unit.stats.fleet import ORIGIN, Fleet, step


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
