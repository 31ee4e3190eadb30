"""True labels that come seconds after their predictions, counted by cohort: what is waited for, and what is not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import ACCURACY, BAD_ANSWERS, CANDIDATE, ERRORS, V1, V2, hold_at, open_play, steps
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

COHORT = 2
LATE: Mapping[str, Any] = {**ACCURACY, "labels": {"minCoverage": "80%", "maxDelay": "2m"}}
MISSING = re.compile(r"labels of ([\d.]+) % of [\d,]+ (candidate|legacy) predictions, 80 % needed")


def test_a_good_candidate_waits_for_its_labels_and_is_promoted(stages: Stages) -> None:
    delay = 25.0
    stage = stages("late-good")
    load = open_play(
        stage, wanted=steps(25, 100), slis=[ERRORS, LATE], rate=150, cohort_seconds=COHORT, label_delay=delay
    )
    stage.wait_weight(25, seconds=60)
    began = time.time()
    # A step says so once it is 30 s overdue.
    status = stage.wait_status("says which labels it waits for", lambda s: MISSING.search(said(s)), seconds=60)
    assert status["weight"] == "25"
    stage.wait_weight(100, seconds=90)
    # Of the older half of a step's predictions four in five have their label once it is 5/3 delays old.
    assert time.time() - began > 5 / 3 * delay
    stage.wait_phase("Promoted", seconds=90)
    assert records.failed(load.stop(), 0, time.time()) == []


def test_a_candidate_whose_late_labels_are_wrong_goes_back(stages: Stages) -> None:
    delay = 8.0
    stage = stages("late-bad")
    load = open_play(stage, wanted=hold_at(25), slis=[ERRORS, LATE], rate=150, cohort_seconds=COHORT, label_delay=delay)
    stage.wait_weight(25, seconds=60)
    time.sleep(6)
    turned = stage.behave(CANDIDATE, wrong=0.3)
    status = stage.wait_phase("RolledBack", seconds=90)
    closed = time.time()
    time.sleep(4)
    seen = load.stop()
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    assert status["incident"]["message"].startswith("accuracy: "), status["incident"]
    assert delay < closed - turned < delay + 30
    assert records.share(seen, V1, closed + 0.5, closed + 4) == 1.0
    assert records.failed(seen, 0, closed + 10) == []
    harmed = sum(r.version == V2 and turned <= r.start < closed for r in seen)
    print(f"\nreverted {closed - turned:.1f} s after the candidate turned worse, {harmed} requests to it meanwhile")


def said(status: Mapping[str, Any]) -> str:
    """What a status says of its SLIs, and in its message."""
    return " ".join([str(status.get("message", "")), *(sli.get("message", "") for sli in status.get("slis", ()))])
