from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from modelrollout.core.model import STANDARD_TIERS, ErrorBudget, Labels, Margin, Verdict
from modelrollout.core.observation import ArmCounts, EvidenceSeen, SliAssessment
from modelrollout.stats.cohorts import MOST_BUNCHES, NO_COHORT, Cohorts, Coverage, Covered, bunches, cohort_of
from modelrollout.stats.evidence import EvidenceTracker
from modelrollout.stats.sequential import Comparison, Stratum, advance
from tests.scene import own
from tests.unit.stats.fleet import ORIGIN, tracker
from tests.unit.stats.labelled import PLAN, Arm, World, accuracy, identical, ramp, tracked

MOMENTS = range(30, 1201, 30)
LAST = 591.0
"""The newest scrape that is read at 600."""


def seen(one: EvidenceTracker, now: float) -> SliAssessment:
    found = one.assess(ORIGIN + now)
    assert isinstance(found, EvidenceSeen)
    return found.slis[0]


def looks(world: World, one: EvidenceTracker, moments: range = MOMENTS) -> list[SliAssessment]:
    """What it says at these moments, seconds after ORIGIN."""
    found = []
    for now in moments:
        world.feed(one, now)
        found.append(seen(one, now))
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_delay_that_depends_on_the_outcome_fails_no_identical_model(seed: int) -> None:
    legacy, candidate = identical(seed, until=1210)
    naive = looks(World.of(legacy, candidate, cohorts=False), tracked(accuracy(None)))
    assert Verdict.FAIL in {one.verdict for one in naive}
    fair = looks(World.of(legacy, candidate), tracked())
    assert {one.verdict for one in fair} == {Verdict.WAIT, Verdict.PASS}
    assert fair[-1].verdict is Verdict.PASS


def test_burn_tiers_blame_nobody_for_wrong_labels_that_come_first() -> None:
    world = World.of(*identical(3, until=610))
    strict = replace(accuracy(), allowed=0.01)
    rollout = replace(ramp(strict), budget=ErrorBudget(tiers=STANDARD_TIERS))
    found = looks(world, tracker(rollout, plan=PLAN), range(30, 601, 30))
    assert any(one.tiers for one in found)
    assert Verdict.FAIL not in {one.verdict for one in found}


def test_a_worse_candidate_fails_whatever_its_coverage() -> None:
    rng = np.random.default_rng(4)
    legacy = Arm(45.0, -600.0, 610.0, rng, labelled=0.3)
    candidate = Arm(5.0, 0.0, 610.0, rng, bad=0.4, labelled=0.3)
    found = looks(World.of(legacy, candidate), tracked(), range(30, 601, 30))
    assert found[-1].verdict is Verdict.FAIL
    assert found[-1].note == ""


def test_too_few_labels_wait_with_numbers() -> None:
    found = looks(World.of(*identical(5, until=1210, labelled=0.5)), tracked())
    assert {one.verdict for one in found} == {Verdict.WAIT}
    assert found[-1].odds is not None
    assert found[-1].odds.fine >= found[-1].odds.fine_limit
    assert found[-1].note.startswith("labels of 4")
    assert found[-1].note.endswith(" predictions, 80 % needed")


def test_less_is_enough_where_less_is_asked() -> None:
    less = accuracy(Labels(min_coverage=0.3, max_delay=900.0))
    assert looks(World.of(*identical(5, until=1210, labelled=0.5)), tracked(less))[-1].verdict is Verdict.PASS


def test_arms_with_labels_of_another_share_are_not_compared_for_a_pass() -> None:
    rng = np.random.default_rng(6)
    quick = (5.0, 20.0)
    legacy = Arm(45.0, -600.0, 610.0, rng, labelled=0.85, delays=quick)
    candidate = Arm(5.0, 0.0, 610.0, rng, delays=quick)
    found = looks(World.of(legacy, candidate), tracked(), range(30, 601, 30))
    assert {one.verdict for one in found[-5:]} == {Verdict.WAIT}
    assert found[-1].note.startswith("labels cover 100 % of the candidate's predictions and 8")
    assert found[-1].note.endswith(" % of legacy's: not comparable")


