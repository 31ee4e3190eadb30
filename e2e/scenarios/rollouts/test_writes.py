"""What a step costs the API server, by its audit log: one status write, one route write, one Event."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from e2e.cluster.provider import Cluster
from e2e.scenarios.rollouts.plays import open_play, steps
from e2e.stage import Stage

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs("audit")]


def test_a_step_costs_two_writes(cluster: Cluster, stages: Callable[[str], Stage]) -> None:
    stage = stages("writes")
    open_play(stage, wanted=steps(5, 25, 100))
    stage.wait_phase("Promoted", seconds=90)
    _a_step_costs_two_writes(cluster, stage)


def _a_step_costs_two_writes(cluster: Cluster, stage: Stage) -> None:
    events = [
        e
        for e in cluster.audit()
        if e.get("stage") == "ResponseComplete"
        and e.get("verb") in ("create", "update", "patch", "delete")
        and str(e.get("userAgent", "")).startswith("modelrollout-operator")
        and (e.get("objectRef") or {}).get("namespace") == stage.namespace  # type: ignore[attr-defined]  # JSON
    ]
    kinds: list[str] = [str((e.get("objectRef") or {}).get("resource")) for e in events]  # type: ignore[attr-defined]  # JSON
    routes = [i for i, kind in enumerate(kinds) if kind == "httproutes"]
    # The first write of the route creates it, the others are the steps.
    assert len(routes) == 4, kinds
    for begin, end in itertools.pairwise(routes[1:]):
        between = kinds[begin:end]
        assert between.count("modelrollouts") <= 1, kinds
        assert between.count("events") <= 1, kinds
