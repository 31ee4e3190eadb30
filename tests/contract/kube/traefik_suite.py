"""Contract of `Routing` for `traefik`, beside what every router must keep."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.resources import TRAEFIK_SERVICES, Body
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import FULL, ZERO, HeaderMatch, RolloutSpec, Segment, Traefik, Weight
from modelrollout.errors import Conflict, SpecError
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube
from tests.contract.kube.router_stage import TraefikStage
from tests.contract.kube.router_suite import RouterSuite
from tests.contract.kube.routes import problem, seen
from tests.contract.kube.traefik_services import NAME, pair, part, traefik_service, weights, without_weights

TEN = Weight(1000)


def spec(kube: Kube, **changes: Any) -> RolloutSpec:
    return kube.spec(Traefik(NAME), **changes)


async def stored(kube: Kube) -> list[tuple[str, int]]:
    return weights(await kube.get(TRAEFIK_SERVICES, NAME))


class TraefikRoutingSuite(RouterSuite):
    STAGE = TraefikStage

    async def test_what_the_owner_wrote_beside_the_weights_survives(self, kube: Kube) -> None:
        parts = pair(100, 0, scheme="http", responseForwarding={"flushInterval": "1ms"})
        before = await traefik_service(kube, *parts)
        routing = KubeRouting(kube.reader)
        found = await routing.observe(spec(kube))
        moved = seen(await routing.set_weight(spec(kube), found, Weight(3300), segments=False))
        assert (moved.weight, moved.exact, moved.accepted, moved.detail) == (3300, True, True, "")
        after = await kube.get(TRAEFIK_SERVICES, NAME)
        assert weights(after) == [(LEGACY, 67), (CANDIDATE, 33)]
        assert without_weights(after) == without_weights(before)
        assert "ownerReferences" not in after["metadata"]

    async def test_absent_weights_count_as_one_each(self, kube: Kube) -> None:
        await traefik_service(kube, *pair(None, None))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        assert (found.weight, found.exact) == (5000, False)
        moved = seen(await routing.set_weight(spec(kube), found, ZERO, segments=False))
        assert (moved.weight, moved.exact) == (ZERO, True)
        assert await stored(kube) == [(LEGACY, 100), (CANDIDATE, 0)]

    async def test_other_services_keep_their_weight_and_their_share(self, kube: Kube) -> None:
        nested = part("old", 50, kind="TraefikService", port=None)
        await traefik_service(kube, nested, part(CANDIDATE, 0), part(LEGACY, 200))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        assert (found.weight, found.exact, found.detail) == (ZERO, True, "")
        await routing.set_weight(spec(kube), found, TEN, segments=False)
        assert await stored(kube) == [("old", 50), (CANDIDATE, 20), (LEGACY, 180)]

    async def test_a_common_weight_too_small_for_the_steps_is_told(self, kube: Kube) -> None:
        await traefik_service(kube, part("old", 50), part(LEGACY, 47), part(CANDIDATE, 3))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        assert "share a weight of 50 beside other services" in found.detail
        with pytest.raises(SpecError, match="add up to 100"):
            await routing.set_weight(spec(kube), found, Weight(700), segments=False)
        down = seen(await routing.set_weight(spec(kube), found, Weight(100), segments=False))
        assert down.weight == ZERO, "lowering rounds down instead"

    async def test_ports_by_name_or_none_are_the_owners_affair(self, kube: Kube) -> None:
        await traefik_service(kube, part(LEGACY, 100, port="http"), part(CANDIDATE, 0, port=None))
        assert seen(await KubeRouting(kube.reader).observe(spec(kube))).exact

    async def test_a_cookie_that_keeps_users_is_told(self, kube: Kube) -> None:
        await traefik_service(kube, *pair(), sticky={"cookie": {"name": "arm"}})
        found = seen(await KubeRouting(kube.reader).observe(spec(kube)))
        assert found.accepted is True
        assert "the cookie of spec.weighted.sticky keeps users on their arm until it has weight 0" in found.detail
        assert "spec.analysis.sampleRatio to Warn" in found.detail

    @pytest.mark.parametrize(
        ("parts", "words"),
        [
            ([part(LEGACY, 100)], "does not have both Services"),
            ([part(LEGACY, 1), part(CANDIDATE, 0, namespace="elsewhere")], "does not have both Services"),
            ([part(LEGACY, 1), part(CANDIDATE, 0, kind="TraefikService")], "does not have both Services"),
            ([part(LEGACY, 1, port=80), part(CANDIDATE, 0)], f"at port 80, spec.port is {PORT}"),
            ([*pair(), part(CANDIDATE, 0)], '"fraud-v8" (candidate) 2 times'),
            ([], "does not have both Services"),
        ],
        ids=["one-arm", "other-namespace", "nested", "other-port", "twice", "empty"],
    )
    async def test_a_traefik_service_that_can_not_be_steered_is_told_with_the_fix(
        self, kube: Kube, parts: list[Body], words: str
    ) -> None:
        before = await traefik_service(kube, *parts)
        routing = KubeRouting(kube.reader)
        found = await routing.observe(spec(kube))
        told = problem(found)
        assert words in told
        assert f'TraefikService "{NAME}" in namespace {kube.namespace}' in told
        with pytest.raises(SpecError):
            await routing.set_weight(spec(kube), found, ZERO, segments=False)
        assert (await kube.get(TRAEFIK_SERVICES, NAME))["metadata"] == before["metadata"]

    async def test_one_that_does_not_split_by_weight_is_told(self, kube: Kube) -> None:
        hashed = {"highestRandomWeight": {"services": list(pair())}}
        await kube.create(TRAEFIK_SERVICES, NAME, {"spec": hashed})
        told = problem(await KubeRouting(kube.reader).observe(spec(kube)))
        assert "has no spec.weighted" in told

    async def test_segments_are_refused_with_the_alternative(self, kube: Kube) -> None:
        await traefik_service(kube, *pair())
        asked = spec(kube, segments=(Segment((HeaderMatch("x-tier", "beta"),)),))
        assert "segments needs managedRoute" in problem(await KubeRouting(kube.reader).observe(asked))

    async def test_a_missing_one_is_told(self, kube: Kube) -> None:
        told = problem(await KubeRouting(kube.reader).observe(spec(kube)))
        assert f'TraefikService "{NAME}" not found in namespace {kube.namespace}' in told
        assert "spec.traffic.traefik.service" in told

    async def test_is_never_shaped_and_never_released(self, kube: Kube) -> None:
        before = await traefik_service(kube, *pair())
        routing = KubeRouting(kube.reader)
        with pytest.raises(SpecError, match="never created or reshaped"):
            await routing.shape(spec(kube), TEN)
        await routing.release(spec(kube), await routing.observe(spec(kube)))
        assert await kube.get(TRAEFIK_SERVICES, NAME) == before

    async def test_an_edit_in_between_is_a_conflict(self, kube: Kube) -> None:
        await traefik_service(kube, *pair())
        routing = KubeRouting(kube.reader)
        found = await routing.observe(spec(kube))
        # An entry in front shifts the positions: the write must not land on the wrong one.
        extra = {"op": "add", "path": "/spec/weighted/services/0", "value": part("web", 5)}
        await kube.change(TRAEFIK_SERVICES, NAME, extra)
        with pytest.raises(Conflict):
            await routing.set_weight(spec(kube), found, TEN, segments=False)
        fresh = await routing.observe(spec(kube), fresh=True)
        await routing.set_weight(spec(kube), fresh, FULL, segments=False)
        assert await stored(kube) == [("web", 5), (LEGACY, 0), (CANDIDATE, 100)]
