"""Which rollouts want to steer the same backends of the same adopted route: only the eldest may.

A managed route has one owner by its name. An adopted one belongs to somebody else, so nothing at it tells that a second
rollout moves its weights too, and one that was rolled back would get traffic from the other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from modelrollout.core.model import AdoptRoute, Key, RolloutSpec

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one rollout wants. `rule` None: whichever has the backends."""

    created: float
    key: Key
    rule: str | None
    services: frozenset[str]

    def against(self, other: Claim) -> bool:
        """Whether both would move the same backends."""
        apart = self.rule is not None and other.rule is not None and self.rule != other.rule
        return not apart and bool(self.services & other.services)

    def younger(self, other: Claim) -> bool:
        """Whether `other` was there first."""
        return (other.created, other.key) < (self.created, self.key)


class Claims:
    """Claims by route."""

    def __init__(self) -> None:
        self._claims: dict[Place, dict[Key, Claim]] = defaultdict(dict)
        self._places: dict[Key, Place] = {}

    def take(self, spec: RolloutSpec, created: float) -> None:
        """Note what a rollout wants now."""
        self.drop(spec.key)
        router = spec.traffic.router
        if isinstance(router, AdoptRoute):
            place = (spec.key.namespace, router.name)
            services = frozenset({spec.legacy.service, spec.candidate.service})
            self._claims[place][spec.key] = Claim(created, spec.key, router.rule, services)
            self._places[spec.key] = place

    def drop(self, key: Key) -> None:
        """The rollout wants nothing any more."""
        place = self._places.pop(key, None)
        if place is not None:
            del self._claims[place][key]
            if not self._claims[place]:
                del self._claims[place]

    def elder(self, key: Key) -> Key | None:
        """The eldest other rollout that has a claim on the same backends and was there first."""
        place = self._places.get(key)
        if place is None:
            return None
        mine = self._claims[place][key]
        rivals = [c for c in self._claims[place].values() if c.key != key and mine.against(c) and mine.younger(c)]
        return min(rivals, key=lambda c: (c.created, c.key)).key if rivals else None
