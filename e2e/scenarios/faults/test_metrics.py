"""Prometheus, or the name server by which it is found, is away at the moment a candidate turns bad."""

from __future__ import annotations

import signal
import time

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.scenarios.faults.apart import OperatorsRoom
from e2e.scenarios.faults.conftest import PROMETHEUS
from e2e.scenarios.faults.pairs import Pair
from e2e.stage import Operator

pytestmark = pytest.mark.timeout(300)


def test_prometheus_killed_as_the_candidate_turns_bad(cluster: EmbeddedCluster, pair: Pair) -> None:
    """Blind for longer than `noData.hold`: nothing is raised, nobody is reverted; after its return the bad one is."""
    cluster.stop("prometheus")
    try:
        turned = pair.turn_bad()
        pair.frozen("MetricsUnreachable", seconds=70)  # the Lease of an operator that was killed runs 15 s
    finally:
        cluster.start("prometheus")
    _recovered(pair, turned, "Prometheus")


def test_coredns_silent_and_the_operator_killed(
    cluster: EmbeddedCluster, room: OperatorsRoom, pair: Pair, operator: Operator
) -> None:
    """The new process knows Prometheus by a name that nobody resolves: blind, and blind no longer than that lasts."""
    assert _resolves(room)
    cluster.signal("coredns", signal.SIGSTOP)
    try:
        operator.kill()
        turned = pair.turn_bad()
        operator.start()
        assert not _resolves(room)
        pair.frozen("MetricsUnreachable", seconds=70)  # the Lease of an operator that was killed runs 15 s
    finally:
        cluster.signal("coredns", signal.SIGCONT)
    _recovered(pair, turned, "CoreDNS")


def test_name_server_killed_the_last_address_stands_in(
    cluster: EmbeddedCluster, room: OperatorsRoom, pair: Pair
) -> None:
    """Prometheus starts anew, so that its connections are, and nobody resolves its name: judged as if nothing were."""
    cluster.stop("coredns")
    try:
        cluster.stop("prometheus")
        cluster.start("prometheus")
        turned = pair.turn_bad()
        took = pair.reverted(since=turned, within=30)
        pair.promoted()
        assert not _resolves(room)
    finally:
        cluster.start("coredns")
    harmed = pair.settled(turned=turned)
    print(f"\nno name server, at 0 {took:.1f} s after it turned bad; {harmed} harmed")


def _resolves(room: OperatorsRoom) -> bool:
    """Whether the operator's network has an address for Prometheus' name."""
    return room.exec(["timeout", "3", "getent", "hosts", PROMETHEUS], check=False).returncode == 0


def _recovered(pair: Pair, turned: float, what: str) -> None:
    back = time.time()
    took = pair.reverted(since=back, within=30)
    pair.promoted()
    harmed = pair.settled(turned=turned)
    print(f"\n{what} away for {back - turned:.1f} s; {took:.1f} s after its return at 0; {harmed} requests harmed")
