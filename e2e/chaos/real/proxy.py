"""Between one operator and the API server: passes on everything, watches too, and knows and counts the writes.

Plain HTTP on loopback towards the operator, TLS with a client certificate towards the API server.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from e2e.chaos.real.ledger import Ledger, Sent, lists
from e2e.chaos.real.upstream import Upstream
from e2e.chaos.transport import WRITES, Die, Lose, Refuse, Silence
from modelrollout.adapters.kube.resources import MANAGER

HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade"})
BIGGEST = 8 << 20
SLOW = 0.3


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends in the middle of its body."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The request is on its way until `until` comes, and reaches the server then, whoever still waits for an answer."""

    until: asyncio.Event


Mishap = Refuse | Lose | Silence | Die | Cut | Hold


@dataclass(eq=False)
class Proxy:
    """`meets` says what happens to a request; `kill` kills the process that sends them; `told` hears of success."""

    upstream: Upstream
    meets: Callable[[Sent], Mishap | None]
    kill: Callable[[], None]
    told: Callable[[Sent], None]
    name: str = "operator"
    ledger: Ledger = field(default_factory=Ledger)
    life: int = 0
    delay: float = 0.0
    """Seconds of each way."""
    storm: bool = False
    views: Upstream | None = None
    """Another API server, of whose cache lists and watches are answered."""

    def __post_init__(self) -> None:
        self._open: set[asyncio.Transport] = set()
        self._watches: set[asyncio.Transport] = set()
        self._meeting: set[asyncio.Task[object]] = set()
        self._away = False
        self._flow = asyncio.Event()
        self._flow.set()
        self._over = asyncio.Event()
        self._dead: set[int] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=BIGGEST)
        app.router.add_route("*", "/{any:.*}", self._meet)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut everything."""
        self._over.set()
        self._flow.set()
        self._cut_all()
        # Whose other side has gone is not known to the runner any more.
        for task in self._meeting:
            task.cancel()
        await asyncio.gather(*self._meeting, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def died(self) -> None:
        """The process that was there is dead: nothing of it is passed on any more."""
        self._dead.add(self.life)

    def slow(self, yes: bool) -> None:
        """Let every way take longer, or not any more."""
        self.delay = SLOW if yes else 0.0

    def throttle(self, yes: bool) -> None:
        """Refuse everything with 429, or not any more."""
        self.storm = yes

    def away(self, yes: bool) -> None:
        """Take the API server away, or bring it back."""
        self._away = yes
        if yes:
            self._cut_all()

    def freeze(self, yes: bool) -> None:
        """Hold back what watches show, or let it go."""
        if yes:
            self._flow.clear()
        else:
            self._flow.set()

    def look_at(self, views: Upstream | None) -> None:
        """Lists and watches are answered by that server from now on; watches that run are cut."""
        self.views = views
        for transport in tuple(self._watches):
            _reset(transport)

    def _cut_all(self) -> None:
        for transport in tuple(self._open):
            _reset(transport)

    # --- one request -------------------------------------------------------------------------------------------------

    async def _meet(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        task = asyncio.current_task()
        assert task is not None
        self._meeting.add(task)
        task.add_done_callback(self._meeting.discard)
        self._open.add(transport)
        try:
            return await self._answer(request, transport)
        finally:
            self._open.discard(transport)

    async def _answer(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        sent = self.ledger.enter(self.life, f"{self.name}#{self.life}", request.method, request.path)
        body = await request.read()
        await asyncio.sleep(self.delay)
        if self._away:
            return _lost(transport)
        if self.storm:
            return _refusal(Refuse(429, (("Retry-After", "1"),)))
        mishap = self.meets(sent)
        match mishap:
            case Refuse():
                return _refusal(mishap)
            case Lose(applied=False):
                return _lost(transport)
            case Silence(applied=False):
                return await self._silent(transport)
            case Die(applied=False):
                self.kill()
            case Hold(until=until):
                await until.wait()
        if sent.life in self._dead:
            return _lost(transport)
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request, transport)
        return await self._exchange(request, body, sent, mishap)

    async def _exchange(
        self, request: web.Request, body: bytes, sent: Sent, mishap: Mishap | None
    ) -> web.StreamResponse:
        transport = request.transport
        # A list without a version is current, and the operator's own lists build on it. Those that begin a watch are
        # made as old as a cache's: nothing may depend on what a view shows.
        own = request.headers.get("User-Agent", "").startswith(MANAGER)
        asks = request.method == "GET" and lists(request.path) and not own
        stale = self.views if asks and not {"continue", "resourceVersion"} & {*request.query} else None
        try:
            if stale is not None:
                code, headers, answer = await stale.exchange(request, body, {"resourceVersion": "0"})
                self.ledger.past += code == 200
            else:
                code, headers, answer = await self.upstream.exchange(request, body)
        except aiohttp.ClientError:
            return _lost(transport)
        self._remember(sent, code, body, answer)
        match mishap:
            case Lose():
                return _lost(transport)
            case Silence():
                return await self._silent(transport)
            case Die():
                self.kill()
                return _lost(transport)
            case Cut():
                return await _half(request, code, headers, answer)
        await asyncio.sleep(self.delay)
        return _lost(transport) if self._away else web.Response(status=code, headers=_kept(headers), body=answer)

    async def _silent(self, transport: asyncio.Transport | None) -> web.StreamResponse:
        # The sender gives up long before.
        await self._over.wait()
        return _lost(transport)

    def _remember(self, sent: Sent, code: int, body: bytes, answer: bytes) -> None:
        if sent.method in WRITES and 200 <= code < 300:
            self.ledger.made(sent, body, answer)
            self.told(sent)

    async def _watch(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        self._watches.add(transport)
        try:
            async with (self.views or self.upstream).stream(request) as found:
                self.ledger.past += self.views is not None and found.status == 200
                response = web.StreamResponse(status=found.status, headers=_kept(found.headers))
                await response.prepare(request)
                async for chunk in found.content.iter_any():
                    await self._flow.wait()
                    await asyncio.sleep(self.delay)
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, ConnectionError):
            return _lost(transport)
        finally:
            self._watches.discard(transport)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP}


def _refusal(refuse: Refuse) -> web.Response:
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refuse.code}
    body |= {"reason": reasons[refuse.code], "message": "made up by the fault suite"}
    return web.json_response(body, status=refuse.code, headers=dict(refuse.headers))


def _lost(transport: asyncio.Transport | None) -> web.Response:
    if transport is not None:
        _reset(transport)
    return web.Response(status=503)  # nobody reads it


def _reset(transport: asyncio.Transport) -> None:
    found = transport.get_extra_info("socket")
    if found is not None and not transport.is_closing():
        # So that the other side sees a reset and no orderly end.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _half(request: web.Request, code: int, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=code, headers=_kept(headers))
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    await asyncio.sleep(0.1)
    if request.transport is not None:
        _reset(request.transport)
    return response
