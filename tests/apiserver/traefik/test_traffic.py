"""Real requests through a real Traefik while weights move: they follow, and a weight of 0 takes everybody off.

Traefik takes minutes to build, so that these are skipped until `make traefik` has done it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.processes import ClusterError, Process, free_ports, start, wait_for
from modelrollout.adapters.kube.resources import SERVICES, TRAEFIK_SERVICES, Resource
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import RolloutSpec, Traefik, Weight
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube, connected
from tests.contract.kube.routes import seen
from tests.contract.kube.traefik_services import NAME, pair, traefik_service

pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not traefik.built(), reason="Traefik has not been built: make traefik builds it and runs this"),
]

INGRESS_ROUTES = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
ADDRESSES = {LEGACY: "127.0.0.2", CANDIDATE: "127.0.0.3"}
BATCH = 1000
BATCHES = 60
"""Of so many requests, until a weight must be followed."""


class Arm(BaseHTTPRequestHandler):
    """Says at which address it was asked."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet: two would wait for each other's acknowledgement, 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        told = self.connection.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@dataclass
class Proxy:
    """A running Traefik, and users of it."""

    port: int
    admin: int
    host: str

    def ask(self, count: int, cookie: str = "") -> Counter[str]:
        """Who answered that many requests; codes of those that no arm answered."""
        found: Counter[str] = Counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        names = {address: name for name, address in ADDRESSES.items()}
        for _ in range(count):
            connection.request("GET", "/", headers={"Host": self.host} | ({"Cookie": cookie} if cookie else {}))
            answer = connection.getresponse()
            body = answer.read().decode()
            found[names[body] if answer.status == 200 else str(answer.status)] += 1
        connection.close()
        return found

    def cookie(self, arm: str) -> str:
        """The cookie of a user whom Traefik sent to this arm."""
        names = {address: name for name, address in ADDRESSES.items()}
        for _ in range(100):
            connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", "/", headers={"Host": self.host})
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            if names.get(body) == arm:
                return str(answer.headers["Set-Cookie"]).partition(";")[0]
        raise AssertionError(f"nobody was sent to {arm}")

    def until(self, wanted: Counter[str], cookie: str = "") -> None:
        """Return when a thousand requests are answered so, in percent, give or take one of the thousand."""
        for _ in range(BATCHES):
            found = self.ask(BATCH, cookie)
            if all(abs(found[key] - wanted[key] * BATCH // 100) <= 1 for key in {*found, *wanted}):
                return
        raise AssertionError(f"the last {BATCH} requests: {found}, not {wanted} of a hundred")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[traefik.crds()]) as running:
        yield running


@pytest.fixture(scope="module")
def arms() -> Iterator[int]:
    """Two servers at one port; its number."""
    with ExitStack() as stack:
        port = 0
        for address in ADDRESSES.values():
            listening = stack.enter_context(ThreadingHTTPServer((address, port), Arm))
            port = listening.server_address[1]
            threading.Thread(target=listening.serve_forever, daemon=True).start()
            stack.callback(listening.shutdown)
        yield port


@contextmanager
def proxied(server: ApiServer, directory: Path, *flags: str) -> Iterator[tuple[int, int]]:
    """A Traefik on the objects of this API server: the ports of its users and of its metrics."""
    port, admin = free_ports(2)
    argv: list[str | Path] = [
        traefik.binary(),
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--entryPoints.traefik.address=127.0.0.1:{admin}",
        "--ping=true",
        "--metrics.prometheus=true",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--providers.kubernetesCRD=true",
        "--providers.kubernetesCRD.allowExternalNameServices=true",
        *flags,
    ]
    env = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
    running: Process = start("traefik", argv, log=directory / "traefik.log", env=env)
    try:
        wait_for("Traefik", lambda: listens(admin), timeout_s=60, watch=[running])
        yield port, admin
    except AssertionError as error:
        raise ClusterError(running.tail()) from error
    finally:
        running.stop()


def listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def usual(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with proxied(server, tmp_path_factory.mktemp("usual")) as ports:
        yield ports


@pytest.fixture
async def kube(server: ApiServer, arms: int) -> AsyncIterator[Kube]:
    async with connected(server.kubeconfig, f"test-{uuid4().hex[:12]}") as harness:
        for name, address in ADDRESSES.items():
            # Endpoints on loopback are refused by the API server; names outside the cluster are not.
            port = {"name": "http", "port": arms}
            await harness.create(
                SERVICES, name, {"spec": {"type": "ExternalName", "externalName": address, "ports": [port]}}
            )
        yield harness


async def routed(kube: Kube, ports: tuple[int, int]) -> Proxy:
    """An IngressRoute of this namespace that leads to its TraefikService."""
    host = f"{kube.namespace}.example.com"
    service = {"name": NAME, "kind": "TraefikService"}
    routes = [{"match": f"Host(`{host}`)", "kind": "Rule", "services": [service]}]
    await kube.create(INGRESS_ROUTES, "fraud", {"spec": {"entryPoints": ["web"], "routes": routes}})
    return Proxy(*ports, host)


def split(candidate: int) -> Counter[str]:
    return Counter({LEGACY: 100 - candidate, CANDIDATE: candidate})


async def moved(kube: Kube, spec: RolloutSpec, weight: int) -> None:
    routing = KubeRouting(kube.reader)
    found = seen(await routing.observe(spec, fresh=True))
    await routing.set_weight(spec, found, Weight(weight), segments=False)


async def test_real_requests_follow_the_weights_to_one_in_ten_thousand(
    kube: Kube, arms: int, usual: tuple[int, int]
) -> None:
    spec = kube.spec(Traefik(NAME), port=arms)
    await traefik_service(kube, *pair(100, 0, port=arms))
    proxy = await routed(kube, usual)
    await asyncio.to_thread(proxy.until, split(0))
    for percent in (1, 10, 50, 100, 25, 0):
        await moved(kube, spec, percent * 100)
        await asyncio.to_thread(proxy.until, split(percent))
        answered = await asyncio.to_thread(proxy.ask, BATCH)
        assert answered[CANDIDATE] == pytest.approx(percent * BATCH // 100, abs=1)
        assert answered.total() == answered[LEGACY] + answered[CANDIDATE], "nobody met an error"
    fine = kube.spec(Traefik(NAME), port=arms, weights=(25, 10_000))
    await moved(kube, fine, 25)
    for _ in range(BATCHES):
        answered = await asyncio.to_thread(proxy.ask, BATCH)
        if answered[CANDIDATE]:
            break
    answered = await asyncio.to_thread(proxy.ask, 4000)
    assert answered[CANDIDATE] == pytest.approx(10, abs=1)


async def test_a_revert_takes_users_with_a_sticky_cookie_off_the_candidate(
    kube: Kube, arms: int, usual: tuple[int, int]
) -> None:
    spec = kube.spec(Traefik(NAME), port=arms)
    await traefik_service(kube, *pair(50, 50, port=arms), sticky={"cookie": {"name": "arm"}})
    proxy = await routed(kube, usual)
    await asyncio.to_thread(proxy.until, split(50))
    cookie = await asyncio.to_thread(proxy.cookie, CANDIDATE)
    assert await asyncio.to_thread(proxy.ask, 100, cookie) == Counter({CANDIDATE: 100})
    await moved(kube, spec, 1000)
    await asyncio.to_thread(proxy.until, split(10))
    assert await asyncio.to_thread(proxy.ask, 100, cookie) == Counter({CANDIDATE: 100}), "a lower weight moves nobody"
    await moved(kube, spec, 0)
    await asyncio.to_thread(proxy.until, split(0), cookie)
    assert await asyncio.to_thread(proxy.ask, 100, cookie) == Counter({LEGACY: 100})


async def test_without_allow_empty_services_a_candidate_without_endpoints_takes_everybody_down(
    kube: Kube, arms: int, usual: tuple[int, int], server: ApiServer, tmp_path: Path
) -> None:
    await traefik_service(kube, *pair(100, 0, port=arms))
    proxy = await routed(kube, usual)
    await asyncio.to_thread(proxy.until, split(0))
    await kube.other.delete(SERVICES, kube.namespace, CANDIDATE)
    await kube.create(SERVICES, CANDIDATE, {"spec": {"ports": [{"name": "http", "port": arms}]}})
    # A candidate without a ready pod, at weight 0.
    await asyncio.to_thread(proxy.until, Counter({"404": 100}))
    with proxied(server, tmp_path, "--providers.kubernetesCRD.allowEmptyServices=true") as ports:
        other = Proxy(*ports, proxy.host)
        await asyncio.to_thread(other.until, split(0))
    assert (await kube.get(TRAEFIK_SERVICES, NAME))["spec"]["weighted"]["services"][1]["weight"] == 0
