"""Which rollouts want to steer the same backends: only the eldest may.

An object that the operator makes has one owner by its name. What others own tells nobody that a second rollout moves
its weights too, and one that was rolled back would get traffic from the other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from modelrollout.core.model import AdoptRoute, IngressNginx, Istio, Key, ManagedRoute, Replicas, RolloutSpec, Traefik
from modelrollout.errors import Bug

Place = tuple[str, str]
"""Namespace, and what is claimed there: kind and name of an object of others."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one rollout wants. `rule` None: whichever has the backends. `arms`: what these are called in the object."""

    created: float
    key: Key
    rule: str | None
    arms: frozenset[str]

    def against(self, other: Claim) -> bool:
        """Whether both would move the same backends."""
        apart = self.rule is not None and other.rule is not None and self.rule != other.rule
        return not apart and bool(self.arms & other.arms)

    def younger(self, other: Claim) -> bool:
        """Whether `other` was there first."""
        return (other.created, other.key) < (self.created, self.key)


class Claims:
    """Claims by what they are on."""

    def __init__(self) -> None:
        self._claims: dict[Place, dict[Key, Claim]] = defaultdict(dict)
        self._places: dict[Key, tuple[Place, ...]] = {}

    def take(self, spec: RolloutSpec, created: float) -> None:
        """Note what a rollout wants now."""
        self.drop(spec.key)
        claim = Claim(created, spec.key, _rule(spec), _arms(spec))
        places = tuple((spec.key.namespace, place) for place in claimed(spec))
        for place in places:
            self._claims[place][spec.key] = claim
        if places:
            self._places[spec.key] = places

    def drop(self, key: Key) -> None:
        """The rollout wants nothing any more."""
        for place in self._places.pop(key, ()):
            del self._claims[place][key]
            if not self._claims[place]:
                del self._claims[place]

    def elder(self, key: Key) -> Key | None:
        """The eldest other rollout that has a claim on the same backends and was there first."""
        rivals = []
        for place in self._places.get(key, ()):
            mine = self._claims[place][key]
            others = self._claims[place].values()
            rivals += [c for c in others if c.key != key and mine.against(c) and mine.younger(c)]
        return min(rivals, key=lambda c: (c.created, c.key)).key if rivals else None


def claimed(spec: RolloutSpec) -> tuple[str, ...]:
    """What of others a rollout's router moves the weights of."""
    match spec.traffic.router:
        case AdoptRoute(name=name):
            return (f"HTTPRoute {name}",)
        case Istio(virtual_service=name):
            return (f"VirtualService {name}",)
        case Traefik(service=name):
            return (f"TraefikService {name}",)
        case IngressNginx():
            # nginx keeps a canary with the Service that it stands beside, whichever Ingress names that.
            return (f"Service {spec.legacy.service}", f"Service {spec.candidate.service}")
        case Replicas(service=name):
            return (f"Service {name}", *(f"Deployment {arm.deployment}" for arm in (spec.legacy, spec.candidate)))
        case ManagedRoute():
            return ()


def contested(spec: RolloutSpec, elder: Key) -> str:
    """What the younger of two rollouts with the same claim is told."""
    other = f"ModelRollout {elder.name!r}"
    match spec.traffic.router:
        case AdoptRoute():
            told = f"adoptRoute: {other} steers these backends of the route already: adopt another route or rule"
        case Istio():
            told = (
                f"istio: {other} steers these destinations of the VirtualService already: name another one or another"
                " route of it"
            )
        case Traefik():
            told = f"traefik: {other} steers these services of the TraefikService already: name another one"
        case IngressNginx():
            told = (
                f"ingressNginx: {other} has a canary for one of these Services already, and nginx takes one for each:"
                " give this rollout Services of its own"
            )
        case Replicas():
            told = (
                f"replicas: {other} scales these pods already: give this rollout a Service and Deployments of its own"
            )
        case ManagedRoute():
            raise Bug("an HTTPRoute of its own has no rival", subject=f"ModelRollout {spec.key}")
    return f"spec.traffic.{told}, or delete one of the two rollouts"


def _rule(spec: RolloutSpec) -> str | None:
    match spec.traffic.router:
        case Istio() if spec.traffic.segments:
            # Their routes have no names in the spec.
            return None
        case AdoptRoute(rule=name) | Istio(route=name):
            return name
        case _:
            return None


def _arms(spec: RolloutSpec) -> frozenset[str]:
    router = spec.traffic.router
    if isinstance(router, Istio) and router.subsets is not None:
        return frozenset({f"subset {router.subsets.legacy}", f"subset {router.subsets.candidate}"})
    services = frozenset({spec.legacy.service, spec.candidate.service})
    if isinstance(router, Replicas):
        return services | {f"Deployment {arm.deployment}" for arm in (spec.legacy, spec.candidate)}
    return services
