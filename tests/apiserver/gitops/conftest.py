"""A real API server, Prometheus and operator, with hands that roll Deployments out and accept routes."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.processes import ClusterError
from e2e.cluster.programs import gateway_api_crds
from tests.apiserver.gitops.argo import Api
from tests.apiserver.shell.cluster import NAMESPACE, Operator, Stage, gateway, wait_until

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS, gateway_api_crds()]) as running:
        yield running


@pytest.fixture
def api(server: ApiServer) -> Api:
    return Api(server.kubeconfig)


@pytest.fixture
def stage(server: ApiServer, api: Api) -> Iterator[Stage]:
    """Everything that no controller does here: rolled-out Deployments, endpoints, a gateway's answers."""
    made = Stage(server)
    made.arms()
    over = threading.Event()

    def roll_out() -> None:
        while not over.wait(0.3):
            with suppress(ClusterError):
                _roll_out(api, made)

    thread = threading.Thread(target=roll_out)
    thread.start()
    try:
        with gateway(made):
            yield made
    finally:
        over.set()
        thread.join()
    for kind in ("modelrollouts", "rolloutactions"):
        for name in server.kubectl("get", kind, "-n", NAMESPACE, "-o", "name").stdout.split():
            server.kubectl("patch", name, "-n", NAMESPACE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
            server.kubectl("delete", name, "-n", NAMESPACE, "--ignore-not-found")
    server.kubectl("delete", "httproutes", "--all", "-n", NAMESPACE)
    server.kubectl("delete", "lease", "modelrollout-operator", "-n", NAMESPACE, "--ignore-not-found")


def _roll_out(api: Api, stage: Stage) -> None:
    for found in api.ask("GET", f"apis/apps/v1/namespaces/{NAMESPACE}/deployments")["items"]:
        generation = found["metadata"]["generation"]
        if found.get("status", {}).get("observedGeneration") != generation:
            one = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
            stage.patch("deployment", found["metadata"]["name"], {"observedGeneration": generation, **one})


@pytest.fixture
def operator(stage: Stage, tmp_path: Path) -> Iterator[Operator]:
    running = Operator(stage.server.kubeconfig, tmp_path / "operator.log", "--log-format", "plain")
    try:
        wait_until(running.ready, limit=180, why="operator is ready")
        yield running
    finally:
        running.end(signal.SIGKILL)
        print(json.dumps(stage.get("modelrollout", "fraud").get("status", {}).get("decisions"), indent=1))
