"""Full lists on an API server: what they take in, what they prune, and lists that break half way."""

from __future__ import annotations

import pytest

from modelrollout.adapters.kube.profiles import CachedProfiles
from modelrollout.adapters.kube.projection import SERVICE
from modelrollout.adapters.kube.resources import (
    HTTPROUTES,
    INGRESSES,
    PROFILES,
    ROLLOUTS,
    SCALERS,
    SERVICES,
    SOURCES,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Body,
    Resource,
)
from modelrollout.adapters.kube.rollouts import KubeRollouts
from modelrollout.adapters.prom.sources import Sources
from modelrollout.api.convert import to_spec
from modelrollout.core.model import Key, RolloutSpec
from modelrollout.core.observation import SpecProblem
from modelrollout.errors import ApiUnavailable
from modelrollout.runtime.store import Store
from modelrollout.shell.sync import WATCHED, NamespaceLabels, Secrets, Sync, Unusable
from tests.contract.fake_api import FakeApi, Fault
from tests.contract.kube import pods
from tests.contract.kube.harness import Kube
from tests.contract.kube.ingresses import main
from tests.contract.kube.rollouts_suite import body
from tests.contract.kube.workloads_suite import service

EXPIRED = Fault(410, '{"kind": "Status", "message": "too old resource version", "code": 410}')


def parts(kube: Kube) -> tuple[Store, Sync]:
    labels = NamespaceLabels(kube.client)
    store = Store(KubeRollouts(kube.reader))
    sources = Sources(
        read_secret=Secrets(kube.client, "operator"), namespace_labels=labels, allow_loopback=True, denied=()
    )
    sync = Sync(
        client=kube.client, cache=kube.cache, store=store, sources=sources, labels=labels, namespaces=(), page=2
    )
    return store, sync


async def test_everything_is_taken_in_page_by_page_and_what_is_gone_is_pruned(kube: Kube) -> None:
    store, sync = parts(kube)
    for index in range(5):
        await kube.create(ROLLOUTS, f"m{index}", body())
        await kube.create(SERVICES, f"s{index}", service(f"s{index}", 80))
    drift, concerned = await sync()
    keys = {Key(kube.namespace, f"m{index}") for index in range(5)}
    assert drift == 10
    assert set(store) == set(concerned) == keys
    await kube.other.delete(ROLLOUTS, kube.namespace, "m3")
    await kube.other.delete(SERVICES, kube.namespace, "s1")
    drift, concerned = await sync()
    assert drift == 2
    assert set(store) == keys - {Key(kube.namespace, "m3")}
    assert kube.cache.find(SERVICE, kube.namespace, "s1") is None
    assert await sync() == (0, ())


async def test_a_rollout_that_goes_while_its_list_begins_anew_is_no_ghost(kube: Kube, api: FakeApi) -> None:
    store, sync = parts(kube)
    for index in range(6):
        await kube.create(ROLLOUTS, f"m{index}", body())

    def at_the_second_page() -> None:
        last = api.requests[-1]
        if last.path.endswith("/modelrollouts") and "continue" in last.query:
            api.store.delete(ROLLOUTS, (kube.namespace, "m0"), {})
            api.fail("GET", fault=EXPIRED)
        else:
            api.meanwhile("GET", at_the_second_page)

    api.meanwhile("GET", at_the_second_page)
    await sync()
    assert set(store) == {Key(kube.namespace, f"m{index}") for index in range(1, 6)}


