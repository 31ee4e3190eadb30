"""The life of a rollout, as people and models make it, with each kind of router."""

from __future__ import annotations

import asyncio

from e2e.chaos.router_workloads import router_workloads
from e2e.chaos.workload import Script, Workload, at
from e2e.chaos.world import World


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
    plain = {each.name: each for each in found}
    others = router_workloads({name: each.script for name, each in plain.items()})
    return plain | {each.name: each for each in others}


async def _nothing(world: World) -> None:
    return


def _fails_at(percent: float) -> Script:
    async def fails(world: World) -> None:
        await at(world, percent)
        world.break_candidate()

    return fails


async def _abort(world: World) -> None:
    await at(world, 50)
    world.act("Abort")


async def _pause_resume(world: World) -> None:
    await at(world, 10)
    world.act("Pause")
    await asyncio.sleep(40)
    world.act("Resume")


async def _new_revision(world: World) -> None:
    await at(world, 50)
    world.deploy("two")


async def _back_to_first(world: World) -> None:
    await at(world, 10)
    world.deploy("two")
    await asyncio.sleep(8)
    world.deploy("one")


async def _back_to_rejected(world: World) -> None:
    await at(world, 10)
    world.act("Abort")
    await world.until(lambda: world.phase == "RolledBack")
    rejected = world.revision
    world.deploy("two")
    await world.until(lambda: world.revision != rejected)
    await at(world, 10)
    world.deploy("one")


async def _retry(world: World) -> None:
    await at(world, 50)
    world.act("Abort")
    await world.until(lambda: world.phase == "RolledBack")
    await asyncio.sleep(5)
    world.act("Retry")


async def _delete(world: World) -> None:
    await at(world, 50)
    world.delete()


async def _outage(world: World) -> None:
    await at(world, 10)
    await world.trouble_for(60)


async def _upgrade(world: World) -> None:
    await at(world, 10)
    await world.upgrade()
    await at(world, 50)
    await world.upgrade()


async def _candidate_away(world: World) -> None:
    await at(world, 50)
    world.serve("candidate", 0)
    await asyncio.sleep(25)
    world.serve("candidate", 2)


async def _legacy_away(world: World) -> None:
    await at(world, 50)
    world.serve("legacy", 0)
    world.act("Abort", when="legacy is back")
    await asyncio.sleep(40)
    world.serve("legacy", 2)
    world.due("abort, legacy is back")


async def _edit_steps(world: World) -> None:
    await at(world, 10)
    world.edit_steps([10, 30, 60, 100])
