"""One real API server with our CRDs for the whole session, and a Prometheus for who asks."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import Exporter, prometheus

CRDS = Path(__file__).parents[2] / "crds"
VERSION = ("modelrollout.dev", "v1alpha1")
PLURALS = {
    "ModelRollout": "modelrollouts",
    "MetricSource": "metricsources",
    "RolloutAction": "rolloutactions",
    "SliProfile": "sliprofiles",
}


class Resources:
    """Our resources over HTTP, as dictionaries; raises `kubernetes.client.ApiException`."""

    def __init__(self, connection: client.ApiClient) -> None:
        # The generated signatures are narrower than what the calls take.
        self._api: Any = client.CustomObjectsApi(connection)

    def create(self, obj: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create the object with strict field validation, as kubectl asks for."""
        options = {"field_validation": "Strict", **({"dry_run": "All"} if dry_run else {})}
        body = copy.deepcopy(obj)
        where = (*VERSION, body["metadata"]["namespace"]) if "namespace" in body["metadata"] else VERSION
        call = self._api.create_cluster_custom_object if where is VERSION else self._api.create_namespaced_custom_object
        stored = call(*where, PLURALS[obj["kind"]], body, **options)
        assert isinstance(stored, dict)
        return stored

    def patch(self, kind: str, name: str, body: dict[str, Any], *, status: bool = False) -> dict[str, Any]:
        """Merge-patch an object of namespace default, or its status subresource; the object as stored."""
        suffix = "_status" if status else ""
        call = getattr(self._api, f"patch_namespaced_custom_object{suffix}")
        stored = call(
            *VERSION, "default", PLURALS[kind], name, copy.deepcopy(body), _content_type="application/merge-patch+json"
        )
        assert isinstance(stored, dict)
        return stored


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS]) as running:
        yield running


@pytest.fixture(scope="session")
def resources(server: ApiServer) -> Iterator[Resources]:
    connection = config.new_client_from_config(str(server.kubeconfig))  # type: ignore[no-untyped-call]  # no types there
    with connection:
        yield Resources(connection)


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """Counters of two arms, for `metrics` to scrape."""
    made = Exporter()
    yield made
    made.close()


@pytest.fixture
def metrics(exporter: Exporter) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes `exporter`."""
    with prometheus(exporter) as running:
        yield running
