"""The in-process API server on loopback, with faults: what the adapters' contract suites talk to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from e2e.chaos.apiserver import server
from e2e.chaos.apiserver.server import TRUE, ApiServer, Response


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
    """An answer instead of the real one: `hang` never answers, `late` acts and then answers with this code.

    `at`: how the path of the request must end.
    """

    code: int = 503
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    late: bool = False
    at: str = ""


class FakeApi:
    """The HTTP front. `faults`: taken in order by requests whose method is in `on`."""

    def __init__(self) -> None:
        self.server = ApiServer(now=time.time)
        self.store = self.server.store
        self.requests: list[Request] = []
        self.url = ""
        self._faults: list[tuple[frozenset[str], Fault]] = []
        self._meanwhile: list[tuple[str, Callable[[], object]]] = []

    def fail(self, *methods: str, fault: Fault) -> None:
        """The next request with one of these methods meets this fault."""
        self._faults.append((frozenset(methods), fault))

    def meanwhile(self, method: str, act: Callable[[], object]) -> None:
        """Do this to the store just before the next request with this method is carried out."""
        self._meanwhile.append((method, act))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return web.json_response({"kind": "Status", "code": 400, "message": "no JSON"}, status=400)
        self.requests.append(Request(request.method, request.path, dict(request.query), dict(request.headers), body))
        fault = self._fault(request.method, request.path)
        if fault is not None and fault.hang:
            await asyncio.Event().wait()
        if fault is not None and not fault.late:
            return web.Response(status=fault.code, text=fault.body, headers=fault.headers)
        asked = server.Request(
            request.method,
            request.raw_path.partition("?")[0],
            dict(request.query),
            content=request.content_type,
            body=body,
            agent=request.headers.get("User-Agent", ""),
        )
        if request.query.get("watch") in TRUE:
            return await self._watch(request, asked)
        for waiting in [pair for pair in self._meanwhile if pair[0] == request.method]:
            self._meanwhile.remove(waiting)
            waiting[1]()
        answer = self.server.handle(asked)
        if fault is not None and answer.code < 300:
            return web.Response(status=fault.code, text=fault.body, headers=fault.headers)
        return _http(answer)

    async def _watch(self, request: web.Request, asked: server.Request) -> web.StreamResponse:
        watch = self.server.open(asked)
        if isinstance(watch, Response):
            return _http(watch)
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await answer.prepare(request)
            async for event in watch:
                await answer.write(json.dumps(event).encode() + b"\n")
        except ConnectionResetError:
            pass  # nobody listens any more
        finally:
            watch.close()
        return answer

    def _fault(self, method: str, path: str) -> Fault | None:
        for index, (methods, fault) in enumerate(self._faults):
            if method in methods and path.endswith(fault.at):
                del self._faults[index]
                return fault
        return None


def _http(answer: Response) -> web.Response:
    if isinstance(answer.body, str):
        return web.Response(status=answer.code, text=answer.body, headers=answer.headers)
    return web.json_response(answer.body, status=answer.code, headers=answer.headers)


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
