"""One full cluster for all faults, whose metric source has a name; the operator runs in a network of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.sandbox import NODE_IP
from e2e.install import install
from e2e.models import image
from e2e.scenarios.faults.apart import OperatorsRoom, open_room
from e2e.scenarios.faults.pairs import Pair, open_pair
from e2e.scenarios.staging import kept, staging
from e2e.stage import Operator, Stage

OPERATOR_PORT = 9464
SCRAPE = "2s"
MONITORING = "monitoring"
PROMETHEUS = f"prometheus.{MONITORING}.svc.cluster.local"


@pytest.fixture(scope="package")
def cluster() -> Iterator[EmbeddedCluster]:
    """A full cluster of its own, gone with the last of these tests; Prometheus has a Service, as on a user's."""
    made = EmbeddedCluster(f"faults-{os.getpid()}", ephemeral=True, scrape=SCRAPE)
    made.up("full")
    try:
        made.load_image(image.archive())
        made.exec(["kubectl", "apply", "-f", "-"], input_text=json.dumps(_named_prometheus()))
        install(made, prometheus=f"http://{PROMETHEUS}:9090", scrape=SCRAPE)
        yield made
    finally:
        made.down()


def _named_prometheus() -> dict[str, object]:
    about = {"name": "prometheus", "namespace": MONITORING}
    service = {"metadata": about, "spec": {"ports": [{"name": "http", "port": 9090}]}}
    ready = {"addresses": [NODE_IP], "conditions": {"ready": True}}
    slices = {
        "metadata": {**about, "labels": {"kubernetes.io/service-name": "prometheus"}},
        "addressType": "IPv4",
        "endpoints": [ready],
        "ports": [{"name": "http", "port": 9090, "protocol": "TCP"}],
    }
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MONITORING}},
        {"apiVersion": "v1", "kind": "Service", **service},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **slices},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


@pytest.fixture(scope="package")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs and records of this run are kept."""
    return kept(tmp_path_factory, "faults")


@pytest.fixture(scope="package")
def room(cluster: EmbeddedCluster) -> OperatorsRoom:
    """The operator's network."""
    return open_room(cluster)


@pytest.fixture(scope="package")
def offset(artifacts: Path) -> Path:
    """By how many seconds the operator's clock is wrong; right while there is no such file."""
    return artifacts / "clock-offset"


@pytest.fixture(scope="package")
def operator(room: OperatorsRoom, artifacts: Path, offset: Path) -> Iterator[Operator]:
    """The operator, all tests' own."""
    module = ("e2e.scenarios.faults.clock", offset)
    made = Operator(room, artifacts / "faults-operator.log", port=OPERATOR_PORT, module=module)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def stages(cluster: EmbeddedCluster, operator: Operator, artifacts: Path) -> Iterator[Callable[[str], Stage]]:
    """Make a stage in a namespace of its own; removed after the test."""
    with staging(cluster, operator, artifacts) as make:
        yield make


@pytest.fixture
def pair(stages: Callable[[str], Stage], request: pytest.FixtureRequest) -> Pair:
    """A rollout that is well and one that will turn bad, both in mid-step; named after the test's first word."""
    return open_pair(stages, request.function.__name__.removeprefix("test_").split("_")[0])
