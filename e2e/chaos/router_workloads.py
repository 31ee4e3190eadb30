"""What happens in a run with a router of another kind: objects of others that are adopted, and shares of pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from e2e.chaos.carriers import (
    AdoptedRoute,
    CanaryIngress,
    Carrier,
    SegmentedVirtualService,
    TraefikService,
    VirtualService,
)
from e2e.chaos.pods import PodPlane
from e2e.chaos.scene import CANDIDATE, LEGACY, rollout
from e2e.chaos.shared_service import SharedService
from e2e.chaos.workload import Script, Workload, at
from e2e.chaos.world import World
from modelrollout.adapters.kube.resources import DEPLOYMENTS, Body

ADOPTERS: dict[str, Carrier] = {
    "adopted": AdoptedRoute(),
    "nginx": CanaryIngress(),
    "istio": VirtualService(),
    "istio-segment": SegmentedVirtualService(),
    "traefik": TraefikService(),
}
PODS = SharedService(10)
FEWER = SharedService(10, legacy=4)
DEADLINE = 45.0
"""Seconds that a candidate's pods may take where none comes up."""
SCALER = 15.0
"""Seconds between two looks of an autoscaler."""


def router_workloads(scripts: dict[str, Script]) -> Iterator[Workload]:
    """`scripts`: those of the managed route that are run with each of them, by what they are called there."""
    for prefix, carrier in ADOPTERS.items():
        for name, ends in (("promote", ("Promoted",)), ("fail-at-50", ("RolledBack",)), ("delete", ())):
            yield Workload(f"{prefix}-{name}", scripts[name], ends, spec=_spec(carrier), carrier=carrier)
    shared = (
        ("promote", ("Promoted",)),
        ("fail-at-50", ("RolledBack",)),
        ("fail-at-100", ("RolledBack",)),
        ("abort", ("RolledBack",)),
        ("new-revision", ("Promoted",)),
        ("candidate-away", ("Promoted",)),
        ("delete", ()),
    )
    for name, ends in shared:
        yield Workload(f"pods-{name}", scripts[name], ends, spec=_spec(PODS), carrier=PODS)
    deadline = _spec(PODS, candidateDeadline=f"{DEADLINE:g}s")
    yield Workload("pods-never-ready", _never_ready, ("RolledBack",), spec=deadline, carrier=PODS)
    yield Workload("pods-legacy-small", scripts["promote"], ("Promoted",), spec=_spec(FEWER), carrier=FEWER)
    yield Workload("pods-rescaled", _rescaled, ("Promoted",), spec=_spec(PODS), carrier=PODS)
    yield Workload("pods-legacy-scaled", _legacy_scaled, ("RolledBack",), spec=_spec(PODS), carrier=PODS)


def _spec(carrier: Carrier, **changes: Any) -> Callable[[], Body]:
    return lambda: rollout(traffic=carrier.traffic, **changes)


async def _never_ready(world: World) -> None:
    assert isinstance(world.plane, PodPlane)
    await at(world, 10)
    world.plane.stuck.add(CANDIDATE)


async def _rescaled(world: World) -> None:
    """What an autoscaler does that was made in mid-way and is taken away again: it asks for its number twice."""
    await at(world, 50)
    for _ in range(2):
        if world.phase == "Promoted":
            return
        world.people.patch(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 4}})
        await asyncio.sleep(SCALER)
    # Whoever resumes has seen that it waits for a person, late as that may be told while the API server fails.
    await world.until(lambda: _reason(world) == "RouteConflict" or world.phase in ("Promoted", "RolledBack"), limit=300)
    world.act("Resume")


def _reason(world: World) -> str:
    return str(((world.rollout or {}).get("status") or {}).get("reason", ""))


async def _legacy_scaled(world: World) -> None:
    """Somebody saves pods that look idle, and then the candidate is aborted."""
    await at(world, 50)
    world.people.patch(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 1}})
    await asyncio.sleep(2)
    world.act("Abort")
