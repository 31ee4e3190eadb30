"""Router `istio`: the weights of two destinations in one http route of a VirtualService that others own.

A DestinationRule is never read or written: it is Istio's affair whether a subset is defined. Istio answers for a
VirtualService only where istiod writes statuses, which is off by default: without one, `accepted` means that the
VirtualService is there with both destinations, and `settle` is for the rest.
"""

from __future__ import annotations

from typing import ClassVar

from modelrollout.adapters.kube.adopted import AdoptingRouter, Entry, Pair
from modelrollout.adapters.kube.adopted_search import Places, Words, find, single
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.projection import VIRTUAL_SERVICE
from modelrollout.adapters.kube.virtual_service import Destination, HttpRoute, VirtualServiceView, means
from modelrollout.core.model import Istio, RolloutSpec
from modelrollout.core.observation import RouteUnusable
from modelrollout.errors import Bug, Denied


class IstioRouter(AdoptingRouter[VirtualServiceView]):
    """See `AdoptingRouter`."""

    KIND = VIRTUAL_SERVICE
    FIELD: ClassVar[str] = "spec.traffic.istio"
    NAME: ClassVar[str] = "virtualService"

    def name(self, spec: RolloutSpec) -> str:
        """Name of the VirtualService."""
        return _istio(spec).virtual_service

    def followed(self, view: VirtualServiceView) -> tuple[bool | None, str]:
        """True unless Istio's analysis calls something of this generation an error."""
        if not view.errors:
            return True, ""
        # A status has no more than codes and the addresses of pages.
        whole = f"`istioctl analyze -n {view.namespace}` tells all of them"
        return False, f"Istio's analysis finds errors in the VirtualService: {', '.join(view.errors)} ({whole})"

    def closed(self, spec: RolloutSpec, error: Denied | NotServed) -> RouteUnusable:
        """Says what to install or to grant."""
        if isinstance(error, NotServed):
            return RouteUnusable(
                "this cluster does not serve VirtualService (networking.istio.io/v1): install Istio 1.22 or newer"
            )
        return RouteUnusable(
            f"{self.FIELD}: the operator may not read VirtualServices ({error.message}): install the chart with"
            f" routers.istio=true, or grant what examples/rbac.yaml says for namespace {spec.key.namespace}"
        )

    def locate(self, view: VirtualServiceView, spec: RolloutSpec) -> Pair | RouteUnusable:
        """The http route with both arms."""
        router = _istio(spec)
        if spec.traffic.segments:
            return RouteUnusable(
                "spec.traffic.segments needs managedRoute: the matches of a VirtualService are its owner's"
            )
        words = _words(self.FIELD, router, view, spec)
        places = [_places(route, router, spec) for route in view.routes]
        index = find([route.name for route in view.routes], places, router.route, words)
        if isinstance(index, RouteUnusable):
            return index
        found = single(places[index], f"http route {index}", words)
        if isinstance(found, RouteUnusable):
            return found
        destinations = view.routes[index].destinations
        for field, name, place in zip(("legacy", "candidate"), words.arms, found, strict=True):
            port = destinations[place].port
            # The port of a host that both arms share may be any: theirs are those of their own Services.
            if router.subsets is None and port is not None and port != spec.port:
                return RouteUnusable(
                    f'http route {index} of {words.where} sends to host "{name}" ({field}) at port {port}, spec.port is'
                    f" {spec.port}: make them the same"
                )
        legacy, candidate = (_entry(index, place, destinations[place]) for place in found)
        label = f'the destinations "{words.arms[0]}" and "{words.arms[1]}" of http route {index}'
        return Pair(legacy, candidate, len(destinations) == 2, "destinations", label)


def _words(field: str, router: Istio, view: VirtualServiceView, spec: RolloutSpec) -> Words:
    where = f'VirtualService "{view.name}" in namespace {view.namespace}'
    if router.subsets is not None:
        arms = (router.subsets.legacy, router.subsets.candidate)
        return Words(where, "http route", "destinations", "subset", arms, f"{field}.route", " of one host")
    arms = (spec.legacy.service, spec.candidate.service)
    beside = f" (or their full names, such as {arms[0]}.{view.namespace}.svc.cluster.local)"
    return Words(where, "http route", "destinations", "host", arms, f"{field}.route", beside)


def _places(route: HttpRoute, router: Istio, spec: RolloutSpec) -> Places:
    """Positions of the arms' destinations: of their hosts, or of both subsets at a host that has both."""
    known = tuple(enumerate(route.destinations))
    namespace = spec.key.namespace
    if router.subsets is None:
        legacy, candidate = (
            tuple(at for at, to in known if means(to.host, arm.service, namespace))
            for arm in (spec.legacy, spec.candidate)
        )
        return legacy, candidate
    first, second = router.subsets.legacy, router.subsets.candidate
    hosts = {to.host for to in route.destinations if to.subset == first}
    hosts &= {to.host for to in route.destinations if to.subset == second}
    return (
        tuple(at for at, to in known if to.host in hosts and to.subset == first),
        tuple(at for at, to in known if to.host in hosts and to.subset == second),
    )


def _entry(index: int, place: int, destination: Destination) -> Entry:
    guards = [("destination/host", destination.host)]
    if destination.subset is not None:
        guards.append(("destination/subset", destination.subset))
    return Entry(f"/spec/http/{index}/route/{place}", destination.weight, tuple(guards))


def _istio(spec: RolloutSpec) -> Istio:
    router = spec.traffic.router
    if not isinstance(router, Istio):
        raise Bug("the spec has no istio", subject=f"ModelRollout {spec.key}")
    return router
