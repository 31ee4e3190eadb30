"""What carries the weight of a rollout, one class for each kind of router: what people make, edit and read of it.

A carrier says nothing of one run; the data plane that follows it, in `planes` and `pods`, does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.planes import Plane, RoutedPlane, Stand
from e2e.chaos.scene import CANDIDATE, LEGACY, OPERATORS, PORT, ROUTE, People, pair_of, percent_of
from modelrollout.adapters.kube.resources import (
    HTTPROUTES,
    INGRESS_CLASSES,
    INGRESSES,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Body,
    Resource,
)

WHOLE = (100, 10_000)
"""What two weights of the operator add up to: whole percents, or hundredths of them."""
AWAY = 12.0
"""Seconds after which its owner puts an object back that somebody has deleted."""
NGINX = "nginx.ingress.kubernetes.io"
THEIRS = "fraud"
"""Name of the object that people own and a rollout adopts."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The candidate's share changed with `version`, from what to what (percent). `ours`: by the operator."""

    version: Version
    before: float
    now: float
    ours: bool


class Tracker(Protocol):
    """Follows a history version by version."""

    def take(self, version: Version) -> float | None:
        """The candidate's share after a version that is about it, percent; None for any other version."""


class Carrier(ABC):
    """`resource`, `name`: of the object with the weights. `blurs`: plurals whose watches show the operator a weight."""

    resource: ClassVar[Resource]
    name: ClassVar[str]
    slack: ClassVar[float] = 0.0
    """Seconds more than usual between evidence and what is written by it."""
    way_back: ClassVar[float] = 0.0
    """Seconds that the way back to 0 takes by itself."""
    more_writes: ClassVar[int] = 0
    """Writes that a fault may bring besides those that it may bring anywhere."""
    rounding: ClassVar[float] = 0.0
    """Percent by which a share in the status may differ from that of the objects."""

    @property
    def blurs(self) -> tuple[tuple[str, ...], ...]:
        """Plurals whose watches are blurred together."""
        return (self.resource.plural,), ("modelrollouts",), ("deployments", "endpointslices")

    @property
    @abstractmethod
    def traffic(self) -> Body:
        """`spec.traffic` of the rollout."""

    @property
    def shared(self) -> Body:
        """`spec.traffic` of another rollout that would move the same weights."""
        return self.traffic

    @abstractmethod
    def made(self) -> Body | None:
        """The object as people make it; None when the operator does."""

    @abstractmethod
    def wrong(self, body: Body) -> str:
        """What is wrong with the weights that the operator wrote (I1); empty when nothing is."""

    def beyond(self, version: Version, allowed: float) -> str:
        """What of a version is beyond this share (percent), whatever its own share is (I2); empty when nothing."""
        return ""

    def hurt(self, history: Sequence[Version]) -> Iterator[tuple[Version, str, str]]:
        """Own writes that break a promise whatever the share: each with its number and a sentence."""
        return iter(())

    @abstractmethod
    def weight(self, body: Body | None) -> float | None:
        """The candidate's share in percent; None without both arms."""

    @abstractmethod
    def stored(self, people: People) -> float | None:
        """The share as stored now; None when nothing splits."""

    def furnish(self, people: People) -> None:
        """Make what people must have before the rollout."""
        body = self.made()
        if body is not None:
            people.create(self.resource, self.name, body)

    @abstractmethod
    def by_hand(self, people: People, percent: int) -> None:
        """Somebody gives the candidate another share."""

    def decorate(self, people: People) -> None:
        """Somebody adds what is none of the operator's business."""
        if people.get(self.resource, self.name) is not None:
            people.patch(self.resource, self.name, {"metadata": {"annotations": {"example.com/team": "ml"}}})

    def take_away(self, people: People) -> float:
        """Somebody deletes the object; seconds until its owner puts it back, 0 where that is the operator's work."""
        people.delete(self.resource, self.name)
        return 0.0 if self.made() is None else AWAY

    def put_back(self, people: People) -> None:
        """As its owner has it in Git: without what the rollout has reached."""
        body = self.made()
        if body is not None and people.get(self.resource, self.name) is None:
            people.create(self.resource, self.name, body)

    def tracker(self) -> Tracker:
        """To follow a history from its beginning."""
        return _OneObject(self)

    def plane(self, stand: Stand) -> Plane:
        """The data plane of one run."""
        return RoutedPlane(stand, self.resource, self.name, self.weight, self.answer)

    def answer(self, people: People) -> None:
        """What is said of the object as it stands by those who follow it; most say nothing."""
        return


