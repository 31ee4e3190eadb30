"""Routing over the fake API server."""

from dataclasses import replace

import pytest

from e2e.chaos.apiserver.patches import merge
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import (
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    SCALERS,
    SERVICES,
    SLICES,
    VIRTUAL_SERVICES,
)
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import ZERO, HeaderMatch, Segment, Weight
from modelrollout.core.observation import RouteAbsent
from modelrollout.errors import ApiUnavailable, Conflict, Denied
from tests.contract.fake_api import FakeApi, Fault
from tests.contract.kube import pods
from tests.contract.kube.adopted_suite import AdoptedRoutingSuite
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.ingress_suite import IngressRoutingSuite
from tests.contract.kube.ingresses import backends, canary, ingress, path
from tests.contract.kube.istio_suite import IstioRoutingSuite
from tests.contract.kube.managed_suite import ManagedRoutingSuite
from tests.contract.kube.replicas_suite import ReplicasRoutingSuite, Ten
from tests.contract.kube.router_stage import IngressStage, IstioStage, Stage, TraefikStage
from tests.contract.kube.routes import backend, problem, seen, weights
from tests.contract.kube.sticky_suite import StickyRoutingSuite
from tests.contract.kube.traefik_suite import TraefikRoutingSuite


class TestManaged(ManagedRoutingSuite):
    pass


class TestSticky(StickyRoutingSuite):
    pass


class TestAdopted(AdoptedRoutingSuite):
    pass


class TestIngressNginx(IngressRoutingSuite):
    pass


class TestIstio(IstioRoutingSuite):
    pass


class TestReplicas(ReplicasRoutingSuite):
    pass


class TestTraefik(TraefikRoutingSuite):
    pass


async def test_every_version_of_a_managed_route_sums_to_its_scale(api: FakeApi, kube: Kube) -> None:
    """Reliability I1, over all that was ever stored and not only the end."""
    routing = KubeRouting(kube.reader)
    spec = kube.spec(segments=(Segment((HeaderMatch("x-tier", "beta"),)),))
    route = await routing.shape(spec, ZERO)
    for weight in (100, 500, 10_000, 0):
        route = await routing.set_weight(spec, route, Weight(weight), segments=weight > 0)
    await routing.shape(replace(spec, port=9090), Weight(500))
    versions = [v.body for v in api.store.history if v.resource is HTTPROUTES and v.body is not None]
    assert len(versions) == 6
    totals = {sum(weight for _, weight in rule) for version in versions for rule in weights(version)}
    assert totals == {100}


async def test_hazard_h06_lowering_takes_one_write_and_no_read(api: FakeApi, kube: Kube) -> None:
    routing = KubeRouting(kube.reader)
    await routing.shape(kube.spec(), Weight(500))
    listing = await kube.client.list_all(HTTPROUTES)
    kube.cache.replace_all("HTTPRoute", listing.items, resource_version=listing.resource_version)
    seen_route = await routing.observe(kube.spec())
    api.requests.clear()
    await routing.set_weight(kube.spec(), seen_route, ZERO, segments=False)
    assert [request.method for request in api.requests] == ["PATCH"]
    assert seen(await routing.observe(kube.spec())).weight == ZERO, "our own write is known before the watch tells"
    assert [request.method for request in api.requests] == ["PATCH"]


async def test_a_write_without_an_answer_is_read_again_before_it_is_believed(api: FakeApi, kube: Kube) -> None:
    routing = KubeRouting(kube.reader)
    route = await routing.shape(kube.spec(), Weight(500))
    kube.cache.replace_all("HTTPRoute", [await kube.get(HTTPROUTES, route_name("fraud"))])
    api.fail("PATCH", fault=Fault(504, late=True))
    with pytest.raises(ApiUnavailable):
        await routing.set_weight(kube.spec(), route, ZERO, segments=False)
    assert seen(await routing.observe(kube.spec())).weight == ZERO


