"""Between one operator and the API server: passes on everything, watches too, and knows and counts the writes.

Plain HTTP on loopback towards the operator, TLS with a client certificate towards the API server.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from e2e.chaos.real.upstream import Upstream
from e2e.chaos.transport import WRITES, Die, Lose, Refuse, Silence

UNCOUNTED = ("leases", "events", "selfsubject")
"""What is no write about a rollout: the election, what is told about it, questions about rights."""
HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade"})
BIGGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends in the middle of its body."""


Mishap = Refuse | Lose | Silence | Die | Cut


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of the operator. `life`: which process sent it; `number`: of the counted write, 0 for anything else."""

    life: int
    method: str
    path: str
    target: str
    number: int


@dataclass(eq=False)
class Proxy:
    """`meets` says what happens to a request; `kill` kills the process that sends them; `told` hears of success."""

    upstream: Upstream
    meets: Callable[[Sent], Mishap | None]
    kill: Callable[[], None]
    told: Callable[[Sent], None]
    life: int = 0
    delay: float = 0.0
    """Seconds of each way."""
    storm: bool = False
    writes: Counter[str] = field(default_factory=Counter)
    log: list[Sent] = field(default_factory=list)
    """All writes but those of the election."""
    authors: dict[tuple[str, int], int] = field(default_factory=dict)
    """By plural and resourceVersion, the life whose write made it."""

    def __post_init__(self) -> None:
        self._open: set[asyncio.Transport] = set()
        self._away = False
        self._flow = asyncio.Event()
        self._flow.set()
        self._over = asyncio.Event()
        self._dead: set[int] = set()
        self._count = 0
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
        if self._runner is not None:
            await self._runner.cleanup()

    def died(self) -> None:
        """The process that was there is dead: nothing of it is passed on any more."""
        self._dead.add(self.life)

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

    def _cut_all(self) -> None:
        for transport in tuple(self._open):
            _reset(transport)

    # --- one request -------------------------------------------------------------------------------------------------

    async def _meet(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            return await self._answer(request, transport)
        finally:
            self._open.discard(transport)

    async def _answer(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        sent = self._known(request)
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
        if sent.life in self._dead:
            return _lost(transport)
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request, transport)
        return await self._exchange(request, body, sent, mishap)

    async def _exchange(
        self, request: web.Request, body: bytes, sent: Sent, mishap: Mishap | None
    ) -> web.StreamResponse:
        transport = request.transport
        try:
            code, headers, answer = await self.upstream.exchange(request, body)
        except aiohttp.ClientError:
            return _lost(transport)
        self._remember(sent, code, answer)
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

    def _known(self, request: web.Request) -> Sent:
        target, number = target_of(request.path), 0
        writes = request.method in WRITES
        if writes and not target.startswith(UNCOUNTED):
            self._count = number = self._count + 1
            self.writes[target] += 1
        sent = Sent(self.life, request.method, request.path, target, number)
        if writes and not target.startswith(("leases", "selfsubject")):
            self.log.append(sent)
        return sent

    def _remember(self, sent: Sent, code: int, answer: bytes) -> None:
        if sent.method not in WRITES or not 200 <= code < 300:
            return
        self.told(sent)
        version = self.upstream.version_of(answer)
        if version is not None:
            self.authors[sent.target.partition("/")[0], version] = sent.life

    async def _watch(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        try:
            async with self.upstream.stream(request) as found:
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


def target_of(path: str) -> str:
    """Plural of what a path is about, with the subresource: `modelrollouts/status`."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    return "/".join([*rest[:1], *rest[2:3]])


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
