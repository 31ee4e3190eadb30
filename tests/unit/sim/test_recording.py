"""Recorded data: files round trip, and what is wrong with one is said with its line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByLabel
from modelrollout.sim.recording import BadRecording, Header, Recording, header_line, lines, read

HEADER = Header("serving/fraud", 1000.0, 2000.0, 15.0)
LABELS = {"__name__": "requests_total", "pod": "a-1-x", "code": "500"}


def of(*text: str | dict[str, Any]) -> Recording:
    rows = [row if isinstance(row, str) else json.dumps(row) for row in text]
    return read(io.BytesIO("\n".join(rows).encode()))


def refusal(*text: str | dict[str, Any]) -> str:
    with pytest.raises(BadRecording) as error:
        of(*text)
    return str(error.value)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e10, allow_nan=False), st.floats(allow_nan=False, allow_infinity=False, min_value=0)),
        unique_by=lambda pair: pair[0],
        max_size=8,
    ).map(sorted),
    st.integers(0, 8),
)
def test_a_file_round_trips_whatever_its_stretches(samples: list[tuple[float, float]], cut: int) -> None:
    stretches = [Series.of(LABELS, tuple(part)) for part in (samples[:cut], samples[cut:])]
    found = read(io.BytesIO("".join(lines(HEADER, stretches)).encode()))
    assert found.header == HEADER
    (stored,) = found.series
    assert stored.labels == LABELS
    assert list(zip(stored.times, stored.values, strict=True)) == samples


def test_the_label_that_tells_the_arms_apart_is_kept() -> None:
    header = Header("a/b", 1.5, 2.0, 0.5, ArmsByLabel("version", "v7", "v8"))
    assert of(header_line(header)).header == header


def test_whole_numbers_are_written_short() -> None:
    text = "".join(lines(HEADER, [Series.of(LABELS, ((1000.0, 12.0), (1015.25, 12.5)), (1030.0,))]))
    assert '"samples":[[1000,12],[1015.25,12.5]],"rejected":[1030]' in text


def test_samples_that_are_no_numbers_are_rejected_not_zero() -> None:
    found = of(
        header_line(HEADER), '{"labels": {"__name__": "x"}, "samples": [[1, 2], [2, NaN], [3, Infinity], [4, 5]]}'
    )
    (stored,) = found.series
    assert list(stored.times) == [1.0, 4.0]
    assert list(stored.rejected) == [2.0, 3.0]
    series = stored.between(1.0, 4.0)
    assert series is not None
    assert (series.samples, series.rejected) == (((4.0, 5.0),), (2.0, 3.0))


def test_between_is_open_on_its_left_side() -> None:
    found = of(header_line(HEADER), {"labels": LABELS, "samples": [[1, 1], [2, 2], [3, 3]]})
    (stored,) = found.series
    series = stored.between(1.0, 2.0)
    assert series is not None
    assert series.samples == ((2.0, 2.0),)
    assert stored.between(3.0, 9.0) is None
    assert found.span == (1.0, 3.0)


GOOD = header_line(HEADER).strip()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ([""], "is empty"),
        (["x"], "line 1: is no JSON"),
        (["[]"], "line 1: must be an object, is a list"),
        ([{"a": 1}], 'line 1: must have "format": "modelrollout-samples"; `modelrollout record` writes such files'),
        ([{**json.loads(GOOD), "version": 2}], "line 1: has version 2; this program reads version 1"),
        ([{**json.loads(GOOD), "rollout": 1}], "line 1: rollout must be <namespace>/<name>, is 1"),
        ([{**json.loads(GOOD), "scrape": 0}], "line 1: start must be before end, and scrape above 0"),
        ([{**json.loads(GOOD), "start": "x"}], "line 1: start must be a number, is 'x'"),
        (
            [{**json.loads(GOOD), "arms": {"label": 1}}],
            "line 1: arms must have label, legacy and candidate, or be null",
        ),
        ([GOOD, "{"], "line 2: is no JSON"),
        ([GOOD, {"labels": {}}], "line 2: labels must hold __name__, the metric"),
        ([GOOD, {"labels": {"__name__": 1}}], "line 2: labels must be an object of strings"),
        (
            [GOOD, {"labels": LABELS, "samples": 5}],
            "line 2: samples must be a list of [time, value], rejected a list of times",
        ),
        (
            [GOOD, {"labels": LABELS, "samples": [[1, "2"]]}],
            "line 2: a sample must be [time, value], is a list: [1, '2']",
        ),
        (
            [GOOD, "", {"labels": LABELS, "samples": [[2, 1]]}, {"labels": LABELS, "samples": [[2, 2]]}],
            "line 4: the sample at 2.0 is not later than the one before it",
        ),
        (
            [GOOD, {"labels": LABELS, "samples": [], "rejected": [5, 5]}],
            "line 2: the rejected sample at 5.0 is not later than the one before it",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_wrong_is_said_with_its_line(text: list[str | dict[str, Any]], said: str) -> None:
    assert refusal(*text) == said
