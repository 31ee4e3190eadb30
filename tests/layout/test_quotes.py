"""The sentences that pages quote are the ones that the operator says, with numbers that fit together."""

from __future__ import annotations

import re

import pytest

from modelrollout.core import wording
from modelrollout.core.model import STANDARD_TIERS, Verdict
from modelrollout.core.observation import (
    ArmCounts,
    Attribution,
    HardGuardFinding,
    NoDataCause,
    SliAssessment,
    TierFinding,
)
from modelrollout.stats.guards import CONFIDENCE, HARD_EVENTS, events_for_pass, exceeds
from tests.layout.documents import DOCS

PAGE = DOCS / "how-to" / "read-a-verdict.md"
QUOTE = re.compile(r"^> `(?P<text>.+)`$", re.MULTILINE)
NONE = ArmCounts(0, 0)

CRITICAL = STANDARD_TIERS[0]
WAITING = SliAssessment(
    name="availability",
    critical=True,
    verdict=Verdict.WAIT,
    candidate=ArmCounts(122, 0),
    legacy=ArmCounts(11_840, 5),
    allowed=0.001,
    needed=events_for_pass(0.001, STANDARD_TIERS),
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
    [(0, WAITING), (1, BURNING), (2, GUARDED), (3, SILENT)],
    ids=["waiting", "burning", "guarded", "silent"],
)
def test_a_quoted_verdict_is_what_the_operator_says(number: int, sli: SliAssessment) -> None:
    quoted = QUOTE.findall(PAGE.read_text())
    assert len(quoted) == 4
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
