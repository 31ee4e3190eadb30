"""One namespace with all that a rollout needs, its traffic, and the gateway's answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from e2e.chaos.real.prometheus import Prometheus
from e2e.chaos.real.witness import Sight, Witness
from e2e.chaos.scene import CANDIDATE, LEGACY, NAME, PORT, ROUTE, rollout, slice_of, weight_of, workload
from e2e.chaos.traffic import PODS, Traffic
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    HTTPROUTES,
    NAMESPACES,
    ROLLOUTS,
    SERVICES,
    SLICES,
    SOURCES,
    Body,
)
from modelrollout.errors import Conflict, RolloutError

RATE = 2000.0
"""Requests a second: a few seconds at 10 % must be proof enough."""
SCRAPE = 1.0
GATEWAY_LAG = 0.2
BAD = 0.5
TIMING: Body = {
    "stepDefaults": {"minDuration": "3s", "maxDuration": "30m"},
    "analysis": {"interval": "1s", "warmup": "0s"},
}


@dataclass(frozen=True, slots=True)
class Hands:
    """Everybody but the operator, past the proxy."""

    client: KubeClient
    witness: Witness
    prometheus: Prometheus

    async def source(self) -> None:
        """The MetricSource that all namespaces share."""
        spec = {"prometheus": {"address": self.prometheus.url}, "arms": {"by": "pod"}, "scrapeInterval": f"{SCRAPE:g}s"}
        try:
            await self.client.create(SOURCES, "", _object(SOURCES.api_version, SOURCES.kind, "default", {"spec": spec}))
        except Conflict:  # that of an earlier stand-in
            await self.client.merge_patch(SOURCES, "", "default", {"spec": spec})


class Stage:
    """One namespace."""

    def __init__(self, hands: Hands, namespace: str) -> None:
        self.hands, self.namespace = hands, namespace
        self.traffic = Traffic(namespace, LEGACY, CANDIDATE, start=time.time(), rate=RATE, scrape=SCRAPE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def furnish(self) -> None:
        """Everything but the rollout."""
        hands = self.hands
        hands.prometheus.traffic[self.namespace] = self.traffic
        hands.witness.listeners[self.namespace] = self._hears
        await hands.client.create(NAMESPACES, "", _object("v1", "Namespace", self.namespace, {}))
        for name in (LEGACY, CANDIDATE):
            await self._arm(name)

    async def roll_out(self) -> None:
        """Somebody creates the rollout."""
        traffic = rollout()["spec"]["traffic"] | {"settle": "1s"}
        body = _object(ROLLOUTS.api_version, ROLLOUTS.kind, NAME, rollout(traffic=traffic, **TIMING))
        await self.hands.client.create(ROLLOUTS, self.namespace, body)

    async def _arm(self, name: str) -> None:
        client, where = self.hands.client, self.namespace
        made = await client.create(DEPLOYMENTS, where, _object("apps/v1", "Deployment", name, workload(name, "one")))
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), PODS)
        status = {"status": {"observedGeneration": made["metadata"]["generation"], **counts}}
        await client.merge_patch(DEPLOYMENTS, where, name, status, subresource="status")
        ports = {"spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": PORT}]}}
        await client.create(SERVICES, where, _object("v1", "Service", name, ports))
        await client.create(SLICES, where, _object(SLICES.api_version, SLICES.kind, f"{name}-1", slice_of(name, PODS)))

    def close(self) -> None:
        """Nobody acts here any more."""
        self.hands.witness.listeners.pop(self.namespace, None)
        self.hands.prometheus.traffic.pop(self.namespace, None)
        for task in self._tasks:
            task.cancel()

    # --- what is and what people do ----------------------------------------------------------------------------------

    @property
    def rollout(self) -> Body | None:
        """The ModelRollout as last seen."""
        return self.hands.witness.latest.get((self.namespace, ROLLOUTS, NAME))

    @property
    def phase(self) -> str:
        """Of the rollout."""
        return str(((self.rollout or {}).get("status") or {}).get("phase", ""))

    @property
    def weight(self) -> float | None:
        """The candidate's, in percent."""
        return weight_of(self.hands.witness.latest.get((self.namespace, HTTPROUTES, ROUTE)))

    def break_candidate(self) -> None:
        """It begins to fail."""
        self.traffic.fail(time.time(), "candidate", BAD)

    async def act(self, verb: str) -> None:
        """Somebody creates a RolloutAction."""
        spec = {"spec": {"rollout": NAME, "action": verb, "reason": "fault suite"}}
        body = _object(ACTIONS.api_version, ACTIONS.kind, f"{NAME}-{verb.lower()}-1", spec)
        await self.hands.client.create(ACTIONS, self.namespace, body)

    async def delete(self) -> None:
        """Somebody deletes the rollout."""
        await self.hands.client.delete(ROLLOUTS, self.namespace, NAME)

    # --- the gateway -------------------------------------------------------------------------------------------------

    def _hears(self, sight: Sight) -> None:
        if sight.resource is HTTPROUTES and sight.name == ROUTE:
            task = asyncio.get_running_loop().create_task(self._obey(sight.body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _obey(self, route: Body | None) -> None:
        await asyncio.sleep(GATEWAY_LAG)
        self.traffic.order(time.time(), (weight_of(route) or 0.0) / 100.0)
        if route is None or _heard(route) == route["metadata"]["generation"]:
            return
        patch = {"status": {"parents": [_parent(ref, route) for ref in route["spec"].get("parentRefs") or ()]}}
        while True:
            try:
                await self.hands.client.merge_patch(HTTPROUTES, self.namespace, ROUTE, patch, subresource="status")
                return
            except RolloutError:  # the API server is away, or the route
                await asyncio.sleep(0.5)
                if self.weight is None:
                    return


def _object(version: str, kind: str, name: str, rest: Body) -> Body:
    return {"apiVersion": version, "kind": kind, **rest, "metadata": {"name": name, **rest.get("metadata", {})}}


def _heard(route: Body) -> int | None:
    parents = (route.get("status") or {}).get("parents") or ()
    return next((p["conditions"][0]["observedGeneration"] for p in parents), None)


def _parent(ref: Body, route: Body) -> Body:
    meta = route["metadata"]
    said = {"status": "True", "message": "", "observedGeneration": meta["generation"]}
    said["lastTransitionTime"] = meta["creationTimestamp"]
    conditions = [{"type": kind, "reason": kind, **said} for kind in ("Accepted", "ResolvedRefs")]
    return {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": conditions}
