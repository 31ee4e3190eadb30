"""What the API server itself shows: weights of all routes by its watch, requests by its audit log."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from e2e.scale.fleet import index_of

ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"
OURS = ("modelrollout-operator", "kopf")
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True, slots=True)
class Weighed:
    """The candidate's weight in a route, in parts of the whole, when a watch told it (epoch seconds)."""

    at: float
    share: float


class Witness:
    """Watches all HTTPRoutes from `start` on; `seen` by rollout, in order, the first entry from the list."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._url = str(cluster["server"])
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self.seen: dict[int, list[Weighed]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """List, then watch in the background."""
        session = aiohttp.ClientSession(base_url=self._url, connector=aiohttp.TCPConnector(ssl=self._tls))
        async with session.get(ROUTES) as answer:
            listed = json.loads(await answer.read())
        for item in listed["items"]:
            self._take(item)
        self._task = asyncio.create_task(self._watch(session, listed["metadata"]["resourceVersion"]))

    async def stop(self) -> None:
        """End the watch. Raises what ended it before."""
        assert self._task is not None
        self._task.cancel()
        result = (await asyncio.gather(self._task, return_exceptions=True))[0]
        if isinstance(result, Exception):
            raise result

    def at_zero(self) -> int:
        """Routes that give the candidate nothing now."""
        return sum(bool(told) and told[-1].share == 0.0 for told in self.seen.values())

    async def _watch(self, session: aiohttp.ClientSession, version: str) -> None:
        async with session:
            asked = {"watch": "1", "resourceVersion": version}
            forever = aiohttp.ClientTimeout(total=None)
            async with session.get(ROUTES, params=asked, timeout=forever) as answer:
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._take(json.loads(line)["object"])

    def _take(self, body: Mapping[str, Any]) -> None:
        legacy, candidate = (ref.get("weight", 1) for ref in body["spec"]["rules"][-1]["backendRefs"][:2])
        share = candidate / (legacy + candidate)
        told = self.seen[index_of(body["metadata"]["name"])]
        if not told or told[-1].share != share:
            told.append(Weighed(time.time(), share))


class Audit:
    """Reads the audit log from where it was left."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self.skip()

    def skip(self) -> None:
        """Forget what has been written so far."""
        self._offset = self._log.stat().st_size

    def requests(self) -> Counter[tuple[str, str]]:
        """Requests of the operator since the last look, by verb and resource."""
        found: Counter[tuple[str, str]] = Counter()
        for event in self.events():
            found[str(event["verb"]), str((event.get("objectRef") or {}).get("resource", ""))] += 1
        return found

    def events(self) -> list[dict[str, Any]]:
        """The operator's answered requests since the last look."""
        with self._log.open("rb") as log:
            log.seek(self._offset)
            text = log.read().rpartition(b"\n")[0]
        self._offset += len(text) + 1 if text else 0
        events = [json.loads(line) for line in text.splitlines() if b'"ResponseComplete"' in line]
        return [event for event in events if str(event.get("userAgent", "")).startswith(OURS)]


def writes(found: Mapping[tuple[str, str], int]) -> int:
    """Writes, the Lease aside."""
    return sum(count for (verb, resource), count in found.items() if verb in WRITES and resource != "leases")
