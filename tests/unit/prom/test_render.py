"""PromQL that the adapter writes: its exact form, and what it refuses to write."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.adapters.prom import render
from modelrollout.core.model import Selector
from modelrollout.core.plan import Term
from modelrollout.errors import SpecError
from modelrollout.ports import SeriesQuery


def test_read_of_several_metrics_with_every_matcher() -> None:
    query = SeriesQuery(
        ("requests_total", "latency_seconds_bucket"), 10.0, (0.3,), ("ml", "serving"), "fraud-v7-[a-z0-9]+-[a-z0-9]+"
    )
    assert render.samples(query) == (
        '{__name__=~"requests_total|latency_seconds_bucket",namespace=~"ml|serving",'
        'pod=~"fraud-v7-[a-z0-9]+-[a-z0-9]+",le=~"|(0\\\\.30*|3(\\\\.0*)?[eE]-0*1)"}[10s]'
    )


def test_plain_read() -> None:
    assert render.samples(SeriesQuery(("up",), 2.5)) == '{__name__="up"}[2500ms]'
    assert render.samples(SeriesQuery(("up", "up"), 1.0, namespaces=("a",))) == '{__name__="up",namespace="a"}[1s]'


def test_increases_keep_the_name_and_see_new_series() -> None:
    assert render.increases(SeriesQuery(("a", "b"), 60.0, namespaces=("n",))) == (
        'label_replace((a{namespace="n"} unless (a{namespace="n"} offset 60s)) or increase(a{namespace="n"}[60s]), '
        '"modelrollout_metric", "a", "", "") or '
        'label_replace((b{namespace="n"} unless (b{namespace="n"} offset 60s)) or increase(b{namespace="n"}[60s]), '
        '"modelrollout_metric", "b", "", "")'
    )


def test_count_with_signs() -> None:
    requests = Term(Selector("r", (("job", "x"),), (("code", "5.."),)))
    bucket = Term(Selector("h_bucket"), sign=-1, boundary=1.0)
    text = render.count((requests, bucket), window=60.0, namespace="n", pods="p-.*")
    first = 'r{job="x",code=~"5..",namespace="n",pod=~"p-.*"}'
    second = 'h_bucket{namespace="n",pod=~"p-.*",le=~"(1(\\\\.0*)?|1(\\\\.0*)?[eE][+]?0*0)"}'
    assert text == (
        f"sum(({first} unless ({first} offset 60s)) or increase({first}[60s]))"
        f" - (sum(({second} unless ({second} offset 60s)) or increase({second}[60s])) or vector(0))"
    )


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", 'a"}', "a\n", "é", "a{", "a|b"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(SpecError):
        render.samples(SeriesQuery((name,), 10.0))
    with pytest.raises(SpecError):
        render.increases(SeriesQuery(("ok", name), 10.0))
    with pytest.raises(SpecError):
        render.equals(name, "value")


@pytest.mark.parametrize("window", [0.0, -1.0, math.nan, math.inf, 0.0001])
def test_windows_that_are_none_are_refused(window: float) -> None:
    with pytest.raises(SpecError):
        render.samples(SeriesQuery(("up",), window))


def test_no_metric_is_refused() -> None:
    with pytest.raises(SpecError):
        render.samples(SeriesQuery((), 10.0))


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(SpecError):
        render.string("\ud800")


@pytest.mark.parametrize(
    ("boundary", "spellings", "others"),
    [
        (0.3, ["0.3", "0.30", "0.300", "3e-01", "3e-1"], ["0.03", "0.31", "03", "0x3", "30", ""]),
        (1.0, ["1", "1.0", "1.00", "1e0", "1e+00"], ["1.01", "10", "11", "0.1", "-1"]),
        (100.0, ["100", "100.0", "1e2", "1e+02"], ["1000", "10", "1", "100.01"]),
        (1e6, ["1000000", "1000000.0", "1e+06", "1e6", "1.0e6"], ["1e+07", "100000"]),
        (2.5e6, ["2500000", "2.5e+06", "2.50e6"], ["25e+06", "2.5e+05"]),
        (2.5e-05, ["2.5e-05", "0.000025", "0.0000250"], ["2.5e+05", "2.5e-5e"]),
        (0.0, ["0", "0.0"], ["00", "0.01", "-1"]),
        (-2.0, ["-2", "-2.0"], ["2", "--2"]),
        (math.inf, ["+Inf", "Inf", "+inf"], ["-Inf", "1"]),
    ],
)
def test_every_spelling_of_a_boundary(boundary: float, spellings: list[str], others: list[str]) -> None:
    pattern = re.compile(render.boundary_pattern(boundary))
    assert [each for each in spellings if not pattern.fullmatch(each)] == []
    assert [each for each in others if pattern.fullmatch(each)] == []


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_boundary_pattern_is_exact(boundary: float, other: float) -> None:
    pattern = re.compile(render.boundary_pattern(boundary))
    for text in (repr(boundary), f"{boundary:.17e}" if boundary == 0 else repr(boundary), f"{boundary!r}"):
        assert pattern.fullmatch(text) or boundary == 0
    if other != boundary:
        assert not pattern.fullmatch(repr(other))


def test_nan_is_no_boundary() -> None:
    for boundary in (math.nan, -math.inf):
        with pytest.raises(SpecError):
            render.boundary_pattern(boundary)


@given(st.text())
def test_quoted_text_matches_itself_only(text: str) -> None:
    assert re.fullmatch(render.quoted(text), text)
    assert not re.fullmatch(render.quoted(text), text + "x")
