"""Operator processes with a notification file, on a real API server, Prometheus and Alertmanager.

Whoever leads tells of a rollback, and a receiver that never answers is nobody's business.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.alertmanager import Alertmanager
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from tests.apiserver.shell.cluster import Exporter, Operator, Stage, gateway, prometheus, wait_until
from tests.layout.documents import ROOT
from tests.receiver import Receiver

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "alertmanager" / "alertmanager.yml"
SECRET = "marker-in-an-address"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[ROOT / "crds", gateway_api_crds()]) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager(EXAMPLE.read_text()) as running:
        yield running


@pytest.fixture
def deaf() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_rollback_is_told_once_and_again_only_when_a_leader_is_lost(
    server: ApiServer, receiver: Receiver, alertmanager: Alertmanager, deaf: str, tmp_path: Path
) -> None:
    file = tmp_path / "targets.yaml"
    targets = [
        {"name": "deaf", "slack": {"url": deaf}},
        {"name": "bus", "cloudevents": {"url": f"{receiver.url}/{SECRET}"}},
        {"name": "am", "alertmanager": {"url": alertmanager.url}},
    ]
    file.write_text(json.dumps({"cluster": "here", "targets": targets}))
    made: list[Operator] = []

    def started() -> Operator:
        log = tmp_path / f"operator-{len(made)}.log"
        operator = Operator(server.kubeconfig, log, "--log-format", "plain", "--notify-file", str(file))
        made.append(operator)
        wait_until(operator.ready, limit=60, why="operator is ready")
        return operator

    def leads(operator: Operator) -> bool:
        return "modelrollout_leader 1.0" in operator.get("/metrics")[1]

    exporter = Exporter()
    stage = Stage(server)
    try:
        with prometheus(exporter) as metrics:
            stage.arms()
            stage.source(metrics.url)
            with gateway(stage):
                first = started()
                stage.rollout(hold="20s")
                wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
                exporter.traffic["v8"].turn(0.9)
                took = wait_until(lambda: stage.weights() == (100, 0), limit=30, why="traffic is back")
                assert took < 12
                wait_until(lambda: bool(receiver.got), limit=10, why="the rollback is told")
                (event,) = receiver.bodies
                incident = stage.get("modelrollout", "fraud")["status"]["incident"]
                assert event["data"]["happening"] == "RolledBack"
                assert event["data"]["cluster"] == "here"
                assert incident["reason"] == event["data"]["reason"]
                assert incident["message"] in event["data"]["message"]
                (alert,) = alertmanager.wait_for(bool)
                assert alert["labels"]["alertname"] == "ModelRolloutRolledBack"

                second = started()
                assert first.end() == 0
                wait_until(lambda: leads(second), limit=30, why="the standby leads")
                alertmanager.wait_for(lambda found: found[0]["updatedAt"] != alert["updatedAt"])
                assert len(receiver.got) == 1, "a leader that gave the Lease back has told everything"

                third = started()
                second.end(signal.SIGKILL)
                wait_until(lambda: leads(third), limit=40, why="the standby leads")
                alertmanager.wait_for(lambda found: len(found) == 1)
                wait_until(lambda: len(alertmanager.alerts()) == 1, limit=5)
                assert {got["id"] for got in receiver.bodies} == {event["id"]}
                assert len(receiver.got) <= 2
                told = first.log.read_text() + second.log.read_text() + third.log.read_text()
                assert "notify target deaf: Timeout" in told
                assert SECRET not in told
                third.end()
    finally:
        for operator in made:
            operator.end(signal.SIGKILL)
        exporter.close()
