"""Somebody else's hands in the objects, and objects that no operator should be hurt by."""

from __future__ import annotations

from typing import assert_never

from e2e.chaos.faults import Edit, Poison
from e2e.chaos.process import LEASE, SYSTEM
from e2e.chaos.scene import NAME, NAMESPACE, rollout
from e2e.chaos.traffic import PODS
from e2e.chaos.world import World
from modelrollout.adapters.kube.resources import LEASES, ROLLOUTS

POISON = "poison"
PASSING = f"{POISON}-passing"
"""A rollout of something that is not there."""
AWAY = 20.0
STAYS = 30.0
LEASE_SECONDS = 18.0
"""Until a Lease that nobody renews any more is somebody else's."""


def edit(world: World, what: Edit) -> float:
    """Write it, if what it is about is there; for how many seconds it goes on."""
    if what is Edit.SLICES_AWAY:
        world.serve("candidate", 0)
        world.later(AWAY, lambda: world.serve("candidate", PODS))
        return AWAY + 1.0
    if what is Edit.ROUTE_DELETED:
        seconds = world.carrier.take_away(world.people)
        if seconds:
            world.later(seconds, lambda: world.carrier.put_back(world.people))
        return seconds + 1.0 if seconds else 0.0
    if what is Edit.FORCED_AWAY:
        name = _another(world, PASSING)
        world.people.create(ROLLOUTS, name, rollout(legacy={"deployment": "no"}, candidate={"deployment": "none"}))
        world.later(STAYS, lambda: _force_away(world, name))
        return STAYS
    if what in (Edit.LEASE_DELETED, Edit.LEASE_STOLEN):
        _lease(world, what)
        return LEASE_SECONDS
    _write(world, what)
    return 0.0


def _write(world: World, what: Edit) -> None:
    people = world.people
    match what:
        case Edit.WEIGHT:
            world.carrier.by_hand(people, 45)
        case Edit.DECORATE:
            world.carrier.decorate(people)
        case Edit.LABEL:
            if world.rollout is not None:
                people.patch(ROLLOUTS, NAME, {"metadata": {"labels": {"example.com/seen": "yes"}}})
        case Edit.TOUCH_STATUS:
            if world.rollout is not None:
                people.patch(ROLLOUTS, NAME, {"status": {"message": "scribbled"}}, part="status")
        case Edit.STEPS:
            world.edit_steps([10, 40, 100])
        case Edit.ABORT:
            world.act("Abort")
        case _:
            raise AssertionError(what)


def _another(world: World, name: str) -> str:
    while world.people.get(ROLLOUTS, name) is not None:
        name += "-2"
    return name


def _force_away(world: World, name: str) -> None:
    world.people.patch(ROLLOUTS, name, {"metadata": {"finalizers": None}})
    world.people.delete(ROLLOUTS, name)


def _lease(world: World, what: Edit) -> None:
    store, place = world.server.store, (SYSTEM, LEASE)
    lease = store.look(LEASES, place)
    if lease is None:
        return
    if what is Edit.LEASE_DELETED:
        store.delete(LEASES, place, {}, agent="kubectl")
        return
    transitions = lease["spec"]["leaseTransitions"] + 1
    spec = {**lease["spec"], "holderIdentity": "somebody", "leaseTransitions": transitions}
    store.update(LEASES, place, {**lease, "spec": spec, "metadata": dict(lease["metadata"])}, agent="kubectl")


def poison(world: World, what: Poison) -> None:
    """Create a second rollout that is wrong in its own way."""
    body = rollout()
    name = _another(world, f"{POISON}-{what.value}")
    body["metadata"] = {"name": name}
    match what:
        case Poison.STORED_GARBAGE:
            body["spec"]["steps"] = "none"
        case Poison.HUGE:
            body["metadata"]["annotations"] = {"example.com/notes": "x" * 250_000}
        case Poison.STATUS_GARBAGE:
            body["status"] = {"phase": "Progressing", "step": {"index": "one"}, "conditions": "all", "weight": -7}
        case Poison.SHARED_ROUTE:
            body["spec"]["traffic"] = world.carrier.shared
        case Poison.UNICODE:
            body["metadata"]["annotations"] = {"example.com/notes": "模型 \N{FIRE}\x00\n"}
            body["spec"]["candidate"] = {"deployment": "\N{FIRE}" * 60}
        case _:
            assert_never(what)
    stored = world.people.create(ROLLOUTS, name, {**rollout(), "metadata": body.get("metadata", {})})
    # As through an older version of the CRD: past its validation.
    world.server.store.plant(ROLLOUTS, (NAMESPACE, name), {**stored, **body}, agent="kubectl")
