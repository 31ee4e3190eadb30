"""Objects as an API server keeps them: versions, generations, finalizers, and the rules that every write shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from e2e.chaos.apiserver.builtin import completed
from e2e.chaos.apiserver.objects import (
    CUSTOM,
    RESOURCES,
    WITH_GENERATION,
    WITH_STATUS,
    Place,
    Version,
    copied,
    packed,
)
from e2e.chaos.apiserver.patches import applied, differs, without
from e2e.chaos.apiserver.refusals import Refused, already_exists, conflict, not_found
from modelrollout.adapters.kube.resources import LEASES, Body, Resource

FIRST = 100
"""The resourceVersion before the first write."""
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "name",
    "namespace",
)


class Store:
    """All objects, and every version there has been. `history`: oldest first; its bodies must not be changed.

    Bodies that come in are taken over: whoever writes must not change them afterwards.
    """

    def __init__(self, *, now: Callable[[], float]) -> None:
        self.history: list[Version] = []
        self.floor = 0
        self._now = now
        self._current: dict[Resource, dict[Place, Version]] = {resource: {} for resource in RESOURCES}
        self._logs: dict[Resource, list[Version]] = {resource: [] for resource in RESOURCES}
        self._applied: dict[tuple[Resource, Place, str], Body] = {}
        self._listeners: dict[Callable[[], None], Resource] = {}
        self._number = FIRST

    @property
    def number(self) -> int:
        """The resourceVersion of the last write."""
        return self._number

    def look(self, resource: Resource, place: Place) -> Body | None:
        """The object as stored, not to be changed, or None."""
        found = self._current[resource].get(place)
        return None if found is None else found.body

    def get(self, resource: Resource, place: Place) -> Body:
        """A copy of the object."""
        return self._version(resource, place).copy()

    def places(self, resource: Resource, namespace: str = "") -> list[Place]:
        """Where there is an object, in the order of lists."""
        found = (place for place in self._current[resource] if not namespace or place[0] == namespace)
        return sorted(found, key="/".join)

    def state(self, resource: Resource, at: int) -> Mapping[Place, Version]:
        """The objects as they were at that resourceVersion."""
        log = self._logs[resource]
        if not log or log[-1].number <= at:
            return self._current[resource]
        found: dict[Place, Version] = {}
        for version in log:
            if version.number > at:
                break
            if version.body is None:
                found.pop(version.place, None)
            else:
                found[version.place] = version
        return found

    def log(self, resource: Resource) -> list[Version]:
        """Every version of a resource, oldest first; grows."""
        return self._logs[resource]

    def listen(self, resource: Resource, call: Callable[[], None]) -> None:
        """Call it after each write to this resource, in the order of listening."""
        self._listeners[call] = resource

    def unlisten(self, call: Callable[[], None]) -> None:
        """Stop calling it."""
        self._listeners.pop(call, None)

    def create(self, resource: Resource, namespace: str, body: Body, *, agent: str = "") -> Body:
        """Store a new object; returns a copy of it, as all writes do."""
        metadata = dict(body.get("metadata") or {})
        if "generateName" in metadata and not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + self._suffix()
        place = (namespace if resource.namespaced else "", metadata["name"])
        if place in self._current[resource]:
            raise already_exists(resource, place[1])
        if metadata.get("resourceVersion"):
            raise conflict(resource, place[1], "the object has been modified")
        if resource.namespaced:
            metadata["namespace"] = namespace
        metadata["uid"] = f"00000000-0000-4000-8000-{self._number:012x}"
        metadata["creationTimestamp"] = self._moment()
        if resource in WITH_GENERATION:
            metadata["generation"] = 1
        body = {**body, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if resource in WITH_STATUS:
            body.pop("status", None)
        return self._put(resource, place, completed(resource, place[1], body), agent)

    def update(self, resource: Resource, place: Place, body: Body, *, subresource: str = "", agent: str = "") -> Body:
        """Store a new state of an existing object, under the rules every kind of write shares."""
        if resource is LEASES and place not in self._current[resource] and not body["metadata"].get("uid"):
            # The real one makes a deleted Lease anew, unless the update says which one it means.
            return self.create(resource, place[0], {**body, "metadata": {"name": place[1]}}, agent=agent)
        version = self._version(resource, place)
        old = version.body
        assert old is not None
        wanted = body["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise conflict(resource, place[1])
        new = self._replaced(resource, place, old, body, status=subresource == "status")
        if new == old:
            return version.copy()
        if "deletionTimestamp" in new["metadata"] and "finalizers" not in new["metadata"]:
            return self._drop(resource, place, agent)
        return self._put(resource, place, new, agent)

    def apply(
        self, resource: Resource, place: Place, config: Body, *, manager: str, force: bool, agent: str = ""
    ) -> Body:
        """Server-side apply, in small: lists are atomic, fields that the manager no longer applies go."""
        before = self._applied.get((resource, place, manager), {})
        current = self.look(resource, place)
        if current is None:
            stored = self.create(resource, place[0], config, agent=agent)
        else:
            # Who owns what is known only of appliers: anybody else's differing value is a conflict.
            if not force and differs(current, config):
                details: Body = {"causes": [{"reason": "FieldManagerConflict"}]}
                raise Refused(409, "Conflict", "Apply failed with 1 conflict", details)
            stored = self.update(resource, place, applied(without(current, before, config), config), agent=agent)
        self._applied[resource, place, manager] = copied(config)
        return stored

    def delete(self, resource: Resource, place: Place, options: Body, *, agent: str = "") -> Body:
        """Delete an object, or mark it deleted while it has finalizers."""
        version = self._version(resource, place)
        old = version.body
        assert old is not None
        metadata = old["metadata"]
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != metadata["uid"]:
            raise conflict(resource, place[1], f"the UID in the precondition ({uid}) does not match")
        if not metadata.get("finalizers"):
            return self._drop(resource, place, agent)
        if "deletionTimestamp" in metadata:
            return version.copy()
        marks: Body = {"deletionTimestamp": self._moment(), "deletionGracePeriodSeconds": 0}
        if "generation" in metadata:
            marks["generation"] = metadata["generation"] + 1
        return self._put(resource, place, {**old, "metadata": metadata | marks}, agent)

    def _replaced(self, resource: Resource, place: Place, old: Body, body: Body, *, status: bool) -> Body:
        if status:
            new = {key: value for key, value in old.items() if key != "status"}
            return new | ({"status": body["status"]} if "status" in body else {})
        before = old["metadata"]
        metadata = {key: value for key, value in body["metadata"].items() if key not in KEPT}
        metadata |= {key: before[key] for key in KEPT if key in before}
        if not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
        metadata["resourceVersion"] = before["resourceVersion"]
        new = {**body, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if resource in WITH_STATUS:
            new.pop("status", None)
            new |= {"status": old["status"]} if "status" in old else {}
        new = completed(resource, place[1], new)
        if resource in WITH_GENERATION and _moved(resource, old, new):
            metadata["generation"] = before["generation"] + 1
        return new

    def _version(self, resource: Resource, place: Place) -> Version:
        found = self._current[resource].get(place)
        if found is None:
            raise not_found(resource, place[1])
        return found

    def _put(self, resource: Resource, place: Place, body: Body, agent: str) -> Body:
        before = self.look(resource, place)
        self._number += 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._number)}}
        return self._wrote(resource, place, body, before, body, agent)

    def _drop(self, resource: Resource, place: Place, agent: str) -> Body:
        before = self.look(resource, place)
        assert before is not None
        self._number += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self._number)}}
        return self._wrote(resource, place, None, before, last, agent)

    def _wrote(
        self, resource: Resource, place: Place, body: Body | None, before: Body | None, shown: Body, agent: str
    ) -> Body:
        version = Version(self._number, resource, place, body, before, agent, self._now(), packed(shown))
        if body is None:
            del self._current[resource][place]
        else:
            self._current[resource][place] = version
        self.history.append(version)
        self._logs[resource].append(version)
        for call in [call for call, wanted in self._listeners.items() if wanted is resource]:
            call()
        return version.copy()

    def _moment(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _suffix(self) -> str:
        rest, out = self._number, ""
        for _ in range(5):
            rest, digit = divmod(rest, len(ALPHABET))
            out = ALPHABET[digit] + out
        return out


def _moved(resource: Resource, old: Body, new: Body) -> bool:
    """Whether the generation moves: with the spec, for kinds of a CRD with everything but metadata and status."""
    if resource not in CUSTOM and "spec" in new:
        return bool(old.get("spec") != new["spec"])
    aside = ("metadata", "status") if resource in WITH_STATUS else ("metadata",)
    return any(old.get(key) != new.get(key) for key in {**old, **new} if key not in aside)
