"""Arithmetic in turns: on a loop whose time moves by what its tasks take, so that shares of it can be told."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from modelrollout.runtime.turns import LONGEST, SLICE, Turns
from tests.engine.world import World, running, spec_named

pytestmark = pytest.mark.looptime(start=0)


class Clock:
    """The time that work takes, in place of the loop's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        patch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def shares(clock: Clock, turns: Turns, others: float, *, seconds: float) -> float:
    """The share of the loop that work in small pieces gets beside one that takes `others` seconds at a time."""
    mine = 0.0
    over = False

    async def busy() -> None:
        while not over:
            clock.now += others
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(busy())
    await asyncio.sleep(0)
    begun = clock.now
    while clock.now - begun < seconds:
        clock.now += 0.0005
        mine += 0.0005
        await turns.rest()
    over, took = True, clock.now - begun
    await beside
    return mine / took


@pytest.mark.parametrize(
    ("even", "others", "share"),
    [
        (True, 0.04, 0.5),
        (True, 0.0001, 0.98),
        (True, 1.0, LONGEST / (1.0 + LONGEST)),
        (False, 0.04, SLICE / (0.04 + SLICE)),
    ],
    ids=["half", "alone", "longest", "slice"],
)
async def test_a_turn_is_as_long_as_that_of_all_others(
    monkeypatch: pytest.MonkeyPatch, even: bool, others: float, share: float
) -> None:
    clock = Clock(monkeypatch)
    got = await shares(clock, Turns(even=even), others, seconds=20.0)
    monkeypatch.undo()
    assert got == pytest.approx(share, rel=0.15)


async def test_bug_a_worker_with_enough_to_look_at_gave_the_loop_to_nobody() -> None:
    """Five thousand looks in a row, at what is in memory: evidence waited, and a dead candidate of theirs with it."""
    specs = [spec_named(f"m{index}") for index in range(100)]
    world = await running(*specs)
    await asyncio.sleep(60)
    begun = looks(world)
    for spec in specs:
        world.engine.enqueue(spec.key)
    counted = [begun]
    while counted[-1] < begun + len(specs):
        await asyncio.sleep(0)
        counted.append(looks(world))
    await world.stop()
    assert max(after - before for before, after in pairwise(counted)) <= 16, "one of each worker"


def looks(world: World) -> int:
    """Looks so far."""
    return int(
        world.telemetry.registry.get_sample_value("modelrollout_reconciles_total", {"outcome": "unchanged"}) or 0
    )
