"""Evidence across steps and restarts of the operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelrollout.core.model import ErrorBudget, Step, Weight
from modelrollout.core.observation import (
    ArmCounts,
)
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker
from modelrollout.stats.guards import sum_counts
from modelrollout.stats.judge import Reading
from modelrollout.stats.sequential import Comparison
from modelrollout.stats.track import SliTrack
from tests.scene import own
from tests.unit.stats.fleet import ORIGIN, Fleet, series, sli, spec, tracker
from tests.unit.stats.tracked import only, run, seen, steady


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
def test_older_samples_than_asked_for_change_nothing(seed: int) -> None:
    rollout = replace(spec(), steps=TWO_STEPS)
    fleet = wild(seed, 320.0)
    exact, more = tracker(rollout, since=ORIGIN + 100), tracker(rollout, since=ORIGIN + 100)
    for now in range(106, 300, 5):
        span = exact.span(ORIGIN + now)
        assert span is not None
        assert span == more.span(ORIGIN + now)
        exact.feed(span, {"errors": fleet.read(span.at, span.window)})
        more.feed(span, {"errors": fleet.read(span.at, span.window + 300.0)})
        assert exact.assess(ORIGIN + now) == more.assess(ORIGIN + now)
    judged = only(seen(exact, 300)).candidate
    assert judged is not None
    assert judged.total > 0


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
