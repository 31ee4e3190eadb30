"""The local cluster itself: it comes up whole, stays apart from others, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster import programs
from e2e.cluster.apiserver import apiserver
from e2e.cluster.artifacts import cache_root
from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.images import build_image, python_base
from e2e.cluster.layout import Layout
from e2e.cluster.processes import ClusterError
from e2e.scenarios.traces import Traces, processes_with, traces, wait_until

# The first use builds everything.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs("embedded")]

SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count
        count += self.path == "/"
        body = b"requests_total %d\\n" % count
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end='')"
EPHEMERAL = """
import sys
from e2e.cluster.embedded import EmbeddedCluster
cluster = EmbeddedCluster(sys.argv[1], ephemeral=True)
cluster.up("apiserver")
print("up", flush=True)
sys.stdin.read()
"""


def fetch(cluster: EmbeddedCluster, url: str) -> str:
    return cluster.exec([sys.executable, "-c", FETCH, url]).stdout


def answered(cluster: EmbeddedCluster, url: str) -> bool:
    done = cluster.exec([sys.executable, "-c", FETCH, url], check=False)
    return done.stdout.startswith("requests_total ")


def echo_objects(image: str) -> list[dict[str, Any]]:
    labels = {"app": "echo"}
    container = {
        "name": "echo",
        "image": image,
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    route = {
        "parentRefs": [{"name": "public", "namespace": "infra"}],
        "hostnames": ["echo.test"],
        "rules": [{"backendRefs": [{"name": "echo", "port": 80}]}],
    }
    name = {"name": "echo"}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": name, "spec": service},
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": name,
            "spec": route,
        },
    ]


@pytest.fixture(scope="module")
def before() -> Traces:
    return traces("test-full")


@pytest.fixture(scope="module")
def full(before: Traces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("test-full", ephemeral=True)
    cluster.up("full")
    try:
        source = tmp_path_factory.mktemp("echo") / "server.py"
        source.write_text(SERVER)
        image = build_image(
            "modelrollout.dev/echo",
            tag="1",
            layers=[{"/": python_base()}, {"/server.py": source}],
            entrypoint=["python3", "/server.py"],
        )
        cluster.load_image(image)
        items = echo_objects("modelrollout.dev/echo:1")
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        cluster.exec(["kubectl", "apply", "-f", "-"], input_text=manifest)
        cluster.exec(["kubectl", "wait", "--for=condition=Available", "--timeout=60s", "deployment/echo"])
        yield cluster
    finally:
        cluster.down()


def test_a_real_pod_answers_through_its_service_and_its_name(full: EmbeddedCluster) -> None:
    address = full.url("default/echo")
    # Ready pods are in the Service's rules a moment later.
    wait_until(lambda: answered(full, address), f"an answer from {address}")
    wait_until(lambda: answered(full, "http://echo.default.svc.cluster.local/"), "an answer by name")


def test_the_gateway_routes_to_the_pod_also_from_outside(full: EmbeddedCluster) -> None:
    query = ["kubectl", "get", "gateway", "public", "-n", "infra", "-o", "jsonpath={.status.addresses[0].value}"]
    door = full.forward(f"http://{full.exec(query).stdout}:80")

    def answer() -> str:
        request = urllib.request.Request(door, headers={"Host": "echo.test"})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:  # the route is not known to Envoy yet
            with error:
                return ""

    wait_until(lambda: answer().startswith("requests_total "), "an answer through the gateway")


def test_prometheus_counts_what_the_pod_served(full: EmbeddedCluster) -> None:
    service = full.url("default/echo")
    query = f"{full.prometheus_url}/api/v1/query?query=requests_total"
    served = int(fetch(full, service).split()[1])

    def scraped() -> bool:
        result = json.loads(fetch(full, query))["data"]["result"]
        return [float(each["value"][1]) for each in result] == [served]

    wait_until(scraped, f"requests_total of {served} in Prometheus")


def test_programs_outside_reach_the_api(full: EmbeddedCluster) -> None:
    kubectl = [str(programs.kubernetes() / "kubectl"), f"--kubeconfig={full.host_kubeconfig}"]
    done = subprocess.run([*kubectl, "get", "nodes", "-o", "name"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["node/node-0"]


def test_a_stopped_component_stays_away_until_it_is_started(full: EmbeddedCluster) -> None:
    full.stop("kube-apiserver")
    assert full.exec(["kubectl", "get", "--raw", "/readyz"], check=False).returncode != 0
    full.start("kube-apiserver")
    assert full.exec(["kubectl", "get", "--raw", "/readyz"]).stdout == "ok"


def test_a_component_that_dies_is_started_again(full: EmbeddedCluster) -> None:
    def state() -> tuple[str, int]:
        status = full.status()
        assert status is not None
        return status["components"]["coredns"]["state"], status["components"]["coredns"]["restarts"]

    restarts = state()[1]
    full.signal("coredns", signal.SIGKILL)
    wait_until(lambda: state() == ("ready", restarts + 1), "coredns back")


def test_audit_tells_who_wrote_what(full: EmbeddedCluster) -> None:
    full.exec(["kubectl", "create", "configmap", "written-by-test"])
    written = [
        event
        for event in full.audit()
        if event["verb"] == "create" and "/configmaps" in str(event["requestURI"])
        if str(event["userAgent"]).startswith("kubectl/") and "written-by-test" in json.dumps(event)
    ]
    assert len(written) == 1


def test_popen_signals_the_program_and_not_what_is_around_it(full: EmbeddedCluster) -> None:
    script = "trap 'echo ended; exit 7' TERM; echo started; while :; do sleep 0.05; done"
    with full.popen(["bash", "-c", script], stdout=subprocess.PIPE) as running:
        out = running.popen.stdout
        assert out is not None
        assert out.readline() == "started\n"
        assert running.stop() == 7
        assert out.readline() == "ended\n"


def test_another_tier_is_refused_while_it_is_up(full: EmbeddedCluster) -> None:
    with pytest.raises(ClusterError, match="is up with tier full; take it down first"):
        EmbeddedCluster("test-full").up("fake")


def test_a_killed_full_cluster_is_cleaned_up_by_down_beside_a_living_one(full: EmbeddedCluster) -> None:
    earlier = traces("test-kill")
    cluster = EmbeddedCluster("test-kill", ephemeral=True)
    try:
        cluster.up("full")
        record = Layout("test-kill").record()
        assert record is not None
        os.kill(record.init[0], signal.SIGKILL)
        wait_until(lambda: not traces("test-kill").processes, "the end of every process")
        with pytest.raises(ClusterError, match="is not up; start it"):
            cluster.exec(["true"])
        assert traces("test-kill").cgroups
    finally:
        cluster.down()
    assert traces("test-kill") == earlier
    full.exec(["kubectl", "rollout", "restart", "deployment/echo"])
    full.exec(["kubectl", "rollout", "status", "deployment/echo", "--timeout=60s"])


def test_down_leaves_nothing_of_the_full_tier(full: EmbeddedCluster, before: Traces) -> None:
    during = traces("test-full")
    assert during.processes
    assert during.cgroups
    full.down()
    assert traces("test-full") == before
    full.down()  # nothing to do, and no error


@pytest.mark.parametrize("victim", ["unshare", "init"])
def test_up_after_a_kill_starts_afresh(victim: str) -> None:
    earlier = traces("test-again")
    cluster = EmbeddedCluster("test-again", ephemeral=True)
    try:
        cluster.up("apiserver")
        cluster.exec(["kubectl", "create", "configmap", "old"])
        record = Layout("test-again").record()
        assert record is not None
        os.kill((record.unshare if victim == "unshare" else record.init)[0], signal.SIGKILL)
        wait_until(lambda: not traces("test-again").processes, "the end of every process")
        cluster.up("apiserver")
        assert cluster.exec(["kubectl", "get", "configmap", "old"], check=False).returncode != 0
    finally:
        cluster.down()
    assert traces("test-again") == earlier


def test_two_clusters_side_by_side_do_not_meet() -> None:
    one, two = EmbeddedCluster("test-one", ephemeral=True), EmbeddedCluster("test-two", ephemeral=True)
    get = ["kubectl", "get", "configmap", "mine", "-o", "name"]
    try:
        one.up("apiserver")
        two.up("fake")
        one.exec(["kubectl", "create", "configmap", "mine"])
        assert two.exec(get, check=False).returncode != 0
        nodes = two.exec(["kubectl", "get", "nodes", "-o", "name"]).stdout.split()
        assert len(nodes) == 10
        two.down()
        assert one.exec(get).stdout == "configmap/mine\n"
    finally:
        one.down()
        two.down()


def test_an_ephemeral_cluster_ends_with_its_owner() -> None:
    earlier = traces("test-owner")
    owner = subprocess.Popen(
        [sys.executable, "-c", EPHEMERAL, "test-owner"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert EmbeddedCluster("test-owner").status() is not None
        owner.kill()
        owner.communicate()
        wait_until(lambda: EmbeddedCluster("test-owner").status() is None, "the end of the cluster")
    finally:
        owner.kill()
        owner.communicate()
        EmbeddedCluster("test-owner").down()
    assert traces("test-owner") == earlier


def test_an_up_that_was_killed_half_way_is_not_taken_for_up() -> None:
    earlier = traces("test-half")
    argv = [sys.executable, "-m", "e2e.cluster", "up", "--name", "test-half", "--tier", "apiserver"]
    starter = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    cluster = EmbeddedCluster("test-half", ephemeral=True)
    try:
        wait_until(lambda: bool(traces("test-half").processes), "a process of the cluster")
        starter.kill()
        starter.wait()
        cluster.up("apiserver")
        assert cluster.exec(["kubectl", "get", "--raw", "/readyz"]).stdout == "ok"
    finally:
        starter.kill()
        starter.wait()
        cluster.down()
    assert traces("test-half") == earlier


def test_the_command_line_tells_a_missing_cluster_in_one_line() -> None:
    argv = [sys.executable, "-m", "e2e.cluster", "exec", "--name", "test-none", "--", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ("error: cluster test-none is not up; start it: python -m e2e.cluster up --name test-none\n")


def test_the_plain_api_server_serves_crds_audits_and_survives_an_outage() -> None:
    run = cache_root() / "run"
    with apiserver(audit=True) as api:
        assert api.kubectl("get", "httproutes", check=False).returncode != 0
        api.install_crds(programs.gateway_api_crds())
        assert api.kubectl("get", "httproutes").returncode == 0
        api.kubectl("create", "configmap", "kept")
        with api.outage():
            assert api.kubectl("get", "configmap", "kept", check=False).returncode != 0
        assert api.kubectl("get", "configmap", "kept", "-o", "name").stdout == "configmap/kept\n"
        assert any(event["verb"] == "create" and "/configmaps" in str(event["requestURI"]) for event in api.audit())
        directory = api.kubeconfig.parents[1]
        assert directory.parent == run
    assert not directory.exists()
    assert list(processes_with(str(directory))) == []
