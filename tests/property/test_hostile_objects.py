"""Objects that mean harm: a value or a problem in words comes out, and queries select what is meant."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelrollout.adapters import addresses
from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.kube.rollout_view import rollout_object
from modelrollout.adapters.prom import headers, render
from modelrollout.api.convert import action_target, to_action, to_source, to_spec
from modelrollout.api.source import Source
from modelrollout.api.status_codec import MAX_BYTES, decode, encode, size
from modelrollout.catalog.resolve import alternatives
from modelrollout.core import status as core
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import SpecProblem
from modelrollout.errors import SpecError
from modelrollout.ports import ArmsByPod, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import pods_of
from tests.hostile import JSON, TEXT, nested, selector, skeleton, spoilt
from tests.unit.api.objects import ACTION, ADOPT, FULL, SMALLEST, SOURCE
from tests.unit.api.statuses import STATUSES

METADATA = {"name": "fraud", "namespace": "serving", "uid": "u", "generation": 1}
ROLLOUTS = st.sampled_from([{**obj, "metadata": METADATA} for obj in (FULL, SMALLEST, ADOPT)])
SPOILT = ROLLOUTS.flatmap(lambda obj: st.one_of(spoilt(obj), spoilt(obj, ("spec",))))
BY_POD = SourceSpec("default", ArmsByPod(), scrape_interval=5.0)
LONGEST_PROBLEM = 2000


def sound(problem: SpecProblem) -> None:
    """A sentence that can stand in a log line and in a status."""
    assert problem.problem
    assert len(problem.problem) < LONGEST_PROBLEM
    assert problem.problem.isprintable(), problem.problem
    assert size(encode(core.RolloutStatus(message=problem.problem))) < MAX_BYTES


@given(obj=SPOILT)
def test_a_rollout_is_read_or_refused_in_words_and_its_queries_select_its_own(obj: Any) -> None:
    found = to_spec(obj)
    if isinstance(found, SpecProblem):
        sound(found)
        return
    for sli in found.slis:
        names = alternatives(sli)
        if isinstance(names, SpecProblem):
            sound(names)
            continue
        pods = pods_of(found, sli, BY_POD)
        query = SeriesQuery(
            names, found.analysis.interval, () if sli.threshold is None else (sli.threshold,), ("serving",), pods
        )
        matchers, window = selector(render.samples(query))
        assert window == round(found.analysis.interval, 3)
        kind, value = ("=", names[0]) if len(names) == 1 else ("=~", "|".join(names))
        assert matchers[:2] == [("__name__", kind, value), ("namespace", "=", "serving")]
        assert {name for name, _, _ in matchers[2:]} <= {"pod", "le"}


STORED = {
    "apiVersion": "modelrollout.dev/v1alpha1",
    "kind": "ModelRollout",
    "metadata": {**METADATA, "resourceVersion": "7"},
}
"""What the API server itself vouches for, whatever the CRD says."""


@given(
    obj=st.one_of(spoilt({**STORED, "spec": FULL["spec"]}, ("spec",)), JSON.map(lambda any: {**STORED, "status": any}))
)
def test_a_rollout_is_taken_in_from_watch_and_list(obj: Any) -> None:
    found = rollout_object(obj)
    assert found.key.name == "fraud"


@given(annotations=st.dictionaries(TEXT, TEXT, max_size=4))
@example(annotations={f"modelrollout.dev/{word}": "true" for word in ("promote", "abort", "pause", "retry", "approve")})
def test_annotations_are_no_commands(annotations: dict[str, str]) -> None:
    plain = {**STORED, "spec": FULL["spec"]}
    marked = {**plain, "metadata": {**METADATA, "resourceVersion": "7", "annotations": annotations}}
    assert rollout_object(marked) == rollout_object(plain)


@given(obj=spoilt(SOURCE))
def test_a_source_is_read_or_refused_in_words(obj: Any) -> None:
    found = to_source(obj)
    if isinstance(found, SpecProblem):
        sound(found)
        return
    assert isinstance(found, Source)
    for problem in (
        addresses.problem_of(found.connection.address, AddressPolicy()),
        headers.problem_of(found.connection),
    ):
        assert problem is None or problem.isprintable()
    assert found.connection.address.startswith(("http://", "https://"))
    assert 0 < found.connection.timeout <= 60


@given(obj=spoilt({**ACTION, "metadata": {**METADATA, "creationTimestamp": "2026-01-02T03:04:05Z"}}))
def test_an_action_is_read_or_passed_over(obj: Any) -> None:
    found = to_action(obj)
    assert found is None or found.name
    action_target(obj)


@given(stored=JSON)
@example(stored={"message": "\ud800"})
def test_a_status_that_somebody_wrote_is_read_or_passed_over(stored: Any) -> None:
    found = decode(stored)
    assert found is None or isinstance(found, core.RolloutStatus)
    if found is not None:
        assert size(encode(found)) < MAX_BYTES


@given(status=STATUSES)
def test_a_status_never_outgrows_its_bound(status: core.RolloutStatus) -> None:
    assert size(encode(status)) < MAX_BYTES


@given(namespaces=st.lists(TEXT, min_size=1, max_size=3), pods=TEXT, value=TEXT, metric=TEXT)
def test_no_text_changes_the_shape_of_a_query(namespaces: list[str], pods: str, value: str, metric: str) -> None:
    plain = SeriesQuery(("requests_total",), 10.0, (), tuple("n" for _ in namespaces), "p")
    hostile = SeriesQuery(("requests_total",), 10.0, (), tuple(namespaces), render.quoted(pods) or "p")
    for way in (render.samples, render.increases):
        with suppress(SpecError):
            assert skeleton(way(hostile)) == skeleton(way(plain))
    with suppress(SpecError):
        assert render.metric(metric) == metric
        assert metric.isascii()
    try:
        (matcher,), _ = selector(f"{{{render.equals('a', value)}}}[1s]")
    except SpecError:
        assert any("\ud800" <= character <= "\udfff" for character in value)
    else:
        assert matcher == ("a", "=", value)


@pytest.mark.parametrize("depth", [500, 5000, 100_000])
def test_what_is_nested_too_deeply_is_refused_in_words(depth: int) -> None:
    deep = nested(depth)
    for obj in ({**SMALLEST, "metadata": METADATA, "spec": deep}, {**SMALLEST, "metadata": METADATA}):
        obj["spec"] = (
            deep if obj["spec"] is deep else {**SMALLEST["spec"], "slis": deep, "traffic": {"adoptRoute": deep}}
        )
        for found in (to_spec(obj), to_source(obj)):
            assert isinstance(found, SpecProblem)
            sound(found)
        assert to_action(obj) is None
    assert decode({"slis": deep, "conditions": deep, "step": deep}) is not None


def test_the_reader_of_queries_is_strict() -> None:
    for wrong in ('{a="b"}', '{a="b"}[1s] or up', '{a="b"c}[1s]', '{a="b\\q"}[1s]', 'up{a="b"}[1s]', '{a="b\n"}[1s]'):
        try:
            selector(wrong)
        except (ValueError, IndexError):
            continue
        raise AssertionError(wrong)


def test_a_spec_of_the_examples_is_a_spec() -> None:
    assert isinstance(to_spec({**SMALLEST, "metadata": METADATA}), RolloutSpec)


@pytest.mark.parametrize("key", ["\nWARNING: all is well", "\x1b[2J", "\u202e"])
def test_bug_a_key_could_forge_a_line_of_the_log(key: str) -> None:
    obj = {"metadata": {"name": "s"}, "spec": {"prometheus": {"address": "http://p", "headers": {key: 1}}}}
    found = to_source(obj)
    assert isinstance(found, SpecProblem)
    sound(found)
