"""One POST against real sockets: where it may lead, how long it may take, and that nothing comes back but a code."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.notify import post
from modelrollout.adapters.notify.post import LONGEST_WAIT, Post, Result
from modelrollout.adapters.notify.wording import Outgoing

HERE = AddressPolicy(allow_loopback=True)
SECRET = "marker-of-a-body"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def sent(url: str, policy: AddressPolicy = HERE, *, timeout: float = 5.0) -> Result:
    sender = Post(policy)
    try:
        return await sender(Outgoing(f"{url}/in?x=1", b"{}", (("Authorization", "Bearer t"),)), timeout=timeout)
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("status", "headers", "wanted"),
    [
        (200, {}, Result("ok")),
        (202, {}, Result("ok")),
        (301, {"Location": "http://169.254.169.254/latest"}, Result("HTTP 301")),
        (400, {}, Result("HTTP 400")),
        (404, {}, Result("HTTP 404")),
        (408, {}, Result("HTTP 408", again=True)),
        (429, {"Retry-After": "7"}, Result("HTTP 429", again=True, after=7.0)),
        (503, {"Retry-After": "999999"}, Result("HTTP 503", again=True, after=LONGEST_WAIT)),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, Result("HTTP 503", again=True)),
    ],
)
async def test_answers(status: int, headers: dict[str, str], wanted: Result) -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, await request.read()))
        return web.Response(status=status, headers=headers, text=SECRET)

    async with serving(handler) as url:
        assert await sent(url) == wanted
    assert seen == [("POST", "/in?x=1", b"{}")]


async def test_a_redirect_is_not_followed() -> None:
    hits = []

    async def elsewhere(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response()

    async with serving(elsewhere) as other:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(other)

        async with serving(handler) as url:
            assert (await sent(url)).answer == "HTTP 307"
    assert hits == []


async def test_a_body_without_end_is_not_read() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async with serving(handler) as url, asyncio.timeout(5):
        assert await sent(url) == Result("ok")


async def test_a_receiver_that_never_answers_costs_its_timeout() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(handler) as url:
        assert await sent(url, timeout=0.2) == Result("Timeout", again=True)


async def test_nobody_there_and_nonsense() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert await sent(closed) == Result("Unreachable", again=True)

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await sent(f"http://127.0.0.1:{port}") == Result("Unreachable", again=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "rebound.test"])
async def test_no_connection_is_made_to_an_address_that_is_not_permitted(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a name that resolved to something else when it was checked."""
    resolve = socket.getaddrinfo

    def rebound(name: str, *args: object, **kwargs: object) -> object:
        return resolve("127.0.0.1" if name == "rebound.test" else name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    hits = []

    async def touched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(1)
        writer.close()

    server = await asyncio.start_server(touched, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await sent(f"http://{host}:{port}", AddressPolicy()) == Result("Forbidden")
    assert hits == []


async def test_a_silent_name_server_takes_no_thread_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connections to the API server resolve their names on the loop's own few threads."""
    answer = threading.Event()
    resolve = socket.getaddrinfo

    def slow(name: str, *args: object, **kwargs: object) -> object:
        if name == "silent.test":
            answer.wait(30)
            raise OSError("no such name")
        return resolve(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    sender = Post(HERE)
    asked = [Outgoing("http://silent.test/", b"") for _ in range(40)]
    results = await asyncio.gather(*(sender(each, timeout=0.2) for each in asked))
    assert results == [Result("Timeout", again=True)] * 40
    assert sum(thread.name == "notify-lookup" for thread in threading.enumerate()) == post.LOOKUPS
    async with asyncio.timeout(2):
        assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    answer.set()
    await sender.close()
    for thread in threading.enumerate():
        if thread.name == "notify-lookup":
            thread.join(5)