@dataclass(slots=True)
class _OneObject:
    carrier: Carrier

    def take(self, version: Version) -> float | None:
        if version.resource is not self.carrier.resource or version.place[1] != self.carrier.name:
            return None
        return self.carrier.weight(version.body) or 0.0


def moves(carrier: Carrier, history: Iterable[Version]) -> Iterator[Moved]:
    """Every change of the candidate's share."""
    tracker, share = carrier.tracker(), 0.0
    for version in history:
        now = tracker.take(version)
        if now is not None and now != share:
            yield Moved(version, share, now, version.agent.startswith(OPERATORS))
            share = now


class WeightedObject(Carrier):
    """One object with the weights of both arms."""

    @abstractmethod
    def pair(self, body: Body) -> tuple[int, int] | None:
        """Weights of legacy and candidate in a stored object; None when it does not have both."""

    @abstractmethod
    def patch(self, body: Body, percent: int) -> Body:
        """The merge patch that gives the candidate this share."""

    def wrong(self, body: Body) -> str:
        pair = self.pair(body)
        fine = pair is None or (sum(pair) in WHOLE and min(pair) >= 0)
        return "" if fine else f"weights {list(pair or ())} don't add up"

    def weight(self, body: Body | None) -> float | None:
        pair = None if body is None else self.pair(body)
        return None if pair is None else percent_of(*pair)

    def stored(self, people: People) -> float | None:
        return self.weight(people.get(self.resource, self.name))

    def by_hand(self, people: People, percent: int) -> None:
        body = people.get(self.resource, self.name)
        if body is not None and self.pair(body) is not None:
            people.patch(self.resource, self.name, self.patch(body, percent))


