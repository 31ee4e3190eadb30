"""Prometheus fails or lies, the operator dies, people edit, the candidate crashes, the object is deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.models import records
from e2e.scenarios.rollouts.conftest import Liar
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, QUICK, V2, hold_at, open_play, steps
from e2e.stage import Operator, Stage, until

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

UNREACHABLE = ("unavailable", "hang", "partial", "garbage")
SILENT = ("nan", "empty")


@pytest.mark.parametrize("mode", [*UNREACHABLE, *SILENT])
def test_prometheus_that_lies_for_a_minute_reverts_and_promotes_nothing(
    stages: Stages, liar: Liar, operator: Operator, mode: str
) -> None:
    stage = stages(f"prom-{mode}")
    load = open_play(stage, wanted=steps(10, 50, 100, each="12s"))
    stage.wait_weight(10, seconds=60)
    liar.mode(mode)
    reason = "MetricsUnreachable" if mode in UNREACHABLE else "NoData"
    seen = stage.wait_status("says so", lambda s: s.get("reason") == reason, seconds=25)
    assert seen["weight"] == "10"
    fresh = next(c for c in seen["conditions"] if c["type"] == "MetricsFresh")
    assert fresh["status"] == "False"
    for _ in range(6):
        time.sleep(10)
        assert stage.route_weights() == [[90, 10]]
    assert "secret-marker" not in json.dumps(stage.get())
    assert "secret-marker" not in stage.kubectl("get", "events", "-o", "json")
    assert "secret-marker" not in operator.log.read_text()
    liar.mode("honest")
    stage.wait_phase("Promoted", seconds=120)
    assert records.failed(load.stop(), 0, time.time()) == []


def test_prometheus_down_for_longer_than_the_hold_pauses_and_goes_on(stages: Stages, cluster: EmbeddedCluster) -> None:
    stage = stages("prom-stop")
    analysis = {**QUICK, "noData": {"hold": "15s", "then": "Rollback"}}
    load = open_play(stage, wanted=steps(10, 100, each="8s"), analysis=analysis)
    stage.wait_weight(10, seconds=60)
    cluster.stop("prometheus")
    try:
        status = stage.wait_phase("Paused", seconds=60)
        assert (status["reason"], status["weight"]) == ("MetricsUnreachable", "10")
        time.sleep(30)
        assert stage.status()["weight"] == "10"
    finally:
        cluster.start("prometheus")
    stage.wait_phase("Promoted", seconds=120)
    assert records.failed(load.stop(), 0, time.time()) == []


def test_operator_killed_at_each_step_never_jumps(stages: Stages, operator: Operator) -> None:
    stage = stages("killed")
    load = open_play(stage, wanted=steps(5, 25, 50, 100, each="4s"))
    ladder = [0, 5, 25, 50, 100]
    for position, weight in enumerate(ladder[1:], start=1):
        stage.wait_weight(weight, seconds=90)
        operator.kill()
        frozen = stage.route_weights()
        time.sleep(3)
        assert stage.route_weights() == frozen
        assert frozen[0][1] in (ladder[position - 1], ladder[position])
        operator.start()
    stage.wait_phase("Promoted", seconds=90)
    seen = load.stop()
    assert records.failed(seen, 0, time.time()) == []
    decided = [d["weight"] for d in stage.status()["decisions"] if d["action"] == "Raise"]
    assert decided == ["5", "25", "50", "100"]


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
    until("put back", lambda: stage.route_weights() == [[60, 40]], seconds=15)
    stage.kubectl("annotate", "httproute", name, "team=fraud")
    stage.kubectl("patch", "httproute", name, "--type=json", "-p", edit)
    status = stage.wait_status("asks", lambda s: s.get("reason") == "RouteConflict", seconds=15)
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
    stage = stages("crashing")
    load = open_play(stage, wanted=hold_at(25), candidateDeadline="20s")
    stage.wait_weight(25, seconds=60)
    time.sleep(4)
    stage.behave(CANDIDATE, crash_after=0)
    stage.wait_phase("RolledBack", seconds=90)
    closed = time.time()
    time.sleep(3)
    assert records.share(load.stop(), V2, closed + 0.5, closed + 5) == 0.0
    assert stage.route_weights() == [[100, 0]]


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


def test_an_adopted_route_keeps_what_is_not_ours(stages: Stages) -> None:
    stage = stages("adopted")
    route: dict[str, Any] = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "front", "namespace": stage.namespace, "annotations": {"team": "fraud"}},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "infra"}],
            "hostnames": [stage.host],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/predict"}}],
                    "filters": [
                        {
                            "type": "ResponseHeaderModifier",
                            "responseHeaderModifier": {"add": [{"name": "x-a", "value": "1"}]},
                        }
                    ],
                    "backendRefs": [
                        {"name": "tumour-v1", "port": 8080, "weight": 1},
                        {"name": CANDIDATE, "port": 8080, "weight": 0},
                    ],
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/feedback"}}],
                    "backendRefs": [{"name": "tumour-v1", "port": 8080}],
                },
            ],
        },
    }
    stage.apply(route)
    load = open_play(stage, wanted=steps(20, 100), traffic={"adoptRoute": {"name": "front"}, "settle": "1s"})
    stage.wait_phase("Promoted", seconds=90)
    found = json.loads(stage.kubectl("get", "httproute", "front", "-o", "json"))
    assert found["metadata"]["annotations"]["team"] == "fraud"
    first, second = found["spec"]["rules"]
    assert first["filters"] == route["spec"]["rules"][0]["filters"]
    assert [b["weight"] for b in first["backendRefs"]] == [0, 100]
    assert [b["name"] for b in second["backendRefs"]] == ["tumour-v1"]
    assert records.failed(load.stop(), 0, time.time()) == []


def test_segment_requests_go_to_the_candidate_from_the_first_step(stages: Stages) -> None:
    stage = stages("segment")
    traffic = {
        "managedRoute": {"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": [stage.host]},
        "segments": [{"headers": [{"name": "x-tier", "value": "beta"}]}],
        "settle": "1s",
    }
    open_play(stage, wanted=hold_at(5), traffic=traffic, rate=1, duration=5)
    marked = stage.load(60, duration=120, label="marked", extra=["--header", "x-tier=beta", "--header-share", "0.3"])
    stage.wait_weight(5, seconds=60)
    at = time.time() + 1
    time.sleep(6)
    stage.behave(CANDIDATE, errors=0.6)
    stage.wait_phase("RolledBack", seconds=60)
    closed = time.time()
    time.sleep(3)
    seen = marked.stop()
    beta = [r for r in seen if r.marked and at <= r.start < at + 4]
    assert beta
    assert {r.version for r in beta} == {V2}
    assert [r for r in seen if r.start > closed + 0.5 and r.version == V2] == []


def host(stage: Stage, name: str) -> dict[str, Any]:
    """A managed route on a host name of its own."""
    parents = [{"name": "public", "namespace": "infra"}]
    return {"managedRoute": {"parentRefs": parents, "hostnames": [f"{name}.{stage.host}"]}, "settle": "1s"}


def test_bad_references_are_said_and_harm_nobody(stages: Stages) -> None:
    """Bad input gives one clear sentence and harms no other rollout."""
    stage = stages("bad-input")
    good = open_play(stage, wanted=steps(20, 100, each="6s"))
    unknown = {"name": "x", "profile": "nothing/errors", "objective": "99"}
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "a": ({"candidate": {"deployment": "nowhere"}}, "nowhere"),
        "b": ({"port": 9}, "8080"),
        "c": ({"analysis": {"metricSource": "elsewhere"}}, "elsewhere"),
        "d": ({"slis": [unknown]}, "nothing"),
    }
    for name, (change, _) in cases.items():
        thing = stage.rollout(
            name=name,
            legacy="tumour-v1",
            candidate=CANDIDATE,
            steps=steps(5, 100),
            slis=[ERRORS],
            traffic=host(stage, name),
        )
        thing["spec"].update(change)
        stage.apply(thing)
    for name, (_, part) in cases.items():
        status = stage.wait_phase("Invalid", seconds=30, name=name)
        assert part in status["message"], status["message"]
        assert "\n" not in status["message"]
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        assert ready["status"] == "False"
    stage.wait_phase("Promoted", seconds=90)
    assert records.failed(good.stop(), 0, time.time()) == []
