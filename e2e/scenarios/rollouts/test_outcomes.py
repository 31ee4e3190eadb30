"""A good candidate is promoted; a bad one goes back, by each kind of evidence and by a person."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import (
    ACCURACY,
    BAD_ANSWERS,
    CANDIDATE,
    ERRORS,
    LATENCY,
    LEGACY,
    V1,
    V2,
    hold_at,
    open_play,
    steps,
)
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]


def test_good_candidate_is_promoted_and_every_request_is_served(stages: Stages) -> None:
    stage = stages("promotion")
    load = open_play(stage, wanted=steps(5, 25, 100), slis=[ERRORS, LATENCY])
    stage.wait_phase("Promoted", seconds=90)
    stage.kubectl("wait", "--for=condition=Promoted", "modelrollout/tumour", "--timeout=5s")
    done = time.time()
    time.sleep(4)
    seen = load.stop()
    status = stage.status()
    assert status["phase"] == "Promoted"
    assert records.failed(seen, 0, done + 10) == []
    assert records.share(seen, V2, done + 1, done + 10) == 1.0
    columns = stage.kubectl("get", "mr").splitlines()
    assert re.split(r"\s{2,}", columns[0].strip()) == ["NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "BURN", "AGE"]
    assert columns[1].split()[1:4] == ["Promoted", "3/3", "100%"]
    assert len(json.dumps(status)) < 16_384
    weights = [rule for rule in stage.route_weights()]
    assert weights == [[0, 100]]


def test_candidate_that_is_worse_than_legacy_goes_back_though_it_meets_its_objective(stages: Stages) -> None:
    """6 % of errors where legacy has 1 % and 10 % are allowed: no burn tier can see that, the comparison does."""
    stage = stages("worse")
    load = open_play(
        stage,
        wanted=hold_at(25),
        slis=[{**ERRORS, "objective": "90"}],
        analysis={"interval": "2s", "warmup": "2s"},
        # Legacy is young, so little is known of its load, and a small share of the budget could be spent first.
        errorBudget={"rolloutShare": "100%"},
    )
    stage.behave(LEGACY, errors=0.01)
    stage.wait_weight(25, seconds=60)
    time.sleep(20)
    turned = stage.behave(CANDIDATE, errors=0.06)
    status = stage.wait_phase("RolledBack", seconds=120)
    closed = time.time()
    seen = load.stop()
    assert status["incident"]["reason"] == "SliFailed", status["incident"]
    message = status["incident"]["message"]
    assert re.search(r"fails margin 1\.25x \+ 0\.05 %; odds against chance .* : 1", message), message
    harmed = sum(r.version == V2 and r.start >= turned for r in records.failed(seen, 0, closed + 10))
    print(f"\nreverted {closed - turned:.1f} s after the candidate turned worse, {harmed} requests harmed: {message}")


@pytest.mark.parametrize(
    ("kind", "slis", "behaviour"),
    [
        # The last SLI is the one that must be named.
        ("errors", [ERRORS], {"errors": 0.2}),
        ("hardguard", [ERRORS], {"errors": 1.0}),
        ("latency", [ERRORS, LATENCY], {"delay_ms": 420}),
        ("accuracy", [ERRORS, ACCURACY], {"wrong": 0.3}),
    ],
)
def test_candidate_that_turns_bad_goes_back(
    stages: Stages, kind: str, slis: list[Mapping[str, Any]], behaviour: dict[str, Any]
) -> None:
    stage = stages(kind)
    load = open_play(stage, wanted=hold_at(25), slis=slis)
    stage.wait_weight(25, seconds=60)
    time.sleep(6)
    turned = stage.behave(CANDIDATE, **behaviour)
    status = stage.wait_phase("RolledBack", seconds=90)
    closed = time.time()
    time.sleep(4)
    seen = load.stop()
    assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
    assert status["incident"]["message"].startswith(f"{slis[-1]['name']}: "), status["incident"]
    assert status["weight"] == "0"
    assert re.search(r"\d( %)? of (the last )?\d", status["incident"]["message"]), status["incident"]["message"]
    assert records.share(seen, V2, closed + 0.5, closed + 10) == 0.0
    assert stage.route_weights() == [[100, 0]]
    rolled = next(c for c in status["conditions"] if c["type"] == "RolledBack")
    assert (rolled["status"], rolled["reason"]) == ("True", status["incident"]["reason"])
    # What the candidate itself did not break, nobody broke.
    others = [r for r in records.failed(seen, 0, closed + 10) if r.version != V2]
    assert others == []
    # One that was under way as it turned may have been answered badly, too.
    assert all(r.end >= turned for r in records.failed(seen, 0, closed + 10))


def test_a_rejected_revision_stays_rejected_until_retry(stages: Stages) -> None:
    stage = stages("abort")
    load = open_play(stage, wanted=hold_at(25))
    stage.wait_weight(25, seconds=60)
    name = stage.act("Abort", reason="support tickets")
    asked = time.time()
    status = stage.wait_phase("RolledBack", seconds=10)
    assert status["incident"]["reason"] == "Aborted"
    assert "support tickets" in status["message"]
    action = json.loads(stage.kubectl("get", "mra", name, "-o", "json"))
    assert action["status"]["result"] == "Applied"
    time.sleep(6)
    assert stage.route_weights() == [[100, 0]]
    stage.act("Retry")
    stage.wait_weight(25, seconds=30)
    seen = load.stop()
    assert records.share(seen, V1, asked + 2, asked + 6) == 1.0
    assert records.failed(seen, 0, time.time()) == []


def test_people_pause_resume_and_approve(stages: Stages) -> None:
    stage = stages("people")
    wanted = [
        {"weight": 10, "minDuration": "2s"},
        {"weight": 50, "minDuration": "2s", "approval": True},
        {"weight": 100, "minDuration": "2s"},
    ]
    load = open_play(stage, wanted=wanted)
    stage.wait_status("asks for approval", lambda s: s.get("reason") == "Approval", seconds=60)
    stage.act("Pause")
    stage.act("Approve")
    stage.wait_status("paused by action", lambda s: s.get("reason") == "PausedByAction", seconds=10)
    assert stage.status()["weight"] == "10"
    stage.act("Resume")
    stage.wait_status("asks again", lambda s: s.get("reason") == "Approval", seconds=20)
    stage.act("Approve")
    stage.wait_phase("Promoted", seconds=60)
    assert records.failed(load.stop(), 0, time.time()) == []
