"""What people do to a TraefikService, its rollout and its pods: edits, deletions, a revert by hand, an update."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, hold_at
from e2e.scenarios.rollouts.versions import Watch
from e2e.scenarios.traefik.front import (
    CANDIDATE,
    LEGACY,
    NAME,
    V8,
    Front,
    abort,
    by_hand,
    deploy,
    edit,
    opened,
    page,
    routed,
    weights,
)
from e2e.stage import Operator, Stage, until

pytestmark = pytest.mark.timeout(900)

Stages = Callable[[str], Stage]
FOLLOWED = 4.0
"""Seconds after a write within which Traefik has taken it."""


def events(stage: Stage, reason: str) -> list[str]:
    """Messages of the rollout's Events with this reason."""
    argv = ["get", "events", "--field-selector", f"involvedObject.name={NAME},reason={reason}", "-o", "json"]
    return [found["message"] for found in json.loads(stage.kubectl(*argv))["items"]]


def wait_weights(stage: Stage, legacy: int, candidate: int, *, seconds: float = 30) -> None:
    """Wait until the TraefikService has these."""
    until(f"weights {legacy}, {candidate}", lambda: weights(stage) == [legacy, candidate], seconds=seconds)


def test_an_edited_weight_is_put_back_once_and_then_left_to_people(stages: Stages, front: Front) -> None:
    stage = stages("edited")
    load = opened(front, stage, hold_at(50))
    stage.wait_weight(50, seconds=90, name=NAME)
    time.sleep(10)

    edit(stage, 90, 10)
    wait_weights(stage, 50, 50)
    told = until("the event", lambda: events(stage, "RouteConflict"), seconds=20)
    assert told == ["somebody changed the route from 50 % to 10 %: put back once"]
    assert "Restore" in [made["action"] for made in stage.status(NAME)["decisions"]]

    edit(stage, 90, 10)
    status = stage.wait_reason("RouteConflict", seconds=30, name=NAME)
    assert status["phase"] == "Paused"
    assert "somebody changed the route from 50 % to 10 % again" in status["message"]
    assert "send a Resume action; the weight is left as it is" in status["message"]
    at = time.time() + FOLLOWED
    time.sleep(FOLLOWED + 5)
    assert weights(stage) == [90, 10]
    share = records.share(load.records(), V8, at, at + 5)
    assert share == pytest.approx(0.1, abs=0.05), "users are split as the person wanted"

    stage.act("Resume", rollout=NAME)
    wait_weights(stage, 50, 50)
    stage.wait_status("it goes on", lambda s: s.get("phase") == "Progressing", seconds=20, name=NAME)

    edit(stage, 80, 20)
    stage.wait_reason("RouteConflict", seconds=30, name=NAME)
    stage.behave(CANDIDATE, errors=0.6)
    status = stage.wait_phase("RolledBack", seconds=90, name=NAME)
    assert status["incident"]["reason"] in BAD_ANSWERS
    assert weights(stage) == [100, 0]
    assert [r for r in records.failed(load.stop(), 0, math.inf) if r.version != V8] == []


