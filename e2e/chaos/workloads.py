"""What happens in a run although nothing is broken: the life of a rollout, as people and models make it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from e2e.chaos.scene import rollout
from e2e.chaos.world import World
from modelrollout.adapters.kube.resources import Body

Script = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Workload:
    """`script` acts while the rollout runs. `ends`: phases in which the run is over (empty: when the object is gone).

    `brief`: something lasts so shortly that a level-triggered operator may miss it.
    """

    name: str
    script: Script
    ends: tuple[str, ...]
    brief: bool = False
    spec: Callable[[], Body] = field(default=rollout)


def workloads() -> dict[str, Workload]:
    """All of them by name."""
    found = (
        Workload("promote", _nothing, ("Promoted",)),
        Workload("fail-at-10", _fails_at(10), ("RolledBack",)),
        Workload("fail-at-50", _fails_at(50), ("RolledBack",)),
        Workload("fail-at-100", _fails_at(100), ("RolledBack",)),
        Workload("abort", _abort, ("RolledBack",)),
        Workload("pause-resume", _pause_resume, ("Promoted",)),
        Workload("new-revision", _new_revision, ("Promoted",)),
        Workload("back-to-first", _back_to_first, ("Promoted",), brief=True),
        Workload("back-to-rejected", _back_to_rejected, ("RolledBack",)),
        Workload("retry", _retry, ("Promoted",)),
        Workload("delete", _delete, ()),
        Workload("outage", _outage, ("Promoted",)),
        Workload("upgrade", _upgrade, ("Promoted",)),
        Workload("candidate-away", _candidate_away, ("Promoted",)),
        Workload("legacy-away", _legacy_away, ("RolledBack",)),
        Workload("edit-steps", _edit_steps, ("Promoted",)),
    )
    return {each.name: each for each in found}


async def _nothing(world: World) -> None:
    return


def _fails_at(percent: float) -> Script:
    async def fails(world: World) -> None:
        await _at(world, percent)
        world.break_candidate()

    return fails


async def _abort(world: World) -> None:
    await _at(world, 50)
    world.act("Abort")


async def _pause_resume(world: World) -> None:
    await _at(world, 10)
    world.act("Pause")
    await asyncio.sleep(40)
    world.act("Resume")


async def _new_revision(world: World) -> None:
    await _at(world, 50)
    world.deploy("two")


async def _back_to_first(world: World) -> None:
    await _at(world, 10)
    world.deploy("two")
    await asyncio.sleep(8)
    world.deploy("one")


async def _back_to_rejected(world: World) -> None:
    await _at(world, 10)
    world.act("Abort")
    await world.until(lambda: world.phase == "RolledBack")
    rejected = world.revision
    world.deploy("two")
    await world.until(lambda: world.revision != rejected)
    await _at(world, 10)
    world.deploy("one")


async def _retry(world: World) -> None:
    await _at(world, 50)
    world.act("Abort")
    await world.until(lambda: world.phase == "RolledBack")
    await asyncio.sleep(5)
    world.act("Retry")


async def _delete(world: World) -> None:
    await _at(world, 50)
    world.delete()


async def _outage(world: World) -> None:
    await _at(world, 10)
    await world.trouble_for(60)


async def _upgrade(world: World) -> None:
    await _at(world, 10)
    await world.upgrade()
    await _at(world, 50)
    await world.upgrade()


async def _candidate_away(world: World) -> None:
    await _at(world, 50)
    world.serve("candidate", 0)
    await asyncio.sleep(25)
    world.serve("candidate", 2)


async def _legacy_away(world: World) -> None:
    await _at(world, 50)
    world.serve("legacy", 0)
    world.act("Abort", when="legacy is back")
    await asyncio.sleep(40)
    world.serve("legacy", 2)
    world.due("abort, legacy is back")


async def _edit_steps(world: World) -> None:
    await _at(world, 10)
    world.edit_steps([10, 30, 60, 100])


async def _at(world: World, percent: float) -> None:
    await world.until(lambda: (world.route or 0.0) >= percent or world.phase in ("Promoted", "RolledBack"))
    await asyncio.sleep(3)
