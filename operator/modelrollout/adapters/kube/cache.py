"""`ObjectCache`: what the watches have shown, as small projections, with the operator's own writes never forgotten.

The shell feeds it: `refill` from a full LIST, page by page, then `apply` and `remove` from watch events. A kind counts
as `live` from its first LIST on; until then readers ask the API server. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from sys import intern
from typing import Any, TypeVar, cast

from modelrollout.adapters.kube.dependents import Dependents
from modelrollout.adapters.kube.profile_view import PROFILE
from modelrollout.adapters.kube.projection import (
    DEPLOYMENT,
    HTTPROUTE,
    INGRESS,
    INGRESS_CLASS,
    SCALER,
    SERVICE,
    SLICE,
    TRAEFIK_SERVICE,
    VIRTUAL_SERVICE,
    Kind,
)
from modelrollout.adapters.kube.resources import Body
from modelrollout.adapters.kube.rollout_view import ACTION, ROLLOUT, SOURCE
from modelrollout.core.model import Key
from modelrollout.errors import StaleRead

T = TypeVar("T")
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its resourceVersion and its projection, as its kind keeps it."""

    version: str
    view: object


class ObjectCache:
    """Projections by kind, namespace and name (namespace empty for cluster-scoped kinds)."""

    def __init__(self) -> None:
        routers: tuple[Kind[Any], ...] = (HTTPROUTE, INGRESS, INGRESS_CLASS, VIRTUAL_SERVICE, TRAEFIK_SERVICE, SCALER)
        kinds: tuple[Kind[Any], ...] = (ROLLOUT, ACTION, SOURCE, PROFILE, DEPLOYMENT, SERVICE, SLICE, *routers)
        self._kinds = {kind.resource.kind: kind for kind in kinds}
        self._entries: dict[str, dict[Place, Entry]] = {name: {} for name in self._kinds}
        self._live: set[str] = set()
        self._floors: dict[tuple[str, Place], str] = {}
        self._doubted: set[tuple[str, Place]] = set()
        # Last versions of objects that the API server said are not there, until a watch or a list says so too.
        self._gone: dict[tuple[str, Place], str] = {}
        self._dependents = Dependents()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that it takes."""
        return tuple(self._kinds)

    def apply(self, kind: str, body: Body, *, fresh: bool = False) -> tuple[Key, ...]:
        """Store an object as seen by a watch, or just read or written (`fresh`); returns the rollouts it matters to.

        An older version than the stored one is ignored, and so is the echo of our own write.
        """
        place = _place(body)
        old = self._entries[kind].get(place)
        if old is not None and older(_version(body), old.version):
            return ()
        if not fresh and self._ghost(kind, place, _version(body)):
            return ()
        before = self.dependents(kind, *place)
        self.adopt(self._kinds[kind], body, fresh=fresh)
        return tuple(dict.fromkeys((*before, *self.dependents(kind, *place))))

    def adopt(self, kind: Kind[T], body: Body, *, fresh: bool = False) -> T:
        """Store an object as `apply` does; returns the projection of this very body, projected once."""
        name = kind.resource.kind
        place, version = _place(body), _version(body)
        old = self._entries[name].get(place)
        if old is not None and older(version, old.version):
            return kind.project(body)
        if not fresh and self._ghost(name, place, version):
            return kind.project(body)
        self._gone.pop((name, place), None)
        if fresh or (old is not None and older(old.version, version)):
            self._doubted.discard((name, place))
        floor = self._floors.get((name, place))
        if floor is not None and not older(version, floor):
            del self._floors[name, place]
        if old is not None and old.version == version:
            return _given(kind, old)
        view = kind.project(body)
        self._entries[name][place] = Entry(version, view if kind.keep is None else kind.keep(view))
        self._dependents.store(name, place, view)
        return view

    def remove(self, kind: str, namespace: str, name: str, resource_version: str = "") -> tuple[Key, ...]:
        """Forget an object; returns the rollouts it mattered to.

        `resource_version`, if given, is that of the deletion: a newer object of the same name stays.
        """
        place = (namespace, name)
        old = self._entries[kind].get(place)
        if old is not None and resource_version and older(resource_version, old.version):
            return ()
        gone = self._gone.get((kind, place))
        if gone is not None and resource_version and not older(resource_version, gone):
            del self._gone[kind, place]
        affected = self.dependents(kind, namespace, name)
        self._entries[kind].pop(place, None)
        self._floors.pop((kind, place), None)
        self._doubted.discard((kind, place))
        self._dependents.drop(kind, place)
        return affected

    def vanished(self, kind: str, namespace: str, name: str) -> tuple[Key, ...]:
        """Forget an object that the API server says is not there; returns the rollouts it mattered to.

        Watches and lists that lag behind do not bring it back: only a newer object of the same name, or one just read.
        """
        old = self._entries[kind].get((namespace, name))
        affected = self.remove(kind, namespace, name)
        if old is not None:
            self._gone[kind, (namespace, name)] = old.version
        return affected

    def replace_all(
        self, kind: str, items: Iterable[Body], *, resource_version: str = "", namespace: str = ""
    ) -> tuple[int, tuple[Key, ...]]:
        """Take over a full LIST (of one namespace, if given).

        Returns the drift (ghosts pruned, missing added, outdated replaced) and the rollouts concerned. Objects newer
        than the LIST stay, whether it has them or not. Makes the kind live.
        """
        refill = self.refill(kind, namespace)
        refill.add(items)
        return refill.done(resource_version)

    def refill(self, kind: str, namespace: str = "") -> Refill:
        """The same for a LIST that comes in pages; ends with `Refill.done`."""
        return Refill(self, kind, namespace)

    def outdated(self, kind: str, body: Body) -> bool:
        """Whether the object is missing here, or only there in an older version."""
        place, version = _place(body), _version(body)
        old = self._entries[kind].get(place)
        return not self._ghost(kind, place, version) if old is None else older(old.version, version)

    def prune(
        self, kind: str, namespace: str, listed: Set[Place], resource_version: str
    ) -> tuple[int, tuple[Key, ...]]:
        """Remove what a full LIST of that version has not; returns how many and the rollouts concerned."""
        ghosts = [
            place
            for place, entry in self._entries[kind].items()
            if place not in listed
            and (not namespace or place[0] == namespace)
            and not (resource_version and older(resource_version, entry.version))
        ]
        affected: dict[Key, None] = {}
        for place in ghosts:
            affected.update(dict.fromkeys(self.remove(kind, *place)))
        for (of, place), version in tuple(self._gone.items()):
            agreed = of == kind and place not in listed and (not namespace or place[0] == namespace)
            if agreed and not (resource_version and older(resource_version, version)):
                del self._gone[of, place]
        self._live.add(kind)
        return len(ghosts), tuple(affected)

    def suspend(self, kind: str) -> None:
        """Stop trusting a kind (its watch has died): readers ask the API server until the next full LIST."""
        self._live.discard(kind)

    def clear(self, kind: str) -> None:
        """Forget every object of a kind that nobody needs any more, and stop trusting it."""
        for place in tuple(self._entries[kind]):
            self.remove(kind, *place)
        for at in [at for at in self._gone if at[0] == kind]:
            del self._gone[at]
        self.suspend(kind)

    def live(self, kind: str) -> bool:
        """Whether the cache is fed with this kind, so that what it has not is not there."""
        return kind in self._live

    def note_write(self, kind: str, namespace: str, name: str, resource_version: str) -> None:
        """Remember that we wrote the object at this version: until the cache has it, `find` raises StaleRead."""
        old = self._entries[kind].get((namespace, name))
        if old is None or older(old.version, resource_version):
            self._floors[kind, (namespace, name)] = resource_version

    def doubt(self, kind: str, namespace: str, name: str) -> None:
        """Remember that a write failed on this object's version, or may have happened: read it before using it."""
        self._doubted.add((kind, (namespace, name)))

    def find(self, kind: Kind[T], namespace: str, name: str) -> T | None:
        """The projection, or None. StaleRead when it is older than our own last write or doubted."""
        place = (namespace, name)
        if (kind.resource.kind, place) in self._floors or (kind.resource.kind, place) in self._doubted:
            raise StaleRead("the cache is older than our own last write", subject=kind.resource.subject(*place))
        entry = self._entries[kind.resource.kind].get(place)
        return None if entry is None else _given(kind, entry)

    def _ghost(self, kind: str, place: Place, version: str) -> bool:
        gone = self._gone.get((kind, place))
        return gone is not None and (version == gone or older(version, gone))

    def every(self, kind: Kind[T]) -> tuple[T, ...]:
        """All projections of a kind."""
        return tuple(_given(kind, entry) for entry in self._entries[kind.resource.kind].values())

    def slices(self, namespace: str, service: str) -> tuple[str, ...]:
        """Names of the EndpointSlices of a Service."""
        return self._dependents.slices(namespace, service)

    def scalers(self, namespace: str, deployment: str) -> tuple[str, ...]:
        """Names of the HorizontalPodAutoscalers of a Deployment."""
        return self._dependents.scalers(namespace, deployment)

    def ingresses_near(self, namespace: str, service: str, hosts: Iterable[str]) -> tuple[str, ...]:
        """Names of the canary Ingresses of these hosts, and of the other Ingresses that send to this Service."""
        return self._dependents.ingresses.near(namespace, service, hosts)

    def actions(self, key: Key) -> tuple[str, ...]:
        """Names of the RolloutActions for a rollout."""
        return self._dependents.actions(key)

    def dependents(self, kind: str, namespace: str, name: str) -> tuple[Key, ...]:
        """The rollouts that this object matters to."""
        return self._dependents.of(kind, (namespace, name))


