"""Inside a cluster, with exactly the rights of examples/rbac.yaml: enough for everything; a missing one is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import Exporter, Operator, Stage, gateway, wait_until
from tests.apiserver.shell.pod import ACCOUNT, NAMESPACE, RBAC, USER, Pod, token

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(240)]

CRDS = RBAC.parents[1] / "crds"
OURS, KOPF = "modelrollout-operator/", "kopf/"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(audit=True, crds=[CRDS, gateway_api_crds()]) as running:
        running.kubectl("apply", "-f", RBAC)
        yield running


@pytest.fixture(scope="module")
def stages(server: ApiServer) -> Iterator[tuple[Stage, Stage]]:
    """Namespaces `first` and `second` with arms, their metrics in one Prometheus, and gateways."""
    first, second = Exporter("first"), Exporter("second")
    more = second.config().partition("scrape_configs:\n")[2].replace("job_name: ", "job_name: second-")
    made = named(server, "first"), named(server, "second")
    try:
        with Prometheus(config=first.config() + more) as metrics, gateway(made[0]), gateway(made[1]):
            made[0].source(metrics.url)
            yield made
    finally:
        first.close()
        second.close()


@pytest.fixture
def stage(stages: tuple[Stage, Stage]) -> Stage:
    return stages[0]


def named(server: ApiServer, namespace: str) -> Stage:
    server.kubectl("create", "namespace", namespace)
    made = Stage(server, namespace)
    made.arms()
    return made


@pytest.fixture
def start(server: ApiServer, tmp_path: Path) -> Iterator[Callable[..., Pod]]:
    """Starts the operator of this test, and ends it and takes its rollouts away afterwards."""
    made: list[Operator] = []

    def begin(secret: str = "") -> Pod:
        pod = Pod(server, tmp_path, secret or token(server))
        made.append(pod)
        wait_until(pod.ready, why="operator is ready")
        return pod

    yield begin
    for operator in made:
        assert operator.end() == 0
    everything = json.loads(server.kubectl("get", "modelrollouts", "-A", "-o", "json").stdout)["items"]
    for item in everything:
        where = (item["metadata"]["name"], "-n", item["metadata"]["namespace"])
        server.kubectl("patch", "modelrollout", *where, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        server.kubectl("delete", "modelrollout", *where)
    # A deleted rollout leaves its route, and its actions.
    server.kubectl("delete", "rolloutactions", "--all", "--all-namespaces")
    server.kubectl("delete", "httproutes", "--all", "--all-namespaces")


def answers(server: ApiServer, agent: str, code: int, *, since: int = 0) -> list[dict[str, Any]]:
    """Requests of a user agent, from audit event number `since` on, that got this answer."""
    found: list[dict[str, Any]] = list(server.audit()[since:])
    return [
        event
        for event in found
        if str(event.get("userAgent", "")).startswith(agent) and event.get("responseStatus", {}).get("code") == code
    ]


def test_the_rights_of_the_manifest_are_enough(stage: Stage, start: Callable[..., Pod]) -> None:
    server = stage.server
    begun = len(server.audit())
    pod = start()
    wait_until(lambda: "leader: yes" in pod.log.read_text(), why="leads")
    stage.rollout(hold="60s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    stage.act("Abort")
    wait_until(lambda: stage.weights() == (100, 0), limit=20, why="aborted")
    wait_until(
        lambda: (stage.get("rolloutaction", "fraud-abort").get("status") or {}).get("result") == "Applied",
        limit=10,
        why="result of the action",
    )
    posted = ("get", "events.events.k8s.io", "-n", stage.namespace, "-o", "jsonpath={.items[*].reason}")
    wait_until(lambda: "RollbackCompleted" in server.kubectl(*posted).stdout, limit=10, why="events")
    server.kubectl("delete", "modelrollout", "fraud", "-n", stage.namespace, "--wait=false")
    wait_until(lambda: not stage.get("modelrollout", "fraud"), limit=30, why="deleted")
    assert "holderIdentity" in server.kubectl("get", "lease", "-n", NAMESPACE, "-o", "yaml").stdout
    for agent in (OURS, KOPF):
        assert answers(server, agent, 200, since=begun)
        assert answers(server, agent, 401, since=begun) == []
        assert answers(server, agent, 403, since=begun) == []
    users = {event["user"]["username"] for event in answers(server, OURS, 200, since=begun)}
    assert users == {USER}
    assert "Traceback" not in pod.log.read_text()


def test_a_right_that_is_missing_is_named_and_stops_no_other_rollout(
    stages: tuple[Stage, Stage], start: Callable[..., Pod]
) -> None:
    first, second = stages
    server = first.server
    pod = start()
    for stage in stages:
        stage.rollout(hold="10s")
    wait_until(lambda: first.weights() == second.weights() == (95, 5), why="first step")
    may_patch(server, "second")
    try:
        wait_until(lambda: second.weights() == (50, 50), limit=40, why="the other rollout goes on")
        wait_until(lambda: told(first)["Ready"]["reason"] == "Denied", limit=40, why="the refusal is told")
        ready = told(first)["Ready"]
        for part in (USER, 'cannot patch resource "httproutes"', 'namespace "first"', "HTTPRoute first/fraud"):
            assert part in ready["message"]
            assert part in pod.log.read_text()
        assert (ready["status"], told(first)["Stalled"]["status"]) == ("False", "True")
        assert told(second)["Ready"]["status"] == "True"
        assert first.weights() == (95, 5)
        assert first.get("modelrollout", "fraud")["status"]["weight"] == "5"
    finally:
        server.kubectl("apply", "-f", RBAC)
    first.act("Abort")
    wait_until(lambda: first.weights() == (100, 0), limit=15, why="aborted as soon as the right is back")
    wait_until(lambda: told(first)["Ready"]["reason"] == "RolledBack", limit=10, why="the refusal is over")
    assert "Traceback" not in pod.log.read_text()


def told(stage: Stage) -> dict[str, dict[str, str]]:
    """The conditions of rollout `fraud` by type."""
    conditions = stage.get("modelrollout", "fraud")["status"]["conditions"]
    return {condition["type"]: condition for condition in conditions}


def may_patch(server: ApiServer, namespace: str) -> None:
    """From now on routes may be changed in this namespace only."""
    role = json.loads(server.kubectl("get", "clusterrole", ACCOUNT, "-o", "json").stdout)
    (rule,) = (rule for rule in role["rules"] if rule["resources"] == ["httproutes"])
    given = ("-n", namespace, "--verb=get,patch", "--resource=httproutes.gateway.networking.k8s.io")
    server.kubectl("create", "role", "routes", *given)
    account = f"--serviceaccount={NAMESPACE}:{ACCOUNT}"
    server.kubectl("create", "rolebinding", "routes", "-n", namespace, "--role=routes", account)
    rule["verbs"].remove("patch")
    server.kubectl("replace", "-f", "-", input_text=json.dumps(role))


def test_a_token_that_ends_is_replaced_by_the_one_that_lies_there_then(stage: Stage, start: Callable[..., Pod]) -> None:
    server = stage.server
    server.kubectl("create", "secret", "generic", "bound", "-n", NAMESPACE)
    first = token(server, "--bound-object-kind=Secret", "--bound-object-name=bound")
    pod = start(first)
    pod.take(token(server))
    server.kubectl("delete", "secret", "bound", "-n", NAMESPACE)
    begun = len(server.audit())
    # Open watches are not asked for a token again, and known ones are remembered: a new server asks and forgets.
    with server.outage():
        pass
    stage.rollout("late", hold="60s")
    wait_until(lambda: stage.weights() == (95, 5), limit=30, why="first step")
    wait_until(lambda: "leader: yes" in pod.log.read_text(), why="leads")
    for agent in (OURS, KOPF):
        assert answers(server, agent, 401, since=begun), "the old token was not tried: this test shows nothing"
        assert answers(server, agent, 200, since=begun)
    watched = [event for event in answers(server, KOPF, 200, since=begun) if event["verb"] == "watch"]
    assert {event["objectRef"]["resource"] for event in watched} >= {"modelrollouts", "httproutes", "rolloutactions"}
    assert "the watch has failed" not in pod.log.read_text()
    assert "Traceback" not in pod.log.read_text()


def test_outside_a_kubeconfig_with_an_exec_plugin_lets_both_clients_in(stage: Stage, tmp_path: Path) -> None:
    server = stage.server
    given = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({**given, "status": {"token": token(server)}}))
    config = json.loads(server.kubeconfig.read_text())
    plugin = {"apiVersion": given["apiVersion"], "command": "cat", "args": [str(answer)], "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": plugin}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    begun = len(server.audit())
    operator = Operator(kubeconfig, tmp_path / "operator.log", "--log-format", "plain", "--lease-namespace", NAMESPACE)
    try:
        wait_until(operator.ready, why="operator is ready")
        wait_until(lambda: bool(answers(server, KOPF, 200, since=begun)), limit=20, why="kopf is let in")
        assert answers(server, OURS, 200, since=begun)
        assert answers(server, KOPF, 401, since=begun) + answers(server, KOPF, 403, since=begun) == []
    finally:
        operator.end()
