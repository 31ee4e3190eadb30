"""The kinds the operator reads and writes, and their REST paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Body = dict[str, Any]
"""A Kubernetes object, or a part of one, as decoded JSON."""

DOMAIN = "modelrollout.dev"
MANAGER = "modelrollout-operator"
FINALIZER = f"{DOMAIN}/route"
CONTROLLER = f"{DOMAIN}/operator"


@dataclass(frozen=True, slots=True)
class Resource:
    """One REST resource; `group` is empty for core/v1."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of one object, or of the collection without `name`; all namespaces without `namespace`."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def subject(self, namespace: str, name: str) -> str:
        """How messages call one object."""
        where = f"{namespace}/{name}" if namespace else name
        return f"{self.kind} {where}" if where else self.kind


ROLLOUTS = Resource(DOMAIN, "v1alpha1", "modelrollouts", "ModelRollout")
ACTIONS = Resource(DOMAIN, "v1alpha1", "rolloutactions", "RolloutAction")
SOURCES = Resource(DOMAIN, "v1alpha1", "metricsources", "MetricSource", namespaced=False)
PROFILES = Resource(DOMAIN, "v1alpha1", "sliprofiles", "SliProfile", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
SERVICES = Resource("", "v1", "services", "Service")
SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
HTTPROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
INGRESS_CLASSES = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")
TRAEFIK_SERVICES = Resource("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
SCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