class Refill:
    """A full LIST on its way into the cache, page by page: bodies are projected and let go at once."""

    def __init__(self, cache: ObjectCache, kind: str, namespace: str) -> None:
        self._cache = cache
        self._kind = kind
        self._namespace = namespace
        self._listed: set[Place] = set()
        self._affected: dict[Key, None] = {}
        self._drift = 0

    def add(self, items: Iterable[Body]) -> None:
        """Take in a page."""
        for body in items:
            self._listed.add(_place(body))
            if self._cache.outdated(self._kind, body):
                self._drift += 1
                self._affected.update(dict.fromkeys(self._cache.apply(self._kind, body)))

    def again(self) -> None:
        """The LIST begins anew: what has been listed so far does not count, what it has told stays told."""
        self._listed.clear()

    def done(self, resource_version: str) -> tuple[int, tuple[Key, ...]]:
        """The LIST is complete; returns what `replace_all` returns."""
        ghosts, keys = self._cache.prune(self._kind, self._namespace, self._listed, resource_version)
        return self._drift + ghosts, tuple(dict.fromkeys((*self._affected, *keys)))


def _given(kind: Kind[T], entry: Entry) -> T:
    return cast(T, entry.view) if kind.give is None else kind.give(entry.view)


def _place(body: Body) -> Place:
    metadata = body["metadata"]
    return intern(str(metadata.get("namespace", ""))), intern(str(metadata["name"]))


def _version(body: Body) -> str:
    return str(body["metadata"]["resourceVersion"])


def older(version: str, than: str) -> bool:
    """Whether a resourceVersion is older than another; what can't be compared is not older."""
    try:
        return int(version) < int(than)
    except ValueError:
        return False