def test_a_deleted_rollout_takes_users_back_and_leaves_the_traefik_service(stages: Stages, front: Front) -> None:
    stage = stages("deleted")
    load = opened(front, stage, hold_at(50))
    stage.wait_weight(50, seconds=90, name=NAME)
    time.sleep(6)
    before = json.loads(stage.kubectl("get", "traefikservice", NAME, "-o", "json"))
    stage.kubectl("delete", "modelrollout", NAME, "--timeout=30s")
    gone = time.time()
    time.sleep(FOLLOWED + 4)
    seen = load.stop()
    assert weights(stage) == [100, 0]
    after = json.loads(stage.kubectl("get", "traefikservice", NAME, "-o", "json"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "ownerReferences" not in after["metadata"]
    assert records.failed(seen, 0, math.inf) == []
    assert records.share(seen, V8, gone + FOLLOWED, math.inf) == 0.0


def test_a_deleted_traefik_service_is_told_and_steered_again_when_it_is_back(stages: Stages, front: Front) -> None:
    stage = stages("unrouted")
    load = opened(front, stage, hold_at(50))
    stage.wait_weight(50, seconds=90, name=NAME)
    time.sleep(6)
    deleted = time.time()
    stage.kubectl("delete", "traefikservice", NAME)
    status = stage.wait_phase("Invalid", seconds=30, name=NAME)
    assert status["reason"] == "RefNotFound"
    assert status["message"] == (
        f'TraefikService "{NAME}" not found in namespace {stage.namespace}: create it, or correct'
        " spec.traffic.traefik.service"
    )
    time.sleep(FOLLOWED)
    # Traefik's own answer for a route without a service; nothing that the operator could mend.
    assert front.code(stage.host) == "404"
    stage.apply(page(stage)["TraefikService"])
    wait_weights(stage, 50, 50, seconds=40)
    stage.wait_status("it goes on", lambda s: s.get("phase") == "Progressing", seconds=30, name=NAME)
    back = time.time() + FOLLOWED
    time.sleep(FOLLOWED + 4)
    seen = load.stop()
    assert records.failed(seen, 0, deleted) == []
    assert records.failed(seen, back, math.inf) == []
    assert records.share(seen, V8, back, math.inf) == pytest.approx(0.5, abs=0.1)


def test_a_revert_by_hand_stays_when_the_operator_comes_back(stages: Stages, front: Front, operator: Operator) -> None:
    stage = stages("byhand")
    load = opened(front, stage, hold_at(50))
    stage.wait_weight(50, seconds=90, name=NAME)
    time.sleep(6)
    operator.kill()
    stage.behave(CANDIDATE, errors=0.5)
    assert by_hand(stage) == ""
    assert weights(stage) == [100, 0]
    abort(stage)
    watch = Watch(stage, "traefikservice")
    at = time.time() + FOLLOWED
    time.sleep(FOLLOWED + 3)
    operator.start()
    status = stage.wait_phase("RolledBack", seconds=60, name=NAME)
    assert status["incident"]["reason"] == "Aborted"
    time.sleep(3)
    versions = watch.stop()
    assert versions
    assert {entry["weight"] for v in versions for entry in v["spec"]["weighted"]["services"][1:]} == {0}
    seen = load.stop()
    assert records.share(seen, V8, at, math.inf) == 0.0
    assert [r for r in records.failed(seen, 0, math.inf) if r.version != V8] == []


def test_the_revert_by_hand_changes_nothing_where_the_arms_stand_in_another_order(stages: Stages) -> None:
    stage = stages("order")
    thing = page(stage)["TraefikService"]
    thing["spec"]["weighted"]["services"].reverse()
    stage.apply(thing)
    assert "The request is invalid" in by_hand(stage)
    assert weights(stage) == [0, 100]


def test_pods_that_wait_for_traefik_before_they_end_are_not_missed(stages: Stages, front: Front) -> None:
    """Traefik takes in one change in two seconds (`providersThrottleDuration`), and pods leave one after the other."""
    stage = stages("leaving")
    deploy(stage)
    stage.kubectl("scale", "deployment", LEGACY, "--replicas=2")
    stage.kubectl("patch", "deployment", LEGACY, "--type=json", "-p", json.dumps([pre_stop(5)]))
    stage.kubectl("rollout", "status", f"deployment/{LEGACY}", "--timeout=60s")
    routed(front, stage, page(stage))
    load = front.load(stage, 100)
    time.sleep(3)
    stage.kubectl("rollout", "restart", f"deployment/{LEGACY}")
    stage.kubectl("rollout", "status", f"deployment/{LEGACY}", "--timeout=60s")
    time.sleep(10)
    seen = load.stop()
    assert records.failed(seen, 0, math.inf) == []
    assert len({r.pod for r in seen}) == 4, "both old and both new pods have answered"


def pre_stop(seconds: int) -> dict[str, object]:
    """A patch: pods go on serving for so long after they are told to end."""
    path = "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds"
    return {"op": "replace", "path": path, "value": seconds}
