"""The load generator against real model servers, directly and through a gateway."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from e2e.models import records
from e2e.models.generator import Bounds, Generator, Target
from e2e.models.load_settings import Settings, override, unit
from modelrollout.core.assignment import bucket

from .conftest import StartServer, samples, value
from .gateway import Gateway, serve

Held = list[tuple[list[float], int]]


def generator(
    url: str, held: Held, out: Path, *, rate: float = 200.0, duration: float = 1.0, **target: Any
) -> Generator:
    settings = target.pop("settings", {})
    bounds = {"max_requests": 10_000, "linger": 5.0, **target.pop("bounds", {})}
    return Generator(
        Target(url=url, **target),
        held,
        settings=override(Settings(rate=rate, feedback_delay=0.3), settings),
        bounds=Bounds(duration=duration, **bounds),
        out=out,
    )


async def test_every_request_is_recorded_and_leaves_when_due(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    server = start_server("better", version="8", pod="p8")
    run = generator(f"http://127.0.0.1:{server.port}/predict", held, tmp_path / "r")
    await run.run()
    found = sorted(records.read(tmp_path / "r"), key=lambda r: r.number)
    assert [r.number for r in found] == list(range(200))
    assert {(r.version, r.arm, r.pod, r.kind) for r in found} == {("8", "candidate", "p8", "ok")}
    for before, after in pairwise(found):
        assert after.scheduled - before.scheduled == pytest.approx(1 / 200, abs=1e-5)
    assert all(r.scheduled - 1e-4 <= r.start <= r.end for r in found)
    assert [r.row for r in found] == [i % len(held) for i in range(200)]
    assert run.totals.sent == 200
    assert value(server, "requests_total", version="8", code="200") == 200


async def test_a_client_that_was_held_up_still_sends_all_that_was_due(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    server = start_server("better")
    run = generator(f"http://127.0.0.1:{server.port}/predict", held, tmp_path / "r", rate=50, duration=0.5)
    # Blocks the loop over the end of the run.
    asyncio.get_running_loop().call_later(0.3, time.sleep, 0.4)
    await run.run()
    found = records.read(tmp_path / "r")
    assert len(found) == 25
    late = [r for r in found if r.start - r.scheduled > 0.1]
    assert late
    assert all(r.waited > 0.1 for r in late)


async def test_the_loop_is_open(start_server: StartServer, held: Held, tmp_path: Path) -> None:
    server = start_server("better", BEHAVIOUR='{"delay_ms": 600}')
    run = generator(f"http://127.0.0.1:{server.port}/predict", held, tmp_path / "r", rate=100, duration=0.5)
    await run.run()
    found = records.read(tmp_path / "r")
    assert len(found) == 50
    # All left before the first came back.
    assert max(r.start for r in found) < min(r.end for r in found)
    assert min(r.seconds for r in found) >= 0.6


async def test_labels_reach_the_version_that_predicted_through_any_arm(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    legacy = start_server("legacy", version="7", pod="p7", PEER_VERSIONS="8")
    candidate = start_server("inaccurate", version="8", pod="p8", PEER_VERSIONS="7")
    async with serve(Gateway(legacy.port, candidate.port, weight=25)) as gateway:
        base = gateway.url.rsplit("/", 1)[0]
        run = generator(
            gateway.url,
            held,
            tmp_path / "r",
            duration=2.0,
            feedback_url=f"{base}/feedback",
            settings={"step": "2"},
        )
        await run.run()
    found = records.read(tmp_path / "r")
    # 400 posts, and some of labels between them take a turn at the gateway.
    assert records.share(found, "8", 0, 2e10) == pytest.approx(0.25, abs=0.03)
    scrapes = [await asyncio.to_thread(server.metrics) for server in (legacy, candidate)]
    counted: Counter[tuple[str, str]] = Counter()
    for scrape in scrapes:
        for (name, labels), number in samples(scrape).items():
            named = dict(labels)
            if name == "predictions_labeled_total" and named["step"] == "2":
                counted[named["version"], named["correct"]] += int(number)
    for version in ("7", "8"):
        mine = [r for r in found if r.version == version]
        right = sum(r.predicted == r.label for r in mine)
        assert counted[version, "true"] == right
        assert counted[version, "false"] == len(mine) - right
    assert run.summary(60)["labels"] == {"counted": 400, "unmatched": 0, "lost": 0, "dropped": 0, "waiting": 0}
    # Both arms counted labels of both versions: that is why the operator must read them by label, not by pod.
    assert run.summary(60)["versions"]["8"]["accuracy"] < run.summary(60)["versions"]["7"]["accuracy"]


async def test_labels_not_due_at_the_end_are_dropped_and_said(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    server = start_server("better")
    base = f"http://127.0.0.1:{server.port}"
    run = generator(
        f"{base}/predict",
        held,
        tmp_path / "r",
        duration=0.2,
        feedback_url=f"{base}/feedback",
        settings={"feedback_delay": 900},
    )
    await run.run()
    assert run.summary(60)["labels"]["dropped"] == 40
    assert value(server, "predictions_labeled_total", version="8", step="0", correct="true") == 0


async def test_labels_that_cannot_be_delivered_are_lost_after_three_attempts(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    server = start_server("better")
    run = generator(
        f"http://127.0.0.1:{server.port}/predict",
        held,
        tmp_path / "r",
        duration=0.1,
        feedback_url=f"http://127.0.0.1:{unused_port()}/feedback",
        settings={"feedback_delay": 0, "feedback_share": 0.5},
    )
    await run.run()
    expected = sum(unit(f"{run.run_id}-{n}", "label") < 0.5 for n in range(20))
    assert run.summary(60)["labels"] == {
        "counted": 0,
        "unmatched": 0,
        "lost": expected,
        "dropped": 0,
        "waiting": 0,
    }


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def kinds(run: Generator, out: Path) -> Counter[str]:
    await run.run()
    return Counter(r.kind for r in records.read(out))


async def test_failures_are_told_apart(start_server: StartServer, held: Held, tmp_path: Path) -> None:
    server = start_server("better", version="8")
    url = f"http://127.0.0.1:{server.port}/predict"
    await asyncio.to_thread(server.behave, errors=1)
    assert await kinds(generator(url, held, tmp_path / "http", duration=0.1), tmp_path / "http") == {"http": 20}
    error = records.first_error(records.read(tmp_path / "http"), "8")
    assert error is not None
    assert error.status == 500
    await asyncio.to_thread(server.behave, errors=0, reset=1)
    assert await kinds(generator(url, held, tmp_path / "reset", duration=0.1), tmp_path / "reset") == {"reset": 20}
    await asyncio.to_thread(server.behave, reset=0, hang=1)
    run = generator(url, held, tmp_path / "timeout", duration=0.1, timeout=0.3)
    assert await kinds(run, tmp_path / "timeout") == {"timeout": 20}
    run = generator(f"http://127.0.0.1:{unused_port()}/", held, tmp_path / "connect", duration=0.1)
    assert await kinds(run, tmp_path / "connect") == {"connect": 20}
    assert len(records.failed(records.read(tmp_path / "connect"), 0, 2e10)) == 20


@asynccontextmanager
async def answering(data: bytes) -> AsyncIterator[str]:
    """A server that gives every connection these bytes."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/predict"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", "invalid"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]", "invalid"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n", "http"),
        (b"this is no HTTP\r\n\r\n", "invalid"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", "reset"),
        (b"", "reset"),
    ],
)
async def test_strange_answers(held: Held, tmp_path: Path, data: bytes, kind: str) -> None:
    async with answering(data) as url:
        run = generator(url, held, tmp_path / "r", duration=0.02)
        assert await kinds(run, tmp_path / "r") == {kind: 4}


