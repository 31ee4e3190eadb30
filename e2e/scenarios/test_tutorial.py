"""The tutorial's commands, in its order, on a cluster as `make demo` leaves it: v4 was taken back for its latency.

Only the demo's first two acts are left out, and the load stays at the demo's rate, or the steps would take minutes.
"""

from __future__ import annotations

import os
import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.demo import scene
from e2e.demo.play import RATE, next_steps
from e2e.demo.story import ACTS, STEPS
from e2e.installed import Release, prepare
from e2e.scenarios.reader import Reader
from e2e.stage import ROOT, Stage

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs("embedded")]

PAGE = ROOT / "docs" / "tutorial" / "first-rollout.md"
LISTED: list[str] = tomllib.loads((ROOT / "docs" / "commands.toml").read_text())["demo"]
DEMO = "demo"
"""The name of the cluster on the page."""
WEIGHTS = [(number, step["weight"]) for number, step in enumerate(STEPS, 1)]
(SLOW,) = (act for act in ACTS if act.variant == "slow")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """The demo's namespace on a full cluster of its own, after the third act."""
    cluster = EmbeddedCluster(f"tutorial-{os.getpid()}", ephemeral=True)
    cluster.up("full")
    made = Stage(cluster, scene.NAMESPACE, tmp_path / "stage")
    try:
        prepare(cluster)
        made.create()
        arms = scene.arms(made)
        made.deploy(arms["v2"], arms["v4"])
        Release(cluster).install(namespaces=[scene.NAMESPACE], scrape="1s")
        load = made.load(RATE, duration=900)
        # As in the demo all has been scraped for a while: a rollout that comes before its metrics is Invalid first.
        time.sleep(8)
        made.apply(scene.rollout(made, SLOW, "v2"))
        made.wait_phase("RolledBack", seconds=90)
        yield made
        load.stop()
    finally:
        cluster.down()


def test_tutorial(stage: Stage) -> None:
    reader = Reader(PAGE, stage.cluster.name, named=DEMO)
    wide, incident, routes, events, retry, watch, repair, wait = LISTED
    burn = (
        r"latency: burns over \d+x its budget in \S+ and \S+ \(\d+ of \d+ bad, .*; the candidate's doing\); candidate"
    )

    rows = reader.types(wide).splitlines()
    assert re.match(r"NAME +PHASE +STEP +WEIGHT +VERDICT +BURN +LEGACY +CANDIDATE +REASON", rows[0])
    assert re.match(r"tumour +RolledBack +0/5 +0% +FAIL +\d+x +tumour-v2 +tumour-v4 +(BudgetBurn|SliFailed) ", rows[1])
    assert re.match(burn, reader.types(incident))
    assert re.search(r"^tumour-modelrollout +\[\"tumour.example.com\"\]", reader.types(routes), re.MULTILINE)
    told = [line.split()[2] for line in reader.types(events).splitlines()[1:]]
    assert told[0] == "StepStarted"
    assert sorted(told[1:]) == ["RollbackCompleted", "RollbackStarted"]
    for text in next_steps(stage.cluster.name):
        assert reader.types(text)

    assert re.match(r"rolloutaction\S+/tumour-retry-\w+ created$", reader.types(retry))
    reader.watches(watch, r"Progressing +1/5 +1% +WAIT", r"RolledBack +0/5 +0% +FAIL")
    assert stage.route_weights() == [[100, 0]]

    assert reader.types(repair) == "deployment.apps/tumour-v4 env updated\n"
    climb = reader.watches(watch, *(rf"Progressing +{step}/5 +{percent}% " for step, percent in WEIGHTS))
    assert not any("Roll" in line for line in climb[2:]), climb
    assert reader.types(wait) == "modelrollout.modelrollout.dev/tumour condition met\n"
    assert stage.route_weights() == [[0, 100]]
