"""`python -m e2e.scale.floor`: what the machine and its API server can do at all, without any operator.

As many routes as asked for get another weight, each by one JSON Patch, as a revert writes it. The time until the last
is done is the least that reverting so many rollouts at once can take here, whoever does it.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.bench import Usage
from e2e.cluster.apiserver import apiserver
from e2e.cluster.programs import gateway_api_crds
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import HTTPROUTES, NAMESPACES, Body

NAMESPACE = "floor"
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds for all; processor seconds of the client, of the API server and of etcd meanwhile."""

    seconds: float
    client: float
    server: float
    etcd: float


def route(name: str) -> Body:
    """A route with two backends."""
    backends = [{"name": f"{name}-v{n}", "port": 8080, "weight": w} for n, w in ((1, 75), (2, 25))]
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}]
    spec = {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example.com"], "rules": rules}
    return {
        "apiVersion": HTTPROUTES.api_version,
        "kind": HTTPROUTES.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


async def measure(kubeconfig: Path, count: int, at_once: int, programs: Sequence[Usage]) -> Floor:
    """Create the routes, then time their patches."""
    async with await KubeClient.connect(kubeconfig) as client:
        await client.create(NAMESPACES, "", {"metadata": {"name": NAMESPACE}})
        turn = asyncio.Semaphore(at_once)

        async def made(name: str) -> str:
            async with turn:
                stored = await client.create(HTTPROUTES, NAMESPACE, route(name))
            return str(stored["metadata"]["resourceVersion"])

        async def lowered(name: str, known: str) -> None:
            path = "/spec/rules/0/backendRefs"
            operations: list[Body] = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": known},
                {"op": "test", "path": f"{path}/0/name", "value": f"{name}-v1"},
                {"op": "test", "path": f"{path}/1/name", "value": f"{name}-v2"},
                {"op": "add", "path": f"{path}/0/weight", "value": 100},
                {"op": "add", "path": f"{path}/1/weight", "value": 0},
            ]
            async with turn:
                await client.json_patch(HTTPROUTES, NAMESPACE, name, operations)

        names = [f"m{index}" for index in range(count)]
        versions = await asyncio.gather(*map(made, names))
        await asyncio.sleep(2)
        before = [usage.cpu() for usage in programs]
        own, begun = _own(), time.monotonic()
        await asyncio.gather(*map(lowered, names, versions))
        took = time.monotonic() - begun
        spent = [usage.cpu() - was for usage, was in zip(programs, before, strict=True)]
        server, etcd = spent
        return Floor(took, _own() - own, server, etcd)


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.scale.floor", description=__doc__)
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="requests under way")
    given = parser.parse_args(arguments)
    with apiserver() as server:
        server.install_crds(gateway_api_crds())
        programs = [Usage(pid) for pid in server.pids]
        found = asyncio.run(measure(server.kubeconfig, given.routes, given.at_once, programs))
    each = 1000 / given.routes
    print(f"load of the machine: {Path('/proc/loadavg').read_text().strip()}")
    print(f"{given.routes} routes, {given.at_once} requests at once: {found.seconds:.2f} s")
    parts = {"client": found.client, "API server": found.server, "etcd": found.etcd}
    print("processor time of each:", ", ".join(f"{name} {spent * each:.2f} ms" for name, spent in parts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
