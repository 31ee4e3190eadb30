"""Random strings in every place of a query leave its shape alone: Prometheus' own parser says so."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.cluster.prometheus import Prometheus
from modelrollout.adapters.prom import render
from modelrollout.core.model import Selector
from modelrollout.core.plan import Term
from modelrollout.ports import SeriesQuery

pytestmark = pytest.mark.prometheus

HOSTILE = st.sampled_from(
    ['"', "\\", "\n", "}", "{", "[", "|", "`", "'", "#", "\x00", "\x7f", "�", "😀", "é", " or up"]
)
TEXT = st.lists(st.one_of(HOSTILE, st.characters(exclude_categories=["Cs"])), max_size=12).map("".join)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parsed(prometheus: Prometheus, query: str) -> Any:
    body = urllib.parse.urlencode({"query": query}).encode()
    request = urllib.request.Request(f"{prometheus.url}/api/v1/parse_query", body, method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["data"]


def matchers(node: Any) -> list[tuple[str, str, str]]:
    return [(each["name"], each["type"], each["value"]) for each in node["matchers"]]


@MANY
@given(namespaces=st.lists(TEXT, min_size=1, max_size=3), pods=TEXT.map(render.quoted))
def test_shape_of_a_read(prometheus: Prometheus, namespaces: list[str], pods: str) -> None:
    query = SeriesQuery(("requests_total",), 10.0, (0.3,), tuple(namespaces), pods)
    node = parsed(prometheus, render.samples(query))
    assert node["type"] == "matrixSelector"
    assert node["range"] == 10_000
    space = (
        ("namespace", "=", namespaces[0])
        if len(namespaces) == 1
        else ("namespace", "=~", "|".join(map(render.quoted, namespaces)))
    )
    expected = [("__name__", "=", "requests_total"), space]
    if pods:
        expected.append(("pod", "=~", pods))
    expected.append(("le", "=~", f"|{render.boundary_pattern(0.3)}"))
    assert matchers(node) == expected


@MANY
@given(value=TEXT)
def test_shape_of_a_count(prometheus: Prometheus, value: str) -> None:
    selector = Selector("requests_total", (("model", value),), (("code", render.quoted(value)),))
    node = parsed(prometheus, render.count((Term(selector),), window=60.0, namespace=value))
    assert (node["type"], node["op"], node["expr"]["type"]) == ("aggregation", "sum", "binaryExpr")
    increase = node["expr"]["rhs"]
    assert (increase["type"], increase["func"]["name"]) == ("call", "increase")
    expected = {("model", "=", value), ("code", "=~", render.quoted(value))}
    expected |= {("namespace", "=", value)} if value else set()
    assert set(matchers(increase["args"][0])) == expected | {("__name__", "=", "requests_total")}


@MANY
@given(value=TEXT)
def test_a_value_finds_itself_and_nothing_else(prometheus: Prometheus, value: str) -> None:
    quoted = f'label_replace(vector(1), "x", {render.string(value.replace("$", "$$"))}, "", "")'
    (result,) = prometheus.query(quoted)
    assert result.labels.get("x", "") == value


@MANY
@given(boundary=st.floats(min_value=1e-9, max_value=1e12))
def test_boundary_patterns_are_regular_expressions_to_prometheus(prometheus: Prometheus, boundary: float) -> None:
    node = parsed(prometheus, render.samples(SeriesQuery(("a", "b"), 1.0, (boundary, 1.0))))
    assert node["type"] == "matrixSelector"
    assert len(node["matchers"]) == 2
