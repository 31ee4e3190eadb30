"""Objects as an API server keeps them: versions, generations, finalizers, the four ways to patch. No HTTP."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    EVENTS,
    HTTPROUTES,
    LEASES,
    NAMESPACES,
    ROLLOUTS,
    SERVICES,
    SLICES,
    SOURCES,
    Resource,
)

Body = dict[str, Any]
Place = tuple[str, str]

RESOURCES = (
    ROLLOUTS,
    ACTIONS,
    SOURCES,
    DEPLOYMENTS,
    SERVICES,
    SLICES,
    HTTPROUTES,
    LEASES,
    EVENTS,
    NAMESPACES,
)
WITH_STATUS = (ROLLOUTS, ACTIONS, DEPLOYMENTS, HTTPROUTES)
MERGED_BY_UID = "ownerReferences"


class Refused(Exception):
    """An answer of class 4xx or 5xx; `causes` None leaves `details` empty."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Body] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.causes = causes


@dataclass(frozen=True)
class Version:
    """One write: the object as it was stored, or None for a deletion."""

    number: int
    resource: Resource
    place: Place
    body: Body | None


@dataclass
class Store:
    """All objects, and every version there has been, oldest first."""

    objects: dict[Resource, dict[Place, Body]] = field(default_factory=lambda: {r: {} for r in RESOURCES})
    history: list[Version] = field(default_factory=list)
    _applied: dict[tuple[Resource, Place, str], Body] = field(default_factory=dict)
    _number: int = 100

    def get(self, resource: Resource, place: Place) -> Body:
        found = self.objects[resource].get(place)
        if found is None:
            raise Refused(404, "NotFound", f'{resource.plural} "{place[1]}" not found', [])
        return copy.deepcopy(found)

    def listed(self, resource: Resource, namespace: str, labels: dict[str, str]) -> list[Body]:
        return [
            copy.deepcopy(body)
            for place, body in sorted(self.objects[resource].items())
            if (not namespace or place[0] == namespace)
            and labels.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    @property
    def number(self) -> int:
        return self._number

    def create(self, resource: Resource, namespace: str, body: Body) -> Body:
        body = copy.deepcopy(body)
        metadata = body.setdefault("metadata", {})
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._number}"
        place = (namespace, metadata["name"])
        if place in self.objects[resource]:
            raise Refused(409, "AlreadyExists", f'{resource.plural} "{place[1]}" already exists', [])
        if metadata.get("resourceVersion"):
            raise Refused(409, "Conflict", "the object has been modified", [])
        if resource.namespaced:
            metadata["namespace"] = namespace
        metadata["uid"] = f"uid-{self._number}"
        metadata["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["generation"] = 1
        body |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if resource in WITH_STATUS:
            body.pop("status", None)
        return self._put(resource, place, body)

    def update(self, resource: Resource, place: Place, body: Body, *, subresource: str = "") -> Body:
        """Store a new state of an existing object, under the rules every kind of write shares."""
        if resource is LEASES and place not in self.objects[resource] and not body["metadata"].get("uid"):
            # The real one makes a deleted Lease anew, unless the update says which one it means.
            return self.create(resource, place[0], {**body, "metadata": {"name": place[1]}})
        old = self.get(resource, place)
        body = copy.deepcopy(body)
        wanted = body["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest", [])
        if subresource == "status":
            body = copy.deepcopy(old) | ({"status": body["status"]} if "status" in body else {})
        elif resource in WITH_STATUS:
            body.pop("status", None)
            body |= {"status": old["status"]} if "status" in old else {}
        for name in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "name", "namespace"):
            body["metadata"].pop(name, None)
            if name in old["metadata"]:
                body["metadata"][name] = old["metadata"][name]
        if not body["metadata"].get("finalizers"):
            body["metadata"].pop("finalizers", None)
        body["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        complete(resource, body)
        if body.get("spec") != old.get("spec"):
            body["metadata"]["generation"] += 1
        if body == old:
            return old
        if "deletionTimestamp" in body["metadata"] and "finalizers" not in body["metadata"]:
            return self._drop(resource, place)
        return self._put(resource, place, body)

    def apply(self, resource: Resource, place: Place, config: Body, *, manager: str, force: bool) -> Body:
        """Server-side apply, in small: lists are atomic, fields that the manager no longer applies go."""
        before = self._applied.get((resource, place, manager), {})
        current = self.objects[resource].get(place)
        if current is None:
            stored = self.create(resource, place[0], config)
        else:
            # Who owns what is known only of appliers: anybody else's differing value is a conflict.
            if not force and _differs(current, config):
                raise Refused(409, "Conflict", "Apply failed with 1 conflict", [{"reason": "FieldManagerConflict"}])
            merged = _merged(_without(copy.deepcopy(current), before, config), config)
            stored = self.update(resource, place, merged)
        self._applied[resource, place, manager] = copy.deepcopy(config)
        return stored

    def delete(self, resource: Resource, place: Place, options: Body) -> Body:
        old = self.get(resource, place)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != old["metadata"]["uid"]:
            raise Refused(409, "Conflict", "the UID in the precondition does not match", [])
        if not old["metadata"].get("finalizers"):
            return self._drop(resource, place)
        if "deletionTimestamp" in old["metadata"]:
            return old
        old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        old["metadata"]["generation"] += 1
        return self._put(resource, place, old)

    def _put(self, resource: Resource, place: Place, body: Body) -> Body:
        complete(resource, body)
        self._number += 1
        body["metadata"]["resourceVersion"] = str(self._number)
        self.objects[resource][place] = body
        self.history.append(Version(self._number, resource, place, copy.deepcopy(body)))
        return copy.deepcopy(body)

    def _drop(self, resource: Resource, place: Place) -> Body:
        self._number += 1
        body = self.objects[resource].pop(place)
        self.history.append(Version(self._number, resource, place, None))
        return body


def complete(resource: Resource, body: Body) -> None:
    """Defaults and validation, as far as the operator depends on them; `body` is changed in place."""
    if resource is HTTPROUTES:
        _complete_route(body)
    if resource is EVENTS:
        causes = [name for name in ("eventTime", "reason", "action", "reportingController") if not body.get(name)]
        if len(str(body.get("note", "")).encode()) > 1024:
            causes.append("note")
        if (body.get("series") or {"count": 2})["count"] < 2:
            causes.append("series.count")
        _refuse(resource, [{"field": name, "message": "Invalid value"} for name in causes])


def _complete_route(body: Body) -> None:
    spec = body["spec"]
    causes: list[Body] = []
    for host in spec.get("hostnames") or ():
        if host != host.lower():
            causes.append({"field": "spec.hostnames[0]", "message": f"Invalid value: {host!r}"})
    if len(spec.get("rules") or ()) > 16:
        causes.append({"field": "spec.rules", "message": "Too many: must have at most 16 items"})
    for parent in spec.get("parentRefs") or ():
        parent.setdefault("group", "gateway.networking.k8s.io")
        parent.setdefault("kind", "Gateway")
    for rule in spec.get("rules") or ():
        for match in rule.setdefault("matches", [{}]):
            match.setdefault("path", {"type": "PathPrefix", "value": "/"})
            for header in match.get("headers") or ():
                header.setdefault("type", "Exact")
        for ref in rule.get("backendRefs") or ():
            ref.setdefault("group", "")
            ref.setdefault("kind", "Service")
            if not 0 <= ref.setdefault("weight", 1) <= 1_000_000:
                causes.append({"field": "spec.rules[0].backendRefs[0].weight", "message": "Invalid value"})
    _refuse(HTTPROUTES, causes)


def _refuse(resource: Resource, causes: list[Body]) -> None:
    if causes:
        raise Refused(422, "Invalid", f"{resource.kind} is invalid: {causes[0]['message']}", causes)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def json_patch(body: Body, operations: list[Body]) -> Body:
    """RFC 6902: test, add, replace, remove. A failure is refused as the API server does it: without details."""
    body = copy.deepcopy(body)
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            parent: Any = body
            for part in way:
                parent = parent[int(part) if isinstance(parent, list) else part]
            _change(parent, last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Refused(422, "Invalid", f"the server rejected our request: {error!r}") from error
    return body


def _change(parent: Any, last: str, operation: Body) -> None:
    kind = operation["op"]
    index: Any = int(last) if isinstance(parent, list) and last != "-" else last
    match kind:
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else index, operation["value"])
        case "add":
            parent[index] = operation["value"]
        case "test" if parent[index] != operation["value"]:
            raise ValueError(f"testing path {operation['path']} value failed")
        case "test":
            pass
        case "replace":
            parent[index]  # must be there
            parent[index] = operation["value"]
        case "remove":
            del parent[index]
        case _:
            raise ValueError(kind)


def _merged(current: Any, config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    out = dict(current) if isinstance(current, dict) else {}
    for key, value in config.items():
        if key == MERGED_BY_UID:
            out[key] = list(({o["uid"]: o for o in out.get(key) or ()} | {o["uid"]: o for o in value}).values())
        else:
            out[key] = _merged(out.get(key), value)
    return out


def _without(current: Body, before: Body, config: Body) -> Body:
    for key, value in before.items():
        if key not in config and key not in ("resourceVersion", "metadata"):
            current.pop(key, None)
        elif isinstance(value, dict) and isinstance(config.get(key), dict) and isinstance(current.get(key), dict):
            _without(current[key], value, config[key])
    return current


def _differs(current: Any, config: Any) -> bool:
    if isinstance(config, dict) and isinstance(current, dict):
        return any(key in current and _differs(current[key], value) for key, value in config.items())
    return bool(current != config)
