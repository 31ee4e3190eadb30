"""One POST to an address of the admin's: within its time, without redirects, and without a look at the answer's body.

Where a connection may lead is checked on the very address that is connected to. Names are looked up on threads of our
own: a silent name server must not take those of the event loop, which the connections to the API server need.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.notify.wording import Outgoing

log = logging.getLogger(__name__)

LOOKUPS = 4
"""Names that are looked up at the same time."""
LONGEST_WAIT = 300.0
"""Seconds; what a receiver asks for beyond it is not waited for."""
FORBIDDEN = "Forbidden"
AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `answer`: `ok`, `HTTP <code>`, `Timeout`, `Unreachable` or `Forbidden`; `again`: whether another
    try may help, not sooner than in `after` seconds.
    """

    answer: str
    again: bool = False
    after: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the receiver has it."""
        return self.answer == "ok"


class _Refused(OSError):
    """The policy does not permit this address."""


class Post:
    """Sends over one session; `close` ends it."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, outgoing: Outgoing, *, timeout: float) -> Result:
        """POST it. Never raises but for cancellation."""
        try:
            async with asyncio.timeout(timeout):
                return await self._send(outgoing)
        except TimeoutError:
            return Result("Timeout", again=True)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                return Result(FORBIDDEN)
            return Result("Unreachable", again=True)
        except (aiohttp.ClientError, OSError, ValueError):
            return Result("Unreachable", again=True)

    async def _send(self, outgoing: Outgoing) -> Result:
        async with self._opened().post(
            outgoing.url, data=outgoing.body, headers=dict(outgoing.headers), allow_redirects=False
        ) as response:
            # Closed with the body unread: nothing of it is of interest, and it has no size.
            response.close()
            if 200 <= response.status < 300:
                return Result("ok")
            again = response.status >= 500 or response.status in AGAIN
            return Result(f"HTTP {response.status}", again, _seconds(response.headers.get("Retry-After", "")))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Resolver(),
                use_dns_cache=False,
                force_close=True,
                limit=0,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": "modelrollout"},
                # No proxy or .netrc of the environment may come in between.
                trust_env=False,
            )
        return self._session

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = address
        if not self._policy.permits(str(where[0])):
            raise _Refused("this address is never a receiver")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _seconds(text: str) -> float:
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0


class _Resolver(AbstractResolver):
    """Looks names up on daemon threads, a few at a time; one that hangs keeps its turn until it ends."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        await self._turns.acquire()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def done(error: OSError | None, answer: list[Any]) -> None:
            self._turns.release()
            if found.done():
                return
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(answer)

        def call(function: Callable[..., None], *args: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is interested any more
                loop.call_soon_threadsafe(function, *args)

        def look() -> None:
            try:
                answer = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                call(done, OSError(str(error)), [])
            else:
                call(done, None, answer)

        threading.Thread(target=look, name="notify-lookup", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing to close: threads end with their lookups."""
