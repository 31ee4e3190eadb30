"""Routers that move the weights of two entries in an object of others. Nothing else of it.

What a kind of object has of its own is in a subclass: where the two entries are, and what says that they are followed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.ownership import Owned
from modelrollout.adapters.kube.pinned import patch, read_at
from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import ROLLOUTS, Body
from modelrollout.adapters.kube.weights import scale_for, share, split, split_down
from modelrollout.core.model import FULL, ZERO, RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteSeen, RouteUnusable
from modelrollout.errors import Denied, SpecError

V = TypeVar("V", bound=Owned)

WHOLE = 100
"""The weight of one arm of a segment where neither has any."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One weighted entry. `path`: its JSON pointer; `guards`: what must stand below it for a write to be ours to do."""

    path: str
    weight: int
    guards: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """The two arms' entries. `alone`: there are no others; `noun` and `label`: how sentences call them.

    `segments`: legacy's and candidate's entries wherever requests of segments go; `unfit`: what is wrong with those.
    """

    legacy: Entry
    candidate: Entry
    alone: bool
    noun: str
    label: str
    segments: tuple[tuple[Entry, Entry], ...] = ()
    unfit: str = ""

    @property
    def weights(self) -> tuple[int, int]:
        """Of legacy and candidate."""
        return self.legacy.weight, self.candidate.weight

    @property
    def total(self) -> int:
        """What the two share."""
        return sum(self.weights)

    @property
    def segments_whole(self) -> bool:
        """Whether the requests of each segment go to one arm."""
        return all((legacy.weight > 0) != (candidate.weight > 0) for legacy, candidate in self.segments)

    def of_segments(self, weight: Weight) -> Weight:
        """The candidate's largest share of any segment; what it should be at `weight` where none has a place."""
        shares = [share(candidate.weight, legacy.weight + candidate.weight) for legacy, candidate in self.segments]
        return max(shares, default=FULL if weight else ZERO)

    def too_coarse(self, spec: RolloutSpec) -> str:
        """The sentence about a common weight that is too small for a step."""
        return (
            f"{self.label} share a weight of {self.total} beside other {self.noun}, too little for the steps: give"
            f" them weights that add up to {spec.scale} or a multiple of it, and the other {self.noun} in proportion"
        )


class AdoptingRouter(ABC, Generic[V]):
    """See `routing.Router`. Other entries keep their weights; the arms share what they have together.

    `KIND`: of the object. `FIELD`: of the spec, `NAME`: the part of it that names the object.
    """

    KIND: Kind[V]
    FIELD: ClassVar[str]
    NAME: ClassVar[str]

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @abstractmethod
    def name(self, spec: RolloutSpec) -> str:
        """Name of the object. Bug for a spec with another router."""

    @abstractmethod
    def locate(self, view: V, spec: RolloutSpec) -> Pair | RouteUnusable:
        """Where the two entries are that the spec means, or a sentence that says what is wrong and how to mend it."""

    @abstractmethod
    def followed(self, view: V) -> tuple[bool | None, str]:
        """Whether the object is followed as it stands, None while that is open; and the sentence about a refusal."""

    @abstractmethod
    def closed(self, spec: RolloutSpec, error: Denied | NotServed) -> RouteUnusable:
        """The sentence about a kind that is not served or must not be read. May raise `error` instead."""

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The route; RouteUnusable when it is missing or leaves open which entries are meant."""
        name, kind = self.name(spec), self.KIND.resource.kind
        try:
            view = await self._reader.read(self.KIND, spec.key.namespace, name, fresh=fresh)
        except (Denied, NotServed) as error:
            return self.closed(spec, error)
        if view is None:
            return RouteUnusable(
                f'{kind} "{name}" not found in namespace {spec.key.namespace}: create it, or correct'
                f" {self.FIELD}.{self.NAME}"
            )
        if view.owner is not None and view.owner[0] == ROLLOUTS.kind and view.owner[2] != spec.uid:
            return RouteUnusable(
                f'{kind} "{name}" is managed by ModelRollout "{view.owner[1]}": two rollouts can\'t move the'
                f" same weights; correct {self.FIELD}.{self.NAME}, or delete one of the rollouts"
            )
        return self._seen(spec, view)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Always SpecError: the shape of an adopted route is its owner's."""
        raise SpecError(
            "an adopted route is never created or reshaped: its owner must give it both arms",
            field=self.FIELD,
            subject=f"ModelRollout {spec.key}",
        )

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Set the two weights, and those of segments, at once.

        SpecError when the arms' common weight is too small for this share, unless traffic is being taken off the
        candidate: then its part is rounded down.
        """
        view = await read_at(self._reader, self.KIND, spec.key.namespace, self.name(spec), seen.resource_version)
        pair = self.locate(view, spec)
        if isinstance(pair, RouteUnusable):
            self._refuse(spec, pair.problem)
        total = scale_for(spec, weight) if pair.alone else pair.total
        numbers = split(weight, total) if total or weight == ZERO else None
        if numbers is None:
            numbers = split_down(weight, total)
            if numbers[1] >= pair.candidate.weight:
                self._refuse(spec, pair.too_coarse(spec))
        moves = [(pair.legacy, numbers[0]), (pair.candidate, numbers[1])]
        for legacy, candidate in pair.segments:
            whole = legacy.weight + candidate.weight or WHOLE
            moves += [(legacy, 0 if segments else whole), (candidate, whole if segments else 0)]
        return self._seen(spec, await patch(self._reader, self.KIND, view, operations(moves)))

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Nothing to do: the route was never ours."""

    def _refuse(self, spec: RolloutSpec, text: str) -> NoReturn:
        raise SpecError(text, field=self.FIELD, subject=f"ModelRollout {spec.key}")

    def _seen(self, spec: RolloutSpec, view: V) -> Route:
        pair = self.locate(view, spec)
        if isinstance(pair, RouteUnusable):
            return pair
        weight = share(pair.candidate.weight, pair.total)
        accepted, refused = self.followed(view)
        scale = scale_for(spec, weight) if pair.alone else pair.total
        coarse = not pair.alone and any(
            pair.total == 0 or split(step.weight, pair.total) is None for step in spec.steps
        )
        sentences = [
            *([pair.too_coarse(spec)] if coarse else []),
            *([refused] if refused else []),
            *(["the route is being deleted"] if view.deleting else []),
        ]
        return RouteSeen(
            weight=weight,
            segments=pair.of_segments(weight) if spec.traffic.segments else weight,
            resource_version=view.resource_version,
            accepted=False if pair.unfit else accepted,
            exact=0 < pair.total == scale and split(weight, scale) == pair.weights and pair.segments_whole,
            detail="; ".join(sentences),
            generation=view.generation,
            unfit=pair.unfit,
        )


def operations(moves: Sequence[tuple[Entry, int]]) -> list[Body]:
    """The patch that gives the entries these weights, if they are still those that were looked at."""
    tests = [
        {"op": "test", "path": f"{entry.path}/{part}", "value": value}
        for entry, _ in moves
        for part, value in entry.guards
    ]
    # `add` sets a member whether or not it is there.
    return tests + [{"op": "add", "path": f"{entry.path}/weight", "value": number} for entry, number in moves]
