"""What the snippet of the how-to page leaves out, for each kind of object that a rollout adopts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.apiserver.gitops.snippet import documented

Object = dict[str, Any]


def istio(*weights: int) -> Object:
    hosts = ("fraud-v7", "fraud-v8")
    split = [{"destination": {"host": host}, "weight": weight} for host, weight in zip(hosts, weights, strict=True)]
    routes = [{"name": "moved", "redirect": {"uri": "/new"}}, {"name": "predict", "route": split}]
    spec = {"hosts": ["fraud.example.com"], "http": routes}
    meta = {"name": "fraud", "namespace": "serving"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}


def traefik(*weights: int) -> Object:
    names = ("fraud-v7", "fraud-v8")
    split = [{"name": name, "port": 8080, "weight": weight} for name, weight in zip(names, weights, strict=True)]
    meta = {"name": "fraud", "namespace": "serving"}
    spec = {"weighted": {"services": split}}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": meta, "spec": spec}


@pytest.mark.parametrize(("make", "rest"), [(istio, "hosts"), (traefik, "mirroring")], ids=["istio", "traefik"])
def test_weights_are_left_to_the_cluster_and_the_rest_to_git(make: Any, rest: str) -> None:
    application, git, live = documented(), make(100, 0), make(75, 25)
    assert application.normalized(git) == application.normalized(live) != live
    assert application.target(git, live) == live, "a sync leaves the weights as they are"
    changed = copy.deepcopy(git)
    changed["spec"][rest] = "other"
    assert application.target(changed, live)["spec"][rest] == "other"
    assert application.normalized(changed) != application.normalized(live)
