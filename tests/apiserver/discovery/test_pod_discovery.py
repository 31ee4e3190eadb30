"""Prometheus finds pods through a real API server, with the full tier's scrape configuration."""

import json
from collections.abc import Iterator

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.exposition import Exposition
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus, Result
from e2e.cluster.scrape import kubernetes_config

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    # No object of this kind is made; the tier wants at least one file.
    with apiserver(crds=[gateway_api_crds() / "gateway.networking.k8s.io_gatewayclasses.yaml"]) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(server: ApiServer) -> Iterator[Prometheus]:
    with Prometheus(config=kubernetes_config(server.kubeconfig)) as running:
        yield running


@pytest.fixture
def target() -> Iterator[Exposition]:
    with Exposition("jobs 7\n") as running:
        yield running


def add_pod(
    server: ApiServer,
    name: str,
    *,
    ports: dict[str, int],
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    phase: str = "Running",
) -> None:
    """A pod at 127.0.0.1: its `ports` are those of this process."""
    container = {
        "name": "model",
        "image": "none.test/none:1",
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }
    server.kubectl("create", "-f", "-", input_text=json.dumps(pod))
    status = {"phase": phase, "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    patch = json.dumps({"status": status})
    server.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "--patch", patch)


def port_of(target: Exposition) -> int:
    return int(target.target.rsplit(":", 1)[1])


def scraped(prometheus: Prometheus, pod: str) -> list[Result]:
    return prometheus.wait_for(f'jobs{{pod="{pod}"}}')


@pytest.mark.parametrize("port", ["metrics", "http"])
def test_a_named_port_is_scraped_and_labelled(
    port: str, server: ApiServer, prometheus: Prometheus, target: Exposition
) -> None:
    name = f"by-{port}"
    add_pod(server, name, ports={port: port_of(target), "other": 9}, labels={"role": "legacy"})
    [found] = scraped(prometheus, name)
    labels = {key: found.labels[key] for key in ("namespace", "pod", "container", "role")}
    assert labels == {"namespace": "default", "pod": name, "container": "model", "role": "legacy"}
    assert found.value == 7.0
    server.kubectl("delete", "pod", name, "--force", "--grace-period=0")
    prometheus.wait_for(f'up{{pod="{name}"}}', lambda results: results == [])


def test_the_annotation_wins_and_the_products_label_wins(
    server: ApiServer, prometheus: Prometheus, target: Exposition
) -> None:
    add_pod(
        server,
        "annotated",
        ports={"metrics": 9, "admin": port_of(target)},
        labels={"role": "x", "modelrollout.dev/role": "candidate"},
        annotations={"prometheus.io/port": str(port_of(target)), "prometheus.io/path": "/stats"},
    )
    [found] = scraped(prometheus, "annotated")
    assert found.labels["role"] == "candidate"
    [up] = prometheus.query('up{pod="annotated"}')
    assert up.value == 1.0


def test_other_pods_are_left_alone(server: ApiServer, prometheus: Prometheus, target: Exposition) -> None:
    port = port_of(target)
    add_pod(server, "unnamed", ports={"grpc": port})
    add_pod(server, "refused", ports={"http": port}, annotations={"prometheus.io/scrape": "false"})
    add_pod(server, "finished", ports={"http": port}, phase="Succeeded")
    # Discovered after the others, so they have been looked at when it is up.
    add_pod(server, "wanted", ports={"http": port})
    scraped(prometheus, "wanted")
    assert prometheus.query('up{pod=~"unnamed|refused|finished"}') == []
