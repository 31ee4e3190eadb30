"""One place for a rollout in a soak: what people and controllers do there, and what is waited for.

A slot keeps its Deployments and Services; rollouts come under the slot's name or one never seen before, one at a time.
What a life is waiting for is seen on the API server, never in what the operator says of itself on /metrics.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e.scale.fleet import (
    ARMS,
    DEPLOYED,
    Body,
    arm_of,
    deployment,
    endpoints,
    name_of,
    namespace_of,
    rollout,
    service,
)
from e2e.scale.town import PATIENCE, Town
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    HTTPROUTES,
    ROLLOUTS,
    SERVICES,
    SLICES,
)

POLL = 0.25
STEPS = (10, 25, 50, 100)
LEISURE = (10.0, 90.0)
"""Seconds between two lives of a slot, with the rollout at rest for the first half and gone for the second."""
ABSENCE = 12.0
"""Seconds for which pods or a Deployment are away."""
SPEC: Body = {
    "steps": [{"weight": weight} for weight in STEPS],
    "stepDefaults": {"minDuration": "6s", "maxDuration": "30m"},
    "slis": [
        {
            "name": "errors",
            "profile": "modelrollout/errors",
            "objective": "95",
            "margin": {"ratio": "2", "difference": "0.05"},
        }
    ],
    "errorBudget": {"rolloutShare": "100%", "minRemaining": "0%"},
    "analysis": {"interval": "5s", "warmup": "5s", "sampleRatio": "Warn"},
}
"""Short steps and wide margins: a pass takes some ticks. Requests follow a new weight only with the next scrape."""


class Stuck(Exception):
    """Something did not come about within PATIENCE."""


@dataclass(slots=True)
class Tally:
    """What became of all lives."""

    lives: dict[str, int] = field(default_factory=dict)
    waits: dict[str, list[float]] = field(default_factory=dict)
    stuck: list[str] = field(default_factory=list)


Life = Callable[["Slot"], Awaitable[None]]


class Slot:
    """One place in the town. `kinds`: the lives; dealt out in an order of its own, each once before one comes again."""

    def __init__(self, index: int, town: Town, tally: Tally, kinds: Mapping[str, Life]) -> None:
        self.index, self.town, self.tally = index, town, tally
        self.rng = random.Random(index)
        self._kinds = kinds
        self.before = 0.0
        """The candidate's share when the present life began."""
        self._revision = 2
        self._acted = 0
        self._namespace = namespace_of(index)
        self._name = name_of(index)
        self._serial = 0
        self._deck: list[str] = []

    async def run(self) -> None:
        """Live, until cancelled."""
        for version in ARMS:
            await self.town.create(DEPLOYMENTS, self.index, deployment(self.index, version))
            await self.deployed(version)
            await self.town.create(SERVICES, self.index, service(self.index, version))
            await self.town.create(SLICES, self.index, endpoints(self.index, version))
        await asyncio.sleep(self.rng.uniform(5.0, LEISURE[1]))
        while True:
            await self._life()

    async def _life(self) -> None:
        if not self._deck:
            self._deck = self.rng.sample(list(self._kinds), len(self._kinds))
        kind = self._deck.pop()
        self._serial += 1
        fresh = self.rng.random() < 0.5
        self._name = f"{name_of(self.index)}-g{self._serial}" if fresh else name_of(self.index)
        await self.town.follow(self.index, route_name(self._name))
        rest = self.rng.uniform(*LEISURE) / 2
        try:
            await self._begin()
            await self._kinds[kind](self)
            self.tally.lives[kind] = self.tally.lives.get(kind, 0) + 1
            await asyncio.sleep(rest)
        except Stuck as error:
            self.tally.stuck.append(f"{self._namespace}/{self._name}, {kind}: {error}")
        await self.town.order(self.index, bad=False)
        try:
            await self.delete()
            if fresh:
                await self.town.delete(HTTPROUTES, self.index, route_name(self._name))
        except Stuck as error:
            self.tally.stuck.append(f"{self._namespace}/{self._name}, {kind}, its end: {error}")
        for serial in range(self._acted):
            await self.town.delete(ACTIONS, self.index, self._action(serial))
        self._acted = 0
        await asyncio.sleep(rest)

    async def _begin(self) -> None:
        self.before = self.share
        body = rollout(self.index, 1)
        body["metadata"] = {"name": self._name, "namespace": self._namespace}
        body["spec"] |= SPEC
        if self.before < 1.0:
            await self.revise()
            await self.town.create(ROLLOUTS, self.index, body)
            return
        # A promoted rollout of the same name has left its route. What has everything is taken as promoted.
        await self.town.create(ROLLOUTS, self.index, body)
        await self.promoted()
        await self.revise()
        await self.until("next revision", lambda: self.share < 1.0)

    # --- what people and controllers do ------------------------------------------------------------------------------

    def _action(self, serial: int) -> str:
        return f"{self._name}-{self._serial}-{serial}"

    async def act(self, verb: str) -> None:
        """Somebody creates a RolloutAction."""
        meta = {"name": self._action(self._acted), "namespace": self._namespace}
        body = {"apiVersion": ACTIONS.api_version, "kind": ACTIONS.kind, "metadata": meta}
        await self.town.create(ACTIONS, self.index, body | {"spec": {"rollout": self._name, "action": verb}})
        self._acted += 1

    async def edit(self, **changes: Any) -> None:
        """Somebody changes the spec."""
        await self.town.patch(ROLLOUTS, self.index, self._name, {"spec": changes})

    async def delete(self) -> None:
        """Somebody deletes the rollout; returns when it is gone."""
        await self.town.delete(ROLLOUTS, self.index, self._name)
        await self.until("gone", lambda: self.town.rollout(self._namespace, self._name) is None)

    async def revise(self) -> None:
        """A new revision of the candidate, with new pods of both arms."""
        self._revision += 1
        container = {"name": "model", "image": "example/model:1", "env": [{"name": "V", "value": str(self._revision)}]}
        template = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self.town.patch(DEPLOYMENTS, self.index, arm_of(self.index, 2), template)
        await self.deployed(2)
        legacy, candidate = self.town.lives(self.index)
        await self.pods(legacy + self.rng.randrange(2), candidate + 1)

    async def deployed(self, version: int) -> None:
        """The controller is done with the Deployment."""
        # Nobody looks whether the controller is ahead of the spec, and every generation is done with at once.
        status = {"status": DEPLOYED["status"] | {"observedGeneration": 10_000}}
        await self.town.patch(DEPLOYMENTS, self.index, arm_of(self.index, version), status, part="status")

    async def pods(self, legacy: int, candidate: int, *, ready: bool = True) -> None:
        """Other pods; `ready`: the candidate's."""
        for version, life in zip(ARMS, (legacy, candidate), strict=True):
            body = endpoints(self.index, version, life=life, ready=ready or version == ARMS[0])
            patch = {"endpoints": body["endpoints"]}
            await self.town.patch(SLICES, self.index, arm_of(self.index, version), patch)
        await self.town.order(self.index, lives=(legacy, candidate))

    # --- what is waited for ------------------------------------------------------------------------------------------

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait. Raises Stuck."""
        patience = self.town.patience
        begun = patience.now
        while not condition():
            if patience.now > begun + PATIENCE:
                raise Stuck(f"{what}: not within {PATIENCE:g} s; {self._said()}")
            await asyncio.sleep(POLL)
        self.tally.waits.setdefault(what, []).append(patience.now - begun)

    def _said(self) -> str:
        body = self.town.rollout(self._namespace, self._name)
        if body is None:
            return "there is no such rollout"
        status = body.get("status") or {}
        words = [f"{name} {status.get(name)}" for name in ("phase", "reason", "message", "weight")]
        return f"{', '.join(words)}; the route gives it {self.share:.2%}"

    @property
    def share(self) -> float:
        """Of all requests, by its route."""
        return self.town.share(self._namespace, route_name(self._name))

    @property
    def _status(self) -> Body:
        body = self.town.rollout(self._namespace, self._name) or {}
        return body.get("status") or {}

    async def in_phase(self, *phases: str) -> None:
        """It is in one of these."""
        await self.until(" or ".join(phases), lambda: self._status.get("phase") in phases)

    async def at(self, percent: float) -> None:
        """On its way, and the route gives the candidate that much."""
        await self.until(
            f"{percent:g} %", lambda: self._status.get("phase") == "Progressing" and self.share >= percent / 100.0
        )

    async def promoted(self) -> None:
        """It is, and has all requests."""
        await self.until("Promoted", lambda: self._status.get("phase") == "Promoted" and self.share == 1.0)

    async def back(self, what: str = "RolledBack") -> None:
        """Legacy has all requests again, and the status says why."""
        await self.until(f"0 % after {what}", lambda: self.share == 0.0)
        await self.in_phase("RolledBack")

    async def read(self) -> None:
        """The newest spec is what the status is about."""

        def seen() -> bool:
            body = self.town.rollout(self._namespace, self._name) or {}
            generation = body.get("metadata", {}).get("generation")
            return generation is not None and self._status.get("observedGeneration") == generation

        await self.until("spec read", seen)
