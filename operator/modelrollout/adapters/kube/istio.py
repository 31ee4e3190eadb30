"""Router `istio`: the weights of two destinations in one http route of a VirtualService that others own.

Segments are http routes of the owner too, with the segment's headers: their weights go from one arm to the other.

A DestinationRule is never read or written: it is Istio's affair whether a subset is defined. Istio answers for a
VirtualService only where istiod writes statuses, which is off by default: without one, `accepted` means that the
VirtualService is there with both destinations, and `settle` is for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        search = _Search(view, spec, words, places)
        found = search.arms(index)
        if isinstance(found, RouteUnusable):
            return found
        if wrong := search.wrong_port(index, found):
            return RouteUnusable(wrong)
        segments: list[tuple[Entry, Entry]] = []
        problems: list[str] = []
        for number, segment in enumerate(spec.traffic.segments):
            entries, told = search.segment(f"spec.traffic.segments[{number}]", _wanted(segment), index)
            segments += entries
            problems += told
        label = f'the destinations "{words.arms[0]}" and "{words.arms[1]}" of http route {index}'
        alone = len(view.routes[index].destinations) == 2
        pair = search.entries(index, found)
        return Pair(*pair, alone, "destinations", label, tuple(segments), next(iter(problems), ""))


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for in a VirtualService. `places`: of the arms, route by route."""

    view: VirtualServiceView
    spec: RolloutSpec
    words: Words
    places: Sequence[Places]

    def arms(self, index: int) -> tuple[int, int] | RouteUnusable:
        """Positions of the arms in http route `index`, which has both."""
        return single(self.places[index], f"http route {index}", self.words)

    def entries(self, index: int, found: tuple[int, int]) -> tuple[Entry, Entry]:
        """The arms' entries there."""
        legacy, candidate = (_entry(index, place, self.view.routes[index].destinations[place]) for place in found)
        return legacy, candidate

    def wrong_port(self, index: int, found: tuple[int, int]) -> str:
        """What is wrong with the ports of the arms there; empty when nothing is."""
        for field, name, place in zip(("legacy", "candidate"), self.words.arms, found, strict=True):
            port = self.view.routes[index].destinations[place].port
            # The port of a host that both arms share may be any: theirs are those of their own Services.
            if _istio(self.spec).subsets is None and port is not None and port != self.spec.port:
                return (
                    f'http route {index} of {self.words.where} sends to host "{name}" ({field}) at port {port},'
                    f" spec.port is {self.spec.port}: make them the same"
                )
        return ""

    def segment(self, field: str, wanted: Headers, split: int) -> tuple[list[tuple[Entry, Entry]], list[str]]:
        """The arms' entries in every http route for a segment, and what is wrong with those or their absence.

        A route that is no good has its entries too wherever they can be told: a revert must turn them back. `split`:
        position of the route with the split.
        """
        fits = [
            index
            for index, route in enumerate(self.view.routes)
            if index != split and route.headers == wanted and all(self.places[index])
        ]
        entries: list[tuple[Entry, Entry]] = []
        problems: list[str] = [] if fits else [self._absent(field, wanted, split)]
        for index in fits:
            found = self.arms(index)
            if isinstance(found, RouteUnusable):
                problems.append(found.problem)
                continue
            entries.append(self.entries(index, found))
            wrong = self.wrong_port(index, found) or self._misplaced(field, index, split)
            problems += [wrong] if wrong else []
        return entries, problems

    def _misplaced(self, field: str, index: int, split: int) -> str:
        what = f"http route {index} of {self.words.where} is for {field} and"
        if len(self.view.routes[index].destinations) != 2:
            return (
                f"{what} has other destinations than the two arms: leave these two, since all requests of a segment go"
                " to one of them"
            )
        if index > split:
            return f"{what} stands behind http route {split}, which may take its requests: put it before that one"
        return ""

    def _absent(self, field: str, wanted: Headers, split: int) -> str:
        headers = " and ".join(f'{name} with exact "{value}"' for name, value in sorted(wanted))[:MAX_HEADERS]
        return (
            f"no http route of {self.words.where} asks for the headers of {field} ({headers}, no others) and has both"
            f" {self.words.both}: add one before http route {split}, with weight 100 for legacy and 0 for the"
            " candidate, or remove the segment"
        )


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
