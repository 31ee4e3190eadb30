"""The sentence of every verdict, word for word."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log

import pytest

from modelrollout.core import wording
from modelrollout.core.model import Margin, Verdict
from modelrollout.core.observation import ArmCounts, Effect, Interval, NoDataCause, Odds, SliAssessment
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from modelrollout.core.split import Split

LIMITS = {"worse_limit": log(100), "fine_limit": log(20)}
WAITING = SliAssessment(
    name="errors",
    critical=True,
    verdict=Verdict.WAIT,
    candidate=ArmCounts(41, 0),
    legacy=ArmCounts(4_012, 38),
    allowed=0.05,
    needed=312,
    odds=Odds(worse=-0.3, fine=0.4, margin=Margin(1.25, 0.01), **LIMITS),
)
BOTH = "candidate 0 % of 41 bad, legacy 0.947 % of 4,012, allowed 5.00 %"
FOUND = Effect(Interval(2.1, 1.4, 3.2), Interval(0.011, 0.002, 0.02), 0.09)


def odds(worse: float, fine: float, **changes: object) -> Odds:
    assert WAITING.odds is not None
    return replace(WAITING.odds, worse=worse, fine=fine, **changes)  # type: ignore[arg-type]  # fields of Odds


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, f"waiting: 41 of about 310 candidate requests needed; {BOTH}"),
        (
            {"candidate": ArmCounts(400, 2), "needed": 312},
            "waiting: 400 candidate requests, about 310 do when it is as good as legacy; odds 1.5 : 1 that it is "
            "within margin 1.25x + 1 %, 20 : 1 needed; candidate 0.500 % of 400 bad, legacy 0.947 % of 4,012, "
            "allowed 5.00 %",
        ),
        (
            {"odds": odds(log(14), 0.0)},
            f"waiting: odds 14 : 1 that the candidate is worse, 100 : 1 take it off; {BOTH}",
        ),
        (
            {"legacy": ArmCounts(0, 0)},
            "waiting: legacy has no requests to compare with; candidate 0 % of 41 bad, legacy no requests, "
            "allowed 5.00 %",
        ),
        (
            {"needed": 10**15, "odds": odds(0.0, 0.0, margin=Margin(0.5, 0.0))},
            f"waiting: a candidate as good as legacy is not within margin 0.5x; {BOTH}",
        ),
        ({"odds": None}, f"waiting: 41 of 312 candidate requests needed; {BOTH}"),
        ({"note": "no labels have arrived yet"}, f"waiting: no labels have arrived yet; {BOTH}"),
        (
            {"candidate": ArmCounts(400, 2), "odds": odds(0.0, log(25))},
            "waiting: enough evidence, waiting for a tick with data; candidate 0.500 % of 400 bad, "
            "legacy 0.947 % of 4,012, allowed 5.00 %",
        ),
        (
            {
                "verdict": Verdict.FAIL,
                "candidate": ArmCounts(1_840, 39),
                "effect": FOUND,
                "odds": odds(log(3_123), -9.0),
                "margin": Margin(1.25, 0.0),
            },
            "candidate 2.12 % of 1,840 bad, legacy 0.947 % of 4,012, ratio 2.1 (1.4 to 3.2), allowed 5.00 %, "
            "fails margin 1.25x; odds against chance 3,100 : 1",
        ),
        (
            {"verdict": Verdict.FAIL, "candidate": ArmCounts(1_840, 900), "odds": odds(400.0, -inf)},
            "candidate 48.9 % of 1,840 bad, legacy 0.947 % of 4,012, allowed 5.00 %, "
            "fails margin 1.25x + 0.05 %; odds against chance more than a million : 1",
        ),
        (
            {"verdict": Verdict.PASS, "candidate": ArmCounts(900, 9), "odds": odds(-1.0, log(22.4))},
            "candidate 1.00 % of 900 bad, legacy 0.947 % of 4,012, allowed 5.00 %, "
            "within margin 1.25x + 1 %; odds against chance 22 : 1",
        ),
        (
            {"verdict": Verdict.PASS, "candidate": ArmCounts(900, 0), "odds": None},
            "candidate 0 % of 900 bad, legacy 0.947 % of 4,012, allowed 5.00 %",
        ),
    ],
    ids=[
        "too few",
        "enough but not as good",
        "harm likely",
        "no legacy",
        "never",
        "last step",
        "note",
        "no fresh tick",
        "fail",
        "fail for sure",
        "pass",
        "pass at the last step",
    ],
)
def test_what_is_said(changes: dict[str, object], text: str) -> None:
    assert wording.assessment(replace(WAITING, **changes)) == f"errors: {text}"  # type: ignore[arg-type]  # its fields


ODD = Split(2_000, 20_000, 0.05)
LOOK = "look for requests that bypass the route, caches, retries, pinned connections (analysis.sampleRatio)"


def test_a_wrong_split_is_what_makes_an_sli_invalid() -> None:
    said = wording.assessment(replace(WAITING, verdict=Verdict.INVALID, split=ODD))
    assert said == (
        "errors: requests are not split as the route says: the candidate has 2,000 of 20,000 (10.0 %), its weight "
        f"promises 5.00 %; {LOOK}"
    )


@pytest.mark.parametrize("verdict", [Verdict.WAIT, Verdict.PASS])
def test_a_slight_deviation_of_the_split_is_told_beside_the_verdict(verdict: Verdict) -> None:
    slight = replace(WAITING, verdict=verdict, split=replace(ODD, candidate=1_060, slight=True))
    plain = wording.assessment(replace(slight, split=None))
    assert wording.assessment(slight) == (
        f"{plain}; requests are not quite split as the route says: the candidate has 1,060 of 20,000 (5.30 %), its "
        f"weight promises 5.00 %; {LOOK}"
    )


RATES = Rates(Exposure.REPLICAS, ArmEvents(7, 11_520.0), ArmEvents(1, 45_360.0), 27.3, log(312), log(200))
ALONE = SliAssessment(
    name="oom-kills",
    critical=True,
    verdict=Verdict.FAIL,
    candidate=None,
    legacy=None,
    allowed=None,
    margin=Margin(1.25, 0.0),
    rates=RATES,
)
SEEN = "candidate 7 in 3.2 replica-hours, legacy 1 in 13, rate ratio 27"


def rated(**changes: object) -> Rates:
    return replace(RATES, **changes)  # type: ignore[arg-type]  # fields of Rates


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, f"{SEEN}, fails margin 1.25x; odds against chance 310 : 1"),
        (
            {"verdict": Verdict.WAIT, "rates": rated(worse=log(14))},
            f"waiting: odds 14 : 1 that the candidate is worse, 200 : 1 take it off; {SEEN}",
        ),
        (
            {
                "verdict": Verdict.PASS,
                "rates": rated(candidate=ArmEvents(0, 90.0), legacy=ArmEvents(0, 1710.0), ratio=None, worse=0.0),
            },
            "no evidence of harm: candidate 0 in 1.5 replica-minutes, legacy 0 in 28",
        ),
        (
            {
                "verdict": Verdict.PASS,
                "rates": Rates(Exposure.WEIGHT, ArmEvents(2, 18.0), ArmEvents(1, 342.0), 38.0, 0.4, 4.6),
            },
            "no evidence of harm: candidate 2 in 0.3 traffic-minutes, legacy 1 in 5.7, rate ratio 38",
        ),
        (
            {"verdict": Verdict.PASS, "rates": rated(candidate=ArmEvents(0, 0.0), legacy=ArmEvents(0, 0.0))},
            "no evidence of harm: the candidate and legacy were not compared yet",
        ),
        (
            {"verdict": Verdict.WAIT, "note": "no data from legacy to compare with", "rates": rated(worse=0.0)},
            f"waiting: no data from legacy to compare with; {SEEN}",
        ),
        ({"verdict": Verdict.WAIT, "rates": rated(worse=0.0)}, f"waiting: a tick with data is missing; {SEEN}"),
        (
            {"verdict": Verdict.NO_DATA, "no_data": NoDataCause.STALE},
            "no data from the candidate, its newest sample is too old",
        ),
    ],
    ids=["fail", "doubt", "silence", "by weight", "not compared", "no legacy", "no tick", "no data"],
)
def test_what_is_said_of_events_without_a_total(changes: dict[str, object], text: str) -> None:
    assert wording.assessment(replace(ALONE, **changes)) == f"oom-kills: {text}"  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (FOUND, "ratio 2.1 (1.4 to 3.2)"),
        (replace(FOUND, ratio=Interval(0.834, 0.5, 14.2)), "ratio 0.83 (0.50 to 14)"),
        (replace(FOUND, ratio=Interval(None, 3.0, None)), "ratio over 3.0"),
        (replace(FOUND, ratio=Interval(40.0, 2.54, None)), "ratio over 2.5"),
        (replace(FOUND, ratio=Interval(2.0, 1.0, None)), "difference 1.10 % (0.200 % to 2.00 %)"),
        (replace(FOUND, ratio=Interval(None, 0.4, None)), "difference 1.10 % (0.200 % to 2.00 %)"),
        (Effect(Interval(None, None, None), Interval(None, None, None)), ""),
    ],
)
def test_an_effect_in_words(found: Effect, text: str) -> None:
    assert wording.effect(found) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1.0, "1"), (3.14, "3.1"), (41, "41"), (312, "310"), (3_123, "3,100"), (999_999, "1,000,000")]
)
def test_about(number: float, text: str) -> None:
    assert wording.about(number) == text
