"""Answers of a Prometheus that means harm: samples, or one class of failure."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given

from modelrollout.adapters.prom import parse, render
from modelrollout.adapters.prom.connect import Refused, _document
from tests.hostile import JSON, spoilt

MATRIX = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {"metric": {"__name__": "a", "pod": "p"}, "values": [[1.0, "1"], [2.5, "NaN"], [3, "+Inf"]]},
            {"metric": {"__name__": "b"}, "values": [], "histograms": [[1, {"count": "1"}]]},
        ],
    },
    "infos": ["PromQL info: x"],
}
VECTOR = {"status": "success", "data": {"result": [{"metric": {render.NAME_LABEL: "a"}, "value": [1.0, "5"]}]}}


def read(document: Any) -> None:
    """As the client does it; whatever it is, no other exception."""
    read_text(json.dumps(document))


def read_text(text: str) -> None:
    try:
        result = _document(text.encode(), most=10)["data"]["result"]  # type: ignore[index]  # checked there
    except Refused:
        return
    for way in (parse.matrix, parse.totals):
        try:
            parsed = way(result)
        except parse.BadAnswer:
            continue
        for series in parsed.series:
            assert all(math.isfinite(value) for value in (*series.times, *series.values))
            assert all(isinstance(text, str) for text in series.labels.values())


@given(document=spoilt(MATRIX))
def test_a_spoilt_matrix(document: Any) -> None:
    read(document)


@given(document=spoilt(VECTOR))
def test_a_spoilt_vector(document: Any) -> None:
    read(document)


@given(result=JSON)
def test_any_result(result: Any) -> None:
    read({"status": "success", "data": {"result": result}})


@pytest.mark.parametrize("depth", [500, 100_000])
@pytest.mark.parametrize("inside", ["{}", '{{"status":"success","data":{{"result":{}}}}}'])
def test_what_is_nested_too_deeply(depth: int, inside: str) -> None:
    read_text(inside.format("[" * depth + "]" * depth))
    read_text(inside.format("[" * depth))
