"""Between a raise and its step's evidence: the hard guard looks on, nothing else does."""

from __future__ import annotations

from modelrollout.core.model import Verdict
from modelrollout.core.observation import ArmCounts, Attribution, EvidencePending, EvidenceSeen, HardGuardFinding
from modelrollout.stats.evidence import EvidenceTracker
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, Fleet, spec, tracker
from tests.unit.stats.tracked import only, run, seen

RAISED = 62.0
BEGIN = 75.0


def turning(
    at: float, *, candidate: tuple[float, float] = (2.0, 8.0), legacy: tuple[float, float] = (90.0, 0.0)
) -> Fleet:
    """Both arms are well until `at`; then each scrape brings so many good and bad requests."""
    fleet = Fleet()
    for arm, well, then, phase in (("legacy", (90.0, 0.0), legacy, 1.0), ("candidate", (10.0, 0.0), candidate, 3.0)):
        good, bad = 1000.0, 0.0
        for n in range(40):
            moment = phase + 5.0 * n
            add = well if moment <= at else then
            good, bad = good + add[0], bad + add[1]
            fleet.scrape(arm, arm[0] + "-1", ORIGIN + moment, {"200": good, "500": bad})
    return fleet


def raised_tracker(fleet: Fleet, *, raised: float | None = ORIGIN + RAISED) -> EvidenceTracker:
    """The next step's, from what the first one stored."""
    first = tracker()
    run(first, fleet, 6, 61)
    stored = first.assess(ORIGIN + 61)
    assert isinstance(stored, EvidenceSeen)
    return EvidenceTracker(
        spec(),
        {"errors": ERROR_PLAN},
        grid=ORIGIN,
        since=ORIGIN + BEGIN,
        scrape=5.0,
        ledgers=stored.ledgers,
        checkpoints=stored.checkpoints,
        index=1,
        raised=raised,
    )


def test_bug_a_candidate_that_died_at_the_raise_was_looked_at_when_the_step_had_settled() -> None:
    fleet = turning(62.0)
    tracked = raised_tracker(fleet)
    run(tracked, fleet, 71, 71)
    found = only(seen(tracked, 71))
    assert found.verdict is Verdict.FAIL
    assert found.hard_guard == HardGuardFinding(16, 20, Attribution.CANDIDATE)
    assert found.candidate == ArmCounts(0, 0), "they are no events of the step"


def test_one_that_is_well_has_nothing_said_of_it_until_the_step_has_settled() -> None:
    fleet = turning(1000.0)
    tracked = raised_tracker(fleet)
    run(tracked, fleet, 66, 76)
    assert tracked.assess(ORIGIN + 76) == EvidencePending()
    run(tracked, fleet, 81, 81)
    assert only(seen(tracked, 81)).verdict is Verdict.WAIT


def test_trouble_of_both_arms_blames_nobody_there_either() -> None:
    fleet = turning(62.0, legacy=(18.0, 72.0))
    tracked = raised_tracker(fleet)
    run(tracked, fleet, 71, 71)
    assert tracked.assess(ORIGIN + 71) == EvidencePending()


def test_a_candidate_without_requests_before_may_be_cold() -> None:
    fleet = turning(62.0)
    tracked = raised_tracker(fleet, raised=None)
    run(tracked, fleet, 71, 71)
    assert tracked.assess(ORIGIN + 71) == EvidencePending()


def test_what_was_bad_before_the_raise_is_of_the_step_before() -> None:
    """It had its verdict; a tick that the raise fell into had none."""
    fleet = Fleet()
    good = bad = 0.0
    for n in range(40):
        moment = 3.0 + 5.0 * n
        good, bad = (good, bad + 30) if 45 < moment <= 60 else (good + 10, bad)
        fleet.scrape("legacy", "l-1", ORIGIN + moment - 2, {"200": 90.0 * n})
        fleet.scrape("candidate", "c-1", ORIGIN + moment, {"200": 1000 + good, "500": bad})
    tracked = raised_tracker(fleet)
    run(tracked, fleet, 66, 71)
    assert tracked.assess(ORIGIN + 71) == EvidencePending()


def test_pods_that_the_raise_brought_may_be_cold() -> None:
    """A share of pods is raised by new pods, ready but without a warm cache."""
    fleet = turning(1000.0)
    for n in range(4):
        fleet.scrape("candidate", "c-2", ORIGIN + 64.0 + 5.0 * n, {"200": 0.0, "500": 40.0 * n})
    tracked = raised_tracker(fleet)
    run(tracked, fleet, 66, 76)
    assert tracked.assess(ORIGIN + 76) == EvidencePending()
