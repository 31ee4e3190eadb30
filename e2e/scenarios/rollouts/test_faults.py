"""The operator dies, people edit, the candidate crashes, the object is deleted."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import CANDIDATE, V2, hold_at, open_play, steps
from e2e.stage import Operator, Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]


def test_operator_killed_at_each_step_never_jumps(stages: Stages, operator: Operator) -> None:
    """Killed as soon as a step shows in the status; the route's whole history is compared with the ladder."""
    stage = stages("killed")
    ladder = [5, 25, 50, 100]
    load = open_play(stage, wanted=steps(*ladder, each="4s"))
    stage.wait_weight(5, seconds=60)
    with stage.watched_weights() as seen:
        for weight in ladder:
            stage.wait_weight(weight, seconds=60)
            operator.kill()
            frozen = stage.route_weights()
            time.sleep(2)
            assert stage.route_weights() == frozen
            operator.start()
        done = stage.wait_phase("Promoted", seconds=60)
    # Status first, then route: a kill between the two is made up for later, and none of it may go back or skip.
    assert [w for w, _ in itertools.groupby(seen)] in (ladder, [0, *ladder])
    assert [d["weight"] for d in done["decisions"] if d["action"] == "Raise"] == [str(w) for w in ladder]
    assert [d for d in done["decisions"] if d["reason"] == "RouteConflict"] == []
    assert records.failed(load.stop(), 0, time.time()) == []


def test_operator_killed_while_the_candidate_is_bad_reverts_after_its_return(
    stages: Stages, operator: Operator
) -> None:
    stage = stages("killed-bad")
    load = open_play(stage, wanted=hold_at(25))
    stage.wait_weight(25, seconds=60)
    time.sleep(6)
    operator.kill()
    stage.behave(CANDIDATE, errors=0.5)
    time.sleep(5)
    assert stage.route_weights() == [[75, 25]]
    operator.start()
    stage.wait_phase("RolledBack", seconds=45)
    assert stage.route_weights() == [[100, 0]]
    load.stop()


def test_a_weight_edited_by_hand_is_put_back_once_then_a_person_is_asked(stages: Stages) -> None:
    stage = stages("edited")
    load = open_play(stage, wanted=hold_at(40))
    stage.wait_weight(40, seconds=60)
    name = stage.kubectl("get", "httproutes", "-o", "jsonpath={.items[0].metadata.name}").strip()
    edit = json.dumps([{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 45}])
    time.sleep(3)
    stage.kubectl("patch", "httproute", name, "--type=json", "-p", edit)
    stage.wait_route([[60, 40]], seconds=15)
    stage.kubectl("annotate", "httproute", name, "team=fraud")
    stage.kubectl("patch", "httproute", name, "--type=json", "-p", edit)
    status = stage.wait_reason("RouteConflict", seconds=15)
    stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
    assert stalled["status"] == "True"
    time.sleep(6)
    assert stage.route_weights() == [[60, 45]]
    assert "fraud" in stage.kubectl("get", "httproute", name, "-o", "jsonpath={.metadata.annotations.team}")
    stage.act("Abort")
    stage.wait_phase("RolledBack", seconds=15)
    assert stage.route_weights()[0][1] == 0
    load.stop()


def test_a_crashing_candidate_loses_its_traffic(stages: Stages) -> None:
    """It crashes after every 150 predictions: once is forgiven, the second time in the step is not."""
    stage = stages("crashing")
    load = open_play(stage, wanted=hold_at(25), behaviour={"crash_after": 150}, candidateDeadline="60s")
    status = stage.wait_phase("RolledBack", seconds=120)
    closed = time.time()
    assert status["incident"]["reason"] == "CandidateUnhealthy"
    assert stage.route_weights() == [[100, 0]]
    time.sleep(3)
    seen = load.stop()
    assert records.share(seen, V2, closed + 0.5, closed + 5) == 0.0
    assert records.failed(seen, closed + 0.5, closed + 5) == []


def test_deletion_in_mid_rollout_gives_users_back_to_legacy(stages: Stages) -> None:
    stage = stages("deleted")
    load = open_play(stage, wanted=hold_at(25))
    stage.wait_weight(25, seconds=60)
    stage.kubectl("delete", "modelrollout", "tumour", "--timeout=30s")
    gone = time.time()
    time.sleep(4)
    seen = load.stop()
    assert records.failed(seen, 0, gone + 10) == []
    assert records.share(seen, V2, gone + 0.5, gone + 10) == 0.0
    assert stage.route_weights() == [[100, 0]]
    owners = stage.kubectl("get", "httproutes", "-o", "jsonpath={.items[0].metadata.ownerReferences}")
    assert owners.strip() == ""
