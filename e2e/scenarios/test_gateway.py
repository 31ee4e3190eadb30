"""The gateway of the full tier splits requests by weight, in turn, and follows a change of weights at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.cluster import gateway
from e2e.cluster.images import build_image, python_base
from e2e.cluster.provider import Cluster
from e2e.cluster.providers import open_cluster

pytestmark = pytest.mark.timeout(900)

SERVER = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    def do_GET(self):
        body = os.environ["ARM"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""

CLIENT = """
import collections, http.client, json, sys
host, count = sys.argv[1], int(sys.argv[2])
connection, seen = http.client.HTTPConnection(host, timeout=5), collections.Counter()
for _ in range(count):
    connection.request("GET", "/", headers={"Host": "split.test"})
    answer = connection.getresponse()
    seen[f"{answer.status} {answer.read().decode()[:40]}"] += 1
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = open_cluster("test-gateway", ephemeral=True)
    try:
        one.up("full")
        yield one
    finally:
        one.down()


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    source = tmp_path_factory.mktemp("arm") / "server.py"
    source.write_text(SERVER)
    layers = [{"/": python_base()}, {"/server.py": source}]
    archive = build_image("modelrollout.dev/arm", tag="1", layers=layers, entrypoint=["python3", "/server.py"])
    cluster.load_image(archive)
    return "modelrollout.dev/arm:1"


def arm(name: str, image: str) -> list[dict[str, Any]]:
    """Deployment and Service of one arm."""
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "Never",
        "env": [{"name": "ARM", "value": name}],
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    labels = {"arm": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def route(legacy: int, candidate: int) -> dict[str, Any]:
    backends = [
        {"name": name, "port": 80, "weight": weight} for name, weight in (("legacy", legacy), ("candidate", candidate))
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "split"},
        "spec": {
            "parentRefs": [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}],
            "hostnames": ["split.test"],
            "rules": [{"backendRefs": backends}],
        },
    }


def apply(cluster: Cluster, *objects: dict[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    cluster.exec(["kubectl", "apply", "-f", "-"], input_text=text)


def ask(cluster: Cluster, count: int) -> Counter[str]:
    """Status and body of `count` requests on one connection."""
    done = cluster.exec([sys.executable, "-c", CLIENT, gateway.address(cluster), str(count)])
    return Counter(json.loads(done.stdout))


@pytest.fixture(scope="module")
def arms(cluster: Cluster, image: str) -> None:
    """Both arms are Available and the route serves them."""
    apply(cluster, *arm("legacy", image), *arm("candidate", image), route(90, 10))
    names = ["deploy/legacy", "deploy/candidate"]
    cluster.exec(["kubectl", "wait", "--for=condition=Available", "--timeout=60s", *names])
    until(lambda: set(ask(cluster, 20)) <= {"200 legacy", "200 candidate"})


def until(done: Callable[[], bool], *, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"not so after {timeout:g} s"
        time.sleep(0.05)


def assert_split(seen: Counter[str], *, legacy: int, candidate: int) -> None:
    """`seen` has these counts, give or take two.

    Envoy deals requests in turn, not by chance: a draw would miss this bound six times in seven. But a turn begins anew
    with every update of the endpoints, also one that says nothing new, and such a cut moves a request or two.
    """
    assert set(seen) == {"200 legacy", "200 candidate"}
    assert seen.total() == legacy + candidate
    assert abs(seen["200 candidate"] - candidate) <= 2, seen


@pytest.mark.usefixtures("arms")
def test_requests_are_split_by_weight_and_a_change_is_followed(cluster: Cluster) -> None:
    assert_split(ask(cluster, 2000), legacy=1800, candidate=200)
    apply(cluster, route(50, 50))
    until(lambda: ask(cluster, 100)["200 candidate"] >= 40)
    assert_split(ask(cluster, 1000), legacy=500, candidate=500)


@pytest.mark.usefixtures("arms")
def test_no_request_fails_while_weights_change(cluster: Cluster) -> None:
    argv = [sys.executable, "-c", CLIENT, gateway.address(cluster), "6000"]
    changes, clients, seen = 0, 0, Counter[str]()
    # A busy machine changes weights more slowly than it asks.
    while changes < 5:
        clients += 1
        with cluster.popen(argv, stdout=subprocess.PIPE) as client:
            while client.poll() is None:
                changes += 1
                apply(cluster, route(100 - 10 * (changes % 11), 10 * (changes % 11)))
            assert client.popen.stdout is not None
            seen.update(json.loads(client.popen.stdout.read()))
    assert set(seen) == {"200 legacy", "200 candidate"}
    assert seen.total() == 6000 * clients


def test_prometheus_scrapes_the_gateways_pods(cluster: Cluster) -> None:
    question = f"{cluster.prometheus_url}/api/v1/query?query=up"
    code = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
    answer = json.loads(cluster.exec([sys.executable, "-c", code, question]).stdout)
    up = {(one["metric"]["namespace"], one["metric"]["container"]): one["value"][1] for one in answer["data"]["result"]}
    assert up[gateway.SYSTEM_NAMESPACE, "envoy-gateway"] == "1"
    assert up[gateway.SYSTEM_NAMESPACE, "envoy"] == "1"
