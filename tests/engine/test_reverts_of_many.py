"""Many candidates that turn bad at once, and a slow API server: reverts come first, their records afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from modelrollout.core.model import (
    ActionVerb,
    Epoch,
    Phase,
    RolloutSpec,
)
from modelrollout.core.observation import ActionRequest
from modelrollout.runtime.queue import Priority
from tests.engine.metrics import Load
from tests.engine.world import World, build, phase, quick, running
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)


async def all_bad(*specs: RolloutSpec) -> tuple[World, int]:
    """One worker beside the urgent one, all of these at 50 % and turned bad; and how much was written by then."""
    world = build(workers=2)
    for spec in specs:
        world.api.create(spec)
        world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: all(world.api.weight(spec.key) == 5000 for spec in specs))
    world.api.latency = 0.05
    turned = START + asyncio.get_running_loop().time()
    for spec in specs:
        world.metrics.change(spec.key.namespace, spec.candidate.deployment, turned, Load(errors=1.0))
    return world, len(world.api.writes)


async def test_where_many_turn_bad_at_once_all_routes_are_lowered_before_the_statuses_are_written() -> None:
    specs = [quick(f"m{number}") for number in range(12)]
    world, before = await all_bad(*specs)
    await world.until(lambda: all(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.01)
    await world.until(lambda: all(phase(world, spec.key) is Phase.ROLLED_BACK for spec in specs), limit=60)
    writes = world.api.writes[before:]
    lowered = [place for place, write in enumerate(writes) if write.what == "route" and write.weight == 0]
    assert len(lowered) == len(specs), "each once"
    # The two workers may have met nobody else in the queue when they took the last ones.
    assert sum(write.what == "status" for write in writes[: lowered[-1]]) <= 2
    told = Counter(a.reason for place, a in world.announcer.told if place > before)
    assert set(told.values()) == {len(specs)}, "and each is told once"
    await world.stop()


async def test_a_status_that_is_owed_gives_way_to_an_edit_and_the_decision_is_derived_anew() -> None:
    specs = [quick(f"m{number}") for number in range(6)]
    world, _ = await all_bad(*specs)
    await world.until(lambda: any(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.001)
    for spec in specs:
        world.api.edit(spec.key, generation=2, spec=replace(spec, generation=2))
    await world.until(lambda: all(world.api.status(spec.key).observed_generation == 2 for spec in specs), limit=60)
    await world.until(lambda: all(phase(world, spec.key) is Phase.ROLLED_BACK for spec in specs), limit=1)
    assert {world.api.weight(spec.key) for spec in specs} == {0}
    await world.stop()


async def test_a_leader_that_lost_its_lease_forgets_what_it_owed() -> None:
    specs = [quick(f"m{number}") for number in range(6)]
    world, before = await all_bad(*specs)
    await world.until(lambda: any(world.api.weight(spec.key) == 0 for spec in specs), limit=60, step=0.001)
    world.epoch = None
    world.engine.lead(False)
    await asyncio.sleep(1)
    assert "status" not in {write.what for write in world.api.writes[before:]}
    world.epoch = Epoch(9)
    world.engine.lead(True)
    await world.until(lambda: all(phase(world, spec.key) is Phase.ROLLED_BACK for spec in specs), limit=60)
    await world.stop()


async def test_reverts_overtake_when_the_api_server_is_slow() -> None:
    specs = [quick(f"m{i}", f"ns{i}") for i in range(60)]
    world = await running(*specs)
    await world.until(lambda: all(world.api.weight(s.key) == 500 for s in specs))
    world.api.latency = 0.2
    victims = specs[-5:]
    for spec in specs[:-5]:
        world.engine.enqueue(spec.key)
    for spec in victims:
        world.api.actions[spec.key].append(ActionRequest("stop", f"uid-{spec.key}", ActionVerb.ABORT, START))
        world.engine.enqueue(spec.key, Priority.URGENT)
    took = await world.until(lambda: all(world.api.weight(s.key) == 0 for s in victims), limit=2)
    assert took
    await world.stop()
