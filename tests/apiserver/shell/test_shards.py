"""Two operators share a cluster by labels: each has a Lease and rollouts of its own, and labels move a rollout."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from modelrollout.core.status import UNSEEN
from tests.apiserver.shell.cluster import NAMESPACE, Operator, Stage, wait_until
from tests.contract.kube.test_selector import OBJECTS, SELECTORS

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS, gateway_api_crds()]) as running:
        yield running


def label(stage: Stage, name: str, text: str) -> None:
    stage.server.kubectl("label", "modelrollout", name, "-n", NAMESPACE, text, "--overwrite")


def serves(operator: Operator, name: str) -> bool:
    return f'modelrollout_rollout_phase{{phase="Preflight",rollout="{name}"' in operator.get("/metrics")[1]


def looked_at(stage: Stage, name: str) -> bool:
    return bool(stage.get("modelrollout", name)["status"]["observedGeneration"] != UNSEEN)


def test_each_shard_has_its_own_rollouts_and_a_label_moves_one(server: ApiServer, tmp_path: Path) -> None:
    stage = Stage(server)
    stage.arms()
    stage.source("http://127.0.0.1:9")
    operators = {
        shard: Operator(
            server.kubeconfig,
            tmp_path / f"{shard}.log",
            *("--selector", f"shard={shard}", "--lease-name", f"operator-{shard}", "--log-format", "plain"),
        )
        for shard in ("a", "b")
    }
    try:
        for operator in operators.values():
            wait_until(operator.ready, why="operator is ready")
        for name, shard in (("first", "a"), ("second", "b"), ("nobodys", "")):
            stage.rollout(name)
            if shard:
                label(stage, name, f"shard={shard}")
        wait_until(lambda: serves(operators["a"], "first"), why="a serves first")
        wait_until(lambda: serves(operators["b"], "second"), why="b serves second")
        assert not serves(operators["a"], "second")
        assert not serves(operators["b"], "first")
        assert not looked_at(stage, "nobodys")
        for shard in operators:
            assert stage.get("lease", f"operator-{shard}")["spec"]["holderIdentity"]

        # Whatever its own leader had counted up to, the next shard's must not take itself for deposed.
        stage.patch("modelrollout", "first", {"leaderEpoch": 41})
        label(stage, "first", "shard=b")
        wait_until(lambda: serves(operators["b"], "first"), why="b has taken over")
        wait_until(lambda: not serves(operators["a"], "first"), why="a has let go")
        wait_until(lambda: stage.get("lease", "operator-b")["spec"]["leaseTransitions"] >= 41, why="b may write")
        label(stage, "nobodys", "shard=a")
        wait_until(lambda: serves(operators["a"], "nobodys"), why="a serves what it is given")
    finally:
        ended = [operator.end() for operator in operators.values()]
    assert ended == [0, 0]


def test_a_shard_without_a_lease_of_its_own_does_not_start(server: ApiServer, tmp_path: Path) -> None:
    operator = Operator(server.kubeconfig, tmp_path / "log", "--selector", "shard=a")
    assert operator.process.wait(60) == 2
    told = operator.log.read_text()
    assert told == (
        "modelrollout: --lease-name (MODELROLLOUT_LEASE_NAME) is 'modelrollout-operator': with --selector it must be "
        "another one, for the Lease of this shard alone\n"
    )
    assert operator.end(signal.SIGKILL) == 2


def test_the_api_server_selects_what_the_operator_does(server: ApiServer) -> None:
    for name, labels in OBJECTS.items():
        pairs = [f"{key}={value}" for key, value in labels.items()]
        server.kubectl("create", "configmap", f"chosen-{name}", "-n", NAMESPACE)
        server.kubectl("label", "configmap", f"chosen-{name}", "-n", NAMESPACE, "mine=yes", *pairs)
    for text, found in SELECTORS.items():
        chosen = ",".join(filter(None, ("mine=yes", text)))
        listed = server.kubectl("get", "configmaps", "-n", NAMESPACE, "-l", chosen, "-o", "name").stdout.split()
        assert {name.removeprefix("configmap/chosen-") for name in listed} == found, text
