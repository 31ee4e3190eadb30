"""Whatever a server does, an answer or a class of failure arrives in time, and nothing of its words gets out."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from modelrollout.adapters.prom.connect import Limits
from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.observation import SpecProblem
from modelrollout.ports import Answer, NoAnswer, QueryResult, SeriesQuery
from tests.unit.prom.conftest import no_secret, source_object
from tests.unit.prom.misbehaving import Behaviour, Misbehaving, answering, flooding, silent, succeeding, trickling

QUERY = SeriesQuery(("requests_total",), 10.0)
MARKER = "s3cret-marker"


@pytest_asyncio.fixture
async def sources() -> AsyncIterator[Sources]:
    made = Sources(
        read_secret=no_secret,
        namespace_labels=lambda namespace: {},
        allow_loopback=True,
        limits=Limits(answer=1 << 20, series=50),
    )
    yield made
    made.close()


async def ask(sources: Sources, behave: Behaviour, **prometheus: Any) -> tuple[QueryResult, float, list[bytes]]:
    with Misbehaving(behave) as server:
        await sources.update(source_object("bad", server.url, **prometheus))
        started = time.monotonic()
        (result,) = await PrometheusMetrics(sources).read("bad", [QUERY], at=1000.0)
        took = time.monotonic() - started
        sources.remove("bad")
        return result, took, server.requests


@pytest.mark.parametrize(("ahead", "usable"), [(0, True), (-5, True), (30, False), (-300, False)])
async def test_bug_clocks_apart_looked_like_a_candidate_without_data(
    sources: Sources, ahead: float, usable: bool
) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
    result, _, _ = await ask(sources, answering("200 OK", body, f"Date: {date}"))
    assert result == (Answer(()) if usable else NoAnswer("ClockSkew"))


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Foo 2026 10:00:00 GMT", "0"])
async def test_a_server_that_does_not_tell_the_time_is_believed(sources: Sources, date: str) -> None:
    body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
    result, _, _ = await ask(sources, answering("200 OK", body, f"Date: {date}"))
    assert result == Answer(())


async def test_complete_answer_arrives(sources: Sources) -> None:
    body = b'[{"metric":{"__name__":"requests_total"},"values":[[999,"1"],[1000,"2"]]}]'
    result, _, requests = await ask(sources, succeeding(body))
    assert isinstance(result, Answer)
    assert result.series[0].samples == ((999.0, 1.0), (1000.0, 2.0))
    head, _, form = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/query HTTP/1.1"), "the query must not be part of the URL"
    assert b"time=1000.000" in form
    assert b"limit=51" in form


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (silent, "Timeout"),
        (trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "Timeout"),
        (trickling(b"HTTP/1.1 200 OK\r\nX-Slow: "), "Timeout"),
        (trickling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"), "Timeout"),
        (flooding(100 << 20, announced=True), "TooLarge"),
        (trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"), "TooLarge"),
        (flooding(100 << 20, announced=False), "TooLarge"),
        (answering("503 Service Unavailable", b"busy", "Retry-After: 4"), "HTTP 503"),
        (answering("429 Too Many Requests", b"", "Retry-After: 4"), "HTTP 429"),
        (answering("422 Unprocessable Entity", b'{"status":"error","errorType":"execution"}'), "HTTP 422"),
        (answering("200 OK", b"<html>a login page</html>"), "BadAnswer"),
        (answering("200 OK", b""), "BadAnswer"),
        (answering("200 OK", b"[" * 200_000), "BadAnswer"),
        (answering("200 OK", b'{"status":"error","data":{"result":[]}}'), "BadAnswer"),
        (answering("200 OK", b'{"status":"success"}'), "BadAnswer"),
        (answering("200 OK", b"\x1f\x8b\x08garbage", "Content-Encoding: gzip"), "BadAnswer"),
        (succeeding(b'{"a":1}'), "BadAnswer"),
        (succeeding(b'[{"metric":{},"values":[[1,"one"]]}]'), "BadAnswer"),
        (succeeding(extra=b',"warnings":["a store did not answer"]'), "Partial"),
        (succeeding(extra=b',"infos":["some blocks were left out"]'), "Partial"),
        (succeeding(b"[" + b",".join([b'{"metric":{},"values":[]}'] * 51) + b"]"), "TooLarge"),
        (answering("200 OK", b'{"status"', "Connection: close"), "BadAnswer"),
    ],
)
async def test_class_of_failure(sources: Sources, behave: Behaviour, kind: str) -> None:
    result, took, requests = await ask(sources, behave)
    assert result == NoAnswer(kind)
    assert took < 0.5 + 0.3
    assert len(requests) == 1, "no hidden retry"


def truncated(connection: socket.socket, request: bytes, end: threading.Event) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"status":"success"')
    connection.shutdown(socket.SHUT_RDWR)


def gone(connection: socket.socket, request: bytes, end: threading.Event) -> None:
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("behave", [truncated, gone])
async def test_connection_lost_is_unreachable(sources: Sources, behave: Behaviour) -> None:
    result, _, requests = await ask(sources, behave)
    assert result == NoAnswer("Unreachable")
    assert len(requests) == 1


async def test_closed_port_is_unreachable(sources: Sources) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await sources.update(source_object("gone", f"http://127.0.0.1:{port}"))
    assert await PrometheusMetrics(sources).read("gone", [QUERY, QUERY], at=1.0) == [NoAnswer("Unreachable")] * 2


async def test_unknown_name_is_unreachable(sources: Sources) -> None:
    with Misbehaving(succeeding()) as server:
        await sources.update(source_object("name", server.url.replace("127.0.0.1", "no-such-host.invalid")))
        assert await PrometheusMetrics(sources).read("name", [QUERY], at=1.0) == [NoAnswer("Unreachable")]


@pytest.mark.parametrize("code", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_redirect_is_not_followed(sources: Sources, code: str) -> None:
    with Misbehaving(succeeding()) as metadata:
        result, _, _ = await ask(sources, answering(code, b"", f"Location: {metadata.url}/api/v1/query"))
        assert result == NoAnswer(f"HTTP {code[:3]}")
        assert metadata.requests == []


async def test_hanging_source_leaves_others_alone_and_its_threads_return(sources: Sources) -> None:
    threads = threading.active_count()
    metrics = PrometheusMetrics(sources)
    slow = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with Misbehaving(slow) as bad, Misbehaving(succeeding()) as good:
        await sources.update(source_object("bad", bad.url, maxConcurrency=2))
        await sources.update(source_object("good", good.url))
        for _ in range(2):
            started = time.monotonic()
            hung = metrics.read("bad", [QUERY] * 20, at=1.0)
            task = asyncio.create_task(hung)
            await asyncio.sleep(0)
            assert await metrics.read("good", [QUERY], at=1.0) == [Answer(())]
            assert time.monotonic() - started < 0.4, "the good source waited for the bad one"
            assert await task == [NoAnswer("Timeout")] * 20
            assert time.monotonic() - started < 0.5 + 0.3
        # The second round reached the server again: the first had not kept the threads.
        assert len(bad.requests) == 4
        sources.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert threading.active_count() <= threads


async def test_cancelled_read_frees_its_thread(sources: Sources) -> None:
    metrics = PrometheusMetrics(sources)
    with Misbehaving(silent) as server:
        await sources.update(source_object("bad", server.url, timeout="5s", maxConcurrency=1))
        for number in (1, 2):
            task = asyncio.create_task(metrics.read("bad", [QUERY], at=1.0))
            deadline = time.monotonic() + 2
            while len(server.requests) < number and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(server.requests) == 2


def slow_totals(connection: socket.socket, request: bytes, end: threading.Event) -> None:
    """Answers reads at once, queries over days never."""
    (silent if b"increase" in request else succeeding())(connection, request, end)


async def test_a_query_over_days_is_given_more_time_than_a_tick(sources: Sources) -> None:
    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        end.wait(0.5)
        succeeding()(connection, request, end)

    with Misbehaving(behave) as server:
        await sources.update(source_object("p", server.url, timeout="100ms"))
        metrics = PrometheusMetrics(sources)
        month = SeriesQuery(("requests_total",), 30 * 86400.0)
        assert await metrics.read("p", [QUERY], at=1.0) == [NoAnswer("Timeout")]
        assert await metrics.total("p", month, at=1.0) == Answer(())
        assert b"timeout=30000ms" in server.requests[-1] or b"timeout=29" in server.requests[-1]
        await sources.update(source_object("p", server.url, timeout="100ms", maxConcurrency=1))
        assert await metrics.total("p", month, at=1.0) == NoAnswer("Timeout")
        sources.remove("p")


async def test_queries_over_days_never_keep_a_tick_waiting_and_end_when_cancelled(sources: Sources) -> None:
    with Misbehaving(slow_totals) as server:
        await sources.update(source_object("p", server.url, timeout="2s", maxConcurrency=4))
        metrics = PrometheusMetrics(sources)
        totals = [asyncio.create_task(metrics.total("p", QUERY, at=1.0)) for _ in range(8)]
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        assert await metrics.read("p", [QUERY] * 4, at=1.0) == [Answer(())] * 4
        assert time.monotonic() - started < 1.5
        for task in totals:
            task.cancel()
        await asyncio.gather(*totals, return_exceptions=True)
        assert sum(b"increase" in request for request in server.requests) == 2
        sources.remove("p")


async def test_words_of_the_server_appear_nowhere(sources: Sources, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bodies: list[Callable[[], Behaviour]] = [
        lambda: answering("500 Oops", MARKER.encode(), f"X-Token: {MARKER}"),
        lambda: answering("200 OK", MARKER.encode()),
        lambda: succeeding(f'[{{"metric":{{"a":"{MARKER}"}},"values":"{MARKER}"}}]'.encode()),
        lambda: succeeding(extra=f',"warnings":["{MARKER}"]'.encode()),
    ]
    for make in bodies:
        result, _, requests = await ask(sources, make(), headers={"X-Scope-OrgID": MARKER})
        assert isinstance(result, NoAnswer)
        assert MARKER not in repr(result)
        assert MARKER.encode() in requests[0], "the header was sent"
    assert MARKER not in caplog.text


async def test_query_that_is_too_long_is_not_sent(sources: Sources) -> None:
    with Misbehaving(succeeding()) as server:
        await sources.update(source_object("bad", server.url))
        query = SeriesQuery(("requests_total",), 10.0, pods="a" * 300_000)
        assert await PrometheusMetrics(sources).read("bad", [query], at=1.0) == [NoAnswer("TooLarge")]
        assert server.requests == []


async def test_long_query_fits(sources: Sources) -> None:
    with Misbehaving(succeeding()) as server:
        await sources.update(source_object("bad", server.url))
        query = SeriesQuery(("requests_total",), 10.0, pods="a" * 200_000)
        assert await PrometheusMetrics(sources).read("bad", [query], at=1.0) == [Answer(())]


async def test_connection_is_kept_between_queries(sources: Sources) -> None:
    connections: set[int] = set()

    def count(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        connections.add(id(connection))
        succeeding()(connection, request, end)

    with Misbehaving(count) as server:
        await sources.update(source_object("kept", server.url, maxConcurrency=1))
        for _ in range(5):
            assert await PrometheusMetrics(sources).read("kept", [QUERY], at=1.0) == [Answer(())]
        assert len(server.requests) == 5
        assert len(connections) == 1


async def test_missing_source(sources: Sources) -> None:
    metrics = PrometheusMetrics(sources)
    assert await metrics.read("nowhere", [QUERY], at=1.0) == [NoAnswer("Unreachable")]
    assert isinstance(metrics.source("nowhere"), SpecProblem)


async def test_proxy_and_netrc_of_the_environment_are_ignored(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login someone password {MARKER}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Misbehaving(succeeding()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        result, _, requests = await ask(sources, succeeding())
        assert result == Answer(())
        assert proxy.requests == []
    assert b"Authorization" not in requests[0]


async def test_name_that_resolves_too_late_is_not_connected_to(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lookup can't be cut off; what follows it must not happen any more."""
    release, done = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        try:
            release.wait(5)
            return resolve(*args, **kwargs)
        finally:
            done.set()

    with Misbehaving(succeeding()) as server:
        await sources.update(source_object("slow", server.url))
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        started = time.monotonic()
        assert await PrometheusMetrics(sources).read("slow", [QUERY], at=1.0) == [NoAnswer("Timeout")]
        assert time.monotonic() - started < 0.5 + 0.3
        threads = [each for each in threading.enumerate() if each.name.startswith("prom-slow")]
        sources.close()
        release.set()
        for thread in threads:
            thread.join(5)
        assert done.wait(5)
        assert server.connections == 0
