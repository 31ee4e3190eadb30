"""Metric sources, actions, and that no object whatever makes it raise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.api import crd
from modelrollout.api.convert import action_target, to_action, to_source, to_spec
from modelrollout.api.source import Connection, SecretKey, Source
from modelrollout.core import model
from modelrollout.core.observation import ActionRequest, SpecProblem
from modelrollout.ports import ArmsByLabel, ArmsByPod, SourceSpec
from tests.structural import drawn
from tests.unit.api.objects import ACTION, JSON, SMALLEST, SOURCE, changed, spec_of


def test_source_in_detail() -> None:
    assert to_source(SOURCE, strict=True) == Source(
        spec=SourceSpec("default", ArmsByPod(), scrape_interval=5.0),
        connection=Connection(
            address="https://prometheus.monitoring:9090",
            bearer_token=SecretKey("prometheus-token", "token"),
            ca=SecretKey("prometheus-ca", "ca.crt"),
            headers=(("X-Scope-OrgID", "ml"),),
            timeout=5.0,
            max_concurrency=8,
        ),
        allowed=(("ml", "true"),),
    )


def test_source_defaults() -> None:
    obj = {"metadata": {"name": "s"}, "spec": {"prometheus": {"address": "http://p:9090/"}}}
    assert to_source(obj) == Source(
        SourceSpec("s", ArmsByPod(), scrape_interval=None), Connection("http://p:9090"), allowed=None
    )


def test_source_arms_by_label() -> None:
    label = {"name": "version", "legacy": "a", "candidate": "b"}
    source = to_source(changed(SOURCE, "arms", {"by": "label", "label": label}))
    assert isinstance(source, Source)
    assert source.spec.arms == ArmsByLabel("version", "a", "b")


@pytest.mark.parametrize(
    ("allowed", "labels", "expected"),
    [
        (None, {}, True),
        ((), {}, True),
        ((("ml", "true"),), {"ml": "true", "x": "y"}, True),
        ((("ml", "true"),), {"ml": "false"}, False),
        ((("ml", "true"), ("team", "a")), {"ml": "true"}, False),
    ],
)
def test_allowed_namespaces(
    allowed: tuple[tuple[str, str], ...] | None, labels: dict[str, str], expected: bool
) -> None:
    source = Source(SourceSpec("s", ArmsByPod(), scrape_interval=None), Connection("http://p"), allowed)
    assert source.allows(labels) is expected


def stored_action(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "serving", "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {**ACTION, "metadata": metadata, **changes}


def test_action() -> None:
    assert to_action(stored_action()) == ActionRequest(
        name="a",
        uid="u",
        verb=model.ActionVerb.ABORT,
        created=1767323045.0,
        revision="5f3c9a",
        reason="support tickets",
    )
    assert action_target(stored_action()) == model.Key("serving", "fraud")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"result": "Applied"}},
        {"status": {"result": "Refused"}},
        {"spec": {"rollout": "fraud", "action": "Explode"}},
        {"spec": None},
        {"metadata": {}},
    ],
)
def test_no_action(changes: dict[str, Any]) -> None:
    assert to_action(stored_action(**changes)) is None


def test_an_empty_status_is_no_result() -> None:
    assert to_action(stored_action(status={})) is not None


@given(obj=JSON)
def test_total_on_any_json(obj: Any) -> None:
    wrapped = {"metadata": {"name": "a", "namespace": "b", "uid": "u"}, "spec": obj, "status": obj}
    for candidate in (obj if isinstance(obj, dict) else {}, wrapped, {"metadata": obj, "spec": obj}):
        assert isinstance(to_spec(candidate), SpecProblem)
        assert isinstance(to_source(candidate), SpecProblem)
        assert to_action(candidate) is None
        action_target(candidate)


SPEC_SCHEMA = crd.definition(crd.KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None, max_examples=100)
@given(spec=drawn(SPEC_SCHEMA), weights=st.lists(st.integers(1, 9999), min_size=1, max_size=5, unique=True))
def test_total_on_what_the_schema_takes(spec: dict[str, Any], weights: list[int]) -> None:
    ladder = [*sorted(weights), 10_000]
    spec.pop("ramp", None)
    spec["steps"] = [{"weight": f"{weight // 100}.{weight % 100:02d}"} for weight in ladder]
    found = to_spec({"metadata": {"name": "a", "namespace": "b"}, "spec": spec}, strict=True)
    if isinstance(found, model.RolloutSpec):
        assert [step.weight for step in found.steps] == ladder
        assert all(0 < sli.allowed < 1 for sli in found.slis if sli.allowed is not None)
        assert found.legacy.service != found.candidate.service
    else:
        assert found.problem.startswith("spec")


@pytest.mark.parametrize(
    ("given", "holds"), [({}, True), ({"sampleRatio": "Hold"}, True), ({"sampleRatio": "Warn"}, False)]
)
def test_a_wrong_split_holds_unless_told_otherwise(given: dict[str, Any], holds: bool) -> None:
    found = spec_of({**SMALLEST, "spec": {**SMALLEST["spec"], "analysis": given}})
    assert found.analysis.split_holds is holds
