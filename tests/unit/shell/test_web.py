"""`/livez`, `/readyz`, `/metrics` for strangers: nothing that a request carries is read, kept or repeated."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.registry import Collector

from modelrollout.shell.web import Site

MARKER = b"s3cret-marker"


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    registry = CollectorRegistry()
    Counter("seen", "Seen.", registry=registry).inc()
    made = Site(alive=lambda: None, ready=lambda: "no list yet", registry=registry)
    await made.start("127.0.0.1", 0)
    yield made
    await made.stop()


async def answer(site: Site, request: bytes) -> bytes:
    """The first part of what comes back, in time."""
    reader, writer = await connected(site)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.read(1 << 16)
    finally:
        writer.close()


async def connected(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = site.address.removeprefix("http://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize(
    ("request_line", "status", "words"),
    [
        (b"GET /livez", b"200", b"ok"),
        (b"GET /readyz", b"503", b"no list yet"),
        (b"GET /metrics", b"200", b"seen_total 1.0"),
        (b"POST /metrics", b"405", b""),
        (b"DELETE /livez", b"405", b""),
        (b"GET /../etc/" + MARKER, b"404", b""),
        (b"GET /livez?" + MARKER, b"200", b"ok"),
    ],
)
async def test_what_is_answered(site: Site, request_line: bytes, status: bytes, words: bytes) -> None:
    got = await answer(site, request_line + b" HTTP/1.1\r\nHost: a\r\nX-A: " + MARKER + b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 " + status)
    assert words in got
    assert MARKER not in got


class Witnessed(Metric):
    """Notes which thread makes text of it."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        super().__init__("witnessed", "Looked at.", "gauge")

    def __getattribute__(self, name: str) -> Any:
        if name == "documentation":
            self.threads.add(threading.get_ident())
        return super().__getattribute__(name)


class Numbers(Collector):
    """Notes which thread it is asked by."""

    def __init__(self) -> None:
        self.family = Witnessed()
        self.asked: set[int] = set()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        self.asked.add(threading.get_ident())
        return [self.family]


async def test_numbers_are_read_by_the_loop_and_written_out_beside_it() -> None:
    """Five thousand rollouts have fifty thousand lines: the loop stood for two thirds of a second at each scrape."""
    registry, numbers = CollectorRegistry(), Numbers()
    registry.register(numbers)
    site = Site(alive=lambda: None, ready=lambda: None, registry=registry)
    await site.start("127.0.0.1", 0)
    try:
        got = await answer(site, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    finally:
        await site.stop()
    assert b"# TYPE witnessed gauge" in got
    assert numbers.asked == {threading.get_ident()}
    assert numbers.family.threads
    assert threading.get_ident() not in numbers.family.threads


async def test_a_body_is_never_waited_for(site: Site) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n"
    assert (await answer(site, head + b"x" * 1000)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARKER + b"\r\n\r\n",
    ],
)
async def test_a_request_out_of_bounds_is_refused(site: Site, request_head: bytes) -> None:
    got = await answer(site, request_head)
    assert got.split(b" ", 2)[1] == b"400"
    assert MARKER not in got


async def test_clients_that_say_nothing_keep_nobody_waiting(site: Site) -> None:
    silent = [await connected(site) for _ in range(50)]
    for _, writer in silent[:25]:
        writer.write(b"GET /livez HTTP/1.1\r\nX-")
    assert (await answer(site, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 200")
    for _, writer in silent:
        writer.close()
