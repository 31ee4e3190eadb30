"""The operator as a process where there is no Gateway API: it steers by canary Ingresses. Nothing plays nginx here."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import NAMESPACE, Exporter, Operator, Stage, wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(300)]

CRDS = Path(__file__).parents[3] / "crds"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
USERS: list[dict[str, Any]] = [
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "fraud", "namespace": NAMESPACE},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [
                {
                    "host": "fraud.example.com",
                    "http": {
                        "paths": [
                            {
                                "path": "/predict",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "fraud-v7", "port": {"name": "http"}}},
                            }
                        ]
                    },
                }
            ],
        },
    },
]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS]) as running:
        yield running


def weight(stage: Stage) -> str:
    metadata = stage.get("ingress", "fraud-modelrollout").get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(WEIGHT, ""))


def test_a_bad_candidate_behind_a_canary_ingress_goes_back_and_the_users_ingress_is_as_it_was(
    server: ApiServer, exporter: Exporter, metrics: Prometheus, tmp_path: Path
) -> None:
    stage = Stage(server)
    stage.arms()
    stage.source(metrics.url)
    stage.apply(*USERS)
    before = stage.get("ingress", "fraud")
    operator = Operator(server.kubeconfig, tmp_path / "operator.log", "--log-format", "plain")
    try:
        wait_until(operator.ready, limit=60, why="the operator is ready")
        log = operator.log.read_text()
        assert "the cluster does not serve httproutes: rollouts that need them are told so" in log
        stage.rollout("other")
        wait_until(lambda: stage.phase("other") == "Invalid", limit=30, why="the rollout that needs them is told")
        assert "install the Gateway API CRDs" in stage.get("modelrollout", "other")["status"]["message"]
        server.kubectl("delete", "modelrollout", "other", "-n", NAMESPACE)
        stage.rollout(hold="60s", router={"ingressNginx": {"ingress": "fraud"}})
        wait_until(lambda: weight(stage) == "5", limit=60, why="first step")
        watched = lambda: "other kinds must be watched now" in operator.log.read_text()  # noqa: E731
        wait_until(watched, limit=30, why="Ingresses are watched")
        rules = [*before["spec"]["rules"], {**before["spec"]["rules"][0], "host": "models.example.com"}]
        patch = json.dumps({"spec": {"rules": rules}})
        server.kubectl("patch", "ingress", "fraud", "-n", NAMESPACE, "--type=merge", "-p", patch)
        wait_until(
            lambda: (
                [r["host"] for r in stage.get("ingress", "fraud-modelrollout")["spec"]["rules"]]
                == ["fraud.example.com", "models.example.com"]
            ),
            limit=30,
            why="the canary follows the users' Ingress",
        )
        assert weight(stage) == "5"
        exporter.traffic["v8"].turn(0.9)
        wait_until(lambda: weight(stage) == "0", limit=30, why="traffic is back")
        wait_until(lambda: stage.phase() == "RolledBack", limit=20)
        after = stage.get("ingress", "fraud")
        assert after["spec"]["rules"] == rules
        assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
        shown = server.kubectl("get", "ingress", "-n", NAMESPACE, "-o", "json", "--show-managed-fields").stdout
        managers = {
            body["metadata"]["name"]: {entry["manager"] for entry in body["metadata"]["managedFields"]}
            for body in json.loads(shown)["items"]
        }
        assert managers["fraud-modelrollout"] == {"modelrollout-operator"}
        assert "modelrollout-operator" not in managers["fraud"], "the operator never wrote it"
        assert "Traceback" not in operator.log.read_text()
    finally:
        operator.end(signal.SIGKILL)
