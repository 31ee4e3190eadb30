"""What a process is shown of the objects: lists and watches as kopf does them, and what goes wrong there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from e2e.chaos.apiserver.server import ApiServer, Request
from modelrollout.adapters.kube.resources import Body, Resource

if TYPE_CHECKING:
    from e2e.chaos.process import Process

INACTIVITY = 70.0
"""Seconds of silence after which kopf takes a watch for dead and begins it anew."""
RECONNECT = 0.5
BEHIND = 12
"""Versions by which a lagging API server is behind."""


class Blur(StrEnum):
    """What is wrong with a watch for a while."""

    LATE = "late"
    """Every event comes late."""
    FROZEN = "frozen"
    """Nothing comes, then everything."""
    SILENT = "silent"
    """Nothing comes although the connection stands, until kopf gives it up and lists anew."""
    EXPIRED = "expired"
    """The server has forgotten the version: a new list, which tells of no deletion."""
    TWICE = "twice"
    """Every event comes twice."""
    PAST = "past"
    """Every event ends the watch, and the list that follows is from an API server that lags behind."""


@dataclass(slots=True)
class Views:
    """The watches of all processes."""

    server: ApiServer
    rng: random.Random
    blur: Blur | None = None
    kinds: frozenset[str] = frozenset()
    """Plurals that the blur concerns."""
    lag: float = 0.0
    clear: asyncio.Event = field(default_factory=asyncio.Event)

    def blurred(self, blur: Blur, kinds: frozenset[str], *, lag: float = 0.0) -> None:
        """From now on, until `cleared`. What an earlier blur held back comes now: nobody else would let it go."""
        self.clear.set()
        self.blur, self.kinds, self.lag = blur, kinds, lag
        self.clear = asyncio.Event()

    def cleared(self) -> None:
        """All is well again."""
        self.blur = None
        self.clear.set()

    async def follow(self, process: Process, resource: Resource, take: Callable[[str, str | None, Body], None]) -> None:
        """List, then watch, for ever."""
        while True:
            version = self._listed(resource, take)
            await self._watched(resource, version, take)
            await asyncio.sleep(RECONNECT)

    def _listed(self, resource: Resource, take: Callable[[str, str | None, Body], None]) -> str:
        if self.blur is Blur.PAST and resource.plural in self.kinds:
            return self._listed_behind(resource, take)
        listing = self.server.handle(Request("GET", resource.path(), {}, agent="kopf")).body
        for item in listing["items"]:
            take(resource.kind, None, {"kind": resource.kind, "apiVersion": resource.api_version, **item})
        return str(listing["metadata"]["resourceVersion"])

    def _listed_behind(self, resource: Resource, take: Callable[[str, str | None, Body], None]) -> str:
        at = max(0, self.server.store.number - BEHIND)
        for version in self.server.store.state(resource, at).values():
            take(resource.kind, None, version.copy())
        return str(at)

    async def _watched(self, resource: Resource, since: str, take: Callable[[str, str | None, Body], None]) -> None:
        """Until the stream ends or is given up."""
        watch = self.server.watch(resource, since=since)
        try:
            async for event in watch:
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "ERROR":
                    return
                if not await self._passed(resource, event, take):
                    return
        finally:
            watch.close()

    async def _passed(
        self, resource: Resource, event: dict[str, Any], take: Callable[[str, str | None, Body], None]
    ) -> bool:
        """Hand an event on as the blur of the moment has it; False when the stream is to be begun anew."""
        await asyncio.sleep(self.rng.uniform(0.001, 0.02))
        blur = self.blur if resource.plural in self.kinds else None
        match blur:
            case Blur.LATE:
                await asyncio.sleep(self.lag)
            case Blur.FROZEN:
                await self.clear.wait()
            case Blur.PAST:
                return False
            case Blur.SILENT:
                await asyncio.sleep(INACTIVITY)
                return False
            case Blur.EXPIRED:
                await self.clear.wait()
                return False
        take(resource.kind, event["type"], event["object"])
        if blur is Blur.TWICE:
            take(resource.kind, event["type"], event["object"])
        return True
