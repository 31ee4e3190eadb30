"""The proxy between operator and API server: passes on, counts, and lets go wrong what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from e2e.chaos.real.ledger import Sent
from e2e.chaos.real.proxy import Cut, Hold, Mishap, Proxy
from e2e.chaos.real.upstream import Upstream
from e2e.chaos.transport import Die, Lose, Refuse, Silence
from modelrollout.adapters.kube.resources import MANAGER

STATUS = "/apis/modelrollout.dev/v1alpha1/namespaces/n/modelrollouts/fraud/status"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/n/leases/operator"


@dataclass
class Bench:
    """A server that remembers what reaches it, the proxy before it, and what is to happen next."""

    reached: list[str] = field(default_factory=list)
    told: list[Sent] = field(default_factory=list)
    mishap: Mishap | None = None
    kills: int = 0
    event: asyncio.Event = field(default_factory=asyncio.Event)
    session: aiohttp.ClientSession = field(init=False)
    proxy: Proxy = field(init=False)

    def kill(self) -> None:
        self.kills += 1
        self.proxy.died()

    async def server(self, request: web.Request) -> web.StreamResponse:
        self.reached.append(f"{request.method} {request.raw_path}")
        if request.query.get("watch"):
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b'{"type":"ADDED"}\n')
            await self.event.wait()
            await answer.write(b'{"type":"MODIFIED"}\n')
            return answer
        return web.json_response({"metadata": {"resourceVersion": str(100 + len(self.reached))}, "was": "x" * 200})

    async def send(self, path: str, method: str = "PATCH", *, agent: str = "") -> int:
        url = URL(f"http://127.0.0.1:{self.proxy.port}{path}", encoded=True)
        async with self.session.request(method, url, data=b"{}", headers={"User-Agent": agent}) as answer:
            await answer.read()
            return answer.status


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", made.server)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream = Upstream(f"http://127.0.0.1:{runner.addresses[0][1]}")
    made.proxy = Proxy(upstream, lambda sent: made.mishap if sent.number else None, made.kill, made.told.append, life=1)
    await made.proxy.start()
    made.session = aiohttp.ClientSession()
    yield made
    made.event.set()
    await made.session.close()
    await made.proxy.stop()
    await upstream.close()
    await runner.cleanup()


async def test_writes_are_counted_and_their_versions_have_an_author(bench: Bench) -> None:
    assert await bench.send(f"{STATUS}?fieldManager=a%2Fb") == 200
    bench.proxy.life = 2
    assert await bench.send(LEASE, "PUT") == 200
    assert await bench.send(STATUS, "GET") == 200
    assert bench.reached[0] == f"PATCH {STATUS}?fieldManager=a%2Fb"
    assert bench.proxy.ledger.writes == {"modelrollouts/status": 1}
    assert bench.proxy.ledger.authors == {("modelrollouts", 101): "operator#1", ("leases", 102): "operator#2"}
    assert [sent.number for sent in bench.told] == [1, 0]
    assert [sent.target for sent in bench.proxy.ledger.log] == ["modelrollouts/status"]


async def test_a_write_that_changed_nothing_made_no_version(bench: Bench) -> None:
    sent = bench.proxy.ledger.enter(2, "operator#2", "PATCH", STATUS)
    answer = b'{"metadata": {"resourceVersion": "354"}}'
    bench.proxy.ledger.made(sent, b'{"metadata": {"resourceVersion": "354"}, "status": {}}', answer)
    assert bench.proxy.ledger.authors == {}
    bench.proxy.ledger.made(sent, b'{"metadata": {"resourceVersion": "353"}, "status": {}}', answer)
    later = bench.proxy.ledger.enter(3, "operator#3", "PATCH", STATUS)
    bench.proxy.ledger.made(later, b"{}", answer)
    assert bench.proxy.ledger.authors == {("modelrollouts", 354): "operator#2"}


async def test_a_refusal_reaches_nobody(bench: Bench) -> None:
    bench.mishap = Refuse(409)
    assert await bench.send(STATUS) == 409
    assert bench.reached == []
    assert bench.proxy.ledger.authors == {}


@pytest.mark.parametrize(("mishap", "reached"), [(Lose(applied=False), 0), (Lose(applied=True), 1), (Cut(), 1)])
async def test_an_answer_is_lost(bench: Bench, mishap: Mishap, reached: int) -> None:
    bench.mishap = mishap
    with pytest.raises(aiohttp.ClientError):
        await bench.send(STATUS)
    assert len(bench.reached) == reached
    assert len(bench.proxy.ledger.authors) == reached


@pytest.mark.parametrize("applied", [False, True])
async def test_a_process_is_killed_at_its_write_and_nothing_of_it_is_passed_on_any_more(
    bench: Bench, applied: bool
) -> None:
    bench.mishap = Die(applied=applied)
    with pytest.raises(aiohttp.ClientError):
        await bench.send(STATUS)
    assert bench.kills == 1
    bench.mishap = None
    with pytest.raises(aiohttp.ClientError):
        await bench.send(STATUS)
    assert len(bench.reached) == int(applied)
    bench.proxy.life = 2
    assert await bench.send(STATUS) == 200


@pytest.mark.parametrize("applied", [False, True])
async def test_silence_lasts_until_the_sender_gives_up(bench: Bench, applied: bool) -> None:
    bench.mishap = Silence(applied=applied)
    asked = asyncio.ensure_future(bench.send(STATUS))
    # Whoever asks meanwhile is answered.
    for _ in range(5):
        assert await bench.send(STATUS, "GET") == 200
    assert not asked.done()
    assert bench.reached.count(f"PATCH {STATUS}") == int(applied)
    asked.cancel()


async def test_a_storm_meets_every_request_and_a_server_that_is_away_none(bench: Bench) -> None:
    bench.proxy.storm = True
    assert await bench.send(STATUS, "GET") == 429
    assert await bench.send(LEASE, "PUT") == 429
    bench.proxy.storm = False
    bench.proxy.away(True)
    with pytest.raises(aiohttp.ClientError):
        await bench.send(STATUS, "GET")
    bench.proxy.away(False)
    assert await bench.send(STATUS, "GET") == 200
    assert bench.reached == [f"GET {STATUS}"]


async def test_a_watch_is_passed_on_line_by_line_held_back_and_cut(bench: Bench) -> None:
    url = f"http://127.0.0.1:{bench.proxy.port}/apis/modelrollout.dev/v1alpha1/modelrollouts?watch=true"
    async with bench.session.get(url) as answer:
        assert await answer.content.readline() == b'{"type":"ADDED"}\n'
        bench.proxy.freeze(True)
        bench.event.set()
        line = asyncio.ensure_future(answer.content.readline())
        # What else is asked meanwhile is answered.
        assert await bench.send(STATUS, "GET") == 200
        assert not line.done()
        bench.proxy.freeze(False)
        assert await line == b'{"type":"MODIFIED"}\n'
    bench.event.clear()
    async with bench.session.get(url) as answer:
        await answer.content.readline()
        bench.proxy.away(True)
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readline()


async def test_a_write_that_is_held_arrives_when_its_sender_has_given_up(bench: Bench) -> None:
    arrives = asyncio.Event()
    bench.mishap = Hold(arrives)
    asked = asyncio.ensure_future(bench.send(STATUS))
    bench.mishap = None
    while not bench.proxy.ledger.log:
        await asyncio.sleep(0)
    bench.mishap = Hold(arrives)
    for _ in range(5):
        assert await bench.send(STATUS, "GET") == 200
    asked.cancel()
    arrives.set()
    while f"PATCH {STATUS}" not in bench.reached:
        await bench.send(STATUS, "GET")
    assert bench.proxy.ledger.count == 1


async def test_a_second_server_answers_watches_and_lists_before_them_from_its_cache_and_nothing_else(
    bench: Bench,
) -> None:
    app, reached = web.Application(), []

    async def second(request: web.Request) -> web.Response:
        reached.append(request.raw_path)
        return web.json_response({"metadata": {"resourceVersion": "1"}})

    app.router.add_route("*", "/{any:.*}", second)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lagging = Upstream(f"http://127.0.0.1:{runner.addresses[0][1]}")
    collection = "/apis/modelrollout.dev/v1alpha1/namespaces/n/modelrollouts"
    url = f"http://127.0.0.1:{bench.proxy.port}{collection}?watch=true"
    async with bench.session.get(url) as answer:
        await answer.content.readline()
        bench.proxy.look_at(lagging)
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readline()
    assert await bench.send(f"{collection}?limit=500", "GET") == 200
    assert await bench.send(f"{collection}?limit=100", "GET", agent=f"{MANAGER}/1") == 200
    assert await bench.send(f"{collection}?watch=true", "GET") == 200
    assert await bench.send(f"{collection}/fraud", "GET") == 200
    assert await bench.send(STATUS) == 200
    assert reached == [f"{collection}?limit=500&resourceVersion=0", f"{collection}?watch=true"]
    assert bench.proxy.ledger.past == 2
    bench.proxy.look_at(None)
    assert await bench.send(collection, "GET") == 200
    assert len(reached) == 2
    await lagging.close()
    await runner.cleanup()
