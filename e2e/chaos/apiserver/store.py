"""Objects as an API server keeps them: versions, generations, finalizers, and the rules that every write shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from e2e.chaos.apiserver.builtin import completed
from e2e.chaos.apiserver.crds import fitted
from e2e.chaos.apiserver.metadata import born, check_place, cleaned, kept
from e2e.chaos.apiserver.objects import (
    CONDITIONAL,
    CUSTOM,
    MADE_BY_UPDATE,
    RESOURCES,
    WITH_GENERATION,
    WITH_STATUS,
    Place,
    Version,
    copied,
    packed,
)
from e2e.chaos.apiserver.patches import applied, differs, without
from e2e.chaos.apiserver.refusals import Refused, already_exists, conflict, internal, not_found, unconditional
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SLICES, Body, Resource

FIRST = 100
"""The resourceVersion before the first write."""
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Store:
    """All objects, and every version there has been. `history`: oldest first; its bodies must not be changed.

    Bodies that come in are taken over: whoever writes must not change them afterwards.
    """

    def __init__(self, *, now: Callable[[], float]) -> None:
        self.history: list[Version] = []
        self.floor = FIRST
        self._now = now
        self._current: dict[Resource, dict[Place, Version]] = {resource: {} for resource in RESOURCES}
        self._logs: dict[Resource, list[Version]] = {resource: [] for resource in RESOURCES}
        self._applied: dict[tuple[Resource, Place, str], Body] = {}
        self._listeners: dict[Callable[[], None], Resource] = {}
        self._texts: dict[int, bytes] = {}
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

    def text(self, resource: Resource, place: Place) -> bytes | None:
        """The object as JSON, or None."""
        found = self._current[resource].get(place)
        if found is None:
            return None
        if found.number not in self._texts:
            self._texts[found.number] = json.dumps(found.body).encode()
        return self._texts[found.number]

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
        given = cleaned(body.get("metadata") or {}, resource.kind)
        metadata = born(resource, namespace, given, suffix=self._suffix())
        place = (metadata.get("namespace", ""), metadata["name"])
        found = self.look(resource, place)
        if found is not None:
            raise already_exists(resource, place[1], deleting="deletionTimestamp" in found["metadata"])
        if metadata.pop("resourceVersion", "0") != "0":
            raise internal("resourceVersion should not be set on objects to be created")
        metadata["uid"] = f"00000000-0000-4000-8000-{self._number:012x}"
        metadata["creationTimestamp"] = self._moment()
        if resource in WITH_GENERATION:
            metadata["generation"] = 1
        rest = {key: value for key, value in body.items() if key != "status" or resource not in WITH_STATUS}
        new = {**rest, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        return self._put(resource, place, _fitted(resource, place[1], new, None), agent)

    def plant(self, resource: Resource, place: Place, body: Body, *, agent: str = "") -> Body:
        """Replace an object by what no client could write: what an older schema let in. Nothing of it is checked.

        Its metadata stays as it is, but for the version and, where the kind has one, the generation.
        """
        old = self.get(resource, place)["metadata"]
        moved = {"generation": old["generation"] + 1} if "generation" in old else {}
        return self._put(resource, place, {**copied(body), "metadata": {**old, **moved}}, agent)

    def update(
        self,
        resource: Resource,
        place: Place,
        body: Body,
        *,
        subresource: str = "",
        agent: str = "",
        whole: bool = True,
    ) -> Body:
        """Store a new state of an existing object, under the rules every kind of write shares.

        `whole`: the client sent all of it (PUT), so a uid in it is a precondition, and the object may come into being.
        """
        given = cleaned(body.get("metadata") or {}, resource.kind)
        check_place(resource, *place, given)
        uid = given.get("uid") if whole else None
        version = self._current[resource].get(place)
        if version is None and resource in MADE_BY_UPDATE and whole and not subresource:
            if uid:
                raise conflict(resource, place[1], f"Precondition failed: UID in precondition: {uid}, UID in object: ")
            fresh = {**body, "metadata": {key: value for key, value in given.items() if key != "resourceVersion"}}
            return self.create(resource, place[0], fresh, agent=agent)
        if version is None or version.body is None:
            raise not_found(resource, place[1])
        old = version.body
        before = old["metadata"]
        if uid and uid != before["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
            raise conflict(resource, place[1], why)
        _check_version(resource, place, given.get("resourceVersion", "0"), before)
        new = self._replaced(resource, old, {**body, "metadata": given}, status=subresource == "status")
        new = _fitted(resource, place[1], new, old)
        if new == old:
            return version.copy()
        if resource in WITH_GENERATION and _moved(resource, old, new):
            new = {**new, "metadata": {**new["metadata"], "generation": before["generation"] + 1}}
        if "deletionTimestamp" in new["metadata"] and "finalizers" not in new["metadata"]:
            self._drop(resource, place, agent)
            return dict(copied(new))
        return self._put(resource, place, new, agent)

    def apply(
        self, resource: Resource, place: Place, config: Body, *, manager: str, force: bool, agent: str = ""
    ) -> Body:
        """Server-side apply, in small: lists are atomic, fields that the manager no longer applies go."""
        before = self._applied.get((resource, place, manager), {})
        current = self.look(resource, place)
        if current is None:
            metadata = cleaned(config.get("metadata") or {}, resource.kind)
            check_place(resource, *place, metadata)
            if "uid" in metadata:
                why = f"the provided object specified uid {metadata['uid']}, and no existing object was found"
                raise conflict(resource, place[1], f"uid mismatch: {why}")
            metadata.pop("resourceVersion", None)
            stored = self.create(resource, place[0], {**config, "metadata": metadata}, agent=agent)
        else:
            # Who owns what is known only of appliers: anybody else's differing value is a conflict.
            if not force and differs(current, config):
                details: Body = {"causes": [{"reason": "FieldManagerConflict"}]}
                raise Refused(409, "Conflict", "Apply failed with 1 conflict", details)
            merged = applied(without(current, before, config), config)
            stored = self.update(resource, place, merged, agent=agent, whole=False)
        self._applied[resource, place, manager] = copied(config)
        return stored

    def delete(self, resource: Resource, place: Place, options: Body, *, agent: str = "") -> Body:
        """Delete an object, or mark it deleted while it has finalizers; returns its last state.

        Raises Refused with 409 when it is not the one that the preconditions name.
        """
        version = self._version(resource, place)
        old = version.body
        assert old is not None
        metadata = old["metadata"]
        wanted = options.get("preconditions") or {}
        for key, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(key) and wanted[key] != metadata[key]:
                why = f"the {word} in the precondition ({wanted[key]}) does not match the {word} in record"
                raise conflict(resource, place[1], f"{why} ({metadata[key]})")
        if not metadata.get("finalizers"):
            return self._drop(resource, place, agent)
        if "deletionTimestamp" in metadata:
            return version.copy()
        marks: Body = {"deletionTimestamp": self._moment(), "deletionGracePeriodSeconds": 0}
        if "generation" in metadata:
            marks["generation"] = metadata["generation"] + 1
        return self._put(resource, place, {**old, "metadata": metadata | marks}, agent)

    def _replaced(self, resource: Resource, old: Body, body: Body, *, status: bool) -> Body:
        if status:
            metadata = old["metadata"]
            if resource not in CUSTOM:
                # Built-in kinds take everything but the labels of what is sent to the subresource.
                labels = {"labels": metadata["labels"]} if "labels" in metadata else {}
                rest = {key: value for key, value in body["metadata"].items() if key != "labels"}
                metadata = kept(resource, metadata, rest | labels)
            new = {key: value for key, value in old.items() if key != "status"} | {"metadata": metadata}
            return new | ({"status": body["status"]} if "status" in body else {})
        new = {**body, "apiVersion": resource.api_version, "kind": resource.kind}
        new["metadata"] = kept(resource, old["metadata"], body["metadata"])
        if resource in WITH_STATUS:
            new.pop("status", None)
            new |= {"status": old["status"]} if "status" in old else {}
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


def _fitted(resource: Resource, name: str, body: Body, old: Body | None) -> Body:
    return fitted(resource, name, completed(resource, name, body), old)


def _check_version(resource: Resource, place: Place, wanted: str, before: Body) -> None:
    if not str(wanted).isdecimal():
        raise internal(f'strconv.ParseUint: parsing "{wanted}": invalid syntax')
    if int(wanted) and wanted != before["resourceVersion"]:
        raise conflict(resource, place[1])
    if not int(wanted) and resource in CONDITIONAL:
        raise unconditional(resource, place[1])


def _moved(resource: Resource, old: Body, new: Body) -> bool:
    """Whether the generation moves: with the spec; with all but metadata and status for kinds of a CRD."""
    if resource is DEPLOYMENTS:
        return bool(old.get("spec") != new.get("spec"))
    if resource is SLICES:
        return True
    aside = ("metadata", "status") if resource in WITH_STATUS else ("metadata",)
    return any(old.get(key) != new.get(key) for key in {**old, **new} if key not in aside)
