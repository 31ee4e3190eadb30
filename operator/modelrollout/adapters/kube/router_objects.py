"""Which objects carry a rollout's weights, by kind of router: what caches and watches must know of. Pure."""

from __future__ import annotations

from typing import assert_never

from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import (
    HTTPROUTES,
    INGRESSES,
    SCALERS,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Resource,
)
from modelrollout.core.model import AdoptRoute, IngressNginx, Istio, ManagedRoute, Replicas, RolloutSpec, Traefik

RouterObject = tuple[Resource, str]
"""Kind and name, in the rollout's namespace."""

ON_DEMAND: tuple[Resource, ...] = (INGRESSES, VIRTUAL_SERVICES, TRAEFIK_SERVICES, SCALERS)
"""Kinds that are listed and watched only while a rollout uses them."""
MAY_BE_ABSENT: frozenset[Resource] = frozenset({HTTPROUTES, *ON_DEMAND})
"""Kinds of routers, which a cluster may do without: only rollouts that use them are told."""


def router_objects(spec: RolloutSpec) -> tuple[RouterObject, ...]:
    """The objects that this rollout's router reads or writes."""
    match spec.traffic.router:
        case ManagedRoute():
            return ((HTTPROUTES, route_name(spec.key.name)),)
        case AdoptRoute(name=name):
            return ((HTTPROUTES, name),)
        case IngressNginx(ingress=name):
            return ((INGRESSES, name), (INGRESSES, route_name(spec.key.name)))
        case Istio(virtual_service=name):
            return ((VIRTUAL_SERVICES, name),)
        case Traefik(service=name):
            return ((TRAEFIK_SERVICES, name),)
        case Replicas():
            return ()
        case _:
            assert_never(spec.traffic.router)


def router_kinds(spec: RolloutSpec) -> frozenset[Resource]:
    """Their kinds, and those that are looked for by what they name."""
    found = frozenset(resource for resource, _ in router_objects(spec))
    return found | {SCALERS} if isinstance(spec.traffic.router, Replicas) else found