async def test_a_cluster_without_gateway_api_is_listed_and_watched_without_it(
    kube: Kube, api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    store, sync = parts(kube)
    await kube.create(ROLLOUTS, "m", body())
    del api.server.served[HTTPROUTES]
    await sync()
    await sync()
    assert len(store) == 1
    assert HTTPROUTES not in sync.kinds
    assert not kube.cache.live("HTTPRoute"), "who needs one asks the server, which says what is missing"
    assert caplog.text.count("the cluster does not serve httproutes: rollouts that need them are told so") == 1
    api.server.served[HTTPROUTES] = None
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    assert kube.cache.live("HTTPRoute")


@pytest.mark.parametrize("why", ["not served", "not allowed"])
async def test_before_an_upgrade_has_brought_sli_profiles_everything_else_goes_on(
    kube: Kube, api: FakeApi, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    store, sync = parts(kube)
    await kube.create(ROLLOUTS, "m", body())
    if why == "not served":
        del api.server.served[PROFILES]
    for _ in range(2):
        if why == "not allowed":
            denied = Fault(403, '{"kind": "Status", "message": "forbidden", "code": 403}', at="/sliprofiles")
            api.fail("GET", fault=denied)
        await sync()
    assert len(store) == 1
    assert PROFILES not in sync.kinds
    found = CachedProfiles(kube.cache)("acme-scorer")
    assert isinstance(found, SpecProblem)
    assert "install the CRDs and the rights of this release" in found.problem
    assert caplog.text.count("sliprofiles") == 1
    api.server.served[PROFILES] = None
    await sync()
    assert PROFILES in sync.kinds
    assert CachedProfiles(kube.cache)("acme-scorer") is None


def nginx() -> Body:
    made = body()
    made["spec"]["traffic"] = {"ingressNginx": {"ingress": "fraud"}}
    return made


def listed(api: FakeApi) -> int:
    return sum(1 for request in api.requests if request.path.endswith("/ingresses"))


async def test_ingresses_are_listed_and_watched_only_while_a_rollout_uses_them(kube: Kube, api: FakeApi) -> None:
    _, sync = parts(kube)
    await kube.create(ROLLOUTS, "m", body())
    await main(kube)
    await sync()
    assert (listed(api), set(sync.kinds)) == (1, set(WATCHED)), "that one was the users' own"
    spec = to_spec({**nginx(), "metadata": {"name": "n", "namespace": kube.namespace}})
    assert isinstance(spec, RolloutSpec)
    assert sync.overlooks(spec), "so that a full list begins at once"
    await kube.create(ROLLOUTS, "n", nginx())
    await sync()
    assert not sync.overlooks(spec)
    assert set(sync.kinds) == {*WATCHED, INGRESSES}
    assert kube.cache.ingresses_near(kube.namespace, "web", ()) == ("fraud",)
    assert kube.cache.live("Ingress")
    assert kube.cache.dependents("Ingress", kube.namespace, "fraud") == (Key(kube.namespace, "n"),)
    await kube.other.delete(ROLLOUTS, kube.namespace, "n")
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    assert kube.cache.ingresses_near(kube.namespace, "web", ()) == ()
    assert not kube.cache.live("Ingress")


@pytest.mark.parametrize(
    ("traffic", "resource"),
    [({"istio": {"virtualService": "fraud"}}, VIRTUAL_SERVICES), ({"traefik": {"service": "fraud"}}, TRAEFIK_SERVICES)],
    ids=["istio", "traefik"],
)
async def test_what_a_router_adopts_is_watched_only_while_a_rollout_uses_it(
    kube: Kube, api: FakeApi, traffic: Body, resource: Resource
) -> None:
    _, sync = parts(kube)
    await kube.create(ROLLOUTS, "m", body())
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    assert not [request for request in api.requests if resource.plural in request.path]
    asks = body()
    asks["spec"]["traffic"] = traffic
    await kube.create(ROLLOUTS, "n", asks)
    await kube.create(resource, "fraud", {"spec": {}})
    await sync()
    assert set(sync.kinds) == {*WATCHED, resource}
    assert kube.cache.dependents(resource.kind, kube.namespace, "fraud") == (Key(kube.namespace, "n"),)
    await kube.other.delete(ROLLOUTS, kube.namespace, "n")
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    assert not kube.cache.live(resource.kind)


async def test_without_the_right_to_list_ingresses_everything_else_goes_on(
    kube: Kube, api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    store, sync = parts(kube)
    await kube.create(ROLLOUTS, "n", nginx())

    for _ in range(2):
        api.fail("GET", fault=Fault(403, '{"kind": "Status", "message": "forbidden", "code": 403}', at="/ingresses"))
        await sync()
    assert len(store) == 1
    assert set(sync.kinds) == set(WATCHED)
    assert not kube.cache.live("Ingress"), "who needs one asks the server, which says what is missing"
    assert caplog.text.count("the operator may not list ingresses in the whole cluster: rollouts that need") == 1
    await sync()
    assert kube.cache.live("Ingress"), "granted meanwhile"


async def test_autoscalers_are_known_only_while_a_rollout_shares_pods(kube: Kube, api: FakeApi) -> None:
    _, sync = parts(kube)
    await pods.scaler(kube, "fraud-v7")
    await kube.create(ROLLOUTS, "m", body())
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    by_pods = body()
    by_pods["spec"] |= {"traffic": {"replicas": {"service": "fraud", "total": 10}}, "steps": [{"weight": 100}]}
    by_pods["spec"] |= {"legacy": {"deployment": "fraud-v7"}, "candidate": {"deployment": "fraud-v8"}}
    await kube.create(ROLLOUTS, "n", by_pods)
    await sync()
    assert set(sync.kinds) == {*WATCHED, SCALERS}
    assert kube.cache.scalers(kube.namespace, "fraud-v7") == ("scale-fraud-v7",)
    assert Key(kube.namespace, "n") in kube.cache.dependents(
        "HorizontalPodAutoscaler", kube.namespace, "scale-fraud-v7"
    )
    await kube.other.delete(ROLLOUTS, kube.namespace, "n")
    await sync()
    assert set(sync.kinds) == set(WATCHED)
    assert kube.cache.scalers(kube.namespace, "fraud-v7") == ()


async def test_a_cluster_without_our_own_kinds_is_of_no_use(kube: Kube, api: FakeApi) -> None:
    _, sync = parts(kube)
    del api.server.served[SOURCES]
    with pytest.raises(Unusable, match="does not serve metricsources"):
        await sync()


async def test_a_list_that_fails_half_way_prunes_nothing(kube: Kube, api: FakeApi) -> None:
    store, sync = parts(kube)
    for index in range(3):
        await kube.create(ROLLOUTS, f"m{index}", body())
    await sync()
    api.fail("GET", fault=Fault(500, "{}"))
    with pytest.raises(ApiUnavailable):
        await sync()
    assert len(store) == 3
