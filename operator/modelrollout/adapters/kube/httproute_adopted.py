"""Router `adoptRoute`: the weights of two backends in one rule of an HTTPRoute that others own."""

from __future__ import annotations

from typing import ClassVar

from modelrollout.adapters.kube.adopted import AdoptingRouter, Entry, Pair
from modelrollout.adapters.kube.adopted_search import Words, find, single
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.httproute import RouteView, accepted
from modelrollout.adapters.kube.httproute_patch import NO_GATEWAY_API
from modelrollout.adapters.kube.projection import HTTPROUTE
from modelrollout.core.model import AdoptRoute, RolloutSpec
from modelrollout.core.observation import RouteUnusable
from modelrollout.errors import Bug, Denied


class AdoptedRouter(AdoptingRouter[RouteView]):
    """See `AdoptingRouter`."""

    KIND = HTTPROUTE
    FIELD: ClassVar[str] = "spec.traffic.adoptRoute"
    NAME: ClassVar[str] = "name"

    def name(self, spec: RolloutSpec) -> str:
        """Name of the HTTPRoute."""
        return _adopt(spec).name

    def followed(self, view: RouteView) -> tuple[bool | None, str]:
        """What all its parents say of this generation."""
        return accepted(view, view.parents)

    def closed(self, spec: RolloutSpec, error: Denied | NotServed) -> RouteUnusable:
        """Says what to install. Without rights on HTTPRoutes the operator does not start: that is raised."""
        if isinstance(error, Denied):
            raise error
        return RouteUnusable(NO_GATEWAY_API)

    def locate(self, view: RouteView, spec: RolloutSpec) -> Pair | RouteUnusable:
        """The rule with both Services at the spec's port."""
        if spec.traffic.segments:
            return RouteUnusable(
                "spec.traffic.segments needs managedRoute: the matches of an adopted route are its owner's"
            )
        arms = (spec.legacy.service, spec.candidate.service)
        where = f'HTTPRoute "{view.name}" in namespace {view.namespace}'
        words = Words(where, "rule", "backendRefs", "Service", arms, f"{self.FIELD}.rule")
        places = [(rule.find(arms[0]), rule.find(arms[1])) for rule in view.rules]
        index = find([rule.name for rule in view.rules], places, _adopt(spec).rule, words)
        if isinstance(index, RouteUnusable):
            return index
        found = single(places[index], f"rule {index}", words)
        if isinstance(found, RouteUnusable):
            return found
        backends = view.rules[index].backends
        for field, arm, place in zip(("legacy", "candidate"), arms, found, strict=True):
            if backends[place].port != spec.port:
                return RouteUnusable(
                    f'rule {index} of {where} sends to Service "{arm}" ({field}) at port {backends[place].port},'
                    f" spec.port is {spec.port}: make them the same"
                )
        legacy, candidate = (
            Entry(f"/spec/rules/{index}/backendRefs/{place}", backends[place].weight, (("name", arm),))
            for place, arm in zip(found, arms, strict=True)
        )
        label = f'the backends "{arms[0]}" and "{arms[1]}" of rule {index}'
        return Pair(legacy, candidate, len(backends) == 2, "backends", label)


def _adopt(spec: RolloutSpec) -> AdoptRoute:
    router = spec.traffic.router
    if not isinstance(router, AdoptRoute):
        raise Bug("the spec has no adoptRoute", subject=f"ModelRollout {spec.key}")
    return router
