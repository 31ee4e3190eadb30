"""Watch events to cache, store and queue: what is urgent, what is ignored, what can't break the watch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.core.model import Key
from modelrollout.runtime.queue import Priority, Work
from modelrollout.shell.feed import Feed
from tests.engine.world import World, build

pytestmark = pytest.mark.looptime(start=0)

KEY = Key("serving", "fraud")
SPEC = {
    "legacy": {"deployment": "fraud-v7"},
    "candidate": {"deployment": "fraud-v8"},
    "port": 8080,
    "traffic": {"managedRoute": {"parentRefs": [{"name": "public"}]}},
    "steps": [{"weight": 5}, {"weight": 100}],
    "slis": [{"name": "availability", "profile": "modelrollout/errors", "objective": "99"}],
}


def body(kind: str, name: str, version: int, **rest: Any) -> dict[str, Any]:
    group = {"Deployment": "apps/v1", "Service": "v1"}.get(kind, "modelrollout.dev/v1alpha1")
    metadata = {"name": name, "namespace": "serving", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": group, "kind": kind, "metadata": metadata | rest.pop("metadata", {}), **rest}


def rollout(version: int = 10, **rest: Any) -> dict[str, Any]:
    return body("ModelRollout", "fraud", version, spec=SPEC, **rest)


def stage() -> tuple[World, Feed, ObjectCache]:
    world, cache = build(), ObjectCache()
    world.queue.open()
    feed = Feed(
        cache=cache,
        store=world.store,
        engine=world.engine,
        namespace_known=lambda _: True,
        spec_seen=lambda _: None,
    )
    return world, feed, cache


async def taken(world: World) -> Work | None:
    try:
        async with asyncio.timeout(0):
            work = await world.queue.take()
    except TimeoutError:
        return None
    world.queue.done(work.key)
    return work


async def test_a_new_rollout_is_looked_at_and_its_echo_is_not() -> None:
    world, feed, _ = stage()
    feed.event("ModelRollout", "ADDED", rollout())
    work = await taken(world)
    assert work is not None
    assert (work.key, work.priority) == (KEY, Priority.NORMAL)
    feed.event("ModelRollout", "MODIFIED", rollout())
    assert await taken(world) is None


async def test_a_deletion_under_way_is_urgent_and_one_that_is_over_forgets() -> None:
    world, feed, _ = stage()
    feed.event("ModelRollout", None, rollout())
    await taken(world)
    leaving = rollout(11, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    feed.event("ModelRollout", "MODIFIED", leaving)
    work = await taken(world)
    assert work is not None
    assert work.priority is Priority.URGENT
    feed.event("ModelRollout", "DELETED", rollout(12))
    assert world.store.peek(KEY) is None
    assert await taken(world) is None


@pytest.mark.parametrize(
    ("action", "priority"), [("Abort", Priority.URGENT), ("Pause", Priority.NORMAL)], ids=["abort", "pause"]
)
async def test_an_abort_overtakes(action: str, priority: Priority) -> None:
    world, feed, _ = stage()
    feed.event("ModelRollout", None, rollout())
    await taken(world)
    feed.event("RolloutAction", "ADDED", body("RolloutAction", "x", 20, spec={"rollout": "fraud", "action": action}))
    work = await taken(world)
    assert work is not None
    assert (work.key, work.priority) == (KEY, priority)


async def test_an_object_that_no_rollout_names_wakes_nobody() -> None:
    world, feed, _ = stage()
    feed.event("ModelRollout", None, rollout())
    await taken(world)
    feed.event("Deployment", "MODIFIED", body("Deployment", "unrelated", 30, spec={"template": {}}))
    assert await taken(world) is None
    feed.event("Deployment", "MODIFIED", body("Deployment", "fraud-v8", 31, spec={"template": {}}))
    work = await taken(world)
    assert work is not None
    assert work.key == KEY


async def test_an_object_that_can_not_be_read_does_not_break_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    world, feed, _ = stage()
    feed.event("Deployment", "ADDED", {"metadata": {"name": "broken"}})
    assert "broken" in caplog.text
    feed.event("ModelRollout", "ADDED", rollout())
    assert await taken(world) is not None


async def test_each_new_valid_spec_is_told_so_that_its_routers_kinds_are_watched() -> None:
    world, _, cache = stage()
    told: list[Key] = []
    feed = Feed(
        cache=cache,
        store=world.store,
        engine=world.engine,
        namespace_known=lambda _: True,
        spec_seen=lambda spec: told.append(spec.key),
    )
    feed.event("ModelRollout", "ADDED", rollout())
    feed.event("ModelRollout", "MODIFIED", rollout())
    feed.event("ModelRollout", "MODIFIED", body("ModelRollout", "fraud", 11, spec={"steps": 1}))
    assert told == [KEY]


async def test_a_rollout_of_an_unknown_namespace_asks_for_its_labels_first() -> None:
    world, _, cache = stage()
    feed = Feed(
        cache=cache,
        store=world.store,
        engine=world.engine,
        namespace_known=lambda _: False,
        spec_seen=lambda _: None,
    )
    feed.event("ModelRollout", "ADDED", rollout())
    assert feed.strangers.get_nowait() == "serving"


async def test_a_source_is_handed_on_with_its_body_or_its_end() -> None:
    _, feed, _ = stage()
    example = {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "MetricSource"}
    source = example | {"metadata": {"name": "default", "resourceVersion": "1"}, "spec": {"prometheus": {}}}
    feed.event("MetricSource", "ADDED", source)
    feed.event("MetricSource", "DELETED", source)
    assert [feed.sources.get_nowait() for _ in range(2)] == [("default", source), ("default", None)]


async def test_an_event_that_matters_to_nobody_takes_microseconds() -> None:
    _, feed, _ = stage()
    begun = time.process_time()
    for i in range(1000):
        feed.event("Service", "MODIFIED", body("Service", f"s{i % 50}", i + 1, spec={"ports": [{"port": 80}]}))
    # A tenth of a millisecond is the promise; five times that leaves room for a loaded machine.
    assert (time.process_time() - begun) / 1000 < 0.0005
