"""The comparison of the arms: what a FAIL takes, what a step inherits, the split of requests."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from modelrollout.core.model import Margin
from modelrollout.core.observation import ArmCounts
from modelrollout.core.split import Split
from modelrollout.stats import sequential
from modelrollout.stats.sequential import (
    LASTING,
    LEAST_BAD,
    OVERWHELMING,
    Comparison,
    Findings,
    Stratum,
    advance,
    foresee,
)

MARGIN = Margin(1.25, 0.0005)
LIMIT = log(100)
CERTAIN = Findings(worse=6.0, held=5.0, fine=0.0, own_bad=9, bad_strata=3, strata=9, usual=0.01, needed=1.0)


def stratum(
    n: int, *, candidate: tuple[int, int] = (50, 1), legacy: tuple[int, int] = (950, 9), **odd: object
) -> Stratum:
    base = Stratum(ArmCounts(*candidate), ArmCounts(*legacy), end=1000.0 + 15 * n, seconds=15.0)
    return replace(base, **odd)  # type: ignore[arg-type]  # fields of Stratum


def fed(*strata: Stratum, step: Margin = MARGIN, promised: float | None = None) -> Comparison:
    one = Comparison(MARGIN)
    one.begin(step, promised=promised)
    for each in strata:
        advance([one], [each])
    foresee([one], [0.05])
    return one


def test_a_fail_takes_evidence_events_and_strata() -> None:
    assert CERTAIN.fails(LIMIT)
    assert not replace(CERTAIN, worse=LIMIT - 0.1).fails(LIMIT)
    assert not replace(CERTAIN, own_bad=LEAST_BAD - 1).fails(LIMIT)
    assert not replace(CERTAIN, bad_strata=1).fails(LIMIT)
    assert replace(CERTAIN, worse=LIMIT + OVERWHELMING, own_bad=2, bad_strata=1).fails(LIMIT)


def test_evidence_that_came_with_one_stratum_waits_for_the_next() -> None:
    """Decision 15: an outage of both arms that the candidate's scrape sees first."""
    assert not replace(CERTAIN, held=LASTING * LIMIT - 0.1).fails(LIMIT)
    calm = [stratum(n) for n in range(30)]
    edge = fed(*calm, stratum(30, candidate=(50, 40)))
    assert edge.findings().worse > 20
    assert not edge.findings().fails(LIMIT)
    advance([edge], [stratum(31, candidate=(50, 40), legacy=(950, 760))])
    assert not edge.findings().fails(LIMIT)
    for n in range(32, 44):
        advance([edge], [stratum(n, candidate=(50, 40), legacy=(950, 760))])
        assert not edge.findings().fails(LIMIT)
    for n in range(44, 60):
        bad = 40 if n == 44 else 1
        advance([edge], [stratum(n, candidate=(50, bad))])
        assert not edge.findings().fails(LIMIT), "it ends between two scrapes as well"
    alone = fed(*calm, stratum(30, candidate=(50, 40)), stratum(31, candidate=(50, 40)))
    assert alone.findings().fails(LIMIT)


def test_strata_that_are_not_judged_teach_what_is_usual_and_say_nothing() -> None:
    one = fed(*[stratum(n, candidate=(500, 400), legacy=(1000, 50), judged=False) for n in range(20)])
    found = one.findings()
    assert (found.worse, found.strata, found.own_bad) == (0.0, 0, 0)
    assert found.usual == pytest.approx(0.05, rel=0.01)
    assert one.effect is not None
    assert one.effect.ratio.value is None


def test_clustered_errors_of_legacy_weaken_the_evidence() -> None:
    sick = [stratum(n, candidate=(50, 5)) for n in range(10)]
    spread = [stratum(n, judged=False, chi=50.0, degrees=10, pods=(1, 11)) for n in range(-20, 0)]
    even = [replace(each, chi=10.0) for each in spread]
    assert 0 < fed(*spread, *sick).findings().worse < fed(*even, *sick).findings().worse


