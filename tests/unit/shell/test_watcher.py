"""The watch on its thread: it tells what happens, and begins anew after an API server that was away in any manner."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest
from aiohttp import web

from modelrollout.adapters.kube.credentials import Credentials
from modelrollout.adapters.kube.resources import ACTIONS, DEPLOYMENTS, HTTPROUTES, ROLLOUTS, SOURCES, Body
from modelrollout.shell import handlers
from modelrollout.shell.handlers import Watcher

KINDS = (ROLLOUTS, ACTIONS, SOURCES, HTTPROUTES, DEPLOYMENTS)
SERVED = (
    *((kind.group, kind.version, kind.plural, kind.kind) for kind in KINDS),
    ("", "v1", "namespaces", "Namespace"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"),
)
"""kopf asks for the last two whether it watches them or not."""
LIMIT = 30.0


class Server:
    """As much of an API server as kopf asks for. `starting`: kinds whose watches are answered by 503; `silent`: kinds
    whose watches get no answer at all.
    """

    def __init__(self) -> None:
        self.starting: set[str] = set()
        self.silent: set[str] = set()
        self.watches: Counter[str] = Counter()
        self.open: dict[str, set[web.StreamResponse]] = {}
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if len(parts) < (4 if parts[0] == "apis" else 3):
            return self._discovery(parts)
        plural = parts[-1]
        if "watch" not in request.query:
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})
        if plural in self.starting:
            status = {"kind": "Status", "code": 503, "message": "not all HTTP paths have been installed"}
            return web.json_response(status, status=503)
        if plural in self.silent:
            await asyncio.Event().wait()
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches[plural] += 1
        self.open.setdefault(plural, set()).add(response)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.Event().wait()
        return response

    def _discovery(self, parts: list[str]) -> web.Response:
        if parts == ["api"]:
            return web.json_response({"versions": ["v1"]})
        if parts == ["apis"]:
            listed = [[{"groupVersion": f"{g}/{v}", "version": v}] for g, v in sorted({k[:2] for k in SERVED if k[0]})]
            groups = [{"name": v[0]["groupVersion"].partition("/")[0], "versions": v} for v in listed]
            return web.json_response({"groups": [g | {"preferredVersion": g["versions"][0]} for g in groups]})
        where = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        named = [
            {"name": plural, "kind": kind, "namespaced": True, "verbs": ["list", "watch"], "singularName": ""}
            for group, version, plural, kind in SERVED
            if (group, version) == where
        ]
        return web.json_response({"resources": named})

    def drop(self) -> None:
        """End every open watch."""
        for responses in self.open.values():
            for response in responses:
                if response._req is not None and response._req.transport is not None:
                    response._req.transport.close()
            responses.clear()

    async def tell(self, plural: str, name: str) -> None:
        """A new object on the open watches of a kind."""
        body = {"metadata": {"name": name, "namespace": "serving", "uid": name, "resourceVersion": "2"}}
        line = json.dumps({"type": "ADDED", "object": body}).encode() + b"\n"
        for response in self.open.get(plural, ()):
            await response.write(line)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.mark.timeout(90)
async def test_bug_an_api_server_that_was_starting_left_all_kinds_but_one_unwatched(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One kind's watch gave up on 503, kopf began to end, and a watch in the middle of a request kept it from it."""
    quick = handlers.settings

    def settings(_selector: str) -> kopf.OperatorSettings:
        made = quick()
        made.networking.error_backoffs = [0.05, 0.1]
        made.watching.reconnect_backoff = 0.1
        return made

    monkeypatch.setattr(handlers, "settings", settings)
    monkeypatch.setattr(handlers, "PAUSE", 0.1)
    seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    failed = asyncio.Event()

    def take(kind: str, _: str | None, body: Body) -> None:
        seen.put_nowait((kind, body["metadata"]["name"]))

    async def login() -> Credentials:
        return Credentials(server=server.url)

    watcher = Watcher(lambda: KINDS, take, login=login, namespaces=(), started=lambda: None, failed=failed.set)
    running = asyncio.ensure_future(watcher.run())
    try:
        await until(lambda: all(server.watches[kind.plural] for kind in KINDS))
        server.starting = {SOURCES.plural}
        server.silent = {kind.plural for kind in KINDS} - server.starting
        server.drop()
        async with asyncio.timeout(LIMIT):
            await failed.wait()
        server.starting, server.silent = set(), set()
        server.watches.clear()
        await until(lambda: all(server.watches[kind.plural] for kind in KINDS))
        for kind in KINDS:
            await server.tell(kind.plural, f"new-{kind.plural}")
        async with asyncio.timeout(LIMIT):
            told = {await seen.get() for _ in KINDS}
        assert told == {(kind.kind, f"new-{kind.plural}") for kind in KINDS}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.timeout(90)
async def test_a_kind_that_is_needed_later_is_watched_then_and_no_longer_when_it_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handlers, "PAUSE", 0.1)
    failed = asyncio.Event()
    kinds = tuple(kind for kind in KINDS if kind is not HTTPROUTES)
    told: asyncio.Queue[str] = asyncio.Queue()

    async def login() -> Credentials:
        return Credentials(server=server.url)

    watcher = Watcher(
        lambda: kinds,
        lambda _, __, body: told.put_nowait(body["metadata"]["name"]),
        login=login,
        namespaces=(),
        started=lambda: None,
        failed=failed.set,
    )
    running = asyncio.ensure_future(watcher.run())
    try:
        await until(lambda: all(server.watches[kind.plural] for kind in kinds))
        assert server.watches[HTTPROUTES.plural] == 0
        kinds = KINDS
        async with asyncio.timeout(LIMIT):
            await failed.wait()  # so that everything is listed once more: the old watch is over
        await until(lambda: server.watches[HTTPROUTES.plural] == 1 and server.watches[ROLLOUTS.plural] == 2)
        await server.tell(HTTPROUTES.plural, "new")
        async with asyncio.timeout(LIMIT):
            assert await told.get() == "new"
        kinds = tuple(kind for kind in KINDS if kind is not HTTPROUTES)
        await until(lambda: server.watches[ROLLOUTS.plural] == 3)
        assert server.watches[HTTPROUTES.plural] == 1
        assert not [record for record in caplog.records if record.levelname == "ERROR"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(ready: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not ready():
            await asyncio.sleep(0.02)
