"""The operator as users have it: pods from the chart in a restricted namespace, with the documented commands."""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster import helm
from e2e.cluster.embedded import EmbeddedCluster
from e2e.image import archive
from e2e.install import source
from e2e.models import image, records
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, ERRORS, hold_at, open_play, steps
from e2e.stage import ROOT, Stage, until

pytestmark = pytest.mark.timeout(900)

HOME, RELEASE = "modelrollout", "modelrollout"
SERVED = "serving"
INSTALL, TEST, UPGRADE, UNINSTALL = tomllib.loads((ROOT / "docs" / "commands.toml").read_text())["helm"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    """A full cluster with the chart installed as the documentation says; rollouts in one namespace are served."""
    made = EmbeddedCluster(f"install-{os.getpid()}", ephemeral=True, scrape="2s")
    made.up("full")
    try:
        made.load_image(image.archive())
        made.load_image(archive(name="registry.example.com/modelrollout", tag="0.1.0"))
        for namespace in (HOME, SERVED):
            made.exec(["kubectl", "create", "namespace", namespace])
        made.exec(["kubectl", "label", "namespace", HOME, "pod-security.kubernetes.io/enforce=restricted"])
        typed(made, f"{INSTALL} --set networkPolicy.enabled=true")
        made.exec(["kubectl", "apply", "-f", "-"], input_text=json.dumps(source(made.prometheus_url, "2s")))
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def everywhere(cluster: EmbeddedCluster) -> EmbeddedCluster:
    """From now on rollouts of all namespaces are served."""
    typed(cluster, f"{UPGRADE} --set scope=cluster --set-json 'namespaces=[]'")
    return cluster


def typed(cluster: EmbeddedCluster, command: str) -> str:
    """What a command line prints; it must succeed."""
    return cluster.exec(["bash", "-c", f'PATH="{helm.binary().parent}:$PATH"; {command}'], timeout_s=300).stdout


def logs(cluster: EmbeddedCluster) -> str:
    """The last lines of every operator pod."""
    chosen = "app.kubernetes.io/component=operator"
    argv = ["kubectl", "-n", HOME, "logs", "-l", chosen, "--tail=15", "--prefix", "--all-containers"]
    return cluster.exec(argv, check=False).stdout


def leader(cluster: EmbeddedCluster) -> str | None:
    """Name of the pod that holds the Lease."""
    done = cluster.exec(["kubectl", "-n", HOME, "get", "lease", RELEASE, "-o", "json"], check=False)
    holder: str = json.loads(done.stdout)["spec"].get("holderIdentity") or "" if done.returncode == 0 else ""
    return holder.partition("_")[0] or None


@pytest.fixture
def stages(cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[Callable[[str], Stage]]:
    """Make a stage in a namespace of its own, or in the one that is there; removed after the test."""
    made: list[Stage] = []

    def make(name: str) -> Stage:
        stage = Stage(cluster, name, tmp_path / name, told=lambda: logs(cluster))
        if name != SERVED:
            stage.create()
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.remove()


def test_the_charts_own_test_passes(cluster: EmbeddedCluster) -> None:
    assert "Succeeded" in typed(cluster, TEST)


def test_a_good_candidate_is_promoted_and_nobody_notices(stages: Callable[[str], Stage]) -> None:
    stage = stages(SERVED)
    load = open_play(stage, wanted=steps(10, 50, 100), slis=[ERRORS])
    stage.wait_phase("Promoted", seconds=150)
    assert records.failed(load.stop(), 0, time.time()) == []


def test_a_leader_whose_pod_is_deleted_is_replaced_and_the_standby_reverts(
    everywhere: EmbeddedCluster, stages: Callable[[str], Stage]
) -> None:
    cluster, stage = everywhere, stages("failover")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    first = until("somebody leads", lambda: leader(cluster), seconds=20)
    cluster.exec(["kubectl", "-n", HOME, "delete", "pod", first, "--force", "--grace-period=0"])
    killed = time.monotonic()
    stage.behave(CANDIDATE, errors=0.3)

    def other() -> str | None:
        now = leader(cluster)
        return now if now != first else None

    until("the standby leads", other, seconds=25)
    print(f"the standby led {time.monotonic() - killed:.1f} s after its leader's pod was deleted")
    status = stage.wait_phase("RolledBack", seconds=60)
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    assert stage.route_weights() == [[100, 0]]
    load.stop()


def test_upgrading_and_uninstalling_in_mid_rollout_leaves_the_traffic_where_it_is(
    everywhere: EmbeddedCluster, stages: Callable[[str], Stage]
) -> None:
    cluster, stage = everywhere, stages("upgrade")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    with stage.watched_weights() as seen:
        typed(cluster, f"{UPGRADE} --set operator.workers=8")
        stage.wait_phase("Progressing", seconds=1)
        typed(cluster, UNINSTALL)
        time.sleep(5)
    assert set(seen) == {25}
    assert stage.status()["weight"] == "25"
    assert records.failed(load.stop(), 0, time.time()) == []
    typed(cluster, INSTALL.replace("{serving}", "{upgrade}"))
    until("somebody leads again", lambda: leader(cluster), seconds=30)
    assert stage.status()["weight"] == "25"