def test_coverage_nobody_counts_is_no_coverage() -> None:
    found = looks(World.of(*identical(7, until=1210), total=False), tracked())
    assert {one.verdict for one in found} == {Verdict.WAIT}
    assert found[-1].note == (
        "no candidate predictions with a cohort of this step are counted: coverage of the labels is unknown"
    )


def test_only_predictions_of_the_step_count() -> None:
    legacy, candidate = identical(8, until=610)
    candidate.since, step = 0.0, 240.0
    world = World.of(legacy, candidate)
    one = tracked(since=step)
    found = looks(world, one, range(270, 601, 30))[-1]
    of_step = (candidate.predicted >= step) & (candidate.known <= LAST)
    assert found.candidate == ArmCounts(int(of_step.sum()), int((of_step & candidate.wrong).sum()))
    of_step, bad = (legacy.predicted >= step) & (legacy.known <= LAST), legacy.wrong
    assert found.legacy == ArmCounts(int(of_step.sum()), int((of_step & bad).sum()))


def test_labels_that_come_after_the_longest_delay_are_not_counted() -> None:
    short = accuracy(Labels(min_coverage=0.8, max_delay=120.0))
    legacy, candidate = identical(9, until=610)
    found = looks(World.of(legacy, candidate), tracked(short), range(30, 601, 30))[-1]
    closes = np.floor(candidate.predicted / 60) * 60 + 120
    # The last scrape before the close.
    in_time = candidate.known <= np.minimum(closes - 4.0, LAST)
    assert own(found).total == int(in_time.sum())
    assert found.verdict is Verdict.WAIT


def test_a_tracker_started_anew_equals_one_that_never_stopped() -> None:
    world = World.of(*identical(10, until=910))
    steadfast, late = tracked(), tracked()
    for now in range(6, 900, 5):
        world.feed(steadfast, now)
        steadfast.assess(ORIGIN + now)
    world.feed(late, 896)
    assert late.assess(ORIGIN + 900) == steadfast.assess(ORIGIN + 900)


def test_labels_without_a_cohort_are_counted_as_ever() -> None:
    world = World.of(*identical(11, until=310), cohorts=False)
    late, plain = tracked(), tracked(accuracy(None))
    looks(world, late, range(30, 301, 30))
    looks(world, plain, range(30, 301, 30))
    found, usual = late.assess(ORIGIN + 300), plain.assess(ORIGIN + 300)
    assert isinstance(found, EvidenceSeen)
    assert found == usual


def test_at_full_weight_nothing_is_asked_of_legacys_labels() -> None:
    rng = np.random.default_rng(12)
    quick = (5.0, 20.0)
    legacy = Arm(1.0, -600.0, 0.0, rng, delays=quick)
    candidate = Arm(50.0, 0.0, 310.0, rng, delays=quick)
    found = looks(World.of(legacy, candidate), tracked(index=1), range(30, 301, 30))
    assert found[-1].verdict is Verdict.PASS
    rare = Arm(50.0, 0.0, 310.0, rng, delays=quick, labelled=0.5)
    found = looks(World.of(legacy, rare), tracked(index=1), range(30, 301, 30))
    assert found[-1].verdict is Verdict.WAIT
    assert found[-1].note.endswith(" candidate predictions, 80 % needed")


def test_a_moment_counts_once_for_a_fail_in_parts_or_not() -> None:
    bad = Stratum(ArmCounts(40, 30), ArmCounts(400, 20), end=ORIGIN, seconds=5.0)
    apart, together = Comparison(Margin()), Comparison(Margin())
    for one in (apart, together):
        one.begin(Margin())
        advance([one], [Stratum(ArmCounts(100, 5), ArmCounts(1000, 50), end=ORIGIN - 5, seconds=5.0)])
    for part in range(6):
        advance([apart], [replace(bad, first=part == 0)])
        advance([together], [bad])
    assert apart.findings().worse == together.findings().worse
    assert together.findings().fails(10.0)
    assert not apart.findings().fails(10.0)


