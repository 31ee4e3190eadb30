"""The data plane of one run: it follows what carries the weight, and has the pods of both arms."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from e2e.chaos.apiserver.server import ApiServer
from e2e.chaos.clock import START, WorldClock
from e2e.chaos.scene import CANDIDATE, LEGACY, NAMESPACE, People, furnish_arms
from e2e.chaos.traffic import PODS, Counted, Traffic
from modelrollout.adapters.kube.resources import Body, Resource

LAG = 0.2
"""Seconds after which a changed weight is in force."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What a data plane stands in."""

    server: ApiServer
    people: People
    clock: WorldClock
    rng: random.Random


class Plane(ABC):
    """Users, pods and their counters. `arm` is "legacy" or "candidate"."""

    traffic: Counted

    @abstractmethod
    def furnish(self) -> None:
        """Make both arms' Services and Deployments."""

    @abstractmethod
    async def play(self) -> None:
        """Follow the objects for ever."""

    @abstractmethod
    def serve(self, arm: str, endpoints: int) -> None:
        """An arm has so many ready endpoints from now on."""

    @abstractmethod
    def deploy(self, template: str) -> None:
        """Somebody gives the candidate another template."""

    @property
    @abstractmethod
    def takes_back(self) -> bool:
        """Whether users can be sent to legacy now."""

    def end(self) -> Body:
        """What is left at the end, over and above the share."""
        return {}


class RoutedPlane(Plane):
    """Somebody splits requests by the weights of one object; pods are there all the time, `PODS` of each arm."""

    def __init__(
        self,
        stand: Stand,
        resource: Resource,
        name: str,
        weight: Callable[[Body | None], float | None],
        answer: Callable[[People], None],
    ) -> None:
        self._stand = stand
        self._resource = resource
        self._name = name
        self._weight = weight
        self._answer = answer
        self._traffic = self.traffic = Traffic(NAMESPACE, LEGACY, CANDIDATE, start=START)

    def furnish(self) -> None:
        furnish_arms(self._stand.people)

    async def play(self) -> None:
        async for event in self._stand.server.watch(self._resource, since="0"):
            body = event["object"]
            await asyncio.sleep(LAG)
            if body["metadata"]["name"] != self._name:
                continue
            gone = event["type"] == "DELETED"
            share = 0.0 if gone else (self._weight(body) or 0.0) / 100.0
            self._traffic.order(self._stand.clock.now(), share)
            if not gone:
                self._answer(self._stand.people)

    def serve(self, arm: str, endpoints: int) -> None:
        self._traffic.serve(self._stand.clock.now(), arm, endpoints)
        self._stand.people.serve(LEGACY if arm == "legacy" else CANDIDATE, endpoints)

    def deploy(self, template: str) -> None:
        self._traffic.replace_pods(self._stand.clock.now(), "candidate")
        self._stand.people.scale(CANDIDATE, template, endpoints=PODS)

    @property
    def takes_back(self) -> bool:
        return self._traffic.endpoints["legacy"] > 0
