"""`Routing` port: one router per kind of `spec.traffic`, chosen by the spec's type.

A further router is one file with a class that keeps `Router`, one line in `KubeRouting._router`, and the contract suite
run over it.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from modelrollout.adapters.kube.httproute_adopted import AdoptedRouter
from modelrollout.adapters.kube.httproute_managed import ManagedRouter
from modelrollout.adapters.kube.ingress_nginx import IngressNginxRouter
from modelrollout.adapters.kube.istio import IstioRouter
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.replicas import ReplicasRouter
from modelrollout.adapters.kube.traefik import TraefikRouter
from modelrollout.core.model import (
    AdoptRoute,
    IngressNginx,
    Istio,
    ManagedRoute,
    Replicas,
    RolloutSpec,
    Traefik,
    Weight,
)
from modelrollout.core.observation import Route, RouteAbsent, RouteSeen, RouteUnusable
from modelrollout.errors import Gone, SpecError


class Router(Protocol):
    """What the port asks of one kind of router; the same words, but `seen` is always a usable route."""

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The route as cached, or as stored when `fresh`."""
        ...

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Create or correct the route; the candidate gets `weight`."""
        ...

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Change the weights in one write that fails unless the route is still as `seen`."""
        ...

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Leave the route, still as `seen`, in place without its owner."""
        ...


class KubeRouting:
    """`Routing` port over every router there is."""

    def __init__(self, reader: Reader) -> None:
        self._managed = ManagedRouter(reader)
        self._adopted = AdoptedRouter(reader)
        self._nginx = IngressNginxRouter(reader)
        self._istio = IstioRouter(reader)
        self._traefik = TraefikRouter(reader)
        self._replicas = ReplicasRouter(reader)

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> Route:
        """The route as cached, or as stored when `fresh`."""
        return await self._router(spec).observe(spec, fresh=fresh)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Create or correct a managed route; RouteUnusable when it is not ours. SpecError for an adopted one."""
        return await self._router(spec).shape(spec, weight)

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """Change the weights as `Router` says. Gone or SpecError when `seen` is no usable route."""
        match seen:
            case RouteSeen():
                return await self._router(spec).set_weight(spec, seen, weight, segments=segments)
            case RouteAbsent():
                raise Gone("there is no route whose weights could be set", subject=f"ModelRollout {spec.key}")
            case RouteUnusable():
                raise SpecError(seen.problem, field="spec.traffic", subject=f"ModelRollout {spec.key}")
            case _:
                assert_never(seen)

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Leave a managed route, still as `seen`, in place without its owner; a no-op for adopted or absent routes."""
        await self._router(spec).release(spec, seen)

    def _router(self, spec: RolloutSpec) -> Router:
        match spec.traffic.router:
            case ManagedRoute():
                return self._managed
            case AdoptRoute():
                return self._adopted
            case IngressNginx():
                return self._nginx
            case Istio():
                return self._istio
            case Traefik():
                return self._traefik
            case Replicas():
                return self._replicas
            case _:
                assert_never(spec.traffic.router)
