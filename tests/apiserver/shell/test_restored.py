"""A cluster whose etcd is put back to an earlier state while no operator runs; objects that are restored one by one.

What docs/how-to/back-up-and-restore.md says of it.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import NAMESPACE, Exporter, Operator, Stage, gateway, wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(300)]

CRDS = Path(__file__).parents[3] / "crds"
PATIENCE = 90.0
"""Seconds until a rollout has its end again; the Lease of an operator that was killed is waited for."""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS, gateway_api_crds()]) as running:
        yield running


@pytest.fixture
def stage(server: ApiServer, metrics: Prometheus) -> Iterator[Stage]:
    made = Stage(server)
    made.arms()
    made.source(metrics.url)
    with gateway(made):
        yield made


class Runs:
    """The operator's process, which may be started anew."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self._stage, self._directory, self._count = stage, directory, 0
        self.operator = self._started()

    def _started(self) -> Operator:
        self._count += 1
        log = self._directory / f"operator-{self._count}.log"
        made = Operator(self._stage.server.kubeconfig, log, "--log-format", "plain")
        try:
            wait_until(made.ready, limit=180, why="operator is ready")
        except BaseException:
            made.end(signal.SIGKILL)
            raise
        return made

    def end(self) -> None:
        self.operator.end(signal.SIGKILL)

    def anew(self) -> None:
        self.end()
        self.operator = self._started()


@pytest.fixture
def runs(stage: Stage, tmp_path: Path) -> Iterator[Runs]:
    made = Runs(stage, tmp_path)
    yield made
    made.end()
    print(made.operator.log.read_text()[-6000:])


def saved(server: ApiServer, where: Path) -> None:
    with server.halted() as data:
        shutil.copytree(data, where)


def put_back(server: ApiServer, where: Path) -> None:
    with server.halted() as data:
        shutil.rmtree(data)
        shutil.copytree(where, data)


def rejected(stage: Stage) -> list[str]:
    status = stage.get("modelrollout", "fraud").get("status") or {}
    return [each["revision"] for each in status.get("rejectedRevisions", [])]


def test_a_rollback_of_after_the_backup_is_forgotten_and_made_again(
    stage: Stage, runs: Runs, exporter: Exporter, tmp_path: Path
) -> None:
    stage.rollout(hold="30s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    saved(stage.server, tmp_path / "backup")
    exporter.traffic["v8"].turn(0.9)
    wait_until(lambda: stage.phase() == "RolledBack", limit=60, why="taken back")
    assert (stage.weights(), len(rejected(stage))) == ((100, 0), 1)

    runs.end()
    put_back(stage.server, tmp_path / "backup")
    assert (stage.weights(), rejected(stage)) == ((95, 5), [])
    runs.anew()
    most = 0

    def back() -> bool:
        nonlocal most
        most = max(most, stage.weights()[1])
        return stage.phase() == "RolledBack"

    wait_until(back, limit=PATIENCE, why="taken back again")
    assert most <= 5, "never more than the backup says"
    assert stage.weights() == (100, 0)
    assert len(rejected(stage)) == 1


def test_a_promotion_of_after_the_backup_is_made_again_from_the_step_of_the_backup(
    stage: Stage, runs: Runs, tmp_path: Path
) -> None:
    stage.rollout(hold="5s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    saved(stage.server, tmp_path / "backup")
    wait_until(lambda: stage.phase() == "Promoted", limit=PATIENCE, why="promoted")
    runs.end()
    put_back(stage.server, tmp_path / "backup")
    assert stage.weights() == (95, 5)
    runs.anew()
    wait_until(lambda: stage.phase() == "Promoted", limit=PATIENCE, why="promoted again")
    assert stage.weights() == (0, 100)
    status = stage.get("modelrollout", "fraud")["status"]
    assert [each["weight"] for each in status["decisions"] if each["action"] == "Raise"] == ["5", "50", "100"]


def test_a_route_that_is_restored_with_its_owner_is_not_taken_and_without_it_is(stage: Stage, runs: Runs) -> None:
    """A backup of objects: an object made anew has another uid, and its route's owner is the old one."""
    stage.rollout(hold="60s")
    wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
    kept = stage.get("httproute", "fraud-modelrollout")
    runs.end()
    for kind, name in (("modelrollout", "fraud"), ("httproute", "fraud-modelrollout")):
        stage.server.kubectl(
            "patch", kind, name, "-n", NAMESPACE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )
        stage.server.kubectl("delete", kind, name, "-n", NAMESPACE, "--ignore-not-found")
    own = {key: kept["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    stage.apply({"apiVersion": kept["apiVersion"], "kind": kept["kind"], "metadata": own, "spec": kept["spec"]})
    stage.rollout(hold="60s")
    runs.anew()
    wait_until(lambda: stage.phase() == "Invalid", limit=60, why="the route belongs to another")
    status = stage.get("modelrollout", "fraud")["status"]
    assert 'HTTPRoute "fraud-modelrollout" in namespace default is not this rollout\'s' in status["message"]
    assert stage.weights() == (95, 5), "left as it is"

    stage.server.kubectl(
        *("patch", "httproute", "fraud-modelrollout", "-n", NAMESPACE, "--type=merge"),
        *("-p", '{"metadata":{"ownerReferences":null}}'),
    )
    seen = set()

    def goes_on() -> bool:
        seen.add(stage.weights())
        return stage.phase() == "Progressing"

    wait_until(goes_on, limit=60, why="taken over")
    first = stage.get("modelrollout", "fraud")["status"]["decisions"][0]
    assert (first["action"], first["weight"]) == ("Shape", "0"), "users of the backup's share go back to legacy first"
    assert "candidate 5 % -> 0 %" in first["message"]
    assert {weights[1] for weights in seen} <= {0, 5}
