"""Ingresses that stand in the way of a canary are found by host and Service, whatever else there is."""

from __future__ import annotations

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.resources import Body
from tests.contract.kube.ingresses import HOST, ingress, path


def stored(name: str, version: int, body: Body, namespace: str = "serving") -> Body:
    metadata = {**body["metadata"], "name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {**body, "metadata": metadata}


def near(cache: ObjectCache, service: str = "fraud-v8", *hosts: str) -> set[str]:
    return set(cache.ingresses_near("serving", service, hosts))


def test_only_what_can_stand_in_the_way_is_found() -> None:
    cache = ObjectCache()
    default = ingress(path("web"), host="d.example.com")
    default["spec"]["defaultBackend"] = {"service": {"name": "fraud-v8", "port": {"number": 80}}}
    for number, (name, body) in enumerate(
        {
            "users": ingress(path("fraud-v7")),
            "preview": ingress(path("fraud-v8"), host="preview.example.com"),
            "default": default,
            "rival": ingress(path("rival"), canary="true"),
            "canary-elsewhere": ingress(path("fraud-v8"), host="e.example.com", canary="true"),
        }.items()
    ):
        cache.apply("Ingress", stored(name, number + 1, body))
    cache.apply("Ingress", stored("other-namespace", 9, ingress(path("fraud-v8"), canary="true"), "other"))
    assert near(cache) == {"preview", "default"}
    assert near(cache, "fraud-v8", HOST) == {"preview", "default", "rival"}
    assert near(cache, "fraud-v9", HOST, "e.example.com") == {"rival", "canary-elsewhere"}


def test_what_changed_or_went_is_not_found_any_more() -> None:
    cache = ObjectCache()
    cache.apply("Ingress", stored("rival", 1, ingress(path("rival"), canary="true")))
    cache.apply("Ingress", stored("second", 2, ingress(path("rival"), canary="true")))
    cache.apply("Ingress", stored("rival", 3, ingress(path("rival"), host="moved.example.com", canary="true")))
    assert near(cache, "", HOST) == {"second"}
    assert near(cache, "", "moved.example.com") == {"rival"}
    cache.remove("Ingress", "serving", "second")
    assert near(cache, "", HOST) == set()
    cache.clear("Ingress")
    assert near(cache, "", "moved.example.com") == set()
