"""The operator as users have it: pods from the chart in a restricted namespace, with the documented commands."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from e2e.audited import writes
from e2e.chart import CHART
from e2e.cluster.providers import open_cluster
from e2e.dashboards import DASHBOARDS
from e2e.installed import HOME, SERVED, TEST, Release, prepare
from e2e.models import records
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, ERRORS, V2, hold_at, open_play, steps
from e2e.stage import Stage, until

pytestmark = pytest.mark.timeout(900)

SCRAPE = "2s"
SHARD = "fraud"
NOBODY = {"targets": [{"name": "bus", "cloudevents": {"url": "http://nobody.modelrollout.svc"}}]}
"""A notification file whose receiver is not there: what becomes of messages is shown all the same."""


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    """A full cluster with the chart installed as the documentation says; rollouts in one namespace are served."""
    made = open_cluster(f"install-{os.getpid()}", ephemeral=True, scrape=SCRAPE)
    made.up("full")
    try:
        prepare(made)
        made.exec(["kubectl", "create", "namespace", SERVED])
        installed = Release(made)
        installed.install("--set networkPolicy.enabled=true", scrape=SCRAPE)
        yield installed
    finally:
        made.down()


@pytest.fixture(scope="module")
def everywhere(release: Release) -> Release:
    """From now on rollouts of all namespaces are served."""
    release.upgrade("--set scope=cluster --set-json 'namespaces=[]'")
    return release


@pytest.fixture
def stages(release: Release, tmp_path: Path) -> Iterator[Callable[[str], Stage]]:
    """Make a stage in a namespace of its own, or in the one that is there; removed after the test."""
    made: list[Stage] = []

    def make(name: str) -> Stage:
        stage = Stage(release.cluster, name, tmp_path / name, told=release.logs)
        if name != SERVED:
            stage.create()
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.remove()


def test_the_charts_own_test_passes(release: Release) -> None:
    assert "Succeeded" in release.typed(TEST)


def test_a_good_candidate_is_promoted_and_nobody_notices(stages: Callable[[str], Stage]) -> None:
    stage = stages(SERVED)
    load = open_play(stage, wanted=steps(10, 50, 100), slis=[ERRORS])
    stage.wait_phase("Promoted", seconds=150)
    assert records.failed(load.stop(), 0, time.time()) == []


def test_a_leader_whose_pod_is_deleted_is_replaced_and_the_standby_reverts(
    everywhere: Release, stages: Callable[[str], Stage]
) -> None:
    stage = stages("failover")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    first = everywhere.led()
    stage.cluster.exec(["kubectl", "-n", HOME, "delete", "pod", first, "--force", "--grace-period=0"])
    killed = time.monotonic()
    stage.behave(CANDIDATE, errors=0.3)
    until("the standby leads", lambda: everywhere.leader() not in (first, None), seconds=25)
    print(f"the standby led {time.monotonic() - killed:.1f} s after its leader's pod was deleted")
    status = stage.wait_phase("RolledBack", seconds=60)
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    assert stage.route_weights() == [[100, 0]]
    load.stop()


def test_an_abort_then_a_deletion_leave_all_users_with_legacy(
    everywhere: Release, stages: Callable[[str], Stage]
) -> None:
    stage = stages("aborted")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    stage.act("Abort", reason="support tickets")
    status = stage.wait_phase("RolledBack", seconds=30)
    assert status["incident"]["reason"] == "Aborted", status["incident"]
    aborted = time.time()
    time.sleep(3)
    stage.act("Retry")
    stage.wait_weight(25, seconds=60)
    retried = time.time()
    time.sleep(3)
    stage.kubectl("delete", "modelrollout", "tumour", "--timeout=30s")
    deleted = time.time()
    time.sleep(4)
    seen = load.stop()
    assert records.share(seen, V2, aborted + 0.5, aborted + 2.5) == 0.0
    assert any(r.version == V2 for r in records.within(seen, retried, deleted))
    assert records.share(seen, V2, deleted + 0.5, deleted + 10) == 0.0
    assert records.failed(seen, 0, deleted + 10) == []
    assert stage.route_weights() == [[100, 0]]


@pytest.mark.needs("audit")
def test_a_shard_takes_a_rollout_over_in_mid_step_and_its_traffic_stays(
    everywhere: Release, stages: Callable[[str], Stage]
) -> None:
    stage, shard = stages("shards"), Release(everywhere.cluster, f"modelrollout-{SHARD}")
    chosen = f"team={SHARD}"
    everywhere.upgrade(f"--set-string 'operator.selector=team notin ({SHARD})'")
    shard.install(f"--set crds.enabled=false --set-string operator.selector={chosen}", namespaces=[stage.namespace])
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    for each in (everywhere, shard):
        assert each.led() in {pod["metadata"]["name"] for pod in each.pods()}
    with stage.watched_weights() as seen:
        stage.kubectl("label", "modelrollout", "tumour", chosen)
        until("the shard shows it", lambda: shown(shard, stage), seconds=60)
        until("the other shows it no more", lambda: not shown(everywhere, stage), seconds=60)
        moved = stage.behave(CANDIDATE, errors=0.3)
        status = stage.wait_phase("RolledBack", seconds=60)
    assert set(seen) == {25, 0}
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    later = (w for w in writes(stage.cluster.audit(), home=HOME) if w.namespace == stage.namespace and w.at > moved)
    assert {write.account for write in later} == {shard.name}
    load.stop()
    stage.kubectl("delete", "modelrollouts", "--all", "--timeout=40s")
    shard.uninstall()
    everywhere.upgrade("--set-string operator.selector=")


def test_no_panel_is_empty_and_no_alert_asks_for_what_there_is_not(
    everywhere: Release, stages: Callable[[str], Stage]
) -> None:
    scraped = "--set-string 'podAnnotations.prometheus\\.io/port=8080'"
    everywhere.upgrade(scraped, f"--set-json 'notifications.file={json.dumps(NOBODY)}'")
    back, going = stages("panels-back"), stages("panels-going")
    loads = [open_play(stage, wanted=hold_at(25), slis=[ERRORS], rate=50) for stage in (back, going)]
    for stage in (back, going):
        stage.wait_weight(25, seconds=90)
    # A legacy that had no requests when its rollout was checked has no budget to show: this one has had some now.
    going.kubectl("set", "env", f"deployment/{CANDIDATE}", "REVISION=2")
    back.behave(CANDIDATE, errors=0.3)
    back.wait_phase("RolledBack", seconds=60)
    end = time.monotonic() + 90
    while empty := [what for what in asked_by_people() if not everywhere.asked(what[1])]:
        assert time.monotonic() < end, empty
        time.sleep(2)
    for load in loads:
        load.stop()


def asked_by_people() -> Iterator[tuple[str, str]]:
    """Who asks, and what: each query of every panel; of an alert its metrics, for it answers only when it fires."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for expression, _ in panel.queries:
                filled = expression.replace("$namespace", ".*").replace("$rollout", ".*").replace("$__range", "1h")
                yield f"{dashboard.name}: {panel.title}", filled
    rules = yaml.safe_load((CHART / "monitoring" / "rules.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        for metric in re.findall(r"modelrollout_[a-z_]+", rule["expr"]):
            yield rule["alert"], metric


def shown(release: Release, stage: Stage) -> bool:
    """Whether a rollout of the stage is on /metrics of a release."""
    return f'rollout_namespace="{stage.namespace}"' in release.metrics()


def test_upgrading_and_uninstalling_in_mid_rollout_leaves_the_traffic_where_it_is(
    everywhere: Release, stages: Callable[[str], Stage]
) -> None:
    stage = stages("upgrade")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS])
    stage.wait_weight(25, seconds=90)
    with stage.watched_weights() as seen:
        everywhere.upgrade("--set operator.workers=8")
        stage.wait_phase("Progressing", seconds=1)
        everywhere.uninstall()
        time.sleep(5)
    assert set(seen) == {25}
    assert stage.status()["weight"] == "25"
    assert records.failed(load.stop(), 0, time.time()) == []
    everywhere.install(namespaces=["upgrade"])
    everywhere.led()
    assert stage.status()["weight"] == "25"
