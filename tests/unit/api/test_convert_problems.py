"""What can not be converted is said in words, and nothing makes it raise."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.convert import to_spec
from modelrollout.core import model
from tests.unit.api.objects import ADOPT, FULL, NGINX, REPLICAS, SMALLEST, changed, problem_of


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "steps.0.minDuration",
            "7h",
            "spec.steps[0].minDuration: the step would last at least 25200s and at most 21600s",
        ),
        ("steps.0.maxDuration", "30s", "spec.steps[0].maxDuration: the step would last at least 60s and at most 30s"),
        ("steps.1.weight", 5, "spec.steps: weights must rise"),
        ("steps.0.weight", True, "spec.steps[0].weight: must be more than 0"),
        ("candidate.deployment", "fraud-v7", "spec.candidate.deployment: candidate.deployment must differ"),
        ("traffic.adoptRoute", {"name": "x"}, "spec.traffic: exactly one router must be set"),
        ("slis.0.objective", "101", "spec.slis[0].objective: must be a percentage"),
        ("slis.0.objective", 99, "spec.slis[0].objective: must be a string (in quotes)"),
        ("legacy", [], "spec.legacy: must be an object"),
        ("steps", {}, "spec.steps: must be a list"),
        ("ramp", {"from": 1}, "spec.steps: exactly one of steps and ramp must be set"),
        ("analysis.margin", {"ratio": "1", "difference": "0"}, "spec.analysis.margin.difference: with a ratio of 1 or"),
        ("analysis.tolerance", "0.0005", "spec.analysis.tolerance: string should match"),
        ("port", "http", "spec.port: must be a whole number"),
        ("port", 10**400, "spec.port: input should be less than or equal to 65535"),
        ("paused", "yes", "spec.paused: must be a boolean"),
    ],
)
def test_problems_name_field_and_fix(path: str, value: Any, said: str) -> None:
    assert said in problem_of(changed(SMALLEST, path, value))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("headers", [{"name": "a", "value": "b"}, {"name": "c", "value": "d"}], "takes one segment with one header"),
        ("headers.0.name", "x_tier", "ingress-nginx takes names of letters"),
        ("headers.0.value", "a b", "ingress-nginx takes names of letters"),
    ],
)
def test_what_a_canary_ingress_can_not_do_is_said(path: str, value: Any, said: str) -> None:
    told = problem_of(changed(NGINX, f"traffic.segments.0.{path}", value))
    assert told.startswith("spec.traffic.segments: ")
    assert said in told
    assert "managedRoute" in told


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "traffic.segments",
            [{"headers": [{"name": "a", "value": "b"}]}],
            "spec.traffic.segments: replicas has no seg",
        ),
        ("candidate.service", "x", "spec.traffic.replicas.service: with traffic.replicas both arms are behind"),
        ("steps.0.weight", "0.5", "spec.steps: traffic.replicas takes whole percents"),
        ("traffic.replicas.total", 1, "spec.traffic.replicas.total: input should be greater than or equal to 2"),
        ("traffic.replicas.total", "10", "spec.traffic.replicas.total: must be a whole number"),
    ],
)
def test_what_pods_can_not_do_is_said(path: str, value: Any, said: str) -> None:
    assert said in problem_of(changed(REPLICAS, path, value))


def test_steps_that_are_the_same_number_of_pods_are_refused_with_what_helps() -> None:
    assert problem_of(changed(REPLICAS, "steps", [{"weight": w} for w in (1, 5, 25, 100)])) == (
        "spec.steps[1].weight: 1 % and 5 % are both 1 of 10 pods: remove one of the two steps, or set"
        " spec.traffic.replicas.total to 30 or more"
    )
    every = [{"weight": w} for w in (1, 2, 3, 97, 98, 99, 100)]
    assert "set spec.traffic.replicas.total to " in problem_of(changed(REPLICAS, "steps", every))


def test_a_header_can_not_be_matched_twice() -> None:
    obj = changed(FULL, "traffic.segments.0.headers.0.name", "X-Tenant")
    assert problem_of(obj) == (
        'spec.traffic.segments[0].headers: "X-Tenant" is matched by managedRoute.matches too; name it in one of the'
        " two places"
    )


@pytest.mark.parametrize(("obj", "name"), [(FULL, "X-Tenant"), (FULL, "x-team")], ids=["match", "segment"])
def test_the_header_for_buckets_is_matched_nowhere_else(obj: Any, name: str) -> None:
    assert problem_of(changed(obj, "traffic.sticky", {"bucketHeader": name})) == (
        f'spec.traffic.sticky.bucketHeader: "{name}" is matched by managedRoute.matches or segments too; take a header'
        " that is used for nothing else"
    )


@pytest.mark.parametrize("obj", [ADOPT, NGINX], ids=["adoptRoute", "ingressNginx"])
def test_sticky_is_refused_where_a_router_can_not_keep_users(obj: Any) -> None:
    told = problem_of(changed(obj, "traffic.sticky", {"bucketHeader": "x-bucket"}))
    assert told.startswith("spec.traffic.sticky: sticky needs managedRoute")
    assert "modelrollout assign" in told


def test_many_problems_are_cut() -> None:
    said = problem_of({"metadata": SMALLEST["metadata"], "spec": {}})
    assert said == ("spec.legacy: must be set; spec.candidate: must be set; spec.traffic: must be set (and 1 more)")


def test_unknown_fields_are_for_linting_only() -> None:
    obj = changed(SMALLEST, "analysis.falseAlarm", "0.05")
    assert isinstance(to_spec(obj), model.RolloutSpec)
    assert problem_of(obj, strict=True) == "spec.analysis.falseAlarm: unknown field"


def test_no_problem_repeats_a_long_value() -> None:
    said = problem_of(changed(SMALLEST, "legacy.deployment", "A" * 5000))
    assert len(said) < 200


@pytest.mark.parametrize("metadata", [None, {}, [], {"name": "x"}, {"name": 3, "namespace": "y"}])
def test_an_object_without_a_name(metadata: Any) -> None:
    assert problem_of({**SMALLEST, "metadata": metadata}).startswith("metadata: ")
