"""Prometheus fails, lies, is away or hangs: nothing is reverted, nothing is promoted, and afterwards it goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from e2e.cluster.provider import Cluster
from e2e.install import source
from e2e.models import records
from e2e.scenarios.rollouts.conftest import LIAR_PORT, SCRAPE, Liar
from e2e.scenarios.rollouts.plays import CANDIDATE, LEGACY, QUICK, arms, managed, open_play, steps
from e2e.stage import Operator, Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

LIES: Mapping[str, str] = {
    "unavailable": "MetricsUnreachable",
    "hang": "MetricsUnreachable",
    "partial": "MetricsUnreachable",
    "garbage": "MetricsUnreachable",
    "nan": "NoData",
    "empty": "NoData",
}
"""How a source lies, and what the rollout must say."""
WITNESS = "honest"
SHARED: Mapping[str, Any] = {
    "name": "availability",
    # Seven routes lead to the same pods, so none of their weights says how the pods' requests are split: counts of its
    # own are not held against them.
    "counts": {
        "total": {"metric": "requests_total"},
        "bad": {"metric": "requests_total", "match": {"code": "500"}},
    },
    "objective": "99",
}
MINUTE = 60.0
SECRET = "secret-marker"
"""In every lie with a text of its own: what a server answers is nobody's business but its administrator's."""


def test_prometheus_that_lies_for_a_minute_reverts_and_promotes_nothing(
    stages: Stages, liar: Liar, operator: Operator
) -> None:
    """Six rollouts side by side, each with a source that fails in its own way, and one whose source is well.

    All have the same pods, steps and load: that the witness is promoted shows what held the others.
    """
    stage = stages("lies")
    stage.deploy(*arms(stage))
    for name in (*LIES, WITNESS):
        stage.apply(source(f"http://127.0.0.1:{LIAR_PORT}", SCRAPE, name=name, headers={"X-Scope-OrgID": name}))
    names = (*LIES, WITNESS)
    # All start at once, when their routes stand and load runs.
    stage.apply(*(_rollout(stage, name, paused=True) for name in names))
    for name in names:
        stage.wait_reason("PausedBySpec", seconds=60, name=name)
    loads = {name: stage.load(20, duration=300, label=name, host=f"{name}.{stage.host}") for name in names}
    stage.apply(*(_rollout(stage, name, paused=False) for name in names))
    for name in names:
        stage.wait_weight(10, seconds=60, name=name)
    for mode in LIES:
        liar.mode(mode, channel=mode)
    end = time.monotonic() + MINUTE
    for mode, reason in LIES.items():
        seen = stage.wait_reason(reason, seconds=20, name=mode)
        assert (seen["phase"], seen["weight"]) == ("Progressing", "10"), mode
        fresh = next(c for c in seen["conditions"] if c["type"] == "MetricsFresh")
        assert (fresh["status"], fresh["reason"]) == ("False", reason), mode
    while time.monotonic() < end:
        assert {mode: stage.route_weights(f"{mode}-modelrollout") for mode in LIES} == {
            mode: [[90, 10]] for mode in LIES
        }
        time.sleep(2)
    assert stage.status(WITNESS)["phase"] == "Promoted"
    told = json.loads(stage.kubectl("get", "events", "-o", "json"))["items"]
    assert {e["involvedObject"]["name"] for e in told if e["reason"] == "NoData"} == set(LIES)
    everything = stage.kubectl("get", "mr,events", "-o", "json") + operator.log.read_text()
    assert SECRET not in everything + (operator.get("/metrics") or "")
    for mode in LIES:
        liar.mode("honest", channel=mode)
    for name in LIES:
        done = stage.wait_phase("Promoted", seconds=60, name=name)
        assert [d["action"] for d in done["decisions"] if d["action"] == "Rollback"] == []
    for name, load in loads.items():
        assert records.failed(load.stop(), 0, time.time()) == [], name


def _rollout(stage: Stage, name: str, *, paused: bool) -> dict[str, Any]:
    return stage.rollout(
        name=name,
        legacy=LEGACY,
        candidate=CANDIDATE,
        steps=steps(10, 100, each="15s"),
        slis=[SHARED],
        traffic=managed(stage, name),
        analysis={**QUICK, "metricSource": name},
        paused=paused,
    )


@pytest.mark.needs("stop", "signal")
def test_prometheus_away_for_longer_than_the_hold_pauses_and_goes_on(stages: Stages, cluster: Cluster) -> None:
    """Killed at the first step, frozen at the second; both for longer than the hold, whose end must not revert."""
    stage = stages("prom-away")
    analysis = {**QUICK, "noData": {"hold": "12s", "then": "Rollback"}}
    load = open_play(stage, wanted=steps(10, 50, 100, each="8s"), analysis=analysis)
    stage.wait_weight(10, seconds=60)
    cluster.stop("prometheus")
    try:
        _holds(stage, 10)
    finally:
        cluster.start("prometheus")
    stage.wait_weight(50, seconds=60)
    cluster.signal("prometheus", signal.SIGSTOP)
    try:
        _holds(stage, 50)
    finally:
        cluster.signal("prometheus", signal.SIGCONT)
    done = stage.wait_phase("Promoted", seconds=60)
    # Held too for a moment after its return: its newest samples are from before. The next step may end the pause.
    happened = [d["action"] for d in done["decisions"] if d["action"] not in ("Hold", "Resume")]
    assert happened == ["Raise", "Pause", "Raise", "Pause", "Raise", "Promote"]
    assert records.failed(load.stop(), 0, time.time()) == []


def _holds(stage: Stage, percent: int) -> None:
    status = stage.wait_phase("Paused", seconds=40)
    assert (status["reason"], status["weight"]) == ("MetricsUnreachable", str(percent))
    for _ in range(5):
        time.sleep(2)
        assert stage.route_weights() == [[100 - percent, percent]]
