"""A legacy that others scale down before it is needed again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.models import records
from e2e.scenarios.faults.pairs import RATE, others_failures
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, LEGACY, hold_at, open_play
from e2e.stage import Stage, until

pytestmark = pytest.mark.timeout(300)

Stages = Callable[[str], Stage]


def test_legacy_scaled_down_by_an_autoscaler_still_takes_everybody_back(stages: Stages) -> None:
    """A real HorizontalPodAutoscaler takes legacy to one replica while the candidate has 90 %: one is enough."""
    stage = stages("hpa")
    load = open_play(stage, wanted=hold_at(90), rate=RATE, replicas=2)
    stage.wait_weight(90, seconds=60)
    stage.apply(autoscaler(LEGACY, most=1))
    until("legacy has one replica", lambda: replicas(stage, LEGACY) == (1, 1), seconds=60)
    time.sleep(2)
    turned = stage.behave(CANDIDATE, errors=0.5)
    stage.wait_route([[100, 0]], seconds=20)
    closed = time.time()
    status = stage.wait_phase("RolledBack", seconds=10)
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    time.sleep(4)
    seen = load.stop()
    assert others_failures(seen, 0, time.time()) == []
    assert records.failed(seen, closed + 0.5, closed + 4) == []
    # The autoscaler goes on to decide how many there are: the operator never writes replicas.
    assert replicas(stage, LEGACY)[0] == 1
    harmed = len(records.failed(seen, turned, closed + 4))
    print(f"\nat 0 {closed - turned:.1f} s after it turned bad, on one replica of legacy; {harmed} requests harmed")


def autoscaler(deployment: str, *, most: int) -> dict[str, Any]:
    """An HPA that needs no metrics to bring the Deployment to `most` replicas."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": deployment},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "minReplicas": 1,
            "maxReplicas": most,
        },
    }


def replicas(stage: Stage, deployment: str) -> tuple[int, int]:
    """Wanted and ready replicas."""
    found = json.loads(stage.kubectl("get", "deployment", deployment, "-o", "json"))
    return found["spec"]["replicas"], found["status"].get("readyReplicas", 0)
