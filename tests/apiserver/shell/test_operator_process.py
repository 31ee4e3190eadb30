"""The operator as a process, on a real API server and a real Prometheus; only the gateway's answers are played."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import NAMESPACE, Exporter, Operator, Stage, gateway, wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(240)]

CRDS = Path(__file__).parents[3] / "crds"
OURS, KOPF = "modelrollout-operator/", "kopf/"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(audit=True, crds=[CRDS, gateway_api_crds()]) as running:
        yield running


@pytest.fixture
def stage(server: ApiServer, metrics: Prometheus) -> Iterator[Stage]:
    made = Stage(server)
    made.arms()
    made.source(metrics.url)
    with gateway(made):
        yield made
    for kind in ("modelrollouts", "rolloutactions"):
        for name in server.kubectl("get", kind, "-n", NAMESPACE, "-o", "name").stdout.split():
            server.kubectl("patch", name, "-n", NAMESPACE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
            server.kubectl("delete", name, "-n", NAMESPACE)
    server.kubectl("delete", "httproutes", "--all", "-n", NAMESPACE)
    server.kubectl("delete", "lease", "modelrollout-operator", "-n", NAMESPACE, "--ignore-not-found")


@pytest.fixture
def operators(server: ApiServer, tmp_path: Path) -> Iterator[list[Operator]]:
    """Operators that a test starts by `started`; ended afterwards, whatever happens."""
    made: list[Operator] = []
    yield made
    for operator in made:
        operator.end(signal.SIGKILL)


def started(stage: Stage, operators: list[Operator], tmp_path: Path, *flags: str) -> Operator:
    log = tmp_path / f"operator-{len(operators)}.log"
    operator = Operator(stage.server.kubeconfig, log, "--log-format", "plain", *flags)
    operators.append(operator)
    wait_until(operator.ready, limit=60, why="operator is ready")
    return operator


def requests_of(server: ApiServer, agent: str, since: float = 0.0) -> Counter[tuple[str, str]]:
    """Requests by verb and resource of one user agent, from the audit log."""
    found: Counter[tuple[str, str]] = Counter()
    for event in server.audit():
        if str(event.get("userAgent", "")).startswith(agent) and _at(event) >= since:
            ref = event.get("objectRef")
            found[str(event["verb"]), str(ref.get("resource", "")) if isinstance(ref, dict) else ""] += 1
    return found


def _at(event: dict[str, object]) -> float:
    text = str(event["requestReceivedTimestamp"])
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def test_a_good_candidate_is_promoted_kopf_writes_nothing_and_rest_is_silent(
    stage: Stage, operators: list[Operator], tmp_path: Path
) -> None:
    operator = started(stage, operators, tmp_path)
    stage.rollout()
    wait_until(lambda: stage.phase() == "Promoted", limit=90, why="promoted")
    assert stage.weights() == (0, 100)
    code, text = operator.get("/metrics")
    assert code == 200
    assert 'modelrollout_rollout_phase{phase="Promoted",rollout="fraud",rollout_namespace="default"} 1.0' in text
    assert operator.get("/livez") == (200, "ok\n")
    time.sleep(3)
    since = time.time()
    time.sleep(12)
    at_rest = requests_of(stage.server, OURS, since + 1)
    assert {resource for _, resource in at_rest} == {"leases"}
    assert operator.end() == 0
    kopf = requests_of(stage.server, KOPF)
    assert kopf
    assert {verb for verb, _ in kopf} <= {"get", "list", "watch"}
    lease = stage.get("lease", "modelrollout-operator")
    assert "holderIdentity" not in lease["spec"]


def test_a_bad_candidate_goes_back_and_is_rejected(
    stage: Stage, operators: list[Operator], tmp_path: Path, exporter: Exporter
) -> None:
    started(stage, operators, tmp_path)
    stage.rollout(hold="20s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    time.sleep(4)
    exporter.traffic["v8"].turn(0.9)
    took = wait_until(lambda: stage.weights() == (100, 0), limit=20, why="traffic is back")
    # A scrape a second, a tick a second, and a second until a tick is read.
    assert took < 8
    wait_until(lambda: stage.phase() == "RolledBack", limit=10)
    status = stage.get("modelrollout", "fraud")["status"]
    assert len(status["rejectedRevisions"]) == 1
    reasons = wait_for_events(stage, {"RollbackStarted", "RollbackCompleted"})
    assert {"StepStarted", "RollbackStarted", "RollbackCompleted"} <= reasons


def wait_for_events(stage: Stage, wanted: set[str]) -> set[str]:
    def reasons() -> set[str]:
        done = stage.server.kubectl("get", "events.events.k8s.io", "-n", NAMESPACE, "-o", "json")
        return {str(item["reason"]) for item in json.loads(done.stdout)["items"]}

    wait_until(lambda: wanted <= reasons(), limit=10, why=f"events {wanted}")
    return reasons()


def test_an_abort_is_carried_out_while_prometheus_hangs(
    stage: Stage, operators: list[Operator], tmp_path: Path, metrics: Prometheus
) -> None:
    started(stage, operators, tmp_path)
    stage.rollout(hold="60s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    metrics.hang()
    try:
        time.sleep(6)
        stage.act("Abort")
        took = wait_until(lambda: stage.weights() == (100, 0), limit=10, why="aborted")
        assert took < 3
        wait_until(
            lambda: (stage.get("rolloutaction", "fraud-abort").get("status") or {}).get("result") == "Applied",
            limit=10,
            why="result of the action",
        )
    finally:
        metrics.wake()


def test_a_secret_that_comes_late_is_found_and_only_ever_read_by_name(
    stage: Stage, operators: list[Operator], tmp_path: Path, metrics: Prometheus
) -> None:
    stage.source(metrics.url, token="late-token")
    started(stage, operators, tmp_path)
    stage.rollout()
    wait_until(lambda: stage.phase() == "Invalid", limit=30, why="the Secret is missing")
    conditions = stage.get("modelrollout", "fraud")["status"]["conditions"]
    (resolved,) = [each for each in conditions if each["type"] == "ResolvedRefs"]
    assert resolved["status"] == "False"
    assert "Secret late-token in the operator's namespace has no readable key token" in resolved["message"]
    stage.server.kubectl("create", "secret", "generic", "late-token", "-n", NAMESPACE, "--from-literal=token=t0ken")
    try:
        wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    finally:
        stage.server.kubectl("delete", "secret", "late-token", "-n", NAMESPACE)
    verbs = {verb for verb, resource in requests_of(stage.server, OURS) if resource == "secrets"}
    assert verbs == {"get"}


def test_deleting_gives_the_traffic_back(stage: Stage, operators: list[Operator], tmp_path: Path) -> None:
    started(stage, operators, tmp_path)
    stage.rollout(hold="60s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    stage.server.kubectl("delete", "modelrollout", "fraud", "-n", NAMESPACE, "--wait=false")
    wait_until(lambda: not stage.get("modelrollout", "fraud"), limit=30, why="deleted")
    assert stage.weights() == (100, 0)


def test_a_standby_takes_over_from_a_killed_leader_and_the_weight_never_rises_meanwhile(
    stage: Stage, operators: list[Operator], tmp_path: Path, exporter: Exporter
) -> None:
    first = started(stage, operators, tmp_path)
    second = started(stage, operators, tmp_path)
    stage.rollout(hold="120s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    time.sleep(4)
    first.end(signal.SIGKILL)
    exporter.traffic["v8"].turn(0.9)
    took = wait_until(lambda: stage.weights() == (100, 0), limit=40, why="standby reverts")
    assert took < 25
    assert "leader: yes, epoch 2" in second.log.read_text()
    wait_until(lambda: stage.phase() == "RolledBack", limit=10)
    assert stage.get("modelrollout", "fraud")["status"]["leaderEpoch"] == 2


def test_a_restart_goes_on_where_it_stopped(stage: Stage, operators: list[Operator], tmp_path: Path) -> None:
    first = started(stage, operators, tmp_path)
    stage.rollout(hold="15s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    started_at = stage.get("modelrollout", "fraud")["status"]["step"]["startedAt"]
    assert first.end() == 0
    started(stage, operators, tmp_path)
    assert stage.get("modelrollout", "fraud")["status"]["step"]["startedAt"] == started_at
    wait_until(lambda: stage.weights() == (50, 50), limit=40, why="second step")


@pytest.mark.parametrize("seconds", [5.0, 15.0], ids=["short", "longer than the right to write"])
def test_an_outage_of_the_api_server_does_not_end_the_operator(
    stage: Stage, operators: list[Operator], tmp_path: Path, exporter: Exporter, seconds: float
) -> None:
    operator = started(stage, operators, tmp_path)
    stage.rollout(hold="120s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    time.sleep(4)
    with stage.server.outage():
        exporter.traffic["v8"].turn(0.9)
        time.sleep(seconds)
    took = wait_until(lambda: stage.weights() == (100, 0), limit=30, why="reverted after the outage")
    assert took < 10
    assert operator.process.poll() is None


def test_without_our_crds_the_operator_says_so_and_ends(tmp_path: Path) -> None:
    with apiserver() as bare:
        operator = Operator(bare.kubeconfig, tmp_path / "operator.log", "--log-format", "plain")
        assert operator.process.wait(60) == 1
    text = operator.log.read_text()
    assert "does not serve metricsources (modelrollout.dev/v1alpha1)" in text
    assert "Traceback" not in text
