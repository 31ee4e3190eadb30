"""The operator's connection to the API server, without a network: the official client's place in `KubeClient`.

Everything that a network and a server can do to a request happens here: it takes time, is refused, is lost before or
after it took effect, or is never answered; and its sender may die at any point.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import unquote

import aiohttp

from e2e.chaos.apiserver.server import ApiServer, Request, Wired

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Refuse:
    """The server answers so instead, and does nothing."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Lose:
    """The connection breaks: before the server has the request, or after it was carried out."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer ever comes; `applied`: the request was carried out all the same."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Late:
    """No answer ever comes; the request is carried out `seconds` later, whatever has become of its sender."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Die:
    """The sender is killed: before the server has the request, or after it was carried out."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Drag:
    """The request takes `seconds` to the server; if its sender gives up before, it is not carried out."""

    seconds: float


Mishap = Refuse | Lose | Silence | Late | Die | Drag


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way, as the hooks see it."""

    sender: str
    request: Request
    at: float
    """Loop time at which it was sent."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.request.method in WRITES

    @property
    def target(self) -> str:
        """Plural of what it is about, with the subresource."""
        parts = self.request.path.split("/")
        after = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[4:]
        return "/".join([after[0], *after[2:3]]) if after else ""


Answered = Callable[[Wired, str, float], None]
"""Told of the server's own answer: with the version that the object had before a write, and the loop time."""


class Watcher(Protocol):
    """Sees requests as they are sent."""

    def sending(self, sent: Sent) -> Answered:
        """Sent just now; whom to tell when the answer has reached the sender."""


class Answer:
    """What the official client returns, as far as `KubeClient` looks at it."""

    def __init__(self, wired: Wired) -> None:
        self.status = wired.code
        self.headers = wired.headers
        self._body = wired.body

    async def read(self) -> bytes:
        """The body's bytes."""
        return self._body


class Transport:
    """Stands where `kubernetes.aio.client.ApiClient` does.

    `meets` says what happens to a request, `alive` whether its sender still lives, `kill` kills it, `latency` draws
    the seconds of one way. `watcher` is told of each request and of each answer that is the server's own.
    """

    def __init__(
        self,
        server: ApiServer,
        *,
        sender: str,
        meets: Callable[[Sent], Mishap | None],
        alive: Callable[[], bool],
        kill: Callable[[], None],
        latency: Callable[[], float],
        watcher: Watcher,
    ) -> None:
        self.configuration = SimpleNamespace(api_key={}, refresh_api_key_hook=None)
        self.user_agent = ""
        self._server = server
        self._sender = sender
        self._meets = meets
        self._alive = alive
        self._kill = kill
        self._latency = latency
        self._watcher = watcher

    async def param_serialize(
        self,
        method: str,
        path: str,
        *,
        query_params: Sequence[tuple[str, str]],
        header_params: Mapping[str, str],
        body: Any,
        auth_settings: Sequence[str],
    ) -> tuple[str, str, Mapping[str, str], Request, None]:
        """The request, ready to be sent."""
        # The text is what travels: nothing of the caller's objects may be shared with the server.
        decoded = None if body is None else json.loads(json.dumps(body))
        content = header_params["Content-Type"]
        request = Request(method, unquote(path), dict(query_params), content, decoded, self._sender)
        return method, path, header_params, request, None

    async def call_api(
        self, method: str, url: str, headers: Mapping[str, str], payload: Request, *, _request_timeout: Any
    ) -> Answer:
        """Send it and wait for the answer. Raises what aiohttp raises."""
        try:
            async with asyncio.timeout(_request_timeout.total):
                return await self._exchange(payload)
        except TimeoutError:
            raise aiohttp.ServerTimeoutError from None

    async def close(self) -> None:
        """Nothing is open."""

    async def _exchange(self, request: Request) -> Answer:
        sent = Sent(self._sender, request, asyncio.get_running_loop().time())
        answered = self._watcher.sending(sent)
        await self._way()
        mishap = self._meets(sent)
        match mishap:
            case Refuse(code, headers):
                await self._way()
                return Answer(Wired(code, json.dumps(_status(code)).encode(), dict(headers)))
            case Lose(applied=False):
                raise aiohttp.ServerDisconnectedError
            case Silence(applied=False):
                await _for_ever()
            case Late(seconds):
                asyncio.get_running_loop().call_later(seconds, self._server.wire, request)
                await _for_ever()
            case Die(applied=False):
                self._kill()
                await _for_ever()
            case Drag(seconds):
                await asyncio.sleep(seconds)
        found = self._server.version(request) if sent.writes else ""
        response = self._server.wire(request)
        match mishap:
            case Lose():
                raise aiohttp.ServerDisconnectedError
            case Silence():
                await _for_ever()
            case Die():
                self._kill()
                await _for_ever()
        await self._way()
        answered(response, found, asyncio.get_running_loop().time())
        return Answer(response)

    async def _way(self) -> None:
        await asyncio.sleep(self._latency())
        if not self._alive():
            await _for_ever()


def _status(code: int) -> Mapping[str, Any]:
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "made up by the fault suite",
        "reason": reasons.get(code, "Unknown"),
        "code": code,
    }


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
