"""From JSON to samples: finite numbers or nothing."""

from __future__ import annotations

import pytest

from modelrollout.adapters.prom import parse
from modelrollout.adapters.prom.parse import BadAnswer
from modelrollout.core.samples import Series


def test_matrix() -> None:
    result = [{"metric": {"__name__": "a", "pod": "p"}, "values": [[1, "2"], [2.5, "3.5"]]}]
    assert parse.matrix(result).series == (Series.of({"__name__": "a", "pod": "p"}, ((1.0, 2.0), (2.5, 3.5))),)


def test_counters_of_a_target_share_the_times_of_their_samples() -> None:
    one, two = ({"metric": {"a": name}, "values": [[1.5, "2"], [6.5, "3"]]} for name in ("b", "c"))
    first, second = parse.matrix([one, two]).series
    assert first.times == (1.5, 6.5)
    assert first.times is second.times


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf", "Inf"])
def test_values_that_are_no_numbers_are_rejected(text: str) -> None:
    (series,) = parse.matrix([{"metric": {}, "values": [[1, text], [2, "3"], [3, text]]}]).series
    assert series == Series.of({}, ((2.0, 3.0),), rejected=(1.0, 3.0))


def test_series_of_rejected_samples_only_stays() -> None:
    (series,) = parse.matrix([{"metric": {}, "values": [[1, "NaN"]]}]).series
    assert series == Series.of({}, (), rejected=(1.0,))


def test_native_histograms_are_counted_and_left_out() -> None:
    histogram = [1, {"count": "3", "sum": "2", "buckets": []}]
    both = {"metric": {"a": "b"}, "values": [[1, "2"]], "histograms": [histogram]}
    found = parse.matrix([{"metric": {}, "histograms": [histogram]}, both])
    assert found.native == 2
    assert found.series == (Series.of({"a": "b"}, ((1.0, 2.0),)),)
    assert parse.totals([{"metric": {}, "histogram": histogram}]) == parse.Parsed((), 1)


def test_totals_put_the_name_back() -> None:
    result = [{"metric": {"modelrollout_metric": "a_total", "pod": "p"}, "value": [5, "7.5"]}]
    assert parse.totals(result).series == (Series.of({"__name__": "a_total", "pod": "p"}, ((5.0, 7.5),)),)


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        "text",
        [1],
        [{}],
        [{"metric": {}}],
        [{"metric": []}],
        [{"metric": {"a": 1}, "values": []}],
        [{"metric": {}, "values": {}}],
        [{"metric": {}, "values": [1]}],
        [{"metric": {}, "values": [[1]]}],
        [{"metric": {}, "values": [[1, 2]]}],
        [{"metric": {}, "values": [["1", "2"]]}],
        [{"metric": {}, "values": [[True, "2"]]}],
        [{"metric": {}, "values": [[1, ""]]}],
        [{"metric": {}, "values": [[1, "two"]]}],
        [{"metric": {}, "values": [[10**400, "2"]]}],
        [{"metric": {}, "values": [[float("nan"), "2"]]}],
        [{"metric": {}, "values": [[2, "1"], [1, "1"]]}],
        [{"metric": {}, "values": [[1, "1"], [1, "1"]]}],
        [{"metric": {}, "value": [1, "2"]}],
    ],
)
def test_what_is_no_matrix_is_a_bad_answer(result: object) -> None:
    with pytest.raises(BadAnswer):
        parse.matrix(result)


@pytest.mark.parametrize("result", [[{"metric": {}}], [{"metric": {}, "value": None}], [{"metric": {}, "values": []}]])
def test_what_is_no_vector_is_a_bad_answer(result: object) -> None:
    with pytest.raises(BadAnswer):
        parse.totals(result)


@pytest.mark.parametrize(
    ("envelope", "partial"),
    [
        ({}, False),
        ({"warnings": None, "infos": []}, False),
        ({"infos": ['PromQL info: metric might not be a counter, name does not end in _total: "a"']}, False),
        ({"warnings": ["store x did not answer"]}, True),
        ({"infos": ["anything else"]}, True),
        ({"warnings": "text"}, True),
        ({"warnings": [1]}, True),
    ],
)
def test_signs_of_a_partial_answer(envelope: dict[str, object], partial: bool) -> None:
    assert parse.is_partial(envelope) is partial
