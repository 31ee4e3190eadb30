"""The rollouts that are measured, as a user would write them, and the objects that belong to each.

Nine in ten stay in a long first step; every tenth climbs in small steps of half a minute, so that raises are under way
at any moment. One pod an arm. Nobody runs pods: Deployments and EndpointSlices are written as controllers would
leave them, because controllers and KWOK for ten thousand arms would need more of the two processors than the operator.
"""

from __future__ import annotations

from typing import Any

from modelrollout.adapters.kube.resources import FINALIZER

NAMESPACES = 20
INTERVAL = 5.0
"""Seconds of a tick, and between scrapes."""
CLIMBS = 10
"""Every so many-th rollout climbs."""
CANDIDATE_SHARE = 0.25
CLIMB_STEPS = 19
ARMS = (1, 2)
Body = dict[str, Any]


def namespace_of(index: int) -> str:
    """The namespace of a rollout."""
    return f"team-{index % NAMESPACES}"


def name_of(index: int) -> str:
    """The name of a rollout."""
    return f"model-{index}"


def index_of(rollout: str) -> int:
    """The rollout of that name, or of a route that begins with it."""
    return int(rollout.split("-")[1])


def climbs(index: int) -> bool:
    """Whether the rollout takes a step every half minute."""
    return index % CLIMBS == 1


def arm_of(index: int, version: int) -> str:
    """Deployment, Service and EndpointSlice of an arm."""
    return f"{name_of(index)}-v{version}"


def pod_of(index: int, version: int, life: int = 0) -> str:
    """The one pod of an arm; `life`: how many it had before."""
    return f"{arm_of(index, version)}-7d9c5b8f6{version}-{(index + (life << 12)) % 16**5:05x}"


def deployment(index: int, version: int) -> Body:
    """The Deployment of an arm. Templates are alike in all rollouts, so that their hashes are."""
    labels = {"app": f"model-v{version}"}
    container = {"name": "model", "image": "example/model:1", "env": [{"name": "VERSION", "value": str(version)}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": arm_of(index, version), "namespace": namespace_of(index)},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


DEPLOYED: Body = {
    "status": {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    }
}
"""What the controller would say of it."""


def service(index: int, version: int) -> Body:
    """The Service of an arm."""
    spec = {"clusterIP": "None", "selector": {"app": f"model-v{version}"}, "ports": [{"port": 8080}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": arm_of(index, version), "namespace": namespace_of(index)},
        "spec": spec,
    }


def endpoints(index: int, version: int, *, life: int = 0, ready: bool = True) -> Body:
    """The EndpointSlice of an arm with its pod."""
    name = arm_of(index, version)
    target = {"kind": "Pod", "namespace": namespace_of(index), "name": pod_of(index, version, life)}
    address = f"10.{100 + version}.{index // 250}.{index % 250}"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": namespace_of(index),
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}, "targetRef": target}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }


SLIS: tuple[Body, ...] = (
    {"name": "errors", "profile": "modelrollout/errors", "objective": "99"},
    {"name": "latency", "profile": "modelrollout/latency", "objective": "95", "threshold": "300ms"},
    {
        "name": "fallbacks",
        "counts": {"total": {"metric": "predictions_total"}, "bad": {"metric": "predictions_fallback_total"}},
        "objective": "98",
    },
    {"name": "accuracy", "profile": "modelrollout/accuracy", "objective": "90", "critical": False},
)
"""Four templates; the first alone is what `--slis 1` measures."""


def rollout(index: int, slis: int) -> Body:
    """The ModelRollout, with the operator's finalizer, as if it had been served for a while."""
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": name_of(index), "namespace": namespace_of(index), "finalizers": [FINALIZER]},
        "spec": {
            "legacy": {"deployment": arm_of(index, 1)},
            "candidate": {"deployment": arm_of(index, 2)},
            "port": 8080,
            "traffic": {
                "managedRoute": {"parentRefs": [{"name": "public"}], "hostnames": [f"{name_of(index)}.example.com"]},
                "settle": "1s",
            },
            "steps": _steps(index),
            "slis": list(SLIS[:slis]),
            "analysis": {"interval": f"{INTERVAL:g}s"},
        },
    }


def _steps(index: int) -> list[Body]:
    if not climbs(index):
        return [{"weight": 25, "minDuration": "4h", "maxDuration": "8h"}, {"weight": 100}]
    # Steps too small for the fixed split of the exporter to differ from them.
    weights = [f"25.{step:02d}" if step else "25" for step in range(CLIMB_STEPS)]
    return [{"weight": weight, "minDuration": "30s", "maxDuration": "8h"} for weight in weights] + [{"weight": 100}]
