"""What users meet while istiod is away: the gateway keeps what it was told last, a revert comes when it is back."""

from __future__ import annotations

import time
from collections import Counter

from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import ZERO, Istio
from tests.apiserver.istio.stage import MARKS, Mesh, Visitors, fits, moved
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.routes import seen
from tests.contract.kube.virtual_services import NAME, pair, virtual_service

pytestmark = MARKS

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
