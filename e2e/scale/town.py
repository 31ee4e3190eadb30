"""Everybody but the operator in a soak: the gateway, who runs the pods, and the hand that writes objects."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from e2e.scale.exporter import Order
from e2e.scale.fleet import index_of, namespace_of
from e2e.scale.mirror import Mirror, Place
from e2e.scale.seed import parents_of
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import HTTPROUTES, ROLLOUTS, Body, Resource
from modelrollout.errors import Conflict, Gone, RolloutError

PATIENCE = 300.0
"""Seconds within which anything that a rollout is to do must have come about: its steps take half a minute, its
evidence some ticks, a restarted API server or Prometheus half a minute more."""
TICK = 0.5
LONGEST_TICK = 1.0
AGAIN = 1.0


class Patience:
    """A clock that stands while this process is kept from running, as the operator then is too."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stood = 0.0
        """Seconds left out so far."""

    async def run(self) -> None:
        """Go, until cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            passed = min(now - before, LONGEST_TICK)
            self.now += passed
            self.stood += now - before - passed
            before = now


class Town:
    """Shared by all slots; `patience` is the clock of all waits."""

    def __init__(self, kubeconfig: Path, client: KubeClient, exporter: str) -> None:
        self.client = client
        self.patience = Patience()
        self.mirror = Mirror(kubeconfig, self._told)
        self._exporter = exporter
        # Not kept: a connection that is dropped in the end is a traceback of the exporter.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        self._orders: dict[int, Order] = {}
        self._followed: dict[int, str] = {}
        self._telling: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look on and act."""
        await self.mirror.start()
        self._clock = asyncio.create_task(self.patience.run())

    async def stop(self) -> None:
        """End."""
        if self._clock is not None:
            self._clock.cancel()
        for task in self._tasks:
            task.cancel()
        await self.mirror.stop()
        await self._session.close()

    def rollout(self, namespace: str, name: str) -> Body | None:
        """As the API server has it."""
        return self.mirror.objects.get((ROLLOUTS, namespace, name))

    def share(self, namespace: str, route: str) -> float:
        """The candidate's share of a route; 0 without the route."""
        return share_of(self.mirror.objects.get((HTTPROUTES, namespace, route)))

    async def insist(self, call: Callable[[], Awaitable[object]]) -> None:
        """Make a write, again while the API server is away. What is there or gone already is as good."""
        end = self.patience.now + PATIENCE
        while True:
            try:
                await call()
                return
            except (Conflict, Gone):
                return
            except RolloutError:
                if self.patience.now > end:
                    raise
                await asyncio.sleep(AGAIN)

    async def create(self, resource: Resource, index: int, body: Body) -> None:
        """Create an object of a slot."""
        await self.insist(lambda: self.client.create(resource, namespace_of(index), body))

    async def patch(self, resource: Resource, index: int, name: str, patch: Body, *, part: str = "") -> None:
        """Merge-patch an object of a slot."""
        await self.insist(lambda: self.client.merge_patch(resource, namespace_of(index), name, patch, subresource=part))

    async def delete(self, resource: Resource, index: int, name: str) -> None:
        """Delete an object of a slot."""
        await self.insist(lambda: self.client.delete(resource, namespace_of(index), name))

    async def follow(self, index: int, route: str) -> None:
        """The users of a slot are sent by this route from now on: what becomes of its earlier ones is no matter."""
        self._followed[index] = route
        await self.order(index, share=self.share(namespace_of(index), route))

    async def order(self, index: int, **changes: Any) -> None:
        """Tell the pods of a slot how to be."""
        async with self._telling[index]:  # the one that is told last must be the newest
            before = self._orders.get(index, Order(share=0.0))
            self._orders[index] = order = replace(before, **changes)
            asked = {
                "index": str(index),
                "share": f"{order.share:.6f}",
                "bad": str(int(order.bad)),
                "legacy": str(order.lives[0]),
                "candidate": str(order.lives[1]),
            }
            while not await self._heard(asked):
                await asyncio.sleep(AGAIN)

    async def _heard(self, asked: Mapping[str, str]) -> bool:
        """A busy exporter drops connections, and an order that is lost is a candidate without users."""
        try:
            async with self._session.post(f"{self._exporter}/order", params=asked) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientConnectionError, TimeoutError):
            return False
        return True

    def lives(self, index: int) -> tuple[int, int]:
        """Which pods the slot has."""
        return self._orders.get(index, Order()).lives

    def _told(self, place: Place, body: Body | None) -> None:
        if place[0] is HTTPROUTES:
            task = asyncio.get_running_loop().create_task(self._obey(place, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _obey(self, place: Place, route: Body | None) -> None:
        index = index_of(place[2])
        if place[2] == self._followed.get(index):
            await self.order(index, share=share_of(route))
        if route is None:
            return
        parents = parents_of(route)
        if (route.get("status") or {}).get("parents") != parents:
            await self.patch(HTTPROUTES, index, place[2], {"status": {"parents": parents}}, part="status")


def share_of(route: Body | None) -> float:
    """The candidate's share of all requests, 0 to 1."""
    for rule in reversed((route or {}).get("spec", {}).get("rules") or ()):
        weights = {str(ref["name"]): int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or ()}
        whole = sum(weights.values())
        if whole:
            return sum(weight for name, weight in weights.items() if name.endswith("-v2")) / whole
    return 0.0
