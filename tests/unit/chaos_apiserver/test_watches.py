"""Watches in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from e2e.chaos.apiserver.server import ApiServer, Request
from e2e.chaos.apiserver.watches import Watch
from modelrollout.adapters.kube.resources import LEASES, SERVICES, Body, Resource

pytestmark = pytest.mark.looptime


def server() -> ApiServer:
    return ApiServer(now=lambda: 1_700_000_000.0)


def write(api: ApiServer, name: str, resource: Resource = LEASES) -> None:
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "spec": {}}
    assert api.handle(Request("POST", resource.path("ns"), body=body)).code == 201


def opened(api: ApiServer, **query: str) -> Watch:
    watch = api.open(Request("GET", LEASES.path("ns"), {"watch": "true", **query}))
    assert isinstance(watch, Watch)
    return watch


async def told(watch: Watch, begin: float) -> list[tuple[float, str]]:
    """When and what, until its end."""
    loop = asyncio.get_running_loop()
    return [(loop.time() - begin, event["type"]) async for event in watch]


async def test_bookmarks_come_every_minute_and_before_the_end() -> None:
    api, begin = server(), asyncio.get_running_loop().time()
    watch = opened(api, resourceVersion="100", allowWatchBookmarks="true", timeoutSeconds="150")
    seen = await told(watch, begin)
    assert seen == [(60.0, "BOOKMARK"), (120.0, "BOOKMARK"), (148.0, "BOOKMARK")]
    assert asyncio.get_running_loop().time() - begin == 150.0


async def test_nobody_gets_bookmarks_unasked() -> None:
    begin = asyncio.get_running_loop().time()
    assert await told(opened(server(), resourceVersion="100", timeoutSeconds="150"), begin) == []


async def test_a_bookmark_tells_how_far_it_has_come() -> None:
    api = server()
    watch = opened(api, resourceVersion="100", allowWatchBookmarks="true")
    write(api, "other", SERVICES)
    event = await anext(watch)
    assert event["object"]["metadata"]["resourceVersion"] == "101"
    watch.close()


async def test_an_event_comes_before_a_bookmark_that_knows_of_it() -> None:
    api = server()
    watch = opened(api, resourceVersion="100", allowWatchBookmarks="true")
    asyncio.get_running_loop().call_later(60.0, write, api, "a")
    seen = [await anext(watch) for _ in range(2)]
    assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]
    watch.close()


async def test_who_waits_is_told_of_the_end() -> None:
    watch = server().watch(LEASES, since="100")
    asyncio.get_running_loop().call_later(5.0, watch.close)
    assert await told(watch, asyncio.get_running_loop().time()) == []


async def test_a_closed_watch_shows_nothing_more() -> None:
    api = server()
    watch = api.watch(LEASES, since="")
    write(api, "a")
    watch.close()
    assert [event async for event in watch] == []


async def test_a_watch_that_gave_up_waiting_misses_nothing() -> None:
    api = server()
    watch = api.watch(LEASES, since="100")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 1.0)
    write(api, "a")
    assert (await anext(watch))["object"]["metadata"]["name"] == "a"
    watch.close()


async def test_from_before_a_compaction_there_is_no_watch_but_one_that_runs_goes_on() -> None:
    api = server()
    write(api, "a")
    running = api.watch(LEASES, since="101")
    write(api, "b")
    api.compact(102)
    [error] = [event async for event in api.watch(LEASES, since="101")]
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert (await anext(running))["object"]["metadata"]["name"] == "b"
    running.close()
    at_the_edge = api.watch(LEASES, since="102")
    write(api, "c")
    assert (await anext(at_the_edge))["object"]["metadata"]["name"] == "c"
    at_the_edge.close()


async def test_watchers_are_woken_in_the_order_they_came() -> None:
    api = server()
    order: list[int] = []

    async def one(number: int, watch: Watch) -> None:
        await anext(watch)
        order.append(number)
        watch.close()

    tasks = [asyncio.create_task(one(number, api.watch(LEASES, since="100"))) for number in range(4)]
    await asyncio.sleep(0)
    write(api, "a")
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]


async def test_events_are_the_watchers_own() -> None:
    api = server()
    write(api, "a")
    first: Body = await anext(api.watch(LEASES, since="100"))
    first["object"]["spec"]["holderIdentity"] = "spoilt"
    assert (await anext(api.watch(LEASES, since="100")))["object"]["spec"] == {}
