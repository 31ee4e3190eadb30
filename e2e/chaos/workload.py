"""A workload: what happens in a run although nothing is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from e2e.chaos.carriers import MANAGED, Carrier
from e2e.chaos.scene import rollout
from e2e.chaos.world import World
from modelrollout.adapters.kube.resources import Body

Script = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Workload:
    """`script` acts while the rollout runs. `ends`: phases in which the run is over (empty: when the object is gone).
    `carrier`: what has the weights, which `spec` must name.

    `brief`: something lasts so shortly that a level-triggered operator may miss it.
    """

    name: str
    script: Script
    ends: tuple[str, ...]
    brief: bool = False
    spec: Callable[[], Body] = field(default=rollout)
    carrier: Carrier = MANAGED


async def at(world: World, percent: float) -> None:
    """Wait until the candidate has that share, or the rollout is over, and a little longer."""
    await world.until(lambda: (world.route or 0.0) >= percent or world.phase in ("Promoted", "RolledBack"))
    await asyncio.sleep(3)
