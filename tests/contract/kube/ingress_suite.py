"""Contract of `Routing` for `ingressNginx`, beside what every router must keep."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.resources import INGRESSES, SERVICES
from modelrollout.core.model import FULL, ZERO, HeaderMatch, Segment, Weight
from modelrollout.core.observation import RouteAbsent
from modelrollout.errors import Conflict
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube
from tests.contract.kube.ingresses import (
    CANARY,
    HOST,
    NGINX,
    OURS,
    backends,
    canary,
    ingress,
    ingress_class,
    legacy_service,
    main,
    path,
    settings,
)
from tests.contract.kube.router_stage import IngressStage, Stage
from tests.contract.kube.router_suite import MadeRouterSuite
from tests.contract.kube.routes import problem, seen

BETA = Segment((HeaderMatch("x-tier", "beta"),))
TEN, QUARTER = Weight(1000), Weight(2500)


class IngressRoutingSuite(MadeRouterSuite):
    STAGE = IngressStage

    @pytest.fixture
    async def nginx(self, stage: Stage) -> IngressStage:
        assert isinstance(stage, IngressStage)
        return stage

    async def test_creates_the_whole_canary_at_once(self, nginx: IngressStage) -> None:
        made = await nginx.begin(1000)
        assert (made.accepted, made.shape_ok, made.detail, made.generation) == (True, True, "", 0)
        stored = await canary(nginx.kube)
        assert stored["spec"]["ingressClassName"] == "nginx"
        assert backends(stored) == OURS, "the path that sends to legacy, and no other"
        assert settings(stored) == {"canary": "true", "canary-weight": "10", "canary-weight-total": "100"}

    async def test_a_port_by_its_name_is_that_port_and_other_ports_are_not(self, kube: Kube) -> None:
        await ingress_class(kube)
        await legacy_service(kube)
        await main(kube, path(LEGACY, "/a", port="http"), path(LEGACY, "/b", port="grpc"), path(LEGACY, "/c", port=9))
        stage = IngressStage(kube)
        await stage.begin(0)
        assert backends(await canary(kube)) == [(HOST, "/a", "Prefix", CANDIDATE, PORT)]

    async def test_every_path_and_host_that_serves_legacy_is_taken(self, nginx: IngressStage) -> None:
        kinds = [path(LEGACY, "/a", kind="Exact"), path(LEGACY, "/b", kind="ImplementationSpecific"), path("web", "/")]
        rules = [{"host": HOST, "http": {"paths": kinds}}, {"http": {"paths": [path(LEGACY, "/c")]}}]
        await nginx.kube.edit(INGRESSES, "fraud", {"spec": {"rules": rules}})
        await nginx.begin(0)
        assert backends(await canary(nginx.kube)) == [
            (HOST, "/a", "Exact", CANDIDATE, PORT),
            (HOST, "/b", "ImplementationSpecific", CANDIDATE, PORT),
            ("", "/c", "Prefix", CANDIDATE, PORT),
        ]

    async def test_a_segment_is_a_header_that_comes_and_goes_with_the_weight(self, nginx: IngressStage) -> None:
        spec = nginx.spec(segments=(BETA,))
        route = await nginx.begin(0, segments=(BETA,))
        assert (route.weight, route.segments) == (ZERO, ZERO)
        assert "canary-by-header" not in settings(await canary(nginx.kube))
        on = seen(await nginx.routing.set_weight(spec, route, Weight(500), segments=True))
        assert (on.weight, on.segments, on.detail) == (500, FULL, "")
        found = settings(await canary(nginx.kube))
        assert (found["canary-by-header"], found["canary-by-header-value"]) == ("x-tier", "beta")
        off = seen(await nginx.routing.set_weight(spec, on, ZERO, segments=False))
        assert (off.weight, off.segments) == (ZERO, ZERO)
        assert settings(await canary(nginx.kube)) == {
            "canary": "true",
            "canary-weight": "0",
            "canary-weight-total": "100",
        }

    async def test_a_segment_that_somebody_took_off_is_seen(self, nginx: IngressStage) -> None:
        spec = nginx.spec(segments=(BETA,))
        assert (await nginx.begin(2500, segments=(BETA,))).segments == FULL
        await nginx.set(canary_by_header=None, canary_by_header_value=None)
        found = seen(await nginx.routing.observe(spec, fresh=True))
        assert (found.weight, found.segments) == (QUARTER, QUARTER)

    async def test_a_segment_of_an_earlier_spec_goes_and_one_of_others_stays(self, nginx: IngressStage) -> None:
        await nginx.begin(2500, segments=(BETA,))
        left = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert "the header of an earlier spec is left" in left.detail
        assert (await nginx.begin(2500)).shape_ok
        assert "canary-by-header" not in settings(await canary(nginx.kube))
        await nginx.set(canary_by_header="x-debug", canary_by_cookie="debug")
        told = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert f"annotation {NGINX}/canary-by-header" in told.detail
        assert f"annotation {NGINX}/canary-by-cookie" in told.detail
        await nginx.routing.set_weight(nginx.spec(), told, ZERO, segments=False)
        assert settings(await canary(nginx.kube))["canary-by-header"] == "x-debug"

    async def test_changes_of_the_users_ingress_are_followed_with_the_weight(self, nginx: IngressStage) -> None:
        await nginx.begin(2500)
        await nginx.foreign_rule()
        rules = [{"host": "models.example.com", "http": {"paths": [path(LEGACY, "/v2")]}}]
        await nginx.kube.edit(INGRESSES, "fraud", {"spec": {"rules": rules}})
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.shape_ok, found.accepted) == (QUARTER, False, True)
        assert "path /v2 of host models.example.com is missing" in found.detail
        mended = await nginx.begin(2500)
        assert (mended.weight, mended.shape_ok) == (QUARTER, True)
        assert backends(await canary(nginx.kube)) == [
            ("models.example.com", "/v2", "Prefix", CANDIDATE, PORT),
            ("debug.example.com", "/", "Prefix", "debug", PORT),
        ]

    @pytest.mark.parametrize("value", ["false", None, "nonsense"])
    async def test_without_the_mark_of_a_canary_it_carries_nothing(
        self, nginx: IngressStage, value: str | None
    ) -> None:
        route = await nginx.begin(2500)
        await nginx.set(canary=value)
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, False)
        with pytest.raises(Conflict):
            await nginx.routing.set_weight(nginx.spec(), route, ZERO, segments=False)
        assert (await nginx.begin(2500)).weight == QUARTER

    @pytest.mark.parametrize(
        ("weight", "total", "share", "exact"),
        [
            ("abc", "100", 0, False),
            ("-5", "100", 0, False),
            ("250", "100", 10_000, False),
            ("20", "50", 2000, False),
            ("20", "1000", 200, False),
            ("1", "300", 34, False),
            (None, "100", 0, False),
            ("20", None, 2000, False),
        ],
    )
    async def test_annotations_are_read_as_nginx_reads_them(
        self, nginx: IngressStage, weight: str | None, total: str | None, share: int, exact: bool
    ) -> None:
        await nginx.begin(1000)
        await nginx.set(canary_weight=weight, canary_weight_total=total)
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.exact) == (share, exact)
        assert seen(await nginx.routing.set_weight(nginx.spec(), found, ZERO, segments=False)).exact

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"class_name": None}, "no spec.ingressClassName"),
            ({"class_name": "nowhere"}, 'class "nowhere", and there is no such IngressClass'),
            ({"class_name": "other"}, "whose controller is example.com/other"),
            ({"canary": "true"}, "is a canary itself"),
            ({"affinity": "cookie"}, f"annotation {NGINX}/affinity"),
        ],
        ids=["no-class", "missing-class", "other-controller", "canary", "sticky"],
    )
    async def test_an_ingress_that_can_not_have_a_canary_is_refused(
        self, kube: Kube, change: dict[str, Any], words: str
    ) -> None:
        await ingress_class(kube)
        await ingress_class(kube, "other", "example.com/other")
        await legacy_service(kube)
        before = await main(kube, **change)
        stage = IngressStage(kube)
        told = problem(await stage.routing.observe(stage.spec()))
        assert words in told
        assert f'Ingress "fraud" in namespace {kube.namespace}' in told
        assert problem(await stage.routing.shape(stage.spec(), TEN)) == told
        assert [body["metadata"]["name"] for body in await stage.mine()] == ["fraud"], "nothing was made"
        assert await kube.get(INGRESSES, "fraud") == before

    async def test_a_missing_ingress_is_told(self, kube: Kube) -> None:
        stage = IngressStage(kube)
        told = problem(await stage.routing.observe(stage.spec()))
        assert told == (
            f'Ingress "fraud" in namespace {kube.namespace} not found: create it, or correct'
            " spec.traffic.ingressNginx.ingress"
        )

    async def test_legacy_must_be_what_the_ingress_serves(self, kube: Kube) -> None:
        await ingress_class(kube)
        await main(kube, path("fraud-v6"))
        stage = IngressStage(kube)
        told = problem(await stage.routing.observe(stage.spec()))
        assert f'no path of Ingress "fraud" in namespace {kube.namespace} sends to Service "{LEGACY}"' in told
        assert "(spec.legacy.service) at port 8080, but to fraud-v6:8080: set the backend to fraud-v7" in told

    async def test_another_canary_for_the_same_path_is_named(self, nginx: IngressStage) -> None:
        other = ingress(path("rival"), canary="true", canary_weight="5")
        await nginx.kube.create(INGRESSES, "rival", other)
        told = problem(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert f'Ingress "rival" in namespace {nginx.kube.namespace} is a canary for path /predict of host' in told
        await nginx.kube.edit(INGRESSES, "rival", ingress(path("rival", "/elsewhere")))
        assert await nginx.routing.observe(nginx.spec(), fresh=True) == RouteAbsent()

    async def test_the_same_with_a_cache_that_is_live(self, nginx: IngressStage) -> None:
        other = ingress(path("rival"), canary="true", canary_weight="5")
        await nginx.kube.create(INGRESSES, "rival", other)
        nginx.kube.cache.replace_all("Ingress", await nginx.mine())
        assert 'Ingress "rival"' in problem(await nginx.routing.observe(nginx.spec()))
        nginx.kube.cache.remove("Ingress", nginx.kube.namespace, "rival")
        assert await nginx.routing.observe(nginx.spec()) == RouteAbsent()

    async def test_a_candidate_that_another_ingress_serves_is_refused(self, nginx: IngressStage) -> None:
        """nginx ignores the canary without a word then, and the candidate would be promoted unseen."""
        await nginx.kube.create(INGRESSES, "preview", ingress(path(CANDIDATE, "/"), host="preview.example.com"))
        told = problem(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert f'Ingress "preview" in namespace {nginx.kube.namespace} sends to Service "{CANDIDATE}" by itself' in told

    async def test_what_goes_wrong_in_mid_rollout_can_be_lowered_and_not_raised(self, nginx: IngressStage) -> None:
        await nginx.begin(2500)
        await nginx.kube.other.delete(INGRESSES, nginx.kube.namespace, "fraud")
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.accepted, found.shape_ok) == (QUARTER, False, True)
        assert "not found: create it" in found.detail
        lowered = await nginx.routing.set_weight(nginx.spec(), found, ZERO, segments=False)
        assert "not found: create it" in problem(lowered), "nobody is exposed, and nothing can begin"
        assert settings(await canary(nginx.kube))["canary-weight"] == "0"

    async def test_the_next_release_takes_over_without_moving_traffic(self, nginx: IngressStage) -> None:
        assert (await nginx.begin(10_000)).through_legacy, "nginx asks the Service of the users' Ingress first"
        following = nginx.spec(legacy=CANDIDATE, candidate="fraud-v9")
        ports = [{"port": PORT, "name": "http", "protocol": "TCP", "targetPort": PORT}]
        await nginx.kube.create(SERVICES, CANDIDATE, {"spec": {"ports": ports, "selector": {"app": CANDIDATE}}})
        # The rollout before the Ingress: refused, and the canary keeps the users where they are.
        before = await canary(nginx.kube)
        assert f'sends to Service "{CANDIDATE}"' in problem(await nginx.routing.observe(following, fresh=True))
        assert f'sends to Service "{CANDIDATE}"' in problem(await nginx.routing.shape(following, ZERO))
        assert await canary(nginx.kube) == before
        # The Ingress: nginx takes its backend for the canary's and splits nothing. All users are with the candidate.
        backend = {"op": "replace", "path": "/spec/rules/0/http/paths/0/backend/service/name", "value": CANDIDATE}
        await nginx.kube.change(INGRESSES, "fraud", backend)
        handed = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (handed.weight, handed.accepted, handed.shape_ok) == (FULL, True, True)
        assert "name it as legacy in the next release" in handed.detail
        assert not handed.through_legacy
        # Then the rollout: the canary is of the new candidate, with nothing.
        found = seen(await nginx.routing.observe(following, fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, False)
        assert seen(await nginx.routing.shape(following, ZERO)).shape_ok
        stored = await canary(nginx.kube)
        assert backends(stored) == [(HOST, "/predict", "Prefix", "fraud-v9", PORT)]
        assert settings(stored)["canary-weight"] == "0"

    async def test_a_hand_that_gives_the_candidate_all_in_mid_rollout_is_seen(self, nginx: IngressStage) -> None:
        await nginx.begin(2500)
        backend = {"op": "replace", "path": "/spec/rules/0/http/paths/0/backend/service/name", "value": CANDIDATE}
        await nginx.kube.change(INGRESSES, "fraud", backend)
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.accepted) == (FULL, False)

    async def test_a_canary_of_another_class_or_backend_is_mended(self, nginx: IngressStage) -> None:
        await nginx.begin(2500)
        rules = [{"host": HOST, "http": {"paths": [path("elsewhere")]}}]
        await nginx.kube.edit(INGRESSES, CANARY, {"spec": {"ingressClassName": "nginx2", "rules": rules}})
        found = seen(await nginx.routing.observe(nginx.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, False)
        assert "its class is nginx2" in found.detail
        assert f"does not send to {CANDIDATE} at port {PORT}" in found.detail
        assert (await nginx.begin(2500)).shape_ok
        stored = await canary(nginx.kube)
        assert (stored["spec"]["ingressClassName"], backends(stored)) == ("nginx", OURS)
