"""Router `traefik`: the weights of two Services in a TraefikService that others own.

A TraefikService has no status: `accepted` means that it is there with both Services, and `settle` is for the rest.
"""

from __future__ import annotations

from typing import ClassVar

from modelrollout.adapters.kube.adopted import AdoptingRouter, Entry, Pair
from modelrollout.adapters.kube.adopted_search import Words, single
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.projection import TRAEFIK_SERVICE
from modelrollout.adapters.kube.traefik_service import TraefikServiceView
from modelrollout.core.model import RolloutSpec, Traefik
from modelrollout.core.observation import RouteUnusable
from modelrollout.errors import Bug, Denied

LIST = "spec.weighted.services"


class TraefikRouter(AdoptingRouter[TraefikServiceView]):
    """See `AdoptingRouter`."""

    KIND = TRAEFIK_SERVICE
    FIELD: ClassVar[str] = "spec.traffic.traefik"
    NAME: ClassVar[str] = "service"

    def name(self, spec: RolloutSpec) -> str:
        """Name of the TraefikService."""
        router = spec.traffic.router
        if not isinstance(router, Traefik):
            raise Bug("the spec has no traefik", subject=f"ModelRollout {spec.key}")
        return router.service

    def followed(self, view: TraefikServiceView) -> tuple[bool | None, str]:
        """Always true. Says so where a cookie keeps users: Traefik drops it with weight 0 only."""
        cookie = (
            "the cookie of spec.weighted.sticky keeps users on their arm until it has weight 0, so that requests lag"
            " behind the weights: take it out, or set spec.analysis.sampleRatio to Warn"
        )
        return True, cookie if view.sticky else ""

    def closed(self, spec: RolloutSpec, error: Denied | NotServed) -> RouteUnusable:
        """Says what to install or to grant."""
        if isinstance(error, NotServed):
            return RouteUnusable(
                "this cluster does not serve TraefikService (traefik.io/v1alpha1): install the CRDs of Traefik 3"
            )
        return RouteUnusable(
            f"{self.FIELD}: the operator may not read TraefikServices ({error.message}): install the chart with"
            f" routers.traefik=true, or grant what examples/rbac.yaml says for namespace {spec.key.namespace}"
        )

    def locate(self, view: TraefikServiceView, spec: RolloutSpec) -> Pair | RouteUnusable:
        """Both Services among the weighted ones, at the spec's port where they name a number."""
        if spec.traffic.segments:
            return RouteUnusable(
                "spec.traffic.segments needs managedRoute: the matches of an IngressRoute are its owner's"
            )
        where = f'TraefikService "{view.name}" in namespace {view.namespace}'
        arms = (spec.legacy.service, spec.candidate.service)
        if view.parts is None:
            return RouteUnusable(
                f"{where} has no spec.weighted: give it the two Services with weights there, or name another one in"
                f" {self.FIELD}.{self.NAME}"
            )
        places = (view.find(arms[0]), view.find(arms[1]))
        if not all(places):
            return RouteUnusable(
                f'{where} does not have both Services "{arms[0]}" and "{arms[1]}" of this namespace in {LIST}: add the'
                f" missing one (weight 0 for the candidate)"
            )
        found = single(places, LIST, Words(where, LIST, "entries", "Service", arms, self.FIELD))
        if isinstance(found, RouteUnusable):
            return found
        for field, arm, place in zip(("legacy", "candidate"), arms, found, strict=True):
            port = view.parts[place].port
            if port is not None and port != spec.port:
                return RouteUnusable(
                    f'{where} sends to Service "{arm}" ({field}) at port {port}, spec.port is {spec.port}: make them'
                    f" the same"
                )
        legacy, candidate = (
            Entry(f"/spec/weighted/services/{place}", view.parts[place].weight, (("name", arm),))
            for place, arm in zip(found, arms, strict=True)
        )
        label = f'the services "{arms[0]}" and "{arms[1]}"'
        return Pair(legacy, candidate, len(view.parts) == 2, "services", label)
