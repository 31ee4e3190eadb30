"""A candidate that runs out of memory; a legacy that others scale down before it is needed; a node without kubelet."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.models import records
from e2e.scenarios.faults.pairs import RATE, Pair, others_failures
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, LEGACY, V1, hold_at, open_play
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


def test_legacy_scaled_to_nothing_holds_the_split_until_it_serves_again(stages: Stages) -> None:
    """Nobody is sent to a legacy without endpoints, however bad the candidate is; with the first one all go back."""
    stage = stages("to-zero")
    load = open_play(stage, wanted=hold_at(90), rate=RATE)
    stage.wait_weight(90, seconds=60)
    time.sleep(4)
    stage.kubectl("scale", f"deployment/{LEGACY}", "--replicas=0")
    until("legacy has no endpoint", lambda: replicas(stage, LEGACY)[1] == 0, seconds=30)
    turned = stage.behave(CANDIDATE, errors=0.5)
    told = "the split stays at 90 %"
    stage.wait_status("the revert waits for legacy", lambda s: told in s.get("message", ""), seconds=30)
    assert stage.route_weights() == [[10, 90]]
    events = json.loads(stage.kubectl("get", "events", "-o", "json"))["items"]
    assert "RollbackBlocked" in {e["reason"] for e in events}
    stage.kubectl("scale", f"deployment/{LEGACY}", "--replicas=1")
    until("legacy serves", lambda: replicas(stage, LEGACY)[1] == 1, seconds=30)
    serves = time.time()
    stage.wait_route([[100, 0]], seconds=6)
    closed = time.time()
    stage.wait_phase("RolledBack", seconds=10)
    time.sleep(3)
    seen = load.stop()
    assert records.failed(seen, closed + 0.5, closed + 3) == []
    harmed = len(records.failed(seen, turned, closed))
    print(f"\nat 0 {closed - serves:.1f} s after legacy's first endpoint; {harmed} failed in {closed - turned:.0f} s")


def test_oom_killed_again_and_again_a_candidate_loses_its_traffic(stages: Stages) -> None:
    """It keeps two megabytes per prediction; the kernel kills it at its limit, kubelet starts it again, as it is."""
    stage = stages("oom")
    load = open_play(stage, wanted=hold_at(25), rate=RATE, behaviour={"leak_kb": 2048})
    status = stage.wait_phase("RolledBack", seconds=90)
    closed = time.time()
    ended = [p["status"]["containerStatuses"][0].get("lastState", {}).get("terminated") for p in stage.pods(CANDIDATE)]
    assert [e["reason"] for e in ended if e] == ["OOMKilled"]
    assert status["incident"]["reason"] == "CandidateUnhealthy", status["incident"]
    assert stage.route_weights() == [[100, 0]]
    time.sleep(3)
    seen = load.stop()
    assert records.failed(seen, closed + 0.5, closed + 3) == []
    assert [r for r in seen if r.failed and r.version == V1] == []
    print(f"\n{len(records.failed(seen, 0, closed))} requests failed of {len(seen)}: {status['incident']['message']}")


def test_kubelet_silent_as_the_candidate_turns_bad(cluster: EmbeddedCluster, pair: Pair) -> None:
    """A revert needs no kubelet: back before the node is taken for lost, and nobody's pods are."""
    cluster.signal("kubelet", signal.SIGSTOP)
    try:
        turned = pair.turn_bad()
        took = pair.reverted(since=turned, within=20)
    finally:
        cluster.signal("kubelet", signal.SIGCONT)
    pair.promoted(seconds=90)
    print(f"\nno kubelet, at 0 {took:.1f} s after it turned bad; {pair.settled(turned=turned)} harmed")


def test_node_lost_nobody_is_moved_or_blamed_until_it_is_back(cluster: EmbeddedCluster, pair: Pair) -> None:
    """The kubelet is away until its node counts as lost and no pod as ready; then the bad candidate turns bad."""
    cluster.signal("kubelet", signal.SIGSTOP)
    try:
        until("no endpoint is ready", lambda: replicas(pair.bad.stage, LEGACY)[1] == 0, seconds=120)
        split = pair.bad.stage.route_weights()
        turned = pair.turn_bad()
        time.sleep(10)
        assert pair.bad.stage.route_weights() == split, "nobody is sent to a legacy that has no endpoint"
    finally:
        cluster.signal("kubelet", signal.SIGCONT)
    until("legacy serves", lambda: replicas(pair.bad.stage, LEGACY)[1] == 1, seconds=60)
    back = time.time()
    took = pair.reverted(since=back, within=30)
    pair.promoted(seconds=120)
    pair.well.load.stop()
    seen = pair.bad.load.stop()
    closed = back + took
    assert others_failures(seen, closed + 1, time.time()) == []
    print(f"\nnode lost, at 0 {took:.1f} s after legacy serves; {len(records.failed(seen, turned, closed))} failed")


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