async def test_beyond_the_bound_requests_are_shed_and_not_called_failures(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    server = start_server("better", BEHAVIOUR='{"delay_ms": 500}')
    url = f"http://127.0.0.1:{server.port}/predict"
    run = generator(url, held, tmp_path / "r", rate=100, duration=0.3, max_in_flight=4)
    await run.run()
    found = records.read(tmp_path / "r")
    assert Counter(r.kind for r in found) == {"ok": 4, "shed": 26}
    assert records.failed(found, 0, 2e10) == []
    assert (run.totals.sent, run.totals.shed, run.summary(60)["shed"]) == (4, 26, 26)


async def test_a_marked_user_is_always_marked(start_server: StartServer, held: Held, tmp_path: Path) -> None:
    legacy = start_server("legacy", version="7")
    async with serve(Gateway(legacy.port, legacy.port)) as gateway:
        run = generator(
            gateway.url,
            held,
            tmp_path / "r",
            segment_headers={"x-tier": "beta"},
            host_header="fraud.example.com",
            settings={"users": 40, "header_share": 0.2},
        )
        await run.run()
        seen = list(gateway.seen)
    assert {headers["Host"] for headers in seen} == {"fraud.example.com"}
    marked = {headers["x-user-id"] for headers in seen if headers.get("x-tier") == "beta"}
    unmarked = {headers["x-user-id"] for headers in seen if "x-tier" not in headers}
    assert marked
    assert not marked & unmarked
    assert marked == {r.user for r in records.read(tmp_path / "r") if r.marked}
    assert marked <= {f"user-{i:05d}" for i in range(40) if unit(f"user-{i:05d}", "segment") < 0.2}


async def test_a_user_sends_their_bucket(start_server: StartServer, held: Held, tmp_path: Path) -> None:
    legacy = start_server("legacy", version="7")
    async with serve(Gateway(legacy.port, legacy.port)) as gateway:
        run = generator(gateway.url, held, tmp_path / "r", bucket_headers={"x-bucket": "k"}, settings={"users": 40})
        await run.run()
        seen = {(headers["x-user-id"], headers["x-bucket"]) for headers in gateway.seen}
    assert len(seen) > 1
    assert seen == {(user, f"{bucket(user, 'k'):04d}") for user, _ in seen}


async def test_max_requests_ends_a_run(start_server: StartServer, held: Held, tmp_path: Path) -> None:
    server = start_server("better")
    url = f"http://127.0.0.1:{server.port}/predict"
    run = generator(url, held, tmp_path / "r", duration=60, bounds={"max_requests": 7})
    await asyncio.wait_for(run.run(), 5)
    assert len(records.read(tmp_path / "r")) == 7


async def test_an_arm_that_dies_is_seen_by_kind_and_share(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    legacy = start_server("legacy", version="7")
    candidate = start_server("crashing", version="8", BEHAVIOUR='{"crash_after": 10}')
    async with serve(Gateway(legacy.port, candidate.port, weight=50)) as gateway:
        run = generator(gateway.url, held, tmp_path / "r")
        await run.run()
    found = records.read(tmp_path / "r")
    last = records.last_answer(found, "8")
    assert last is not None
    assert sum(r.version == "8" for r in found) == 10
    dead = records.failed(found, 0, 2e10)
    assert len(dead) == 90
    assert {(r.kind, r.status, r.version) for r in dead} == {("http", 503, None)}
    assert records.harmed(found, "7").errors == 0
