"""The gateway's controller, or the whole gateway, is away while a candidate turns bad."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.cluster import gateway
from e2e.cluster.embedded import EmbeddedCluster
from e2e.models import records
from e2e.scenarios.faults.pairs import HIGH, LOW, Pair, others_failures
from e2e.scenarios.rollouts.plays import V2
from e2e.stage import until

pytestmark = pytest.mark.timeout(300)

AWAY = 25.0
PROXY = "gateway.envoyproxy.io/owning-gateway-name=public"


@contextmanager
def without_controller(cluster: EmbeddedCluster) -> Iterator[None]:
    """Envoy Gateway is gone, at once and for the length of the block; afterwards it is waited for."""
    inside = ["kubectl", "-n", gateway.SYSTEM_NAMESPACE]
    cluster.exec([*inside, "scale", "deployment/envoy-gateway", "--replicas=0"])
    cluster.exec([*inside, "delete", "pods", "-l", "control-plane=envoy-gateway", "--force", "--grace-period=0"])
    try:
        yield
    finally:
        cluster.exec([*inside, "scale", "deployment/envoy-gateway", "--replicas=1"])
        cluster.exec([*inside, "rollout", "status", "deployment/envoy-gateway", "--timeout=60s"])


def test_controller_away_no_further_step_and_the_revert_is_in_effect_after_its_return(
    cluster: EmbeddedCluster, pair: Pair
) -> None:
    """Envoy goes on with the routes that it has: what is written meanwhile is in effect when its controller is back."""
    well, bad = pair.well, pair.bad
    with without_controller(cluster):
        turned = pair.turn_bad()
        took = pair.reverted(since=turned, within=20)
        time.sleep(max(0.0, turned + AWAY - time.time()))
        now = time.time()
        # Users still get what they got before, whatever the routes say.
        share = records.share(well.load.records(), V2, now - 3, now)
        assert share is not None
        assert share < 2 * LOW / 100
        # One raise is written before its want of an answer shows; no further one.
        weight = well.stage.status()["weight"]
        assert float(weight) <= HIGH, f"the status says {weight} % where users get {100 * share:.0f} %"
        well.stage.wait_reason("RoutePending", seconds=20)
    back = time.time()
    until("nobody gets the bad candidate", lambda: bad.load.summary(2)["versions"].get(V2) is None, seconds=60)
    effect = time.time() - back
    pair.promoted()
    assert records.failed(well.load.stop(), 0, time.time()) == []
    seen = bad.load.stop()
    assert others_failures(seen, 0, time.time()) == []
    harmed = len(records.failed(seen, turned, time.time()))
    print(f"\nroute at 0 after {took:.1f} s, in effect {effect:.1f} s after the controller's return, {harmed} harmed")


def test_gateway_away_altogether_blames_nobody(cluster: EmbeddedCluster, pair: Pair) -> None:
    """Envoy is killed while its controller is away: it comes back without routes. No request gets through; both arms
    are scraped all the same, and nobody is blamed for getting none.
    """
    well, bad = pair.well, pair.bad
    with without_controller(cluster):
        proxies = ["kubectl", "-n", gateway.SYSTEM_NAMESPACE, "delete", "pods", "-l", PROXY]
        cluster.exec([*proxies, "--force", "--grace-period=0"])
        gone = time.time()
        turned = pair.turn_bad()
        until("no request is answered", lambda: well.load.summary(2)["versions"] == {}, seconds=10)
        frozen = well.stage.status()["weight"]
        time.sleep(max(0.0, gone + AWAY / 2 - time.time()))
        assert well.stage.status()["weight"] == frozen
        assert {act.stage.status()["phase"] for act in (well, bad)} <= {"Progressing", "Paused"}
    until("requests are answered", lambda: well.load.summary(1)["versions"], seconds=30)
    back = time.time()
    took = pair.reverted(since=back, within=30)
    pair.promoted()
    end = time.time()
    seen = well.load.stop()
    assert records.failed(seen, end - 5, end) == []
    lost = records.failed(seen, gone, end)
    harmed = len(records.failed(bad.load.stop(), turned, end))
    print(
        f"\nunanswered: {len(lost)} in {lost[-1].start - gone:.1f} s; {took:.1f} s after, at 0; {harmed} harmed by it"
    )
