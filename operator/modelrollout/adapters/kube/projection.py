"""From bodies of the API server to the little that decisions need of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from modelrollout.adapters.kube.httproute import RouteView, route_view
from modelrollout.adapters.kube.ingress import ClassView, IngressView, class_view, ingress_view
from modelrollout.adapters.kube.resources import (
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESS_CLASSES,
    INGRESSES,
    SCALERS,
    SERVICES,
    SLICES,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Body,
    Resource,
)
from modelrollout.adapters.kube.traefik_service import TraefikServiceView, traefik_service_view
from modelrollout.adapters.kube.virtual_service import VirtualServiceView, virtual_service_view

T = TypeVar("T")

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A resource, how its bodies are projected, and how projections are kept."""

    resource: Resource
    project: Callable[[Body], T]
    keep: Callable[[T], object] | None = None
    """Makes it smaller; absent: kept as it is."""
    give: Callable[[Any], T] | None = None
    """Undoes `keep`."""


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A Deployment. `settled`: its controller has seen this generation and every wanted replica runs it, no other.

    `labels`: of its pods. `identity`: uid and generation, which moves with every change of its spec.
    """

    template_hash: str
    wanted: int
    settled: bool
    labels: tuple[tuple[str, str], ...] = ()
    identity: tuple[str, int] = ("", 0)
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; `name` is how EndpointSlices call it (empty when unnamed)."""

    port: int
    name: str


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service and the ports that it listens on. `sticky`: it keeps callers with their pod."""

    ports: tuple[ServicePort, ...]
    selector: tuple[tuple[str, str], ...] = ()
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class ScalerView:
    """A HorizontalPodAutoscaler of the Deployment `target`; empty for one of anything else."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class SliceView:
    """Ready endpoints of one EndpointSlice of `service`; `ports` are names. Dual-stack pods are in two slices."""

    service: str
    family: str
    ports: tuple[str, ...]
    ready: tuple[str, ...]


def template_hash(template: object) -> str:
    """Digest of a pod template as stored; independent of the order of keys."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=10).hexdigest()


def deployment_view(body: Body) -> DeploymentView:
    """The view of a Deployment body."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    metadata, template = body.get("metadata") or {}, spec.get("template") or {}
    generation = int(metadata.get("generation", 0))
    observed = int(status.get("observedGeneration", 0)) >= generation
    total, updated = int(status.get("replicas") or 0), int(status.get("updatedReplicas") or 0)
    return DeploymentView(
        template_hash=template_hash(template),
        wanted=wanted,
        settled=observed and total == updated == wanted,
        labels=_pairs((template.get("metadata") or {}).get("labels")),
        identity=(str(metadata.get("uid", "")), generation),
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def service_view(body: Body) -> ServiceView:
    """The view of a Service body."""
    spec = body.get("spec") or {}
    ports = tuple(ServicePort(int(port["port"]), str(port.get("name") or "")) for port in spec.get("ports") or ())
    return ServiceView(ports, _pairs(spec.get("selector")), spec.get("sessionAffinity") == "ClientIP")


def scaler_view(body: Body) -> ScalerView:
    """The view of a HorizontalPodAutoscaler body."""
    target = (body.get("spec") or {}).get("scaleTargetRef") or {}
    ours = target.get("kind") == "Deployment"
    return ScalerView(str(body["metadata"]["name"]), str(target.get("name", "")) if ours else "")


def slice_view(body: Body) -> SliceView:
    """The view of an EndpointSlice body; an endpoint that says nothing about readiness is ready."""
    labels = (body.get("metadata") or {}).get("labels") or {}
    return SliceView(
        service=str(labels.get(SERVICE_NAME, "")),
        family=str(body.get("addressType", "")),
        ports=tuple(str(port.get("name") or "") for port in body.get("ports") or ()),
        ready=tuple(_endpoint_id(endpoint) for endpoint in body.get("endpoints") or () if _ready(endpoint)),
    )


def _pairs(labels: object) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(k), str(v)) for k, v in labels.items())) if isinstance(labels, dict) else ()


def _ready(endpoint: dict[str, Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _endpoint_id(endpoint: dict[str, Any]) -> str:
    target = endpoint.get("targetRef") or {}
    return str(target.get("name") or next(iter(endpoint.get("addresses") or ()), ""))


DEPLOYMENT: Kind[DeploymentView] = Kind(DEPLOYMENTS, deployment_view)
SERVICE: Kind[ServiceView] = Kind(SERVICES, service_view)
SLICE: Kind[SliceView] = Kind(SLICES, slice_view)
HTTPROUTE: Kind[RouteView] = Kind(HTTPROUTES, route_view)
SCALER: Kind[ScalerView] = Kind(SCALERS, scaler_view)
INGRESS: Kind[IngressView] = Kind(INGRESSES, ingress_view)
INGRESS_CLASS: Kind[ClassView] = Kind(INGRESS_CLASSES, class_view)
VIRTUAL_SERVICE: Kind[VirtualServiceView] = Kind(VIRTUAL_SERVICES, virtual_service_view)
TRAEFIK_SERVICE: Kind[TraefikServiceView] = Kind(TRAEFIK_SERVICES, traefik_service_view)
