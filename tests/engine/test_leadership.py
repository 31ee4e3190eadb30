"""The engine with and without the right to write: standby, take-over, a Lease that is lost or lapses."""

from __future__ import annotations

import asyncio

import pytest

from modelrollout.core.model import Epoch, Key, Phase, RolloutSpec
from modelrollout.core.status import RolloutStatus
from modelrollout.runtime.queue import Priority
from tests.engine.api import FIRST
from tests.engine.metrics import Load
from tests.engine.world import World, build, phase, quick, running, spec_named

pytestmark = pytest.mark.looptime(start=0)


async def test_a_standby_writes_nothing_and_takes_over_where_the_leader_stopped() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await world.stop()
    standby = build(world.api, world.metrics)
    standby.epoch = None
    for obj in world.api.objects.values():
        standby.store.put(obj)
    standby.tasks = [asyncio.create_task(standby.engine.run()), asyncio.create_task(standby.rounds.run())]
    writes = len(world.api.writes)
    standby.engine.enqueue(spec.key)
    await asyncio.sleep(60)
    assert len(world.api.writes) == writes
    standby.epoch = Epoch(2)
    standby.engine.lead(True)
    await standby.until(lambda: phase(standby, spec.key) is Phase.PROMOTED)
    assert {w.epoch for w in world.api.writes[writes:] if w.what == "status"} == {2}
    assert [w.weight for w in world.api.writes if w.what == "route"] == [500, 5000, 10_000]
    await standby.stop()


async def test_bug_a_look_while_the_lease_had_lapsed_for_a_moment_was_lost() -> None:
    """Renewed before the end was noticed, so leadership was neither lost nor won, and nothing came back to the rollout
    until the next full list: minutes, for an abort too."""
    spec = quick("fraud")
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec)
    world.epoch = None
    await world.start()
    await asyncio.sleep(3)
    assert world.api.writes == []
    world.epoch = FIRST
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await world.stop()


async def test_a_new_leader_looks_first_at_rollouts_that_move() -> None:
    """Every first look asks the API server: many at rest would hold up the one that may have to be reverted."""
    world = build()
    world.api.watch = None
    for name, there in (("a", Phase.PROMOTED), ("b", Phase.ROLLED_BACK), ("c", Phase.PROGRESSING), ("d", Phase.IDLE)):
        spec = quick(name)
        world.api.create(spec)
        world.api.edit(spec.key, status=RolloutStatus(phase=there))
        world.store.put(world.api.objects[spec.key])
    new = quick("e")
    world.api.create(new)
    world.store.put(world.api.objects[new.key])
    world.engine.lead(True)
    order = [(await world.queue.take()).key.name for _ in range(5)]
    assert order == ["c", "e", "a", "b", "d"]


async def listing(*specs: RolloutSpec) -> World:
    """A new leader at work that knows these from watches and has asked for a full list a moment ago."""
    world = build()
    for spec in specs:
        world.store.put(world.api.objects[world.api.create(spec)])
    world.tasks = [asyncio.create_task(world.engine.run())]
    world.engine.lead(True, listing=5.0)
    return world


async def test_a_new_leader_waits_a_moment_for_its_list_and_reads_nothing_by_itself() -> None:
    world = await listing(quick("a"), quick("b"))
    keys = list(world.api.objects)
    world.engine.enqueue(keys[0])
    await asyncio.sleep(2)
    assert (world.api.reads, world.api.writes) == (0, [])
    world.store.reconcile(world.api.objects.values(), frozenset(keys), world.store.doubts)
    world.engine.listed()
    await world.until(lambda: len(world.api.writes) > 2, limit=0.5)
    assert world.api.reads == 0
    await world.stop()


async def test_a_new_leader_whose_list_does_not_come_reads_for_itself() -> None:
    world = await listing(quick("a"))
    began = await world.until(lambda: bool(world.api.writes))
    assert 5.0 <= began < 5.2
    assert world.api.reads > 0
    await world.stop()


async def test_bug_a_new_leader_of_thousands_read_them_one_by_one_beside_its_list() -> None:
    """Forty thousand reads: the last of five thousand was looked at 160 s after the Lease was taken."""
    world = await listing(*(spec_named(f"m{number}") for number in range(700)))
    began = await world.until(lambda: bool(world.api.writes))
    assert 7.0 <= began < 7.2
    await world.stop()


async def test_a_new_leader_does_not_wait_with_what_takes_traffic_off() -> None:
    world = build()
    world.api.watch = None
    for name, there in (("a", Phase.PROGRESSING), ("b", Phase.ROLLING_BACK)):
        spec = quick(name)
        world.api.create(spec)
        world.api.edit(spec.key, status=RolloutStatus(phase=there))
        world.store.put(world.api.objects[spec.key])
    world.engine.lead(True, listing=5.0)
    work = await world.queue.take()
    assert (work.key.name, work.priority) == ("b", Priority.URGENT)
    assert world.queue.depth(Priority.NORMAL) == 0
    world.engine.enqueue(Key("serving", "a"), Priority.URGENT)
    assert (await world.queue.take()).key.name == "a"


async def test_bug_a_new_leader_that_found_prometheus_silent_stayed_blind_long_after_its_return() -> None:
    """It looked for the metrics twice and then no more: in mid-step nothing else brought it back to the rollout."""
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    await world.stop()
    world.metrics.fail["default"] = "Timeout"
    world.metrics.serve(spec, candidate=Load(errors=0.5))
    successor = build(world.api, world.metrics)
    await successor.start()
    await successor.until(lambda: phase(successor, spec.key) is Phase.PAUSED)
    await asyncio.sleep(33)
    world.metrics.fail.clear()
    back = asyncio.get_running_loop().time()
    reverted = await successor.until(lambda: world.api.weight(spec.key) == 0)
    assert reverted - back < 30
    await successor.stop()


async def test_a_leader_that_loses_the_lease_stops_writing() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    world.epoch = None
    world.engine.lead(False)
    writes = len(world.api.writes)
    await asyncio.sleep(300)
    assert len(world.api.writes) == writes
    await world.stop()
