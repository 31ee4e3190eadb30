"""Words about what a rollout will take."""

import pytest

from modelrollout.core.model import Key, Margin, Weight
from modelrollout.core.outlook import (
    Load,
    Proof,
    RolloutOutlook,
    StepOutlook,
    about,
    decimal,
    least,
    margin_words,
    whole,
)


def step(index: int, *proofs: Proof, weight: int = 5, seconds: float = 60.0) -> StepOutlook:
    return StepOutlook(index, Weight(weight * 100), seconds, 60.0, 21_600.0, 10.0, proofs)


def test_one_sentence_per_sli_names_the_worst_step_and_what_helps_at_all_of_them() -> None:
    load = Load(20.0, 0.001)
    low = Proof("errors", load, Margin(1.25, 0.01), 40e3, 39_600.0, False, 1.38, 0.0123)
    high = Proof("errors", load, Margin(1.25, 0.0005), 30e3, 30_000.0, False, 1.301, 0.0301)
    other = Proof("latency", load, Margin(2.0), 1e9, 1e9, False)
    outlook = RolloutOutlook(Key("serving", "fraud"), (step(0, low), step(1, high, other, weight=50)))
    assert outlook.refusals == (
        "errors: margin 1.25 + 0.01 is not provable at 5 % of 20 requests/s with 0.100 % bad within 6h (step 1, also "
        "step 2): it would take about 11h; provable: margin.ratio 1.38, or margin.difference 0.031, or maxDuration and "
        "analysis.inconclusive.hold 11h",
        "latency: margin 2 + 0.0005 is not provable at 50 % of 20 requests/s with 0.100 % bad within 6h (step 2): it "
        "would take more than a year; provable: nothing, with so few requests",
    )


def test_what_is_provable_is_not_refused() -> None:
    fine = Proof("errors", Load(20.0, 0.001), Margin(), 100.0, 500.0)
    assert RolloutOutlook(Key("serving", "fraud"), (step(0, fine),)).refusals == ()


def test_the_decider_is_the_slowest_sli_unless_the_shortest_time_is_longer() -> None:
    load = Load(20.0, 0.001)
    slow, quick = (Proof(name, load, None, 1.0, seconds) for name, seconds in (("slow", 61.0), ("quick", 30.0)))
    assert step(0, quick, slow).decider == "slow"
    assert step(0, quick).decider is None
    assert step(0).decider is None


@pytest.mark.parametrize(
    ("seconds", "said", "written"),
    [
        (90, "about 90s", "2m"),
        (3601, "about 60m", "61m"),
        (7300, "about 2h2m", "3h"),
        (40_000, "about 11h", "12h"),
        (350_000, "about 97h", "98h"),
        (864_000, "about 10d", "240h"),
    ],
)
def test_durations(seconds: float, said: str, written: str) -> None:
    assert about(seconds) == said
    assert whole(seconds) == written


def test_margins_and_numbers() -> None:
    assert margin_words(Margin(1.25, 0.0)) == "1.25"
    assert margin_words(Margin(1.0, 0.01)) == "1 + 0.01"
    assert margin_words(Margin(1.25, 0.00002)) == "1.25 + 0.00002"
    assert [least(x, 3) for x in (1.381, 1.38, 1.3800000001, 9.999, 0.0)] == ["1.39", "1.38", "1.39", "10", "0"]
    assert [least(x, 2) for x in (0.000612, 0.5, 9.1e-5, 1.2e-6)] == ["0.00062", "0.5", "0.000091", "0.000002"]
    assert [decimal(x, 3) for x in (0.0, 12.0, 100.0, 0.0005)] == ["0", "12", "100", "0.0005"]
