"""Provider kind itself: a node by kubeadm comes up whole, reachable as any provider's, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import programs
from e2e.cluster.kind import KindCluster
from e2e.cluster.layout import KIND_PREFIX, Layout
from e2e.cluster.processes import ClusterError
from e2e.models import image
from e2e.scenarios.traces import Traces, traces, wait_until
from e2e.stage import Stage

# The first use builds everything.
pytestmark = [pytest.mark.timeout(2400), pytest.mark.needs("kind")]
NAME = "test-kind"
KILLED = "test-killed"
OWNER = """
import sys
from e2e.cluster.kind import KindCluster
KindCluster(sys.argv[1], ephemeral=True).up("full")
"""


def seen(name: str) -> Traces:
    return traces(name, KIND_PREFIX)


@pytest.fixture(scope="module")
def before() -> Traces:
    return seen(NAME)


@pytest.fixture(scope="module")
def cluster(before: Traces) -> Iterator[KindCluster]:
    made = KindCluster(NAME, ephemeral=True)
    made.up("full")
    yield made
    made.down()


@pytest.fixture(scope="module")
def stage(cluster: KindCluster, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A model server behind a Service and a route."""
    cluster.load_image(image.archive())
    made = Stage(cluster, "models", tmp_path_factory.mktemp("models"))
    made.create()
    made.deploy(made.arm("tumour-v1", "legacy", "good", "v1"))
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "tumour"},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "infra"}],
            "hostnames": [made.host],
            "rules": [{"backendRefs": [{"name": "tumour-v1", "port": 8080}]}],
        },
    }
    made.apply(route)
    return made


def fetch(cluster: KindCluster, url: str, *flags: str) -> str:
    return cluster.exec(["curl", "-s", "--max-time", "5", *flags, url], check=False).stdout


def test_the_node_is_one_of_kubeadm_and_of_our_minor_version(cluster: KindCluster) -> None:
    (node,) = json.loads(cluster.exec(["kubectl", "get", "nodes", "-o", "json"]).stdout)["items"]
    assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    assert node["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{programs.KUBERNETES.rpartition('.')[0]}.")
    pods = cluster.exec(["kubectl", "get", "pods", "-n", "kube-system", "-o", "name"]).stdout
    assert [name for name in ("etcd", "kube-apiserver", "kube-proxy", "coredns") if f"pod/{name}-" not in pods] == []


def test_a_pod_of_a_loaded_image_answers_by_service_by_name_and_through_the_gateway(
    cluster: KindCluster, stage: Stage
) -> None:
    url = cluster.url(f"{stage.namespace}/tumour-v1")
    wait_until(lambda: fetch(cluster, f"{url}/readyz") != "", f"an answer from {url}")
    inside = cluster.forward(url)
    with urllib.request.urlopen(f"{inside}/readyz", timeout=5) as answer:
        assert answer.status == 200
    address = ["kubectl", "get", "gateway", "public", "-n", "infra", "-o", "jsonpath={.status.addresses[0].value}"]
    door = f"http://{cluster.exec(address).stdout}/readyz"
    wait_until(
        lambda: fetch(cluster, door, "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {stage.host}") == "200",
        "an answer through the gateway",
        timeout_s=30,
    )


def test_prometheus_scrapes_the_pod_with_its_labels(cluster: KindCluster, stage: Stage) -> None:
    query = f'{cluster.prometheus_url}/api/v1/query?query=up{{namespace="{stage.namespace}",role="legacy"}}'
    quoted = query.replace("{", "%7B").replace("}", "%7D").replace('"', "%22")

    def scraped() -> bool:
        result = json.loads(fetch(cluster, quoted) or "{}").get("data", {}).get("result", [])
        return [each["value"][1] for each in result] == ["1"]

    wait_until(scraped, "the pod is up to Prometheus", timeout_s=30)


def test_programs_outside_reach_the_api(cluster: KindCluster) -> None:
    kubectl = [str(programs.kubernetes() / "kubectl"), f"--kubeconfig={cluster.host_kubeconfig}"]
    done = subprocess.run([*kubectl, "get", "--raw", "/readyz"], capture_output=True, text=True, check=True)
    assert done.stdout == "ok"


def test_up_again_finds_it_and_status_tells(cluster: KindCluster) -> None:
    cluster.exec(["kubectl", "create", "configmap", "kept"])
    KindCluster(NAME).up("full")
    assert cluster.exec(["kubectl", "get", "configmap", "kept", "-o", "name"]).stdout == "configmap/kept\n"
    status = KindCluster(NAME).status()
    assert status is not None
    assert (status["tier"], Path(status["kubeconfig"]).is_file()) == ("full", True)


def test_a_component_of_the_control_plane_has_a_log(cluster: KindCluster) -> None:
    assert "leaderelection" in cluster.logs("kube-scheduler")
    with pytest.raises(ClusterError, match=r"has no log of 'prometheus'; there are: .*kube-scheduler"):
        cluster.logs("prometheus")


@pytest.mark.needs("private engine")
def test_down_leaves_nothing(cluster: KindCluster, before: Traces) -> None:
    during = seen(NAME)
    assert during.processes
    assert during.cgroups
    # What it makes and sets while it runs, it makes and sets for itself.
    shared = ("mounts", "interfaces", "settings", "paths")
    assert [getattr(during, each) for each in shared] == [getattr(before, each) for each in shared]
    cluster.down()
    assert seen(NAME) == before
    cluster.down()  # nothing to do, and no error


@pytest.mark.needs("private engine")
def test_killing_the_process_around_it_ends_all_of_it() -> None:
    earlier = seen(KILLED)
    cluster = KindCluster(KILLED, ephemeral=True)
    try:
        cluster.up("full")
        record = Layout(KILLED, KIND_PREFIX).record()
        assert record is not None
        os.kill(record.unshare[0], signal.SIGKILL)
        wait_until(lambda: not seen(KILLED).processes, "the end of every process")
        with pytest.raises(ClusterError, match=f"is not up; start it: .* up --provider kind --name {KILLED}"):
            cluster.exec(["true"])
    finally:
        cluster.down()
    assert seen(KILLED) == earlier


@pytest.mark.needs("private engine")
def test_an_up_that_is_killed_half_way_takes_everything_with_it() -> None:
    earlier = seen(KILLED)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, KILLED])
    try:
        wait_until(lambda: "kubeadm init" in str(seen(KILLED).processes), "kubeadm at work in the node", timeout_s=180)
        owner.kill()
        owner.wait()
        wait_until(lambda: not seen(KILLED).processes, "the end of every process")
    finally:
        owner.kill()
        owner.wait()
        KindCluster(KILLED).down()
    assert seen(KILLED) == earlier
