"""Pacing, settings, and the summary of the last seconds: pure parts of the load generator."""

import pytest

from e2e.models.load_settings import BadSetting, Pacer, Settings, checked, override, unit
from e2e.models.records import Record
from e2e.models.summary import summarise

START = Settings(rate=100)


def test_due_times_do_not_drift() -> None:
    pacer = Pacer(now=50.0, rate=3)
    dues = []
    for _ in range(3001):
        dues.append(pacer.due())
        pacer.advance()
    assert dues[0] == 50.0
    assert dues[3] == 51.0
    assert dues[3000] == 1050.0


def test_another_rate_takes_effect_without_a_burst() -> None:
    pacer = Pacer(now=0.0, rate=1)
    pacer.advance()
    pacer.change(now=0.5, rate=10)
    assert pacer.due() == pytest.approx(0.6)
    pacer.change(now=0.55, rate=10)  # the same rate again moves nothing
    assert pacer.due() == pytest.approx(0.6)
    pacer.change(now=0.6, rate=0)
    assert pacer.due() == float("inf")
    pacer.change(now=100.0, rate=10)
    assert pacer.due() == pytest.approx(100.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": 1}, "known: rate, users"),
        ({"rate": -1}, "rate must be a number from 0 to 5000"),
        ({"rate": "5"}, "rate must be a number"),
        ({"rate": float("nan")}, "rate must be a number"),
        ({"rate": True}, "rate must be a number"),
        ({"users": 0}, "users must be a number from 1"),
        ({"users": 1.5}, "whole number"),
        ({"header_share": 2}, "from 0 to 1"),
        ({"step": "one"}, "three digits"),
        ([1], "JSON object"),
    ],
)
def test_bad_settings_name_field_value_and_bound(changes: object, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        override(START, changes)


def test_override_keeps_the_rest() -> None:
    changed = override(START, {"rate": 5, "step": "3"})
    assert (changed.rate, changed.step, changed.users) == (5, "3", START.users)
    assert checked(START) == START


def test_unit_is_even_and_always_the_same() -> None:
    values = [unit(f"user-{i:05d}", "segment") for i in range(10_000)]
    assert all(0 <= value < 1 for value in values)
    assert sum(value < 0.05 for value in values) == pytest.approx(500, abs=80)
    assert unit("user-00001", "segment") == values[1] != unit("user-00001", "label")
    # Fixed: another process and another day give the same users.
    assert round(unit("user-00001", "segment"), 6) == 0.382674


def answer(end: float, version: str | None, *, ok: bool = True, seconds: float = 0.1, user: str = "a") -> Record:
    return Record(
        number=0,
        scheduled=end - seconds - 0.001,
        start=end - seconds,
        end=end,
        kind="ok" if ok else "http" if version else "connect",
        status=200 if ok else 500 if version else None,
        version=version,
        arm=None,
        pod=f"p{version}" if version else None,
        user=user,
        row=0,
        label=1,
        predicted=1 if ok else None,
        marked=False,
    )


def test_summary_of_the_window_only() -> None:
    run = [
        answer(1.0, "8"),
        *(answer(6 + i / 100, "7", seconds=0.01 * (i + 1), user=f"u{i}") for i in range(8)),
        answer(7.0, "8", seconds=0.5),
        answer(7.5, "8", ok=False, seconds=9.0),
        answer(8.0, None, ok=False),
        answer(12.0, "8"),
    ]
    found = summarise(run, now=10.0, window=5.0)
    assert (found["requests"], found["failed"], found["rate"]) == (11, 2, 2.2)
    assert found["unanswered"] == {"connect": 1}
    seven, eight = found["versions"]["7"], found["versions"]["8"]
    assert (seven["share"], eight["share"]) == (0.8, 0.2)
    assert (seven["errorRatio"], eight["errorRatio"]) == (0.0, 0.5)
    assert (seven["p50"], seven["p95"]) == (pytest.approx(0.04), pytest.approx(0.08))
    assert eight["p95"] == pytest.approx(0.5)  # of successes: the failure of 9 s is not in it
    assert (seven["users"], eight["pods"]) == (8, ["p8"])
    assert found["late_p99"] == pytest.approx(0.001)


def test_summary_without_data_says_none_not_zero() -> None:
    found = summarise([], now=10.0, window=5.0)
    assert found["versions"] == {}
    assert found["late_p99"] is None
    only_errors = summarise([answer(9.0, "8", ok=False)], now=10.0, window=5.0)["versions"]["8"]
    assert (only_errors["p95"], only_errors["accuracy"]) == (None, None)
