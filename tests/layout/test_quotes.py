"""The sentences that pages quote are the ones that the operator says, with numbers that fit together."""

from __future__ import annotations

import math
import re

import pytest

from modelrollout.core import wording
from modelrollout.core.model import STANDARD_TIERS, Margin, Verdict, Weight
from modelrollout.core.observation import (
    ArmCounts,
    Attribution,
    Effect,
    HardGuardFinding,
    Interval,
    NoDataCause,
    Odds,
    SliAssessment,
    TierFinding,
)
from modelrollout.stats.guards import CONFIDENCE, HARD_EVENTS, exceeds
from modelrollout.stats.planning import needed_for_pass
from tests.layout.documents import DOCS

PAGE = DOCS / "how-to" / "read-a-verdict.md"
QUOTE = re.compile(r"^> `(?P<text>.+)`$", re.MULTILINE)
NONE = ArmCounts(0, 0)
STEP = Margin().before(Weight(2500), 0.0005)
"""Of a step before 25 %."""

CRITICAL = STANDARD_TIERS[0]
WAITING = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.WAIT,
    candidate=ArmCounts(122, 0),
    legacy=ArmCounts(11_840, 5),
    allowed=0.001,
    needed=math.ceil(float(needed_for_pass(5 / 11_840, 122 / 11_962, STEP.ratio, STEP.difference, 0.05))),
    odds=Odds(worse=-0.2, worse_limit=math.log(200), fine=1.1, fine_limit=math.log(20), margin=STEP),
)
FAILED = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.FAIL,
    candidate=ArmCounts(1_840, 39),
    legacy=ArmCounts(36_112, 361),
    allowed=0.05,
    effect=Effect(Interval(2.12, 1.38, 3.2), Interval(0.0112, 0.0021, 0.02)),
    odds=Odds(worse=math.log(3_100), worse_limit=math.log(200), fine=-9.0, fine_limit=math.log(20), margin=STEP),
)
PASSED = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.PASS,
    candidate=ArmCounts(2_240, 2),
    legacy=ArmCounts(8_960, 9),
    allowed=0.01,
    effect=Effect(Interval(0.889, 0.154, 3.4), Interval(-0.0001, -0.004, 0.004)),
    odds=Odds(worse=-0.4, worse_limit=math.log(200), fine=3.1, fine_limit=math.log(20), margin=STEP),
)
BURNING = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.FAIL,
    candidate=ArmCounts(61, 16),
    legacy=ArmCounts(5_000, 10),
    allowed=0.01,
    tiers=(TierFinding(CRITICAL, 16, 61, float(exceeds(16, 61, CRITICAL.factor * 0.01)), Attribution.CANDIDATE),),
)
GUARDED = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.FAIL,
    candidate=ArmCounts(20, 11),
    legacy=ArmCounts(5_000, 10),
    allowed=0.01,
    hard_guard=HardGuardFinding(11, HARD_EVENTS),
)
SILENT = SliAssessment(
    name="latency",
    critical=True,
    verdict=Verdict.NO_DATA,
    candidate=NONE,
    legacy=NONE,
    allowed=0.05,
    no_data=NoDataCause.STALE,
)


@pytest.mark.parametrize(
    ("number", "sli"),
    [(0, WAITING), (1, FAILED), (2, PASSED), (3, BURNING), (4, GUARDED), (5, SILENT)],
    ids=["waiting", "failed", "passed", "burning", "guarded", "silent"],
)
def test_a_quoted_verdict_is_what_the_operator_says(number: int, sli: SliAssessment) -> None:
    quoted = QUOTE.findall(PAGE.read_text())
    assert len(quoted) == 6
    whole, said = quoted[number].removesuffix("..."), wording.assessment(sli)
    assert said == whole or (whole != quoted[number] and said.startswith(whole)), said


def test_the_quoted_burn_is_one_that_acts() -> None:
    assert BURNING.tiers[0].probability >= CONFIDENCE
    assert f"{100 * BURNING.tiers[0].probability:.2f} % probability" in PAGE.read_text()


@pytest.mark.parametrize("attribution", Attribution)
def test_every_ending_is_explained(attribution: Attribution) -> None:
    finding = TierFinding(CRITICAL, 16, 61, 0.999, attribution)
    ending = wording.tier(finding).rpartition("; ")[2].rstrip(")")
    assert ending in " ".join(PAGE.read_text().split())
