"""The operator's process among sources, servers and rollouts that mean harm: what it reaches, what it repeats."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import NAMESPACE, Exporter, Operator, Stage, gateway, wait_until
from tests.apiserver.shell.untrusted import ANSWERS, BODY, HEADER, Canary, Relay
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(240)]

TOKEN, LABEL = "marker-of-a-secret", "marker-of-a-label"
SEEN = "modelrollouts,rolloutactions,metricsources,httproutes,events.events.k8s.io,leases,configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[ROOT / "crds", gateway_api_crds()]) as running:
        running.kubectl("create", "secret", "generic", "token", "-n", NAMESPACE, f"--from-literal=token={TOKEN}")
        yield running


@pytest.fixture
def stage(server: ApiServer) -> Iterator[Stage]:
    made = Stage(server)
    made.arms()
    with gateway(made):
        yield made


def test_no_secret_and_no_word_of_a_server_is_ever_repeated(stage: Stage, tmp_path: Path) -> None:
    exporter = Exporter()
    config = exporter.config().replace("namespace:", f"team: {LABEL}, namespace:")
    log, journal = tmp_path / "operator.log", tmp_path / "journal.jsonl"
    with Prometheus(config=config) as prometheus:
        relay = Relay(prometheus.url)
        stage.source(relay.url, token="token")
        flags = ("--log-level", "debug", "--log-format", "plain", "--journal", str(journal))
        operator = Operator(stage.server.kubeconfig, log, *flags)
        try:
            wait_until(operator.ready, why="operator is ready")
            stage.rollout(hold="120s")
            wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
            for mode in ANSWERS:
                relay.mode = mode
                said = relay.said[mode]
                wait_until(lambda m=mode, s=said: relay.said[m] > s + 1, limit=20, why=mode)  # type: ignore[misc]  # bound now
            stage.act("Abort")
            wait_until(lambda: stage.phase() == "RolledBack", limit=30, why="aborted")
            scraped = operator.get("/metrics")[1]
        finally:
            operator.end()
            relay.close()
            exporter.close()
    assert relay.tokens == {f"Bearer {TOKEN}"}, "it was sent, to where it belongs"
    stored = stage.server.kubectl("get", SEEN, "-A", "-o", "json", "--show-managed-fields").stdout
    places = {"objects": stored, "metrics": scraped, "log": log.read_text(), "journal": journal.read_text()}
    assert {name: len(text) > 200 for name, text in places.items()} == dict.fromkeys(places, True)
    for marker in (TOKEN, BODY, HEADER, LABEL):
        assert [name for name, text in places.items() if marker in text] == []
    assert "Traceback" not in places["log"]


HOSTS = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0", "localhost", "LOCALHOST."),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "ip6-localhost", "localhost.localdomain"),
    *(socket.gethostname(), "someone@127.0.0.1", "prometheus.example.com@127.0.0.1"),
)


def test_no_source_and_no_rollout_reaches_the_canary(stage: Stage, tmp_path: Path) -> None:
    canary = Canary()
    stage.server.kubectl("delete", "metricsources,modelrollouts", "--all", "-n", NAMESPACE, "--wait=false")
    taken = [number for number, host in enumerate(HOSTS) if evil_source(stage, f"evil-{number}", host, canary.port)]
    assert len(taken) > 10, "the schema leaves these to the operator"
    url = f"http://127.0.0.1:{canary.port}/api/v1/query"
    for number in taken:
        stage.apply(evil_rollout(stage, f"evil-{number}", f"evil-{number}", url))
    assert not applied(stage, evil_rollout(stage, "inline", url, url)), "an address is no name of a source"
    log = tmp_path / "operator.log"
    operator = Operator(stage.server.kubeconfig, log, "--log-format", "plain", loopback=False)
    try:
        wait_until(operator.ready, why="operator is ready")
        wait_until(lambda: all(told(stage, f"evil-{n}") for n in taken), limit=60, why="every rollout is told of")
        time.sleep(5)
        assert canary.hits == 0
        assert operator.process.poll() is None
        assert "resolves to an address that is never a metric source" in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        operator.end()
    with socket.create_connection(("127.0.0.1", canary.port)):
        wait_until(lambda: canary.hits == 1, limit=5, why="the canary would have sung")
    canary.close()


def evil_source(stage: Stage, name: str, host: str, port: int) -> bool:
    """Create a source that leads to the canary; whether the API server took it."""
    spec = {"prometheus": {"address": f"http://{host}:{port}"}, "scrapeInterval": "1s"}
    metadata = {"name": name}
    return applied(
        stage, {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "MetricSource", "metadata": metadata, "spec": spec}
    )


def evil_rollout(stage: Stage, name: str, source: str, url: str) -> dict[str, object]:
    """A rollout with the canary's address wherever a text may stand."""
    smallest = json.loads(json.dumps(SPEC))
    smallest["analysis"]["metricSource"] = source
    smallest["slis"][0]["counts"]["bad"]["match"]["code"] = url
    smallest["candidate"]["model"] = {"name": url, "version": url}
    metadata = {"name": name, "namespace": stage.namespace, "annotations": {"modelrollout.dev/prometheus": url}}
    return {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "metadata": metadata, "spec": smallest}


SPEC = {
    "legacy": {"deployment": "fraud-v7"},
    "candidate": {"deployment": "fraud-v8"},
    "port": 8080,
    "traffic": {"managedRoute": {"parentRefs": [{"name": "public"}]}},
    "steps": [{"weight": 5}, {"weight": 100}],
    "slis": [
        {
            "name": "availability",
            "counts": {
                "total": {"metric": "requests_total"},
                "bad": {"metric": "requests_total", "match": {"code": "500"}},
            },
            "objective": "99",
        }
    ],
    "analysis": {"interval": "1s"},
}


def applied(stage: Stage, obj: dict[str, object]) -> bool:
    """Whether the API server takes it."""
    done = stage.server.kubectl("apply", "--server-side", "-f", "-", input_text=json.dumps(obj), check=False)
    assert done.returncode == 0 or "is invalid" in done.stderr, done.stderr
    return done.returncode == 0


def told(stage: Stage, name: str) -> bool:
    """Whether the operator has looked at the rollout and stands still, its source out of reach."""
    status = stage.get("modelrollout", name).get("status") or {}
    return status.get("phase") in ("Invalid", "Preflight") and bool(status.get("conditions"))
