"""Router `istio`: the weights of two destinations in one http route of a VirtualService that others own.

Segments are http routes of the owner too, with the segment's headers: their weights go from one arm to the other.

A DestinationRule is never read or written: it is Istio's affair whether a subset is defined. Istio answers for a
VirtualService only where istiod writes statuses, which is off by default: without one, `accepted` means that the
VirtualService is there with both destinations, and `settle` is for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from modelrollout.adapters.kube.adopted import AdoptingRouter, Entry, Pair
from modelrollout.adapters.kube.adopted_search import Places, Words, find, single
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.projection import VIRTUAL_SERVICE
from modelrollout.adapters.kube.virtual_service import Destination, Headers, HttpRoute, VirtualServiceView, means
from modelrollout.core.model import Istio, RolloutSpec, Segment
from modelrollout.core.observation import RouteUnusable
from modelrollout.errors import Bug, Denied

NOWHERE: Places = ((), ())
MAX_HEADERS = 200


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
        """The http route with both arms, and those of segments."""
        router = _istio(spec)
        words = _words(self.FIELD, router, view, spec)
        places = [_places(route, router, spec) for route in view.routes]
        # Where the spec names none, the routes of segments are not what is looked for.
        asked = set() if router.route else {_wanted(segment) for segment in spec.traffic.segments}
        others = [NOWHERE if route.headers in asked else at for route, at in zip(view.routes, places, strict=True)]
        index = find([route.name for route in view.routes], others, router.route, words)
        if isinstance(index, RouteUnusable):
            return index
        found = _entries(view, index, places[index], words, spec)
        if isinstance(found, RouteUnusable):
            return found
        segments: list[tuple[Entry, Entry]] = []
        unfit = ""
        for number, segment in enumerate(spec.traffic.segments):
            entries, wrong = _of_segment(view, (index, number), _wanted(segment), places, words, spec)
            segments += entries
            unfit = unfit or wrong
        label = f'the destinations "{words.arms[0]}" and "{words.arms[1]}" of http route {index}'
        return Pair(*found, len(view.routes[index].destinations) == 2, "destinations", label, tuple(segments), unfit)


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


def _entries(
    view: VirtualServiceView, index: int, places: Places, words: Words, spec: RolloutSpec
) -> tuple[Entry, Entry] | RouteUnusable:
    """The arms' entries in http route `index`, which has both."""
    found = single(places, f"http route {index}", words)
    if isinstance(found, RouteUnusable):
        return found
    destinations = view.routes[index].destinations
    for field, name, place in zip(("legacy", "candidate"), words.arms, found, strict=True):
        port = destinations[place].port
        # The port of a host that both arms share may be any: theirs are those of their own Services.
        if _istio(spec).subsets is None and port is not None and port != spec.port:
            return RouteUnusable(
                f'http route {index} of {words.where} sends to host "{name}" ({field}) at port {port}, spec.port is'
                f" {spec.port}: make them the same"
            )
    legacy, candidate = (_entry(index, place, destinations[place]) for place in found)
    return legacy, candidate


def _of_segment(
    view: VirtualServiceView,
    at: tuple[int, int],
    wanted: Headers,
    places: Sequence[Places],
    words: Words,
    spec: RolloutSpec,
) -> tuple[list[tuple[Entry, Entry]], str]:
    """The arms' entries in every http route for a segment, and what is wrong with those.

    `at`: positions of the split's route and of the segment.
    """
    split, number = at
    field = f"spec.traffic.segments[{number}]"
    routes = enumerate(view.routes)
    fits = [index for index, route in routes if index != split and route.headers == wanted and all(places[index])]
    entries: list[tuple[Entry, Entry]] = []
    for index in fits:
        found = _entries(view, index, places[index], words, spec)
        if isinstance(found, RouteUnusable):
            return entries, found.problem
        entries.append(found)
    for index in fits:
        if len(view.routes[index].destinations) != 2:
            return entries, (
                f"http route {index} of {words.where} is for {field} and has other destinations than the two arms:"
                " leave these two, since all requests of a segment go to one of them"
            )
        if index > split:
            return entries, (
                f"http route {index} of {words.where} is for {field} and stands behind http route {split}, which may"
                " take its requests: put it before that one"
            )
    if fits:
        return entries, ""
    headers = " and ".join(f'{name} with exact "{value}"' for name, value in sorted(wanted))[:MAX_HEADERS]
    return entries, (
        f"no http route of {words.where} asks for the headers of {field} ({headers}, no others) and has both"
        f" {words.both}: add one before http route {split}, with weight 100 for legacy and 0 for the candidate, or"
        " remove the segment"
    )


def _wanted(segment: Segment) -> Headers:
    return frozenset((header.name.lower(), header.value) for header in segment.headers)


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
