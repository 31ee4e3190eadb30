"""What users meet while a gateway hears nothing or refuses what it hears: it keeps what it was told last."""

from __future__ import annotations

import time
from collections import Counter

from e2e.cluster.apiserver import ApiServer
from modelrollout.adapters.kube.resources import VIRTUAL_SERVICES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import ZERO, Istio
from tests.apiserver.istio import stage
from tests.apiserver.istio.stage import LIMIT_S, MARKS, Mesh, Visitors, fits, moved
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube, connected
from tests.contract.kube.routes import seen
from tests.contract.kube.virtual_services import NAME, pair, route, to, virtual_service

pytestmark = MARKS

TOO_LARGE = 2**31 - 1
"""A weight that the API takes; an Envoy takes 2**32 - 1 for all of a route together."""
BACK_S = 45.0
"""Envoy asks again after 30 s at the latest."""


async def test_a_revert_while_istiod_is_away_is_followed_when_it_is_back_and_the_route_does_not_tell(
    kube: Kube, mesh: Mesh, users: Visitors
) -> None:
    await virtual_service(kube, pair(), host=users.host)
    spec = kube.spec(Istio(NAME))
    await moved(kube, spec, 5000)
    await users.split(50)
    mesh.istiod.stop()
    try:
        await moved(kube, spec, 0)
        assert fits(await users.asked(500), 50), "the gateway goes on as it was told"
        told = seen(await KubeRouting(kube.reader).observe(spec, fresh=True))
        assert (told.weight, told.accepted) == (ZERO, True), "no object says whether a proxy has heard"
    finally:
        mesh.istiod.start()
    back = time.monotonic()
    assert await users.leave(CANDIDATE) - back < BACK_S
    assert await users.asked(300) == Counter({LEGACY: 300})
    assert [proxy["proxy"] for proxy in mesh.istiod.connected()] == ["gateway.infra"]


async def test_a_weight_of_anybody_that_a_gateway_refuses_keeps_all_its_hosts_as_they_were(
    server: ApiServer, kube: Kube, mesh: Mesh, users: Visitors
) -> None:
    await virtual_service(kube, pair(), host=users.host)
    spec = kube.spec(Istio(NAME))
    await moved(kube, spec, 5000)
    await users.split(50)
    async with connected(server.kubeconfig, f"{kube.namespace}-b") as theirs:
        await stage.models(theirs, 8080)
        assert mesh.gateway.refusals() == 0
        too_large = route(*(to(LEGACY, TOO_LARGE) for _ in range(3)))
        await virtual_service(theirs, too_large, host="theirs.example.com")
        deadline = time.monotonic() + LIMIT_S
        while not mesh.gateway.refusals():
            assert time.monotonic() < deadline, "the gateway takes all weights"
        await moved(kube, spec, 0)
        assert fits(await users.asked(500), 50), "the gateway goes on as it was told"
        told = seen(await KubeRouting(kube.reader).observe(spec, fresh=True))
        assert (told.weight, told.accepted) == (ZERO, True), "no object says that a proxy refused"
        await theirs.other.delete(VIRTUAL_SERVICES, theirs.namespace, NAME)
    await users.answered_by(LEGACY)
