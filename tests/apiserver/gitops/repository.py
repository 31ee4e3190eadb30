"""What is in Git: Deployments, Services, MetricSource, ModelRollout, and for adopt mode the HTTPRoute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.apiserver.gitops.snippet import Object
from tests.apiserver.shell.cluster import ANALYSIS, AVAILABILITY, NAMESPACE

LEGACY, CANDIDATE = "fraud-v7", "fraud-v8"
STEPS = (5, 50, 100)
MANAGED = {"managedRoute": {"parentRefs": [{"name": "public"}]}}
ADOPTED = {"adoptRoute": {"name": "fraud", "rule": "predict"}}


def tree(
    prometheus: str, *, image: str, adopt: bool, hold: str = "3s", hostnames: Sequence[str] = ("fraud.example.com",)
) -> list[Object]:
    """The manifests of one commit. `image`: what the candidate runs; `hold`: the shortest time of a step."""
    rollout = {
        "legacy": {"deployment": LEGACY},
        "candidate": {"deployment": CANDIDATE},
        "port": 8080,
        "traffic": {**(ADOPTED if adopt else MANAGED), "settle": "1s"},
        "steps": [{"weight": weight, "minDuration": hold} for weight in STEPS],
        "slis": [AVAILABILITY],
        "analysis": ANALYSIS,
        "errorBudget": {"burn": {"preset": "standard"}},
        "gitops": {"blocking": True},
    }
    source = {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": "default"},
        "spec": {"prometheus": {"address": prometheus}, "scrapeInterval": "1s"},
    }
    return [
        *_arm(LEGACY, "m:v7"),
        *_arm(CANDIDATE, image),
        source,
        *([_route(hostnames)] if adopt else []),
        _made("modelrollout.dev/v1alpha1", "ModelRollout", "fraud", rollout),
    ]


def _arm(name: str, image: str) -> list[Object]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": image}]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    service = {"selector": labels, "ports": [{"name": "http", "port": 8080}]}
    return [_made("v1", "Service", name, service), _made("apps/v1", "Deployment", name, deployment)]


def _route(hostnames: Sequence[str]) -> Object:
    # The weights of Git: what a sync without the snippet goes back to.
    pair = [{"name": LEGACY, "port": 8080, "weight": 100}, {"name": CANDIDATE, "port": 8080, "weight": 0}]
    predict = {"name": "predict", "matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": pair}
    # A rule without backendRefs, as every redirect is one: a path that can't pass it ignores nothing at all.
    redirect = {
        "name": "old",
        "matches": [{"path": {"type": "Exact", "value": "/old"}}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "new.example.com"}}],
    }
    spec = {"parentRefs": [{"name": "public"}], "hostnames": list(hostnames), "rules": [redirect, predict]}
    return _made("gateway.networking.k8s.io/v1", "HTTPRoute", "fraud", spec)


def _made(version: str, kind: str, name: str, spec: Any) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
