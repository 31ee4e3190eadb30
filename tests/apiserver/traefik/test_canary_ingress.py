"""Real requests by the canary Ingress of `ingressNginx`, through Traefik's provider for Ingresses of ingress-nginx.

It reads the annotations as ingress-nginx documents them, with code of its own: this shows that the objects say what is
meant, and not what nginx does with them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer
from modelrollout.adapters.kube.resources import INGRESSES, SERVICES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import ZERO, HeaderMatch, IngressNginx, RolloutSpec, Segment, Weight
from tests.apiserver.traefik.house import BATCH, BATCHES, Proxy, proxied, split
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.ingresses import canary as stored_canary
from tests.contract.kube.ingresses import ingress, ingress_class, path, settings
from tests.contract.kube.routes import seen

pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not traefik.built(), reason="Traefik has not been built: make traefik builds it and runs this"),
]

BETA = Segment((HeaderMatch("x-tier", "beta"),))


@pytest.fixture(scope="module")
def controller(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with proxied(server, tmp_path_factory.mktemp("canaries"), "--providers.kubernetesIngressNGINX=true") as ports:
        yield ports


async def served(kube: Kube, ports: tuple[int, int], arms: int) -> Proxy:
    """An Ingress of the users that sends everything of a host of its own to legacy."""
    host = f"{kube.namespace}.example.com"
    await ingress_class(kube)
    await kube.create(INGRESSES, "fraud", ingress(path(LEGACY, "/", port=arms), host=host))
    proxy = Proxy(ports[0], host)
    await asyncio.to_thread(proxy.until, split(0))
    return proxy


async def moved(kube: Kube, spec: RolloutSpec, weight: int) -> None:
    routing = KubeRouting(kube.reader)
    found = seen(await routing.observe(spec, fresh=True))
    await routing.set_weight(spec, found, Weight(weight), segments=weight > 0)


async def test_real_requests_follow_the_canary_and_a_revert_takes_everybody_off(
    kube: Kube, arms: int, controller: tuple[int, int]
) -> None:
    spec = kube.spec(IngressNginx("fraud"), port=arms)
    proxy = await served(kube, controller, arms)
    made = seen(await KubeRouting(kube.reader).shape(spec, ZERO))
    assert made.accepted
    for percent in (1, 10, 50, 100, 25, 0):
        await moved(kube, spec, percent * 100)
        await asyncio.to_thread(proxy.until, split(percent))
        answered = await asyncio.to_thread(proxy.ask, BATCH)
        assert answered.total() == answered[LEGACY] + answered[CANDIDATE], "nobody met an error"
    fine = kube.spec(IngressNginx("fraud"), port=arms, weights=(25, 10_000))
    await moved(kube, fine, 25)
    assert settings(await stored_canary(kube))["canary-weight-total"] == "10000"
    for _ in range(BATCHES):
        if (await asyncio.to_thread(proxy.ask, BATCH))[CANDIDATE]:
            break
    answered = await asyncio.to_thread(proxy.ask, 4000)
    assert answered[CANDIDATE] == pytest.approx(10, abs=1)


async def test_requests_with_the_header_go_to_the_candidate_while_it_has_any_weight(
    kube: Kube, arms: int, controller: tuple[int, int]
) -> None:
    spec = kube.spec(IngressNginx("fraud"), port=arms, segments=(BETA,))
    proxy = await served(kube, controller, arms)
    beta = {"x-tier": "beta"}
    await KubeRouting(kube.reader).shape(spec, ZERO)
    await moved(kube, spec, 1000)
    await asyncio.to_thread(proxy.until, split(10))
    assert await asyncio.to_thread(proxy.ask, 100, **beta) == {CANDIDATE: 100}
    assert (await asyncio.to_thread(proxy.ask, 100, **{"x-tier": "alpha"}))[LEGACY] >= 89
    await moved(kube, spec, 0)
    await asyncio.to_thread(proxy.until, split(0), **beta)
    await asyncio.to_thread(proxy.until, split(0))


async def test_a_legacy_without_endpoints_is_missed_below_100_and_not_there(
    kube: Kube, arms: int, controller: tuple[int, int]
) -> None:
    """As the page says of Traefik. ingress-nginx gives 503 to everybody then, also at 100."""
    spec = kube.spec(IngressNginx("fraud"), port=arms)
    proxy = await served(kube, controller, arms)
    await KubeRouting(kube.reader).shape(spec, ZERO)
    await moved(kube, spec, 5000)
    await asyncio.to_thread(proxy.until, split(50))
    await kube.other.delete(SERVICES, kube.namespace, LEGACY)
    await kube.create(SERVICES, LEGACY, {"spec": {"ports": [{"name": "http", "port": arms}]}})
    await asyncio.to_thread(proxy.until, Counter({"503": 50, CANDIDATE: 50}))
    await moved(kube, spec, 10_000)
    await asyncio.to_thread(proxy.until, split(100))
