"""The cache: what it keeps, what it forgets, whom it wakes, and when it does not trust itself."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.cache import ObjectCache, older
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.projection import DEPLOYMENT, HTTPROUTE, SERVICE
from modelrollout.adapters.kube.rollout_view import ROLLOUT, SOURCE
from modelrollout.api.source import Source
from modelrollout.core.model import Key
from modelrollout.errors import StaleRead
from tests.contract.kube.rollouts_suite import action, body
from tests.contract.kube.workloads_suite import deployment, endpoints, service

FRAUD = Key("serving", "fraud")


def at(version: int, name: str, what: dict[str, Any] | None = None, *, namespace: str = "serving") -> dict[str, Any]:
    what = what or {}
    metadata = {
        "namespace": namespace,
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "generation": 1,
    }
    return {**what, "metadata": {**metadata, **what.get("metadata", {})}}


def ports(cache: ObjectCache, name: str = "a") -> list[int]:
    view = cache.find(SERVICE, "serving", name)
    assert view is not None
    return [port.port for port in view.ports]


def test_the_newest_version_wins_whatever_the_order() -> None:
    cache = ObjectCache()
    cache.apply("Service", at(9, "a", service("a", 80)))
    cache.apply("Service", at(10, "a", service("a", 81)))
    cache.apply("Service", at(9, "a", service("a", 80)))
    assert ports(cache) == [81]
    cache.remove("Service", "serving", "a", "9")
    assert ports(cache) == [81], "the deletion of an earlier namesake"
    cache.remove("Service", "serving", "a", "11")
    assert cache.find(SERVICE, "serving", "a") is None


def test_versions_compare_as_numbers_and_never_fail() -> None:
    assert older("9", "10")
    assert not older("10", "9")
    assert not older("10", "10")
    assert not older("a", "10")


def test_our_own_write_makes_older_objects_stale_until_it_comes_back() -> None:
    cache = ObjectCache()
    cache.apply("Service", at(5, "a", service("a", 80)))
    cache.note_write("Service", "serving", "a", "7")
    with pytest.raises(StaleRead):
        cache.find(SERVICE, "serving", "a")
    cache.apply("Service", at(6, "a", service("a", 81)))
    with pytest.raises(StaleRead):
        cache.find(SERVICE, "serving", "a")
    cache.apply("Service", at(7, "a", service("a", 82)))
    assert ports(cache) == [82]
    cache.note_write("Service", "serving", "a", "7")
    assert ports(cache) == [82], "already seen"


def test_a_doubted_object_is_stale_until_it_was_read_or_changed() -> None:
    cache = ObjectCache()
    cache.apply("Service", at(5, "a", service("a", 80)))
    cache.doubt("Service", "serving", "a")
    cache.apply("Service", at(5, "a", service("a", 80)))
    with pytest.raises(StaleRead):
        cache.find(SERVICE, "serving", "a")
    cache.apply("Service", at(5, "a", service("a", 80)), fresh=True)
    assert ports(cache) == [80]
    cache.doubt("Service", "serving", "a")
    cache.apply("Service", at(6, "a", service("a", 81)))
    assert ports(cache) == [81]


def test_bug_a_deleted_route_was_written_at_a_version_known_to_be_old_while_the_view_lagged() -> None:
    cache = ObjectCache()
    cache.apply("ModelRollout", at(1, "fraud", body()))
    cache.apply("Service", at(7, "fraud-v8", service("fraud-v8", 80)))
    assert cache.vanished("Service", "serving", "fraud-v8") == (FRAUD,)
    for version in (6, 7):
        assert cache.apply("Service", at(version, "fraud-v8", service("fraud-v8", 80))) == ()
        cache.adopt(SERVICE, at(version, "fraud-v8", service("fraud-v8", 80)))
        lagging = [at(version, "fraud-v8", service("fraud-v8", 80))]
        assert cache.replace_all("Service", lagging, resource_version="8") == (0, ())
        assert cache.find(SERVICE, "serving", "fraud-v8") is None
    cache.vanished("Service", "serving", "fraud-v8")
    cache.remove("Service", "serving", "fraud-v8", "5")
    cache.apply("Service", at(7, "fraud-v8", service("fraud-v8", 80)))
    assert cache.find(SERVICE, "serving", "fraud-v8") is None, "told twice, and the deletion of an earlier namesake"
    assert cache.apply("Service", at(9, "fraud-v8", service("fraud-v8", 81))) == (FRAUD,)
    assert ports(cache, "fraud-v8") == [81], "made anew"


@pytest.mark.parametrize("way", ["read", "deletion seen", "listed without", "cleared"])
def test_what_was_gone_may_come_back_once_the_views_have_caught_up(way: str) -> None:
    """After a restore of etcd an old version is the newest there is."""
    cache = ObjectCache()
    old = at(7, "a", service("a", 80))
    cache.apply("Service", old)
    cache.vanished("Service", "serving", "a")
    if way == "read":
        cache.apply("Service", old, fresh=True)
    elif way == "deletion seen":
        cache.remove("Service", "serving", "a", "8")
    elif way == "listed without":
        cache.replace_all("Service", [], resource_version="6")
        cache.replace_all("Service", [], resource_version="9", namespace="other")
        cache.apply("Service", old)
        assert cache.find(SERVICE, "serving", "a") is None, "neither list could say so"
        cache.replace_all("Service", [], resource_version="8")
    else:
        cache.clear("Service")
    cache.apply("Service", old)
    assert ports(cache) == [80]


def test_a_list_prunes_ghosts_and_counts_what_the_watch_missed() -> None:
    cache = ObjectCache()
    assert not cache.live("Service")
    for name in ("kept", "ghost", "outdated", "newer"):
        cache.apply("Service", at(5, name, service(name, 80)))
    cache.apply("Service", at(30, "written", service("written", 80)))
    cache.apply("Service", at(5, "elsewhere", service("elsewhere", 80), namespace="other"))
    listed = [
        at(5, "kept", service("kept", 80)),
        at(8, "outdated", service("outdated", 81)),
        at(4, "newer", service("newer", 79)),
        at(9, "missed", service("missed", 80)),
    ]
    drift, _ = cache.replace_all("Service", listed, resource_version="20", namespace="serving")
    assert drift == 3, "ghost, outdated, missed"
    assert cache.live("Service")
    assert cache.find(SERVICE, "serving", "ghost") is None
    assert ports(cache, "outdated") == [81]
    assert ports(cache, "newer") == [80]
    assert ports(cache, "missed") == [80]
    assert ports(cache, "written") == [80], "written by us after the list was read"
    assert cache.find(SERVICE, "other", "elsewhere") is not None
    again, affected = cache.replace_all("Service", listed, resource_version="20", namespace="serving")
    assert (again, affected) == (0, ())
    cache.suspend("Service")
    assert not cache.live("Service")


def test_a_list_in_pages_is_complete_only_at_its_end_and_may_begin_anew() -> None:
    cache = ObjectCache()
    for name in ("kept", "ghost", "gone"):
        cache.apply("Service", at(5, name, service(name, 80)))
    refill = cache.refill("Service")
    refill.add([at(5, "gone", service("gone", 80)), at(9, "missed", service("missed", 80))])
    assert not cache.live("Service")
    assert cache.find(SERVICE, "serving", "ghost") is not None, "a later page may have it"
    refill.again()
    refill.add([at(5, "kept", service("kept", 80))])
    refill.add([at(9, "missed", service("missed", 80))])
    cache.apply("Service", at(30, "made-meanwhile", service("made-meanwhile", 80)))
    drift, _ = refill.done("20")
    assert drift == 3, "missed, ghost, gone"
    assert cache.live("Service")
    assert [cache.find(SERVICE, "serving", name) is not None for name in ("kept", "missed", "made-meanwhile")] == [
        True
    ] * 3
    assert [cache.find(SERVICE, "serving", name) for name in ("ghost", "gone")] == [None, None]


def test_every_object_wakes_the_rollouts_that_name_it() -> None:
    cache = ObjectCache()
    assert cache.apply("ModelRollout", at(1, "fraud", body())) == (FRAUD,)
    assert cache.apply("Deployment", at(2, "fraud-v7", deployment("fraud-v7"))) == (FRAUD,)
    assert cache.apply("Deployment", at(3, "other", deployment("other"))) == ()
    assert cache.apply("Service", at(4, "fraud-v8", service("fraud-v8", 8080))) == (FRAUD,)
    assert cache.apply("EndpointSlice", at(5, "x", endpoints("fraud-v8", True))) == (FRAUD,)
    assert cache.apply("EndpointSlice", at(6, "y", endpoints("other", True))) == ()
    assert cache.apply("HTTPRoute", at(7, "shop", {"spec": {"rules": []}})) == (FRAUD,)
    assert cache.apply("HTTPRoute", at(8, route_name("fraud"), {"spec": {"rules": []}})) == (), "it adopts another"
    assert cache.apply("RolloutAction", at(9, "abort", action("Abort"))) == (FRAUD,)
    source = at(10, "default", {"spec": {"prometheus": {"address": "http://prometheus:9090"}}}, namespace="")
    assert cache.apply("MetricSource", source) == (FRAUD,)
    assert cache.apply("Deployment", at(11, "fraud-v7", deployment("fraud-v7"), namespace="other")) == ()
    assert cache.dependents("EndpointSlice", "serving", "x") == (FRAUD,)
    assert cache.remove("EndpointSlice", "serving", "x") == (FRAUD,)
    assert cache.dependents("EndpointSlice", "serving", "x") == ()
    assert cache.slices("serving", "fraud-v8") == ()


def test_a_managed_rollout_is_woken_by_its_own_route() -> None:
    cache = ObjectCache()
    what = body()
    what["spec"]["traffic"] = {"managedRoute": {"parentRefs": [{"name": "public"}]}}
    cache.apply("ModelRollout", at(1, "fraud", what))
    assert cache.dependents("HTTPRoute", "serving", route_name("fraud")) == (FRAUD,)


def test_a_slice_that_moves_to_another_service_wakes_both_sides() -> None:
    cache = ObjectCache()
    cache.apply("ModelRollout", at(1, "fraud", body()))
    cache.apply("EndpointSlice", at(2, "x", endpoints("fraud-v8", True)))
    assert cache.apply("EndpointSlice", at(3, "x", endpoints("other", True))) == (FRAUD,)
    assert cache.slices("serving", "other") == ("x",)
    assert cache.slices("serving", "fraud-v8") == ()


def test_references_follow_the_spec() -> None:
    cache = ObjectCache()
    cache.apply("ModelRollout", at(1, "fraud", body()))
    cache.apply("ModelRollout", at(1, "other", body()))
    both = (FRAUD, Key("serving", "other"))
    assert cache.dependents("Deployment", "serving", "fraud-v8") == both
    moved = body()
    moved["spec"]["candidate"] = {"deployment": "fraud-v9"}
    cache.apply("ModelRollout", at(2, "fraud", moved))
    assert cache.dependents("Deployment", "serving", "fraud-v8") == both[1:]
    assert cache.dependents("Deployment", "serving", "fraud-v9") == (FRAUD,)
    cache.remove("ModelRollout", "serving", "other")
    assert cache.dependents("Deployment", "serving", "fraud-v8") == ()
    assert cache.dependents("Deployment", "serving", "fraud-v7") == (FRAUD,)


def test_an_object_that_can_not_be_read_is_a_value_too() -> None:
    cache = ObjectCache()
    cache.apply("ModelRollout", at(1, "fraud", {"spec": {"legacy": 7}}))
    obj = cache.find(ROLLOUT, "serving", "fraud")
    assert obj is not None
    assert obj.spec is None
    assert obj.problem is not None
    assert cache.apply("RolloutAction", at(2, "odd", {"spec": {}})) == ()
    assert cache.actions(FRAUD) == ()


def test_sources_are_kept_as_the_metrics_adapter_takes_them() -> None:
    cache = ObjectCache()
    cache.apply("MetricSource", at(1, "default", {"spec": {"prometheus": {"address": "http://p:9090"}}}, namespace=""))
    [view] = cache.every(SOURCE)
    assert view.name == "default"
    assert isinstance(view.source, Source)


def test_echoes_are_not_projected_again() -> None:
    cache = ObjectCache()
    cache.apply("Deployment", at(3, "a", deployment("a")))
    first = cache.find(DEPLOYMENT, "serving", "a")
    cache.apply("Deployment", at(3, "a", deployment("a")))
    assert cache.find(DEPLOYMENT, "serving", "a") is first


def test_a_route_without_rules_is_no_error() -> None:
    cache = ObjectCache()
    cache.apply("HTTPRoute", at(1, "shop", {}))
    view = cache.find(HTTPROUTE, "serving", "shop")
    assert view is not None
    assert view.rules == ()
