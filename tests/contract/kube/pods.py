"""Deployments behind one Service, and what makes their pods: the users' side of `replicas`."""

from __future__ import annotations

from typing import Any

from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SCALERS, SERVICES, SLICES, Body
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteSeen
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube

SERVICE = "fraud"
SLICE = "fraud-pods"
LABELS = {"model": "fraud"}


def deployment(name: str, replicas: int, labels: dict[str, str] = LABELS) -> Body:
    pod = {"app": name, **labels}
    container = {"name": "model", "image": "model:1"}
    template = {"metadata": {"labels": pod}, "spec": {"containers": [container]}}
    return {"spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}}


async def users(kube: Kube, *, legacy: int = 100, candidate: int = 0, **changes: Any) -> None:
    """Two Deployments with labels of both behind one Service, the pods of legacy ready."""
    await kube.create(DEPLOYMENTS, LEGACY, deployment(LEGACY, legacy))
    await kube.create(DEPLOYMENTS, CANDIDATE, deployment(CANDIDATE, candidate))
    ports = [{"port": PORT, "name": "http", "targetPort": PORT, "protocol": "TCP"}]
    await kube.create(SERVICES, SERVICE, {"spec": {"ports": ports, "selector": LABELS, **changes}})
    await kube.create(SLICES, SLICE, slice_of(legacy, candidate))


def slice_of(legacy: int, candidate: int) -> Body:
    pods = [*(f"{LEGACY}-abc-{n}" for n in range(legacy)), *(f"{CANDIDATE}-def-{n}" for n in range(candidate))]
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [f"10.0.{index // 250}.{index % 250 + 1}"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for index, pod in enumerate(pods)
        ],
    }


async def ready(kube: Kube, legacy: int, candidate: int) -> None:
    """So many pods of each are ready."""
    await kube.edit(SLICES, SLICE, {"endpoints": slice_of(legacy, candidate)["endpoints"]})


async def wanted(kube: Kube) -> tuple[int, int]:
    """What the two Deployments want."""
    legacy, candidate = [await kube.get(DEPLOYMENTS, name) for name in (LEGACY, CANDIDATE)]
    return legacy["spec"]["replicas"], candidate["spec"]["replicas"]


async def scaler(kube: Kube, target: str, *, kind: str = "Deployment") -> None:
    """An autoscaler of this Deployment."""
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
    }
    spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 20, "metrics": [metric]}
    await kube.create(SCALERS, f"scale-{target}", {"spec": spec})


class Followed(KubeRouting):
    """Routing with pods that are ready as soon as they are wanted: a weight is followed to its end."""

    def __init__(self, reader: Reader, kube: Kube) -> None:
        super().__init__(reader)
        self.kube = kube

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """As the router does it, again and again until it has nothing more to write."""
        for _ in range(9):
            before = await wanted(self.kube)
            seen = await super().set_weight(spec, seen, weight, segments=segments)
            after = await wanted(self.kube)
            await ready(self.kube, *after)
            if after == before or not isinstance(seen, RouteSeen):
                break
            seen = await self.observe(spec, fresh=True)
        return seen
