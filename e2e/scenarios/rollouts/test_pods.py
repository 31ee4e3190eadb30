"""No router: one Service before both arms, real pods, connections spread by the cluster's own kube-proxy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.models import records
from e2e.models.manifests import PORT
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, ERRORS, LEGACY, QUICK, V1, V2, arms, hold_at, steps
from e2e.scenarios.rollouts.versions import Watch
from e2e.stage import Load, Stage

pytestmark = pytest.mark.timeout(900)

Stages = Callable[[str], Stage]
TOTAL = 4
SERVICE = "tumour"


def open_pods(stage: Stage, wanted: list[dict[str, Any]]) -> Load:
    """Four pods of legacy and none of the candidate behind one Service, a connection per request, and the rollout."""
    legacy, candidate = arms(stage)
    stage.deploy(legacy, candidate)
    for name, count in ((LEGACY, TOTAL), (CANDIDATE, 0)):
        stage.kubectl("scale", "deployment", name, f"--replicas={count}")
    stage.kubectl("rollout", "status", f"deployment/{LEGACY}", "--timeout=60s")
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    both = {"app.kubernetes.io/part-of": "tumour"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": stage.namespace}}
    stage.apply(service | {"spec": {"selector": both, "ports": ports}})
    address = stage.kubectl("get", "service", SERVICE, "-o", "jsonpath={.spec.clusterIP}")
    url = f"http://{address}:{PORT}/predict"
    load = stage.load(60, duration=300, extra=["--url", url, "--no-keep-alive"])
    traffic = {"replicas": {"service": SERVICE, "total": TOTAL}, "settle": "1s"}
    stage.apply(
        stage.rollout(
            legacy=LEGACY, candidate=CANDIDATE, steps=wanted, slis=[ERRORS], analysis=dict(QUICK), traffic=traffic
        )
    )
    return load


def counts(stage: Stage) -> tuple[int, int]:
    """What the two Deployments want."""
    found = [json.loads(stage.kubectl("get", "deployment", name, "-o", "json")) for name in (LEGACY, CANDIDATE)]
    legacy, candidate = (deployment["spec"]["replicas"] for deployment in found)
    return legacy, candidate


def share(seen: list[records.Record], start: float, end: float) -> float:
    """The candidate's part of what was answered then."""
    answered = [r.version for r in seen if start <= r.start < end and r.version in (V1, V2)]
    return answered.count(V2) / len(answered)


def test_pods_are_moved_one_by_one_and_nobody_notices(stages: Stages) -> None:
    stage = stages("pods-up")
    load = open_pods(stage, steps(20, 50, 100))
    stage.wait_phase("Promoted", seconds=240)
    at = time.time()
    assert counts(stage) == (0, TOTAL)
    status = stage.status()
    assert status["notes"] == ["step 1: 20 % is 1 of 4 pods, 25 %"]
    assert [d["weight"] for d in status["decisions"] if d["action"] == "Raise"] == ["25", "50", "100"]
    time.sleep(4)
    seen = load.stop()
    assert records.failed(seen, 0, at) == []
    assert share(seen, at + 1, at + 4) == 1


def test_a_bad_candidate_at_half_of_the_pods_goes_and_three_of_four_stay(stages: Stages) -> None:
    stage = stages("pods-back")
    load = open_pods(stage, hold_at(50))
    stage.wait_status("50 % is counted", lambda s: s.get("reason") == "Progressing", seconds=120)
    at = time.time() + 2
    time.sleep(12)
    assert counts(stage) == (2, 2)
    assert share(load.records(), at, at + 10) == pytest.approx(0.5, abs=0.12), "600 connections, by chance"
    began = stage.behave(CANDIDATE, errors=0.6)
    status = stage.wait_phase("RolledBack", seconds=120)
    closed = time.time()
    assert status["incident"]["reason"] in BAD_ANSWERS
    assert counts(stage) == (TOTAL, 0)
    time.sleep(6)
    seen = load.stop()
    assert [r for r in records.failed(seen, 0, began) if r.end < began] == []
    assert [r for r in seen if r.start > closed + 1 and r.version == V2] == []
    assert [r for r in records.failed(seen, 0, closed + 5) if r.version != V2] == [], "legacy's users noticed nothing"


def ready_share(version: dict[str, Any]) -> float | None:
    """The candidate's part of the ready endpoints in one version of the Service's EndpointSlice; None without any."""
    names = [e["targetRef"]["name"] for e in version.get("endpoints") or () if e["conditions"].get("ready")]
    return sum(name.startswith(f"{CANDIDATE}-") for name in names) / len(names) if names else None


def test_no_endpoint_of_a_revert_gives_the_candidate_more_than_it_had(stages: Stages) -> None:
    """In one second of a revert two thirds of 60 connections went to the candidate: chance, and no order of pods."""
    stage = stages("pods-share")
    load = open_pods(stage, hold_at(50))
    stage.wait_status("50 % is counted", lambda s: s.get("reason") == "Progressing", seconds=120)
    time.sleep(3)
    watch = Watch(stage, "endpointslices")
    time.sleep(1)
    stage.act("Abort")
    stage.wait_phase("RolledBack", seconds=120)
    time.sleep(1)
    found = [v for v in watch.stop() if v["metadata"]["labels"]["kubernetes.io/service-name"] == SERVICE]
    shares = [share for share in map(ready_share, found) if share is not None]
    load.stop()
    assert shares[0] == 0.5
    assert shares[-1] == 0
    assert shares == sorted(shares, reverse=True), shares
