"""Puts a fleet on an API server: all objects of the rollouts, and routes and statuses as the operator leaves them.

The first rollouts go the whole way with a real operator. What it made of them is given to all others, written with its
own code: so the fleet is what that operator would have made of thousands in an hour.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from e2e.scale.fleet import (
    ARMS,
    DEPLOYED,
    arm_of,
    climbs,
    deployment,
    endpoints,
    name_of,
    namespace_of,
    rollout,
    service,
)
from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.httproute_shape import route_body, shape_of
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import DEPLOYMENTS, HTTPROUTES, ROLLOUTS, SERVICES, SLICES, Body
from modelrollout.adapters.kube.rollout_view import rollout_object
from modelrollout.adapters.kube.rollouts import KubeRollouts
from modelrollout.core.model import Key, ManagedRoute, Phase, Weight
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Gone, RolloutError
from modelrollout.ports import RolloutObject

AT_ONCE = 24
FIRST = 2
"""Rollouts that go the whole way: one of each kind."""
FIRST_SECONDS = 90.0
SHOWN_EVERY = 10.0
GATEWAY = "example.com/gateway"


class SeedError(RuntimeError):
    """The fleet could not be made; the message says what was missing."""


class Seed:
    """Writes objects of rollouts with `slis` SLIs each."""

    def __init__(self, client: KubeClient, slis: int) -> None:
        self._client = client
        self._rollouts = KubeRollouts(Reader(client, ObjectCache()))
        self._slis = slis
        self._models: dict[bool, RolloutStatus] = {}

    async def first(self) -> None:
        """Objects of the rollouts that the operator itself takes to their step."""
        await each(range(FIRST), "first rollouts", self._dependents)
        await each(range(FIRST), "first rollouts", self._created)

    async def served(self) -> None:
        """Wait until the operator has them at their step; what it wrote serves all others. Raises SeedError."""
        end = time.monotonic() + FIRST_SECONDS
        while True:
            found = [await self._rollouts.get(Key(namespace_of(index), name_of(index))) for index in range(FIRST)]
            for obj in found:
                with suppress(Gone):
                    await self._accept(await self._client.get(HTTPROUTES, obj.key.namespace, route_name(obj.key.name)))
            if all(_at_step(obj) for obj in found):
                break
            if time.monotonic() > end:
                said = [f"{obj.key}: {obj.status and (obj.status.phase, obj.status.message)}" for obj in found]
                raise SeedError(f"the operator did not start the first rollouts: {'; '.join(said)}")
            await asyncio.sleep(0.5)
        for index, obj in enumerate(found):
            assert obj.status is not None
            self._models[climbs(index)] = obj.status

    async def fleet(self, count: int) -> None:
        """All others."""
        rest = range(FIRST, count)
        await each(rest, "Deployments, Services, EndpointSlices", self._dependents)
        await each(rest, "rollouts with route and status", self._moving)

    async def _dependents(self, index: int) -> None:
        namespace = namespace_of(index)
        for version in ARMS:
            await self._client.create(DEPLOYMENTS, namespace, deployment(index, version))
            name = arm_of(index, version)
            await self._client.merge_patch(DEPLOYMENTS, namespace, name, DEPLOYED, subresource="status")
            await self._client.create(SERVICES, namespace, service(index, version))
            await self._client.create(SLICES, namespace, endpoints(index, version))

    async def _created(self, index: int) -> RolloutObject:
        return rollout_object(await self._client.create(ROLLOUTS, namespace_of(index), rollout(index, self._slis)))

    async def _moving(self, index: int) -> None:
        obj = await self._created(index)
        spec, model = obj.spec, self._models[climbs(index)]
        assert spec is not None
        assert isinstance(spec.traffic.router, ManagedRoute)
        assert model.step is not None
        assert model.weight is not None
        shape = shape_of(spec, spec.traffic.router)
        body = route_body(shape, spec, Weight(model.weight), None, None)
        await self._accept(await self._client.apply(HTTPROUTES, shape.namespace, shape.name, body, force=False))
        now = time.time()
        status = replace(
            model,
            backends=(arm_of(index, 1), arm_of(index, 2)),
            step=replace(model.step, started=now),
        )
        await self._rollouts.write_status(obj, status)

    async def _accept(self, route: Body) -> None:
        """What a gateway would say of the route."""
        meta, parents = route["metadata"], parents_of(route)
        if (route.get("status") or {}).get("parents") != parents:
            patch = {"status": {"parents": parents}}
            await self._client.merge_patch(HTTPROUTES, meta["namespace"], meta["name"], patch, subresource="status")


def parents_of(route: Body) -> list[Body]:
    """`status.parents` as a gateway writes it that has taken the route as it is."""
    meta = route["metadata"]
    said = {"status": "True", "reason": "Accepted", "message": "", "observedGeneration": meta["generation"]}
    said["lastTransitionTime"] = meta["creationTimestamp"]
    conditions = [{"type": kind, **said} for kind in ("Accepted", "ResolvedRefs")]
    return [
        {"parentRef": parent, "controllerName": GATEWAY, "conditions": conditions}
        for parent in route["spec"]["parentRefs"]
    ]


def _at_step(obj: RolloutObject) -> bool:
    status = obj.status
    return status is not None and status.phase is Phase.PROGRESSING and bool(status.weight)


async def each(indices: Iterable[int], what: str, work: Callable[[int], Awaitable[object]]) -> None:
    """Do the work for every index, some at a time, and show how far it is. Raises SeedError for what is refused."""
    chosen = list(indices)
    left = iter(chosen)
    done, shown = 0, time.monotonic()

    async def hand() -> None:
        nonlocal done, shown
        for index in left:
            try:
                await work(index)
            except RolloutError as error:
                raise SeedError(f"{what}, number {index}: {error}") from error
            done += 1
            if time.monotonic() - shown > SHOWN_EVERY:
                shown = time.monotonic()
                print(f"  {done} of {len(chosen)} {what}", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(hand())


def namespaces() -> list[Body]:
    """The namespaces of all rollouts."""
    names = sorted({namespace_of(index) for index in range(1000)})
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
