"""Routes that others own, and requests that always go to the candidate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import CANDIDATE, V2, hold_at, open_play, steps
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]


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