@pytest.mark.parametrize("adopted", [False, True])
async def test_a_cluster_without_gateway_api_is_told(api: FakeApi, kube: Kube, adopted: bool) -> None:
    api.server.served.clear()
    spec = kube.adopting() if adopted else kube.spec()
    routing = KubeRouting(kube.reader)
    assert "install the Gateway API CRDs" in problem(await routing.observe(spec))
    if not adopted:
        assert "install the Gateway API CRDs" in problem(await routing.shape(spec, ZERO))
    await routing.release(spec, RouteAbsent())


@pytest.mark.parametrize(
    ("steered", "field", "kind", "install"),
    [
        (IstioStage, "istio", "VirtualServices", "install Istio 1.22 or newer"),
        (TraefikStage, "traefik", "TraefikServices", "install the CRDs of Traefik 3"),
    ],
)
async def test_without_a_kind_or_rights_the_rollout_is_told_how_to_get_them(
    api: FakeApi, kube: Kube, steered: type[Stage], field: str, kind: str, install: str
) -> None:
    stage = steered(kube)
    denied = f'{{"kind": "Status", "message": "{kind.lower()} is forbidden", "code": 403}}'
    api.fail("GET", fault=Fault(403, denied))
    told = problem(await stage.routing.observe(stage.spec()))
    assert f"spec.traffic.{field}: the operator may not read {kind}" in told
    assert f"routers.{field}=true" in told
    api.server.served.clear()
    assert install in problem(await stage.routing.observe(stage.spec()))


async def test_a_revert_in_a_virtual_service_is_one_write_and_no_read(api: FakeApi, kube: Kube) -> None:
    stage = IstioStage(kube)
    await stage.users()
    listing = await kube.client.list_all(VIRTUAL_SERVICES)
    kube.cache.replace_all("VirtualService", listing.items, resource_version=listing.resource_version)
    await stage.begin(2500)
    found = seen(await stage.routing.observe(stage.spec()))
    api.requests.clear()
    await stage.routing.set_weight(stage.spec(), found, ZERO, segments=False)
    path = "/spec/http/1/route"
    assert [request.body for request in api.requests] == [
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": found.resource_version},
            {"op": "test", "path": f"{path}/0/destination/host", "value": LEGACY},
            {"op": "test", "path": f"{path}/1/destination/host", "value": CANDIDATE},
            {"op": "add", "path": f"{path}/0/weight", "value": 100},
            {"op": "add", "path": f"{path}/1/weight", "value": 0},
        ]
    ]
    assert seen(await stage.routing.observe(stage.spec())).weight == ZERO, "known before the watch tells"
    assert len(api.requests) == 1


async def nginx(kube: Kube) -> IngressStage:
    """The users' side of `ingressNginx`, with a live cache that has it."""
    stage = IngressStage(kube)
    await stage.users()
    for resource in (INGRESSES, SERVICES):
        listing = await kube.client.list_all(resource)
        kube.cache.replace_all(resource.kind, listing.items, resource_version=listing.resource_version)
    return stage


async def test_a_revert_of_a_canary_is_one_annotation_and_no_read(api: FakeApi, kube: Kube) -> None:
    stage = await nginx(kube)
    await stage.begin(2500)
    found = seen(await stage.routing.observe(stage.spec()))
    api.requests.clear()
    await stage.routing.set_weight(stage.spec(), found, ZERO, segments=False)
    assert [request.body for request in api.requests] == [
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": found.resource_version},
            {"op": "add", "path": "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight", "value": "0"},
        ]
    ]
    assert seen(await stage.routing.observe(stage.spec())).weight == ZERO, (
        "our own write is known before the watch tells"
    )
    assert len(api.requests) == 1, "looking at a rollout at rest asks for nothing"


async def test_a_canary_without_an_answer_is_read_again_before_it_is_believed(api: FakeApi, kube: Kube) -> None:
    stage = await nginx(kube)
    route = await stage.begin(500)
    api.fail("PATCH", fault=Fault(504, late=True))
    with pytest.raises(ApiUnavailable):
        await stage.routing.set_weight(stage.spec(), route, ZERO, segments=False)
    assert seen(await stage.routing.observe(stage.spec())).weight == ZERO


