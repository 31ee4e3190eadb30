"""Prometheus is away at the moment a candidate turns bad."""

from __future__ import annotations

import time

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.models import records
from e2e.scenarios.faults.pairs import Pair, others_failures

pytestmark = pytest.mark.timeout(300)


def test_prometheus_killed_as_the_candidate_turns_bad(cluster: EmbeddedCluster, pair: Pair) -> None:
    """Blind for longer than `noData.hold`: nothing is raised, nobody is reverted; after its return the bad one is."""
    cluster.stop("prometheus")
    try:
        turned = pair.turn_bad()
        _frozen_and_paused(pair)
    finally:
        cluster.start("prometheus")
    _recovered(pair, turned, "Prometheus")


def _frozen_and_paused(pair: Pair) -> None:
    for act in (pair.well, pair.bad):
        status = act.stage.wait_phase("Paused", seconds=70)
        assert status["reason"] == "MetricsUnreachable", status["reason"]
    frozen = pair.well.stage.route_weights()
    time.sleep(5)
    assert pair.well.stage.route_weights() == frozen
    assert pair.bad.stage.route_weights()[0][1] > 0


def _recovered(pair: Pair, turned: float, what: str) -> None:
    back = time.time()
    took = pair.reverted(since=back, within=30)
    pair.promoted()
    end = time.time()
    assert records.failed(pair.well.load.stop(), 0, end) == []
    seen = pair.bad.load.stop()
    assert others_failures(seen, 0, end) == []
    harmed = len(records.failed(seen, turned, end))
    print(f"\n{what} away for {back - turned:.1f} s; {took:.1f} s after its return at 0; {harmed} requests harmed")
