"""`ApiServer`: requests in, answers out. Synchronous and atomic; a refusal is an answer, never an exception."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from e2e.chaos.apiserver.lists import check_version, listed, selected
from e2e.chaos.apiserver.objects import CUSTOM, RESOURCES, WITH_STATUS, Place, copied
from e2e.chaos.apiserver.patches import json_patch, merge
from e2e.chaos.apiserver.refusals import (
    Refused,
    bad_request,
    details,
    internal,
    no_manager,
    no_subresource,
    not_found,
    unsupported,
)
from e2e.chaos.apiserver.scale import SCALED, scaled
from e2e.chaos.apiserver.store import Store
from e2e.chaos.apiserver.watches import BOOKMARK_PERIOD, Watch
from modelrollout.adapters.kube.resources import SERVICES, Body, Resource

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TRUE = ("true", "1")
NO_PAGE = "404 page not found\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` may be percent-encoded; `content` is its Content-Type, `agent` who sends it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    content: str = "application/json"
    body: Any = None
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `body` is a JSON value, the caller's to keep; text when the server knows no such path."""

    code: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means."""

    resource: Resource
    place: Place
    subresource: str


@dataclass(frozen=True, slots=True)
class Wired:
    """One answer as it goes over the wire."""

    code: int
    body: bytes
    headers: Mapping[str, str]
    version: str = ""
    """resourceVersion of an object that the body holds."""


class ApiServer:
    """One API server with a store of its own.

    `now`: epoch seconds, for timestamps of objects. Watches take their time from the running event loop.
    `bookmarks`: seconds between bookmarks of a watch.
    """

    def __init__(self, *, now: Callable[[], float], bookmarks: float = BOOKMARK_PERIOD) -> None:
        self.store = Store(now=now)
        self.served = dict.fromkeys(RESOURCES)
        self._bookmarks = bookmarks

    def handle(self, request: Request) -> Response:
        """Carry out any request but a watch."""
        target = self._target(request.path)
        if target is None:
            return Response(404, NO_PAGE, {"Content-Type": "text/plain; charset=utf-8"})
        try:
            code, body = self._answer(request, target)
        except Refused as refused:
            return Response(refused.code, refused.status())
        return Response(code, body)

    def wire(self, request: Request) -> Wired:
        """What `handle` answers, as bytes; an object that is read again and again is made into text once."""
        target = self._target(request.path)
        if (
            request.method == "GET"
            and target is not None
            and target.place[1]
            and not (target.subresource or request.query)
        ):
            text = self.store.text(target.resource, target.place)
            if text is not None:
                return Wired(200, text, {})
        answer = self.handle(request)
        text = answer.body.encode() if isinstance(answer.body, str) else json.dumps(answer.body).encode()
        metadata = answer.body.get("metadata") or {} if isinstance(answer.body, dict) else {}
        return Wired(answer.code, text, answer.headers, str(metadata.get("resourceVersion", "")))

    def named(self, path: str) -> str:
        """The object that a path is about, whichever part of it: plural, namespace, name; the path where it is none."""
        target = self._target(path)
        return path if target is None else f"{target.resource.plural} {'/'.join(target.place)}"

    def version(self, request: Request) -> str:
        """resourceVersion of the object that a request is about; empty when there is none."""
        target = self._target(request.path)
        found = None if target is None else self.store.look(target.resource, target.place)
        return "" if found is None else str(found["metadata"]["resourceVersion"])

    def open(self, request: Request) -> Watch | Response:
        """Begin the watch that a request asks for, or refuse it. Needs a running event loop."""
        target = self._target(request.path)
        if target is None or target.place[1]:
            return self.handle(request)
        query = request.query
        try:
            return Watch(
                self.store,
                target.resource,
                target.place[0],
                since=_number(query.get("resourceVersion", "")),
                select=selected(query.get("labelSelector", ""), query.get("fieldSelector", "")),
                bookmarks=self._bookmarks if query.get("allowWatchBookmarks") in TRUE else None,
                timeout=_seconds(query.get("timeoutSeconds") or "0"),
            )
        except Refused as refused:
            return Response(refused.code, refused.status())

    def watch(self, resource: Resource, namespace: str = "", *, since: str) -> Watch:
        """Watch from that version on, without end and bookmarks. Needs a running event loop."""
        return Watch(self.store, resource, namespace, since=since)

    def compact(self, before: int) -> None:
        """Forget the versions before that one: a watch or a `continue` from there gets 410. The history stays."""
        self.store.floor = max(self.store.floor, before)

    def _target(self, path: str) -> Target | None:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["api", version, *rest]:
                group = ""
            case ["apis", group, version, *rest]:
                pass
            case _:
                return None
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] != "status":
            namespace, rest = rest[1], rest[2:]
        if not 1 <= len(rest) <= 3:
            return None
        for resource in self.served:
            if (resource.plural, resource.group, resource.version) == (rest[0], group, version):
                name, subresource = (*rest[1:], "", "")[:2]
                return Target(resource, (namespace, name), subresource)
        return None

    def _answer(self, request: Request, target: Target) -> tuple[int, Body]:
        resource, place, agent = target.resource, target.place, request.agent
        if target.subresource == "scale" and resource in SCALED and place[1]:
            patch, content = request.body, request.content
            return 200, scaled(self.store, resource, place, request.method, patch, content=content, agent=agent)
        if target.subresource and not (target.subresource == "status" and resource in WITH_STATUS):
            raise not_found(resource, place[1]) if resource in CUSTOM else no_subresource()
        match request.method:
            case "GET" if place[1]:
                check_version(self.store, request.query)
                return 200, self.store.get(resource, place)
            case "GET":
                return 200, listed(self.store, resource, place[0], request.query)
            case "POST" if not place[1]:
                return 201, self.store.create(resource, place[0], _object(request, resource), agent=agent)
            case "PUT" if place[1]:
                before = self.store.look(resource, place)
                body = _object(request, resource)
                stored = self.store.update(resource, place, body, subresource=target.subresource, agent=agent)
                return 201 if before is None else 200, stored
            case "DELETE" if place[1]:
                return 200, self._delete(request, target)
            case "PATCH" if place[1]:
                return self._patch(request, target)
            case _:
                message = "the server does not allow this method on the requested resource"
                raise Refused(405, "MethodNotAllowed", message)

    def _patch(self, request: Request, target: Target) -> tuple[int, Body]:
        resource, place = target.resource, target.place
        current = self.store.look(resource, place)
        agent = request.agent
        if request.content == APPLY_PATCH:
            manager, force = request.query.get("fieldManager", ""), request.query.get("force") in TRUE
            if not manager:
                raise no_manager()
            config = _object(request, resource)
            stored = self.store.apply(resource, place, config, manager=manager, force=force, agent=agent)
            return 201 if current is None else 200, stored
        if request.content not in (JSON_PATCH, MERGE_PATCH):
            raise unsupported(", ".join((JSON_PATCH, MERGE_PATCH, APPLY_PATCH)))
        if current is None:
            raise not_found(resource, place[1])
        patch = copied(request.body)
        if request.content == JSON_PATCH:
            patched = json_patch(current, patch)
        elif isinstance(patch, dict):
            patched = merge(current, patch)
        else:
            raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]any")
        return 200, self.store.update(
            resource, place, patched, subresource=target.subresource, agent=agent, whole=False
        )

    def _delete(self, request: Request, target: Target) -> Body:
        resource, (_, name) = target.resource, target.place
        options = request.body if isinstance(request.body, dict) else {}
        if not isinstance(options.get("preconditions") or {}, dict):
            raise bad_request("DeleteOptions cannot be handled: preconditions are no object")
        last = self.store.delete(resource, target.place, options, agent=request.agent)
        if resource is SERVICES or self.store.look(resource, target.place) is not None:
            return last
        about = {**details(resource, name, resource.plural), "uid": last["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}


def _object(request: Request, resource: Resource) -> Body:
    body = request.body
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: couldn't get version/kind")
    for key, wanted in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if resource in CUSTOM and not body.get(key):
            raise bad_request(f"the object provided is unrecognized: Object '{key}' is missing")
        if body.get(key, wanted) != wanted:
            raise bad_request(f"{body[key]} cannot be handled as a {wanted}")
    whole: Body = copied(body)
    return whole


def _number(version: str) -> str:
    if version and not version.isdecimal():
        raise internal(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    return version


def _seconds(text: str) -> float | None:
    if not text.isdecimal():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return float(text) or None
