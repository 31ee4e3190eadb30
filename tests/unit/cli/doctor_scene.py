"""A cluster in which `doctor` finds nothing wrong, and what can be changed in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from modelrollout import __version__
from modelrollout.api.crd import KINDS, definition
from modelrollout.cli import doctor_server
from modelrollout.cli.doctor import looked
from modelrollout.cli.findings import Finding, State
from tests.unit.cli.cluster_answers import NOT_SERVED, Answer, Cluster, asking
from tests.unit.cli.scenes import scene

NOW = 1_800_000_000.0
ROLLOUTS = "/apis/modelrollout.dev/v1alpha1/modelrollouts"
SOURCE = {"metadata": {"name": "default"}, "spec": {"scrapeInterval": "5s"}}
GATEWAY = "gateways.gateway.networking.k8s.io --namespace=infra --field-selector=metadata.name=public"
READS = 'modelrollout_metric_read_duration_seconds_count{result="ok",source="default"} 12.0\n'


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def logged(seconds: float) -> str:
    return f"I1122 Response Headers:\n\tDate: {format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)}\n"


def kinds(*names: str) -> dict[str, Any]:
    return {"kind": "APIResourceList", "resources": [{"name": name} for name in names]}


def lease(renewed: float, holder: str = "operator-1") -> list[Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": at(renewed)}
    return [{"metadata": {"namespace": "modelrollout", "name": "modelrollout"}, "spec": spec}]


def deployment(ready: int = 2, version: str = __version__, namespaces: str = "") -> dict[str, Any]:
    env = [{"name": "MODELROLLOUT_LEASE_NAME", "value": "modelrollout"}]
    env += [{"name": "MODELROLLOUT_NAMESPACE", "value": namespaces}] if namespaces else []
    pod = {"serviceAccountName": "modelrollout", "containers": [{"image": "example.com/mr:0.1.0", "env": env}]}
    template = {"metadata": {"labels": {"app.kubernetes.io/component": "operator"}}, "spec": pod}
    return {
        "metadata": {
            **{"namespace": "modelrollout", "name": "modelrollout", "generation": 1},
            "labels": {"app.kubernetes.io/version": version},
        },
        "spec": {"replicas": 2, "template": template},
        "status": {"replicas": 2, "readyReplicas": ready, "updatedReplicas": 2, "observedGeneration": 1},
    }


def rollout(of: str = "7-shared", /, **spec: Any) -> dict[str, Any]:
    obj = copy.deepcopy(scene(of)[0])
    obj["spec"] |= spec
    return obj


def gateway(*, space: str = "All", programmed: str = "True", listener: str = "http") -> dict[str, Any]:
    condition = {"type": "Programmed", "status": programmed, "message": "no address"}
    rules = {"allowedRoutes": {"namespaces": {"from": space}}} if space else {}
    return {
        "metadata": {"namespace": "infra", "name": "public"},
        "spec": {"listeners": [{"name": listener, **rules}]},
        "status": {"conditions": [condition]},
    }


def healthy() -> Cluster:
    now = NOW
    crds = [definition(kind) for kind in KINDS]
    return Cluster(
        told={
            "--raw /version": logged(now),
            "--raw /apis/modelrollout.dev/v1alpha1": kinds(*doctor_server.RESOURCES),
            "customresourcedefinitions": crds,
            "--raw /apis/gateway.networking.k8s.io/v1": kinds("httproutes"),
            "--raw /apis/networking.k8s.io/v1": kinds("ingresses"),
            "--raw /apis/argoproj.io/v1alpha1": NOT_SERVED,
            "deployments.apps --all-namespaces": [deployment(), {"metadata": {"name": "dashboard"}}],
            "leases.coordination.k8s.io --namespace=modelrollout": lease(now - 1),
            "leases.coordination.k8s.io --all-namespaces": [],
            ROLLOUTS: {"items": [rollout()]},
            "get metricsources": [SOURCE],
            GATEWAY: [gateway()],
            "get pods": [{"metadata": {"name": "operator-1"}}],
            "proxy/metrics": READS,
        }
    )


def found(cluster: Cluster, name: str | None = None, given: str | None = None) -> list[Finding]:
    return list(looked(asking(cluster), name, given, "modelrollout", sleep=lambda _: None, now=lambda: NOW))


def states(findings: list[Finding], check: str) -> list[State]:
    return [each.state for each in findings if each.check == check]


def told(part: str, answer: Answer) -> Callable[[Cluster], None]:
    def change(cluster: Cluster) -> None:
        cluster.told.pop(part, None)
        cluster.told[part] = answer

    return change


def refuses(*rights: tuple[str, str]) -> Callable[[Cluster], None]:
    return lambda cluster: cluster.refused.extend(rights)


def rollouts(*items: Mapping[str, Any]) -> Callable[[Cluster], None]:
    return told(ROLLOUTS, {"items": list(items)})


OPERATORS = "deployments.apps --all-namespaces"
LEASES = "leases.coordination.k8s.io --namespace=modelrollout"
