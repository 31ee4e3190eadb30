"""Rollouts and routes as the API server has them now, by watches past the operator that outlive its restarts."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp

from modelrollout.adapters.kube.resources import HTTPROUTES, ROLLOUTS, Body, Resource

MIRRORED = (ROLLOUTS, HTTPROUTES)
AGAIN = 1.0
Place = tuple[Resource, str, str]
"""Resource, namespace and name."""


class Stale(Exception):
    """The server does not know the version any more: list again."""


class Mirror:
    """Objects by place; `told` is called with each that came or changed, and with None for one that went."""

    def __init__(self, kubeconfig: Path, told: Callable[[Place, Body | None], None]) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._session = aiohttp.ClientSession(
            base_url=str(cluster["server"]),
            connector=aiohttp.TCPConnector(ssl=tls),
            timeout=aiohttp.ClientTimeout(total=None, connect=5.0),
        )
        self._told = told
        self.objects: dict[Place, Body] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Watch from now on, until `stop`."""
        self._tasks = [asyncio.create_task(self._follow(resource)) for resource in MIRRORED]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def _follow(self, resource: Resource) -> None:
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list(resource)
                version = await self._watch(resource, version)
            except Stale:
                version = ""
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(AGAIN)  # the server is away

    async def _list(self, resource: Resource) -> str:
        async with self._session.get(resource.path()) as answer:
            answer.raise_for_status()
            listed = json.loads(await answer.read())
        here = {}
        for item in listed["items"]:
            here[resource, item["metadata"]["namespace"], item["metadata"]["name"]] = item
        for place in [place for place in self.objects if place[0] is resource and place not in here]:
            self._set(place, None)
        for place, body in here.items():
            self._set(place, body)
        return str(listed["metadata"]["resourceVersion"])

    async def _watch(self, resource: Resource, version: str) -> str:
        asked = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with self._session.get(resource.path(), params=asked) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise Stale
                    body: Body = event["object"]
                    version = str(body["metadata"]["resourceVersion"])
                    if event["type"] != "BOOKMARK":
                        place = (resource, body["metadata"]["namespace"], body["metadata"]["name"])
                        self._set(place, None if event["type"] == "DELETED" else body)
        return version

    def _set(self, place: Place, body: Body | None) -> None:
        if body is None:
            self.objects.pop(place, None)
        else:
            self.objects[place] = body
        self._told(place, body)