class ManagedRoute(WeightedObject):
    """An HTTPRoute that the operator makes and owns."""

    resource, name = HTTPROUTES, ROUTE

    @property
    def traffic(self) -> Body:
        return {"managedRoute": {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com"]}}

    @property
    def shared(self) -> Body:
        return {"adoptRoute": {"name": self.name}}

    def made(self) -> Body | None:
        return None

    def pair(self, body: Body) -> tuple[int, int] | None:
        return pair_of(body)

    def patch(self, body: Body, percent: int) -> Body:
        def weighed(ref: Body) -> Body:
            share = {LEGACY: 100 - percent, CANDIDATE: percent}.get(ref["name"])
            return ref if share is None else ref | {"weight": share}

        rules = [rule | {"backendRefs": [weighed(r) for r in rule["backendRefs"]]} for rule in body["spec"]["rules"]]
        return {"spec": {"rules": rules}}

    def answer(self, people: People) -> None:
        people.accept_route(self.name)


class AdoptedRoute(ManagedRoute):
    """An HTTPRoute of others, with a rule of its own in front."""

    name = THEIRS

    @property
    def traffic(self) -> Body:
        return {"adoptRoute": {"name": self.name}}

    def made(self) -> Body | None:
        other = {"matches": [_prefix("/shop")], "backendRefs": [{"name": "web", "port": PORT, "weight": 3}]}
        arms = [{"name": arm, "port": PORT, "weight": weight} for arm, weight in ((LEGACY, 100), (CANDIDATE, 0))]
        rules = [other, {"matches": [_prefix("/predict")], "backendRefs": arms}]
        return {"spec": {"parentRefs": [{"name": "public"}], "rules": rules}}


class CanaryIngress(WeightedObject):
    """A canary Ingress that the operator makes beside one of others."""

    resource, name = INGRESSES, ROUTE

    @property
    def traffic(self) -> Body:
        return {"ingressNginx": {"ingress": THEIRS}}

    def made(self) -> Body | None:
        return None

    def furnish(self, people: People) -> None:
        people.create(INGRESS_CLASSES, "nginx", {"spec": {"controller": "k8s.io/ingress-nginx"}})
        backend = {"service": {"name": LEGACY, "port": {"number": PORT}}}
        paths = [{"path": "/predict", "pathType": "Prefix", "backend": backend}]
        rules = [{"host": "fraud.example.com", "http": {"paths": paths}}]
        people.create(INGRESSES, THEIRS, {"spec": {"ingressClassName": "nginx", "rules": rules}})

    def pair(self, body: Body) -> tuple[int, int] | None:
        annotations = body["metadata"].get("annotations") or {}
        if f"{NGINX}/canary-weight" not in annotations:
            return None
        weight, total = (int(annotations.get(f"{NGINX}/canary-{part}", 100)) for part in ("weight", "weight-total"))
        return total - weight, weight

    def patch(self, body: Body, percent: int) -> Body:
        named = {f"{NGINX}/canary-weight": str(percent), f"{NGINX}/canary-weight-total": "100"}
        return {"metadata": {"annotations": named}}


class VirtualService(WeightedObject):
    """A VirtualService of others."""

    resource, name = VIRTUAL_SERVICES, THEIRS

    @property
    def traffic(self) -> Body:
        return {"istio": {"virtualService": self.name}}

    def made(self) -> Body | None:
        arms = [
            {"destination": {"host": arm, "port": {"number": PORT}}, "weight": weight}
            for arm, weight in ((LEGACY, 100), (CANDIDATE, 0))
        ]
        return {"spec": {"hosts": ["fraud.example.com"], "http": [{"name": "predict", "route": arms}]}}

    def pair(self, body: Body) -> tuple[int, int] | None:
        return _arms(body["spec"]["http"][-1])

    def patch(self, body: Body, percent: int) -> Body:
        return {"spec": {"http": [_split(route, percent) for route in body["spec"]["http"]]}}


class SegmentedVirtualService(VirtualService):
    """One with a route for a segment in front of the split."""

    @property
    def traffic(self) -> Body:
        return super().traffic | {"segments": [{"headers": [{"name": "x-tier", "value": "beta"}]}]}

    def made(self) -> Body | None:
        body = super().made()
        assert body is not None
        [split] = body["spec"]["http"]
        beta = {"name": "beta", "match": [{"headers": {"x-tier": {"exact": "beta"}}}], "route": split["route"]}
        return {"spec": body["spec"] | {"http": [beta, split]}}

    def patch(self, body: Body, percent: int) -> Body:
        segment, split = body["spec"]["http"]
        return {"spec": {"http": [_split(segment, 100 if percent else 0), _split(split, percent)]}}

    def wrong(self, body: Body) -> str:
        segment, split = (_arms(route) for route in body["spec"]["http"])
        if segment is None or split is None:
            return super().wrong(body)
        whole = (0, 100) if split[1] else (100, 0)
        return super().wrong(body) or ("" if segment == whole else f"the segment has {segment} beside {split}")


class TraefikService(WeightedObject):
    """A TraefikService of others."""

    resource, name = TRAEFIK_SERVICES, THEIRS

    @property
    def traffic(self) -> Body:
        return {"traefik": {"service": self.name}}

    def made(self) -> Body | None:
        arms = [{"name": arm, "port": PORT, "weight": weight} for arm, weight in ((LEGACY, 100), (CANDIDATE, 0))]
        return {"spec": {"weighted": {"services": arms}}}

    def pair(self, body: Body) -> tuple[int, int] | None:
        found = {part["name"]: int(part.get("weight", 1)) for part in body["spec"]["weighted"]["services"]}
        return (found[LEGACY], found[CANDIDATE]) if {LEGACY, CANDIDATE} <= set(found) else None

    def patch(self, body: Body, percent: int) -> Body:
        share = {LEGACY: 100 - percent, CANDIDATE: percent}
        parts = [part | {"weight": share[part["name"]]} for part in body["spec"]["weighted"]["services"]]
        return {"spec": {"weighted": {"services": parts}}}


def _split(route: Body, percent: int) -> Body:
    """The http route with this share for the candidate."""
    share = {LEGACY: 100 - percent, CANDIDATE: percent}
    return route | {"route": [to | {"weight": share[to["destination"]["host"]]} for to in route["route"]]}


def _arms(route: Body) -> tuple[int, int] | None:
    """Weights of legacy and candidate in an http route of a VirtualService."""
    found = {to["destination"]["host"]: int(to.get("weight", 0)) for to in route["route"]}
    return (found[LEGACY], found[CANDIDATE]) if {LEGACY, CANDIDATE} <= set(found) else None


def _prefix(path: str) -> Body:
    return {"path": {"type": "PathPrefix", "value": path}}


MANAGED = ManagedRoute()
