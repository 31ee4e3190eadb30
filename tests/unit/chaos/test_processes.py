"""The operator's process in virtual time: what it asks for, and what it gives back."""

from __future__ import annotations

import asyncio

from e2e.chaos import loop
from e2e.chaos.drive import LIMIT
from e2e.chaos.process import RESYNC
from e2e.chaos.scene import NAMESPACE
from e2e.chaos.transport import Sent
from e2e.chaos.world import World


def test_memory_is_given_back_after_every_full_list() -> None:
    async def main() -> int:
        world = World(1)
        await world.begin()
        await asyncio.sleep(3.2 * RESYNC)
        given = world.processes[0].given_back
        world.end()
        return given

    # The one that a new leader asks for, and those that come anyway.
    assert 3 <= loop.run(main()) <= 5


def test_a_new_leader_looks_as_soon_as_it_has_listed_and_reads_nothing_twice() -> None:
    """The old one dies in mid-step; nothing is to be written, so that nothing is read before a write either."""
    asked: list[Sent] = []

    async def main() -> tuple[float, float]:
        world = World(1, meets=lambda sent: asked.append(sent))
        await world.begin()
        await asyncio.sleep(1)
        standby = world.start("standby")
        assert await world.until(lambda: world.route == 10.0, limit=LIMIT)
        world.processes[0].kill()
        asked.clear()
        assert await world.until(lambda: standby.leads)
        led = world.clock.monotonic()
        assert await world.until(lambda: bool(standby.shown()))
        looked = world.clock.monotonic()
        world.end()
        return led, looked

    led, looked = loop.run(main())
    assert looked - led < 1.0
    single = [
        s.request.path for s in asked if s.request.method == "GET" and f"/namespaces/{NAMESPACE}/" in s.request.path
    ]
    assert single == []