def test_a_single_pod_that_swings_before_the_rollout_weakens_the_evidence() -> None:
    sick = [stratum(n, candidate=(50, 5)) for n in range(10)]

    def before(*bad: int) -> list[Stratum]:
        return [stratum(n - 60, legacy=(950, bad[n % len(bad)]), judged=False) for n in range(60)]

    assert 0 < fed(*before(0, 30), *sick).findings().worse < fed(*before(15, 15), *sick).findings().worse


def test_the_effect_and_the_need_are_told() -> None:
    found = fed(*[stratum(n, candidate=(50, 2)) for n in range(30)]).findings()
    assert found.effect is not None
    ratio = found.effect.ratio
    assert ratio.value == pytest.approx(0.04 / (9 / 950), rel=0.01)
    assert ratio.value is not None
    assert ratio.low is not None
    assert ratio.high is not None
    assert 1.5 < ratio.low < ratio.value < ratio.high
    assert 10_000 < found.needed < 100_000
    assert fed(stratum(0), step=Margin(1.25, 0.1)).findings().needed < 100


def test_requests_that_are_split_otherwise_than_promised_are_told() -> None:
    strata = [stratum(n, candidate=(100, 1), legacy=(900, 9)) for n in range(20)]
    assert fed(*strata, promised=0.1).split is None
    assert fed(*strata, promised=None).split is None
    split = fed(*strata, promised=0.05).split
    assert split is not None
    assert (split.candidate, split.total) == (2000, 20_000)
    assert split.due == pytest.approx(0.05)
    young = [replace(each, whole=False) for each in strata]
    assert fed(*young, promised=0.05).split is None, "pods that are too young to be judged are missing in the counts"


def test_a_wrong_split_is_remembered_by_the_next_step() -> None:
    one = fed(*[stratum(n, candidate=(100, 1), legacy=(900, 9)) for n in range(20)], promised=0.05)
    again = Comparison(MARGIN, one.carried())
    again.begin(MARGIN, promised=0.5)
    foresee([again], [0.05])
    assert again.split is not None
    one.begin(MARGIN, promised=0.5)
    assert np.array_equal(one.values, again.values)


def test_a_certain_deviation_within_a_tenth_is_a_slight_one() -> None:
    strata = [stratum(n, candidate=(106, 1), legacy=(894, 9)) for n in range(400)]
    assert fed(*strata[:3], promised=0.1).split is None
    slight = fed(*strata, promised=0.1).split
    assert slight is not None
    assert replace(slight, due=0.1) == Split(42_400, 400_000, 0.1, slight=True)
    assert slight.due == pytest.approx(0.1)
    far = [stratum(n, candidate=(120, 1), legacy=(880, 9)) for n in range(400)]
    split = fed(*far, promised=0.1).split
    assert split is not None
    assert not split.slight


def test_what_was_worked_out_for_many_is_forgotten_when_the_counts_move_on() -> None:
    one, fresh = fed(*[stratum(n, candidate=(50, 2)) for n in range(30)]), Comparison(MARGIN)
    before, carried = one.findings(), one.carried()
    advance([one], [stratum(30, candidate=(50, 40))])
    assert one.findings().worse > before.worse
    assert one.findings().strata == before.strata + 1
    assert one.carried() != carried
    one.begin(Margin(1.25, 0.1))
    assert (one.findings().strata, one.findings().fine) == (0, fresh.findings().fine)


def test_what_is_worked_out_for_many_at_once_is_what_each_says_alone() -> None:
    each = [fed(*[stratum(n, candidate=(50 + k, k)) for n in range(10 + k)]) for k in range(7)]
    alone = [(one.findings(), one.carried()) for one in each]
    foresee(each, [0.05] * len(each))
    assert [(one.findings(), one.carried()) for one in each] == alone


def test_strata_with_many_bad_events_tell_more_of_how_they_cluster() -> None:
    few = [stratum(n, legacy=(950, 1), judged=False, chi=10.0, degrees=10, pods=(1, 11)) for n in range(40)]
    many = [stratum(n, legacy=(950, 19), judged=False, chi=30.0, degrees=10, pods=(1, 11)) for n in range(40, 50)]
    one = fed(*few, *many)
    assert one.values[sequential._CHI] / one.values[sequential._DEGREES] > 2.2, "1.4 when all weigh the same"
    assert fed(*few).values[sequential._CHI] == fed(*few).values[sequential._DEGREES] > 0