def test_the_start_of_a_cohort() -> None:
    assert cohort_of({"cohort": "1700000040"}) == 1_700_000_040
    assert cohort_of({"cohort": ""}) is None
    assert cohort_of({"step": "1"}) is None
    assert isnan(cohort_of({"cohort": "monday"}) or 0.0)


def test_which_cohorts_count() -> None:
    cohorts = Cohorts(100.0, 60.0)
    assert not cohorts.counts(99.0, 115.0, 120.0)
    assert cohorts.counts(100.0, 115.0, 120.0)
    assert cohorts.counts(100.0, 155.0, 160.0)
    assert not cohorts.counts(100.0, 160.0, 165.0)
    assert not cohorts.counts(100_000.0, 115.0, 120.0)
    assert not cohorts.counts(float("nan"), 115.0, 120.0)


def test_coverage_is_that_of_the_older_half() -> None:
    candidate, legacy = Cohorts(0.0, 900.0), Cohorts(0.0, 900.0)
    assert candidate.coverage(legacy) is None
    for cohort, labelled in ((60.0, 10.0), (120.0, 9.0), (180.0, 2.0), (240.0, 0.0)):
        candidate.counts(cohort, 240.0, 245.0)
        candidate.add(cohort, predicted=10.0, labelled=labelled)
        legacy.add(cohort, predicted=90.0, labelled=9 * labelled)
    assert candidate.coverage(legacy) == Coverage(Covered(20.0, 19.0), Covered(180.0, 171.0))
    for cohorts in (candidate, legacy):
        cohorts.skip_to(200.0)
    assert candidate.coverage(legacy) == Coverage(Covered(10.0, 0.0), Covered(90.0, 0.0))


def test_shortfalls_in_words() -> None:
    few = Coverage(Covered(1200, 492), Covered(10_000, 9000))
    assert few.shortfall(0.8, alone=False) == "labels of 41 % of 1,200 candidate predictions, 80 % needed"
    assert few.shortfall(0.4, alone=False) == (
        "labels cover 41 % of the candidate's predictions and 90 % of legacy's: not comparable"
    )
    assert few.shortfall(0.4, alone=True) == ""
    swapped = Coverage(few.legacy, few.candidate)
    assert swapped.shortfall(0.8, alone=False) == "labels of 41 % of 1,200 legacy predictions, 80 % needed"
    close = Coverage(Covered(100, 86), Covered(1000, 900))
    assert close.shortfall(0.8, alone=False) == ""
    assert Covered(10, 11).share == 1.0


def test_many_cohorts_are_bunched_with_their_neighbours() -> None:
    few = [NO_COHORT, *(60.0 * n for n in range(MOST_BUNCHES))]
    assert bunches(few) == [(cohort,) for cohort in few]
    many = [60.0 * n for n in range(2 * MOST_BUNCHES + 5)]
    found = bunches([NO_COHORT, *many])
    assert found[:2] == [(NO_COHORT,), (0.0, 60.0, 120.0)]
    assert [cohort for bunch in found[1:] for cohort in bunch] == many
    assert len(found) <= MOST_BUNCHES + 1


def test_bunched_cohorts_lose_no_label() -> None:
    legacy, candidate = identical(13, until=310)
    legacy.bucket = candidate.bucket = 2.0
    found = looks(World.of(legacy, candidate), tracked(), range(30, 301, 30))[-1]
    assert found.candidate == ArmCounts(
        int((candidate.known <= LAST - 300.0).sum()), int(candidate.wrong[candidate.known <= LAST - 300.0].sum())
    )
    assert found.effect is not None
