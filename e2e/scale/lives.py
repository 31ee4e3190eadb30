"""The lives that rollouts have in a soak: each begins alike, with a rollout just created, and ends another way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from e2e.scale.fleet import arm_of, deployment
from e2e.scale.slot import ABSENCE, STEPS, Life, Slot
from modelrollout.adapters.kube.resources import DEPLOYMENTS


async def plain(slot: Slot) -> None:
    """Up to the end."""
    await slot.promoted()


async def bad(slot: Slot) -> None:
    """Turns bad and goes back."""
    await slot.at(slot.rng.choice(STEPS[1:3]))
    await slot.town.order(slot.index, bad=True)
    await slot.back("turned bad")


async def retried(slot: Slot) -> None:
    """Turns bad, is mended without a new revision, and retried."""
    await bad(slot)
    await slot.town.order(slot.index, bad=False)
    await slot.act("Retry")
    await slot.promoted()


async def aborted(slot: Slot) -> None:
    """Aborted on the way; another revision then makes it."""
    await slot.at(slot.rng.choice(STEPS[:3]))
    await slot.act("Abort")
    await slot.back("Abort")
    await slot.revise()
    await slot.promoted()


async def again(slot: Slot) -> None:
    """Promoted, and then another revision that is bad."""
    await slot.promoted()
    await slot.revise()
    await slot.until("next revision", lambda: slot.share < 1.0)
    await bad(slot)


async def edited(slot: Slot) -> None:
    """Its spec changes on the way."""
    await slot.at(25)
    await slot.edit(stepDefaults={"minDuration": "8s", "maxDuration": "31m"})
    await slot.read()
    await slot.promoted()


async def wrong(slot: Slot) -> None:
    """Its spec becomes wrong on the way, and right again."""
    await slot.at(25)
    await slot.edit(candidate={"deployment": "nobody-has-this"})
    await slot.in_phase("Invalid", "Paused")
    await slot.edit(candidate={"deployment": arm_of(slot.index, 2)})
    await slot.promoted()


async def unready(slot: Slot) -> None:
    """The candidate's pods go away and others come."""
    await slot.at(25)
    legacy, candidate = slot.town.lives(slot.index)
    await slot.pods(legacy, candidate + 1, ready=False)
    await asyncio.sleep(ABSENCE)
    await slot.pods(legacy + 1, candidate + 2)
    await slot.in_phase("Promoted", "RolledBack")


async def bereft(slot: Slot) -> None:
    """The candidate's Deployment is deleted and created again."""
    await slot.at(25)
    await slot.town.delete(DEPLOYMENTS, slot.index, arm_of(slot.index, 2))
    await asyncio.sleep(ABSENCE)
    await slot.town.create(DEPLOYMENTS, slot.index, deployment(slot.index, 2))
    await slot.deployed(2)
    await slot.in_phase("Promoted", "RolledBack")


async def paused(slot: Slot) -> None:
    """Paused and resumed by a person."""
    await slot.at(25)
    await slot.act("Pause")
    await slot.in_phase("Paused")
    await slot.act("Resume")
    await slot.promoted()


async def skipped(slot: Slot) -> None:
    """Promoted by a person."""
    await slot.at(10)
    await slot.act("Promote")
    await slot.promoted()


async def deleted(slot: Slot) -> None:
    """Deleted on the way: legacy has all requests."""
    await slot.at(slot.rng.choice(STEPS[:3]))
    await slot.delete()
    await slot.until("0 % after deletion", lambda: slot.share == 0.0)


async def brief(slot: Slot) -> None:
    """Deleted before it has begun: nothing has happened, or legacy has all requests."""
    await asyncio.sleep(slot.rng.uniform(0.0, 3.0))
    await slot.delete()
    await slot.until("0 % after deletion", lambda: slot.share in (0.0, slot.before))


KINDS: Mapping[str, Life] = {
    life.__name__: life
    for life in (
        plain,
        bad,
        retried,
        aborted,
        again,
        edited,
        wrong,
        unready,
        bereft,
        paused,
        skipped,
        deleted,
        brief,
    )
}
"""By name."""
