"""What people get from kubectl: the columns, `kubectl wait` that never answers too early, a status that stays small."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.models import manifests, records
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, LEGACY, QUICK, V1, V2, hold_at, open_play, steps
from e2e.scenarios.rollouts.versions import Watch, condition, number
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

LIMIT = 16 * 1024
HEADER = ["NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "BURN", "AGE"]
V3 = "v3"
THIRD = "tumour-v3"


def test_kubectl_get_tells_the_story_in_one_line(stages: Callable[[str], Stage]) -> None:
    stage = stages("columns")
    open_play(stage, wanted=hold_at(25))
    stage.wait_weight(25, seconds=60)
    row = _row(stage)
    assert (row["NAME"], row["PHASE"], row["STEP"], row["WEIGHT"]) == ("tumour", "Progressing", "1/2", "25%")
    assert row["VERDICT"] == "WAIT"
    assert re.fullmatch(r"-|\d+(\.\d+)?x", row["BURN"]), row
    assert re.fullmatch(r"(\d+[hms])+", row["AGE"]), row
    stage.behave(CANDIDATE, errors=1.0)
    stage.kubectl("wait", "--for=condition=RolledBack", "mr/tumour", "--timeout=60s")
    row = _row(stage)
    assert (row["NAME"], row["PHASE"], row["WEIGHT"], row["VERDICT"]) == ("tumour", "RolledBack", "0%", "FAIL")
    assert float(row["BURN"].removesuffix("x")) > 1


def test_kubectl_wait_returns_only_once_the_route_is_at_100(stages: Callable[[str], Stage]) -> None:
    """Also for a rollout that was promoted before and gets another candidate, by its spec or by the pod template."""
    stage = stages("waiting")
    third = stage.arm(THIRD, "candidate", "good", V3, peers=[V1, V3])
    stage.deploy(
        stage.arm(LEGACY, "legacy", "good", V1, peers=[V1, V2]),
        stage.arm(CANDIDATE, "candidate", "good", V2, peers=[V1, V2]),
        third,
    )
    first = stage.rollout(legacy=LEGACY, candidate=CANDIDATE, steps=steps(25, 100), slis=[ERRORS], analysis=QUICK)
    load = stage.load(100, duration=600)
    rollouts, routes = Watch(stage, "modelrollouts"), Watch(stage, "httproutes")

    stage.apply(first)
    revisions = [_promoted(stage)]
    served = time.time()  # before there was no route at first
    # Another spec: its generation moves on, and kubectl looks for a condition of the new one.
    stage.apply({**first, "spec": {**first["spec"], "candidate": {"deployment": THIRD}}})
    revisions.append(_promoted(stage))
    # Another pod template: the generation stays, so wait for the reset first (docs/reference/conditions.md).
    again = stage.arm(THIRD, "candidate", "good", V3, peers=[V1, V3], annotations={"example.com/build": "2"})
    stage.apply(manifests.deployment(again))
    stage.kubectl("wait", "--for=condition=Promoted=False", "mr/tumour", "--timeout=30s")
    revisions.append(_promoted(stage))

    assert len(set(revisions)) == 3, revisions
    assert records.failed(load.stop(), served, time.time()) == []
    versions = rollouts.stop()
    told = _each_promotion_followed_the_route(versions, routes.stop())
    assert told == revisions
    sizes = [len(json.dumps(v["status"], separators=(",", ":"))) for v in versions if "status" in v]
    assert len(sizes) > 10
    assert max(sizes) < LIMIT


def _promoted(stage: Stage) -> str:
    """Start to wait in the same moment as the change, and return the revision that the wait is about."""
    stage.kubectl("wait", "--for=condition=Promoted", "mr/tumour", "--timeout=120s")
    assert stage.route_weights() == [[0, 100]]
    revision: str = stage.status()["revision"]
    return revision


def _each_promotion_followed_the_route(rollouts: list[dict[str, Any]], routes: list[dict[str, Any]]) -> list[str]:
    """The revisions promoted, in order; at the moment each was told, the route gave it everything."""
    told: list[str] = []
    before: str | None = None
    for version in rollouts:
        now = condition(version, "Promoted")
        if now == "True" and before != "True":
            told.append(version["status"]["revision"])
            route = max((r for r in routes if number(r) < number(version)), key=number)
            weights = [[b.get("weight", 1) for b in rule["backendRefs"]] for rule in route["spec"]["rules"]]
            assert weights == [[0, 100]], told
        before = now
    return told


def _row(stage: Stage) -> dict[str, str]:
    header, row = stage.kubectl("get", "mr").splitlines()
    assert header.split() == HEADER
    return dict(zip(HEADER, row.split(), strict=True))
