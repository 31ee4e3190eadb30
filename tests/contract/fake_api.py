"""A small API server on loopback with the manners that matter: optimistic locks, patch kinds, paging, faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from modelrollout.adapters.kube.resources import Resource
from tests.contract.fake_store import RESOURCES, Body, Place, Refused, Store, json_patch, merge


@dataclass
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Fault:
    """An answer instead of the real one: `hang` never answers, `late` acts and then answers with this code."""

    code: int = 503
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    late: bool = False


class FakeApi:
    """The server. `faults`: taken in order by requests whose method is in `on`."""

    def __init__(self) -> None:
        self.store = Store()
        self.requests: list[Request] = []
        self.url = ""
        self._faults: list[tuple[frozenset[str], Fault]] = []
        self._meanwhile: list[tuple[str, Callable[[], object]]] = []
        self._news = asyncio.Condition()

    def fail(self, *methods: str, fault: Fault) -> None:
        """The next request with one of these methods meets this fault."""
        self._faults.append((frozenset(methods), fault))

    def meanwhile(self, method: str, act: Callable[[], object]) -> None:
        """Do this to the store just before the next request with this method is carried out."""
        self._meanwhile.append((method, act))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.requests.append(Request(request.method, request.path, dict(request.query), dict(request.headers), body))
        fault = self._fault(request.method)
        if fault is not None and fault.hang:
            await asyncio.Event().wait()
        if fault is not None and not fault.late:
            return web.Response(status=fault.code, text=fault.body, headers=fault.headers)
        found = _resolve(request.path)
        if found is None:
            return web.Response(status=404, text="404 page not found\n")
        resource, namespace, name, subresource = found
        if request.query.get("watch") == "true":
            return await self._watch(request, resource, namespace)
        for waiting in [pair for pair in self._meanwhile if pair[0] == request.method]:
            self._meanwhile.remove(waiting)
            waiting[1]()
        try:
            answer = self._answer(request, resource, (namespace, name), subresource, body)
        except Refused as refused:
            return web.json_response(_status(refused), status=refused.code)
        async with self._news:
            self._news.notify_all()
        if fault is not None:
            return web.Response(status=fault.code, text=fault.body, headers=fault.headers)
        return web.json_response(answer, status=201 if request.method == "POST" else 200)

    def _answer(self, request: web.Request, resource: Resource, place: Place, subresource: str, body: Any) -> Body:
        match request.method:
            case "GET" if place[1]:
                return self.store.get(resource, place)
            case "GET":
                return self._list(request, resource, place[0])
            case "POST":
                return self.store.create(resource, place[0], body)
            case "PUT":
                return self.store.update(resource, place, body, subresource=subresource)
            case "DELETE":
                return self.store.delete(resource, place, body or {})
            case _:
                return self._patch(request, resource, place, subresource, body)

    def _patch(self, request: web.Request, resource: Resource, place: Place, subresource: str, body: Any) -> Body:
        match request.headers["Content-Type"]:
            case "application/apply-patch+yaml":
                force = request.query.get("force") == "true"
                return self.store.apply(resource, place, body, manager=request.query["fieldManager"], force=force)
            case "application/json-patch+json":
                patched = json_patch(self.store.get(resource, place), body)
            case _:
                patched = merge(self.store.get(resource, place), body)
        return self.store.update(resource, place, patched, subresource=subresource)

    def _list(self, request: web.Request, resource: Resource, namespace: str) -> Body:
        selector = request.query.get("labelSelector", "")
        labels = dict(part.split("=", 1) for part in selector.split(",") if part)
        items = self.store.listed(resource, namespace, labels)
        begin, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 0)) or len(items)
        metadata = {"resourceVersion": str(self.store.number)}
        if begin + limit < len(items):
            metadata["continue"] = str(begin + limit)
        page = [{k: v for k, v in item.items() if k not in ("kind", "apiVersion")} for item in items]
        return {"kind": f"{resource.kind}List", "metadata": metadata, "items": page[begin : begin + limit]}

    async def _watch(self, request: web.Request, resource: Resource, namespace: str) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        since = int(request.query.get("resourceVersion") or 0)
        known = {
            v.place for v in self.store.history if v.number <= since and v.resource is resource and v.body is not None
        }
        while True:
            for version in [v for v in self.store.history if v.number > since]:
                since = version.number
                if version.resource is not resource or (namespace and version.place[0] != namespace):
                    continue
                kind = "DELETED" if version.body is None else "MODIFIED" if version.place in known else "ADDED"
                known.add(version.place)
                last = version.body or {
                    "metadata": {
                        "namespace": version.place[0],
                        "name": version.place[1],
                        "resourceVersion": str(version.number),
                    }
                }
                await answer.write(json.dumps({"type": kind, "object": last}).encode() + b"\n")
            async with self._news:
                await self._news.wait()

    def _fault(self, method: str) -> Fault | None:
        for index, (methods, fault) in enumerate(self._faults):
            if method in methods:
                del self._faults[index]
                return fault
        return None


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """A running server for the length of the block."""
    api = FakeApi()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()


def _resolve(path: str) -> tuple[Resource, str, str, str] | None:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    for resource in RESOURCES:
        if (resource.group, resource.version, resource.plural) == (group, version, rest[0]):
            return resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""
    return None


def _status(refused: Refused) -> Body:
    details = {} if refused.causes is None else {"name": "x", "causes": refused.causes}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": str(refused),
        "reason": refused.reason,
        "code": refused.code,
        "details": details,
    }