async def test_a_canary_that_changes_while_it_is_shaped_is_a_conflict(api: FakeApi, kube: Kube) -> None:
    stage = await nginx(kube)
    foreign = {"metadata": {"name": stage.name}, **{"spec": ingress(path("old"))["spec"]}}
    api.meanwhile("POST", lambda: api.store.create(INGRESSES, kube.namespace, foreign))
    with pytest.raises(Conflict):
        await stage.begin(0)
    assert backends(await canary(kube))[0][3] == "old", "what comes up while we create ours is not taken over"
    await kube.other.delete(INGRESSES, kube.namespace, stage.name)
    await stage.begin(0)
    place = (kube.namespace, stage.name)
    note = {"metadata": {"annotations": {"note": "x"}}}
    api.meanwhile("PATCH", lambda: api.store.update(INGRESSES, place, merge(api.store.get(INGRESSES, place), note)))
    with pytest.raises(Conflict):
        await stage.begin(500)
    assert (await stage.begin(500)).weight == 500


async def test_without_rights_on_ingresses_the_rollout_is_told_how_to_get_them(api: FakeApi, kube: Kube) -> None:
    stage = IngressStage(kube)
    denied = '{"kind": "Status", "message": "ingresses is forbidden", "code": 403}'
    for act in (stage.routing.observe(stage.spec()), stage.routing.shape(stage.spec(), ZERO)):
        api.fail("GET", fault=Fault(403, denied))
        told = problem(await act)
        assert "spec.traffic.ingressNginx: the operator may not read Ingresses" in told
        assert "routers.ingressNginx=true" in told


async def by_pods(kube: Kube, legacy: int, candidate: int) -> Ten:
    """Ten pods as the two Deployments want them, all ready, with a live cache that has everything."""
    await pods.users(kube, legacy=legacy, candidate=candidate)
    for resource in (DEPLOYMENTS, SERVICES, SLICES, SCALERS):
        listing = await kube.client.list_all(resource)
        kube.cache.replace_all(resource.kind, listing.items, resource_version=listing.resource_version)
    return Ten(kube)


async def test_a_revert_by_pods_is_two_writes_before_any_read(api: FakeApi, kube: Kube) -> None:
    ten = await by_pods(kube, 8, 2)
    found = seen(await ten.routing.observe(ten.spec))
    api.requests.clear()
    await ten.routing.set_weight(ten.spec, found, ZERO, segments=False)
    sent = [(request.method, request.path.rsplit("/", 2)[1:], request.body) for request in api.requests[:2]]
    assert [(method, where) for method, where, _ in sent] == [
        ("PATCH", [LEGACY, "scale"]),
        ("PATCH", [CANDIDATE, "scale"]),
    ], "legacy's pods are asked for first"
    assert [body["spec"] for _, _, body in sent] == [{"replicas": 10}, {"replicas": 0}]
    assert all(set(body["metadata"]) == {"resourceVersion"} for _, _, body in sent)
    assert {request.method for request in api.requests[2:]} <= {"GET"}


async def test_autoscalers_in_the_cache_are_found_without_a_request(api: FakeApi, kube: Kube) -> None:
    await pods.scaler(kube, CANDIDATE)
    ten = await by_pods(kube, 10, 0)
    api.requests.clear()
    found = seen(await ten.routing.observe(ten.spec))
    assert "scales Deployment" in found.detail
    assert api.requests == []


async def test_without_rights_on_autoscalers_none_is_found(api: FakeApi, kube: Kube) -> None:
    await pods.users(kube, legacy=10)
    api.fail(
        "GET", fault=Fault(403, '{"kind": "Status", "message": "no", "code": 403}', at="/horizontalpodautoscalers")
    )
    assert seen(await Ten(kube).routing.observe(Ten(kube).spec, fresh=True)).accepted


