"""Names fit and differ; weights sum; matches compare by meaning."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.adapters.kube.events import cut_bytes
from modelrollout.adapters.kube.httproute import matches_key, parent_key
from modelrollout.adapters.kube.names import cut, label_value, route_name
from modelrollout.adapters.kube.projection import template_hash
from modelrollout.adapters.kube.weights import scale_for, share, split, split_down
from modelrollout.core.model import FULL, Step, Weight
from tests.scene import make_spec

LABEL = re.compile(r"[a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PART = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(PART, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) <= 253)


@given(NAMES)
def test_names_and_labels_are_legal(name: str) -> None:
    assert SUBDOMAIN.fullmatch(route_name(name))
    assert len(route_name(name)) <= 63
    assert LABEL.fullmatch(label_value(name))


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_different_rollouts_have_different_routes(names: list[str]) -> None:
    assert route_name(names[0]) != route_name(names[1])


def test_short_names_stay_readable() -> None:
    assert route_name("fraud") == "fraud-modelrollout"
    assert label_value("fraud") == "fraud"
    assert cut("a" * 63, 63) == "a" * 63


@given(st.integers(0, 10_000), st.integers(1, 1_000_000))
def test_a_split_is_exact_or_refused_and_rounding_down_never_gives_more(weight: int, total: int) -> None:
    legacy, candidate = split_down(Weight(weight), total)
    assert legacy + candidate == total
    assert min(legacy, candidate) >= 0
    assert candidate * FULL <= weight * total
    exact = split(Weight(weight), total)
    assert (exact is None) == (candidate * FULL != weight * total)
    if exact is not None:
        assert exact == (legacy, candidate)
        assert share(candidate, total) == weight


@given(st.integers(0, 1_000_000), st.integers(0, 1_000_000))
def test_a_share_never_claims_less_than_the_router_gives(candidate: int, legacy: int) -> None:
    seen = share(candidate, candidate + legacy)
    assert 0 <= seen <= FULL
    assert seen * (candidate + legacy) >= candidate * FULL
    assert (seen == 0) == (candidate == 0)


def test_the_scale_is_that_of_the_steps_unless_the_weight_does_not_fit() -> None:
    whole = make_spec(5, 100)
    fraction = replace(whole, steps=(Step(Weight(25), 60.0, 600.0), *whole.steps))
    assert [scale_for(whole, Weight(w)) for w in (0, 500, 525, 10_000)] == [100, 100, 10_000, 100]
    assert [scale_for(fraction, Weight(w)) for w in (0, 500, 525, 10_000)] == [10_000] * 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([], [{}], True),
        ([{}], [{"path": {"type": "PathPrefix", "value": "/"}}], True),
        ([{"path": {"value": "/a"}}], [{"path": {"type": "PathPrefix", "value": "/a"}}], True),
        ([{"path": {"value": "/a"}}], [{"path": {"type": "Exact", "value": "/a"}}], False),
        (
            [{"headers": [{"name": "A", "value": "1"}, {"name": "b", "value": "2"}]}],
            [{"headers": [{"name": "b", "value": "2", "type": "Exact"}, {"name": "a", "value": "1"}]}],
            True,
        ),
        ([{"headers": [{"name": "a", "value": "X"}]}], [{"headers": [{"name": "a", "value": "x"}]}], False),
        ([{"path": {"value": "/a"}}, {"path": {"value": "/b"}}], [{"path": {"value": "/b"}}], False),
        ([{"method": "GET"}], [{}], False),
    ],
)
def test_matches_compare_by_meaning(one: list[dict[str, object]], other: list[dict[str, object]], same: bool) -> None:
    assert (matches_key(one) == matches_key(other)) is same


def test_parents_compare_by_meaning() -> None:
    full = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "serving", "name": "public"}
    assert parent_key({"name": "public"}, "serving") == parent_key(full, "elsewhere")
    assert parent_key({"name": "public"}, "other") != parent_key(full, "serving")
    assert parent_key({**full, "sectionName": "http"}, "serving") != parent_key(full, "serving")
    assert parent_key({**full, "port": 80}, "serving") != parent_key(full, "serving")


def test_a_template_hash_is_that_of_the_content() -> None:
    one = template_hash({"a": 1, "b": {"c": [1, 2], "d": "x"}})
    assert one == template_hash({"b": {"d": "x", "c": [1, 2]}, "a": 1})
    assert one != template_hash({"a": 1, "b": {"c": [2, 1], "d": "x"}})


@given(st.text(max_size=2000))
def test_notes_are_cut_at_whole_characters(text: str) -> None:
    short = cut_bytes(text, 1024)
    assert len(short.encode()) <= 1024
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
