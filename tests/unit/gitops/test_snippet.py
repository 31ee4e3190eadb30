"""The snippet for Argo CD, and the player of it that the tests on an API server use."""

from __future__ import annotations

import copy
from typing import Any

from tests.apiserver.gitops.repository import tree
from tests.apiserver.gitops.snippet import NOTHING_IGNORED, RESPECT, Application, Object, documented


def route() -> Object:
    (found,) = [obj for obj in tree("http://prometheus", image="m:1", adopt=True) if obj["kind"] == "HTTPRoute"]
    return found


def live(*weights: int, **spec: Any) -> Object:
    """The route in the cluster, steered."""
    found = copy.deepcopy(route())
    for backend, weight in zip(found["spec"]["rules"][1]["backendRefs"], weights, strict=True):
        backend["weight"] = weight
    found["spec"] |= spec
    found["status"] = {"parents": []}
    return found


def weights(obj: Object) -> list[int | None]:
    return [backend.get("weight") for backend in obj["spec"]["rules"][1]["backendRefs"]]


def test_the_weights_of_the_cluster_are_applied_and_no_difference_is_seen() -> None:
    argo = documented()
    assert argo.respected
    assert weights(argo.target(route(), live(50, 50))) == [50, 50]
    assert argo.normalized(route())["spec"] == argo.normalized(live(50, 50))["spec"]
    assert weights(argo.normalized(route())) == [None, None]
    assert weights(route()) == [100, 0], "what is in Git is left as it is"


def test_a_route_that_is_not_there_is_made_with_the_weights_of_git() -> None:
    assert weights(documented().target(route(), None)) == [100, 0]


def test_hostnames_follow_git_and_rules_do_not() -> None:
    wanted = route()
    wanted["spec"]["hostnames"] = ["new.example.com"]
    wanted["spec"]["rules"][1]["matches"][0]["path"]["value"] = "/v2"
    target = documented().target(wanted, live(50, 50))
    assert target["spec"]["hostnames"] == ["new.example.com"]
    assert target["spec"]["rules"] == live(50, 50)["spec"]["rules"]
    assert "status" not in target


def test_a_path_without_question_marks_ignores_nothing_beside_a_rule_without_backends() -> None:
    strict = Application.of(
        {
            "ignoreDifferences": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "HTTPRoute",
                    "jqPathExpressions": [".spec.rules[].backendRefs[].weight"],
                }
            ],
            "syncPolicy": {"syncOptions": [RESPECT]},
        }
    )
    assert weights(strict.target(route(), live(50, 50))) == [100, 0]
    without = route()
    del without["spec"]["rules"][0]
    steered = live(50, 50)
    del steered["spec"]["rules"][0]
    assert strict.target(without, steered)["spec"] == steered["spec"]


def test_without_the_snippet_gits_weights_are_applied() -> None:
    assert NOTHING_IGNORED.target(route(), live(50, 50)) == route()


def test_other_kinds_are_applied_as_they_are() -> None:
    argo = documented()
    others = [obj for obj in tree("http://prometheus", image="m:1", adopt=True) if obj["kind"] != "HTTPRoute"]
    assert len(others) == 6
    for obj in others:
        seen = {**obj, "status": {"phase": "x"}}
        assert argo.target(obj, seen) == obj
