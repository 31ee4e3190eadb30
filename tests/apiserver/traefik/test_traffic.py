"""Real requests through a real Traefik while weights move: they follow, and a weight of 0 takes everybody off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer
from modelrollout.adapters.kube.resources import SERVICES, TRAEFIK_SERVICES, Resource
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import RolloutSpec, Traefik, Weight
from tests.apiserver.traefik.house import BATCH, BATCHES, Proxy, proxied, split
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.routes import seen
from tests.contract.kube.traefik_services import NAME, pair, traefik_service

pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not traefik.built(), reason="Traefik has not been built: make traefik builds it and runs this"),
]

INGRESS_ROUTES = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")


@pytest.fixture(scope="module")
def usual(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with proxied(server, tmp_path_factory.mktemp("usual")) as ports:
        yield ports


async def routed(kube: Kube, ports: tuple[int, int]) -> Proxy:
    """An IngressRoute of this namespace that leads to its TraefikService."""
    host = f"{kube.namespace}.example.com"
    service = {"name": NAME, "kind": "TraefikService"}
    routes = [{"match": f"Host(`{host}`)", "kind": "Rule", "services": [service]}]
    await kube.create(INGRESS_ROUTES, "fraud", {"spec": {"entryPoints": ["web"], "routes": routes}})
    return Proxy(ports[0], host)


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
    assert await asyncio.to_thread(proxy.ask, 100, **cookie) == Counter({CANDIDATE: 100})
    await moved(kube, spec, 1000)
    await asyncio.to_thread(proxy.until, split(10))
    assert await asyncio.to_thread(proxy.ask, 100, **cookie) == Counter({CANDIDATE: 100}), "a lower weight moves nobody"
    await moved(kube, spec, 0)
    await asyncio.to_thread(proxy.until, split(0), **cookie)
    assert await asyncio.to_thread(proxy.ask, 100, **cookie) == Counter({LEGACY: 100})


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
        other = Proxy(ports[0], proxy.host)
        await asyncio.to_thread(other.until, split(0))
    assert (await kube.get(TRAEFIK_SERVICES, NAME))["spec"]["weighted"]["services"][1]["weight"] == 0
