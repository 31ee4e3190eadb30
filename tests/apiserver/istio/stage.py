"""What the tests with Istio's data plane work with: two models behind a gateway, and users who ask for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt

import pytest

from e2e.cluster import istio
from e2e.cluster.apiserver import ApiServer
from e2e.cluster.istio import Istiod
from e2e.cluster.istio_gateway import IstioGateway
from e2e.cluster.processes import free_ports
from modelrollout.adapters.kube.resources import SERVICES, Resource
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import RolloutSpec, Weight
from modelrollout.core.observation import RouteSeen
from tests.apiserver.arms import ADDRESSES, Users, connected_to
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube
from tests.contract.kube.routes import seen

MARKS = [
    pytest.mark.apiserver,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not istio.built(), reason="istiod has not been built: make istio builds it and runs this"),
]
GROUP = "networking.istio.io"
RULES = Resource(GROUP, "v1", "destinationrules", "DestinationRule")
ENTRIES = Resource(GROUP, "v1", "workloadentries", "WorkloadEntry")
LABELS = {"istio": "public"}
VERSIONS = {LEGACY: "v7", CANDIDATE: "v8"}
BOTH = "fraud"
"""A Service of both versions, at port 80."""
LIMIT_S = 120.0
DEAF = 300
"""So many requests in a row that miss an arm with half of the weight do not happen by chance."""


@dataclass
class Mesh:
    """A gateway, the istiod that steers it, and the port where users come in."""

    istiod: Istiod
    gateway: IstioGateway
    port: int


@contextmanager
def mesh(server: ApiServer) -> Iterator[Mesh]:
    """While the block runs an Envoy is gateway `infra/public`, for every host."""
    [port] = free_ports(1)
    listener = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": "127.0.0.1", "hosts": ["*"]}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "infra"}},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Gateway",
            "metadata": {"name": "public", "namespace": "infra"},
            "spec": {"selector": LABELS, "servers": [listener]},
        },
    ]
    for each in objects:
        server.kubectl("apply", "-f", "-", input_text=json.dumps(each))
    with Istiod(server.kubeconfig) as istiod, IstioGateway(istiod, namespace="infra", labels=LABELS) as gateway:
        yield Mesh(istiod, gateway, port)


async def models(kube: Kube, port: int) -> None:
    """A Service for each arm and one for both; what they select answers at this port of each arm's address."""
    # The API server takes no endpoints on loopback. WorkloadEntries stand for pods, as for machines beside the cluster.
    for name, version in VERSIONS.items():
        await service(kube, name, {"app": BOTH, "version": version}, PORT, port)
        entry = {"address": ADDRESSES[name], "labels": {"app": BOTH, "version": version}}
        await kube.create(ENTRIES, name, {"spec": entry})
    await service(kube, BOTH, {"app": BOTH}, 80, port)


async def service(kube: Kube, name: str, selector: dict[str, str], port: int, target: int) -> None:
    ports = [{"name": "http", "port": port, "targetPort": target}]
    await kube.create(SERVICES, name, {"spec": {"selector": selector, "ports": ports}})


async def moved(kube: Kube, spec: RolloutSpec, weight: int, *, segments: bool = False) -> RouteSeen:
    """Let our router give the candidate so many ten-thousandths, and the segments where they are asked for."""
    routing = KubeRouting(kube.reader)
    found = seen(await routing.observe(spec, fresh=True))
    return seen(await routing.set_weight(spec, found, Weight(weight), segments=segments))


def fits(answered: Counter[str], percent: float, candidate: str = CANDIDATE) -> bool:
    """Whether requests that are drawn one by one may have been split so; at 0 and 100 none may stray."""
    count, share = answered.total(), percent / 100
    slack = 5 * sqrt(count * share * (1 - share))
    return abs(answered[candidate] - count * share) <= slack and answered[candidate] + answered[LEGACY] == count


class Visitors(Users):
    """Users of the gateway, and what they wait for."""

    async def asked(self, count: int, **headers: str) -> Counter[str]:
        """Who answered that many requests."""
        return await asyncio.to_thread(self.ask, count, **headers)

    async def split(self, percent: float, candidate: str = CANDIDATE) -> None:
        """Return when 500 requests were split so; `candidate`: what answered in its place."""
        deadline = time.monotonic() + LIMIT_S
        while not fits(found := await self.asked(500), percent, candidate):
            assert time.monotonic() < deadline, f"the last requests: {found}, {percent} % expected"

    async def answered_by(self, who: str, **headers: str) -> None:
        """Return when a hundred requests in a row had this answer."""
        deadline = time.monotonic() + LIMIT_S
        while (found := await self.asked(100, **headers)) != Counter({who: 100}):
            assert time.monotonic() < deadline, f"the last requests: {found}, not {who}"

    async def leave(self, arm: str) -> float:
        """When an arm that has half of the weight now answered for the last time, by the monotonic clock."""
        return await asyncio.to_thread(self._leave, arm)

    def _leave(self, arm: str) -> float:
        latest, missed = time.monotonic(), 0
        deadline = latest + LIMIT_S
        with connected_to(self.port) as connection:
            while missed < DEAF:
                missed += 1
                if self.once(connection)[0] == arm:
                    latest, missed = time.monotonic(), 0
                assert latest < deadline, f"{arm} is asked for {LIMIT_S:g} s"
        return latest
