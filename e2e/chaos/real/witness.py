"""Every version of the objects that promises are about, by watches that nothing stands in the way of."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.real.upstream import Upstream
from modelrollout.adapters.kube.resources import ACTIONS, HTTPROUTES, LEASES, ROLLOUTS, Body, Resource

SEEN = (ROLLOUTS, HTTPROUTES, ACTIONS, LEASES)
AGAIN = 0.3
OK = 200
GONE = 410
PEOPLE = "kubectl"
MANAGER = "modelrollout"


class Forgotten(Exception):
    """The server's cache begins after where the watch was."""


class Blind(Exception):
    """The witness has missed something: nothing can be said of the runs."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One event of a watch, when it came (epoch seconds)."""

    number: int
    at: float
    resource: Resource
    name: str
    body: Body | None
    """None: deleted."""


class Witness:
    """Watches all namespaces; `seen` by namespace. Listeners are called with what comes."""

    def __init__(self, upstream: Upstream, resources: Sequence[Resource] = SEEN) -> None:
        self._upstream, self._resources = upstream, resources
        self.seen: dict[str, list[Sight]] = defaultdict(list)
        self.latest: dict[tuple[str, Resource, str], Body] = {}
        """By namespace, resource and name."""
        self.listeners: dict[str, Callable[[Sight], None]] = {}
        self.blind: str = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Watch from now on; nothing may have been created before."""
        for resource in self._resources:
            version = await self._version(resource)
            self._tasks.append(asyncio.create_task(self._follow(resource, version)))

    async def stop(self) -> None:
        """End. Raises Blind when something was missed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.blind:
            raise Blind(self.blind)

    async def _version(self, resource: Resource) -> str:
        """Where the collection is now; a fresh API server refuses a list until its cache is filled."""
        while True:
            status, found = await self._list(resource, {})
            if status == OK:
                return str(found["metadata"]["resourceVersion"])
            await asyncio.sleep(AGAIN)

    async def _list(self, resource: Resource, asked: Mapping[str, str]) -> tuple[int, Body]:
        """An answer's code and its body; 0 when there is none."""
        url = f"{self._upstream.url}{resource.path()}"
        try:
            async with self._upstream.session.get(url, params=asked) as answer:
                return answer.status, json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, {}

    async def _follow(self, resource: Resource, version: str) -> None:
        while not self.blind:
            try:
                version = await self._watch(resource, version)
            except Forgotten:
                version = await self._recalled(resource, version)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(AGAIN)  # the API server is away: the watch goes on where it was

    async def _watch(self, resource: Resource, version: str) -> str:
        asked = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        url = f"{self._upstream.url}{resource.path()}"
        async with self._upstream.session.get(url, params=asked) as answer:
            if answer.status == GONE:
                raise Forgotten
            if answer.status != OK:
                await asyncio.sleep(AGAIN)
                return version
            rest = b""
            try:
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        version = self._take(resource, json.loads(line), version)
            except aiohttp.ClientError:
                await asyncio.sleep(AGAIN)
        return version

    def _take(self, resource: Resource, event: Mapping[str, Any], version: str) -> str:
        body: Body = event["object"]
        if event["type"] == "ERROR":
            if body.get("code") == GONE:
                raise Forgotten
            return version  # anything else is etcd's, and the watch goes on where it was
        meta = body["metadata"]
        number = str(meta["resourceVersion"])
        if event["type"] != "BOOKMARK":
            gone = event["type"] == "DELETED"
            self._saw(resource, str(meta["namespace"]), str(meta["name"]), int(number), None if gone else body)
        return number

    def _saw(self, resource: Resource, namespace: str, name: str, number: int, body: Body | None) -> None:
        sight = Sight(number, time.time(), resource, name, body)
        self.seen[namespace].append(sight)
        if body is None:
            self.latest.pop((namespace, resource, name), None)
        else:
            self.latest[namespace, resource, name] = body
        listener = self.listeners.get(namespace)
        if listener is not None:
            listener(sight)

    async def _recalled(self, resource: Resource, version: str) -> str:
        """See what came after `version` all the same: etcd still has each revision, though no cache has.

        A server whose etcd was away fills its caches anew, and knows nothing of what was before.
        """
        now = await self._version(resource)
        for number in range(int(version) + 1, int(now) + 1):
            found = await self._listed(resource, number)
            if found is None:
                self.blind = f"{resource.plural}: the server has forgotten what came after {version}"
                break
            known = {(namespace, name) for namespace, kind, name in self.latest if kind == resource}
            for namespace, name in known - set(found):
                self._saw(resource, namespace, name, number, None)
            for (namespace, name), body in found.items():
                if int(body["metadata"]["resourceVersion"]) == number:
                    self._saw(resource, namespace, name, number, body)
        return now

    async def _listed(self, resource: Resource, number: int) -> dict[tuple[str, str], Body] | None:
        """All objects as they were at that revision of the store; None when it is compacted."""
        asked = {"resourceVersion": str(number), "resourceVersionMatch": "Exact"}
        while True:
            status, found = await self._list(resource, asked)
            if status == OK:
                return {(str(x["metadata"]["namespace"]), str(x["metadata"]["name"])): x for x in found["items"]}
            if status == GONE:
                return None
            await asyncio.sleep(AGAIN)


def history(sights: list[Sight], namespace: str, authors: Mapping[tuple[str, int], str]) -> list[Version]:
    """The history of one namespace as the oracles read it, in the order of the store.

    `authors`: by plural and resourceVersion, whose write it was. Of a write whose answer was lost behind the proxy the
    object itself tells whether the operator made it; then it is whoever wrote last. All else was somebody else.
    """
    found: list[Version] = []
    before: dict[tuple[Resource, str], Body] = {}
    last = "operator#1"
    for sight in sorted(sights, key=lambda each: each.number):
        key = (sight.resource, sight.name)
        known = before.pop(key, None)
        agent = authors.get((sight.resource.plural, sight.number), "")
        if agent:
            last = agent
        else:
            agent = PEOPLE if _managed(sight.body) == _managed(known) else last
        if sight.body is not None:
            before[key] = sight.body
        found.append(
            Version(sight.number, sight.resource, (namespace, sight.name), sight.body, known, agent, sight.at, b"")
        )
    return found


def _managed(body: Body | None) -> list[Body]:
    """What the operator manages of an object, and since when."""
    fields = ((body or {}).get("metadata") or {}).get("managedFields") or []
    return [entry for entry in fields if entry.get("manager") == MANAGER]