async def test_without_the_right_to_scale_the_rollout_is_told_how_to_get_it(api: FakeApi, kube: Kube) -> None:
    ten = await by_pods(kube, 10, 0)
    found = seen(await ten.routing.observe(ten.spec))
    api.fail("PATCH", fault=Fault(403, '{"kind": "Status", "message": "scale is forbidden", "code": 403}'))
    with pytest.raises(Denied, match=r"may not scale this Deployment \(scale is forbidden\): .*routers.replicas=true"):
        await ten.routing.set_weight(ten.spec, found, Weight(1000), segments=False)


async def test_a_count_without_an_answer_is_read_again_before_it_is_believed(api: FakeApi, kube: Kube) -> None:
    ten = await by_pods(kube, 8, 2)
    found = seen(await ten.routing.observe(ten.spec))
    api.fail("PATCH", fault=Fault(504, late=True))
    with pytest.raises(ApiUnavailable):
        await ten.routing.set_weight(ten.spec, found, ZERO, segments=False)
    looked = seen(await ten.routing.observe(ten.spec))
    assert looked.pods is not None
    assert looked.pods.counts == (10, 2)


async def test_bug_what_a_webhook_refused_was_taken_for_a_bug_of_ours(api: FakeApi, kube: Kube) -> None:
    """The API server answers 400 for a webhook; that was taken for a bug of ours, and the rollout was frozen."""
    stage = await nginx(kube)
    text = 'admission webhook \\"validate.nginx.ingress.kubernetes.io\\" denied the request: host is defined already'
    api.fail("POST", fault=Fault(400, f'{{"kind": "Status", "message": "{text}", "code": 400}}'))
    with pytest.raises(Denied, match="host is defined already"):
        await stage.begin(0)


async def test_a_weight_is_written_under_every_condition_it_was_decided_on(api: FakeApi, kube: Kube) -> None:
    routing = KubeRouting(kube.reader)
    route = seen(await routing.shape(kube.spec(), ZERO))
    await routing.set_weight(kube.spec(), route, Weight(500), segments=False)
    path = "/spec/rules/0/backendRefs"
    assert api.requests[-1].body == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": route.resource_version},
        {"op": "test", "path": f"{path}/0/name", "value": LEGACY},
        {"op": "test", "path": f"{path}/1/name", "value": CANDIDATE},
        {"op": "add", "path": f"{path}/0/weight", "value": 95},
        {"op": "add", "path": f"{path}/1/weight", "value": 5},
    ]


async def test_a_route_that_comes_up_while_we_create_ours_is_not_taken_over(api: FakeApi, kube: Kube) -> None:
    name = route_name("fraud")
    foreign = {"metadata": {"name": name}, "spec": {"rules": [{"backendRefs": [backend("old", 3)]}]}}
    api.meanwhile("PATCH", lambda: api.store.create(HTTPROUTES, kube.namespace, foreign))
    with pytest.raises(Conflict):
        await KubeRouting(kube.reader).shape(kube.spec(), ZERO)
    assert weights(await kube.get(HTTPROUTES, name)) == [[("old", 3)]]


def annotated(api: FakeApi, kube: Kube) -> None:
    place = (kube.namespace, route_name("fraud"))
    patch = {"metadata": {"annotations": {"note": "x"}}}
    api.store.update(HTTPROUTES, place, merge(api.store.get(HTTPROUTES, place), patch))


async def test_shape_and_release_fail_on_a_route_that_changes_under_them(api: FakeApi, kube: Kube) -> None:
    routing = KubeRouting(kube.reader)
    await routing.shape(kube.spec(), Weight(500))
    api.meanwhile("PATCH", lambda: annotated(api, kube))
    with pytest.raises(Conflict):
        await routing.shape(replace(kube.spec(), port=9090), ZERO)
    await kube.edit(HTTPROUTES, route_name("fraud"), {"metadata": {"annotations": {"note": None}}})
    found = await routing.observe(kube.spec(), fresh=True)
    api.meanwhile("PATCH", lambda: annotated(api, kube))
    with pytest.raises(Conflict):
        await routing.release(kube.spec(), found)
    assert (await kube.get(HTTPROUTES, route_name("fraud")))["metadata"]["ownerReferences"]
