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
    """A Deployment. `settled`: its controller has seen this generation and every wanted replica runs it, no other."""

    template_hash: str
    wanted: int
    settled: bool


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; `name` is how EndpointSlices call it (empty when unnamed)."""

    port: int
    name: str


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service and the ports that it listens on."""

    ports: tuple[ServicePort, ...]


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
    observed = int(status.get("observedGeneration", 0)) >= int((body.get("metadata") or {}).get("generation", 0))
    total, updated = int(status.get("replicas") or 0), int(status.get("updatedReplicas") or 0)
    return DeploymentView(
        template_hash=template_hash(spec.get("template") or {}),
        wanted=wanted,
        settled=observed and total == updated == wanted,
    )


def service_view(body: Body) -> ServiceView:
    """The view of a Service body."""
    ports = (body.get("spec") or {}).get("ports") or ()
    return ServiceView(tuple(ServicePort(int(port["port"]), str(port.get("name") or "")) for port in ports))


def slice_view(body: Body) -> SliceView:
    """The view of an EndpointSlice body; an endpoint that says nothing about readiness is ready."""
    labels = (body.get("metadata") or {}).get("labels") or {}
    return SliceView(
        service=str(labels.get(SERVICE_NAME, "")),
        family=str(body.get("addressType", "")),
        ports=tuple(str(port.get("name") or "") for port in body.get("ports") or ()),
        ready=tuple(_endpoint_id(endpoint) for endpoint in body.get("endpoints") or () if _ready(endpoint)),
    )


def _ready(endpoint: dict[str, Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _endpoint_id(endpoint: dict[str, Any]) -> str:
    target = endpoint.get("targetRef") or {}
    return str(target.get("name") or next(iter(endpoint.get("addresses") or ()), ""))


DEPLOYMENT: Kind[DeploymentView] = Kind(DEPLOYMENTS, deployment_view)
SERVICE: Kind[ServiceView] = Kind(SERVICES, service_view)
SLICE: Kind[SliceView] = Kind(SLICES, slice_view)
HTTPROUTE: Kind[RouteView] = Kind(HTTPROUTES, route_view)
INGRESS: Kind[IngressView] = Kind(INGRESSES, ingress_view)
INGRESS_CLASS: Kind[ClassView] = Kind(INGRESS_CLASSES, class_view)
VIRTUAL_SERVICE: Kind[VirtualServiceView] = Kind(VIRTUAL_SERVICES, virtual_service_view)
TRAEFIK_SERVICE: Kind[TraefikServiceView] = Kind(TRAEFIK_SERVICES, traefik_service_view)
