"""The operator's network is slow and loses packets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.models import records
from e2e.scenarios.faults.apart import FAR_LINK, LINK, ROOM
from e2e.scenarios.faults.pairs import Pair, others_failures

pytestmark = pytest.mark.timeout(300)


@contextmanager
def slow_link(cluster: EmbeddedCluster) -> Iterator[Callable[[], int]]:
    """The operator's link carries 512 kbit/s, holds packets for up to 300 ms and loses one in twenty, both ways.

    The value tells how many packets were lost so far.
    """
    inside = ["ip", "netns", "exec", ROOM]
    ends: list[tuple[list[str], str]] = [([], LINK), (inside, FAR_LINK)]
    lose = ["-m", "statistic", "--mode", "random", "--probability", "0.05", "-j", "DROP"]

    def lost() -> int:
        total = 0
        for prefix, device in ends:
            listed = cluster.exec([*prefix, "iptables", "-nvxL", "INPUT"]).stdout.splitlines()
            total += sum(int(line.split()[0]) for line in listed if device in line and "statistic" in line)
        return total

    for prefix, device in ends:
        shape = ["tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", "512kbit", "burst", "4kb"]
        cluster.exec([*prefix, *shape, "latency", "300ms"])
        cluster.exec([*prefix, "iptables", "-I", "INPUT", "-i", device, *lose])
    try:
        yield lost
    finally:
        for prefix, device in ends:
            cluster.exec([*prefix, "tc", "qdisc", "del", "dev", device, "root"])
            cluster.exec([*prefix, "iptables", "-D", "INPUT", "-i", device, *lose])


def test_network_of_the_operator_slow_and_losing_packets(cluster: EmbeddedCluster, pair: Pair) -> None:
    """Slower, but nothing else: the bad candidate goes back, the good one gets on."""
    with slow_link(cluster) as lost:
        turned = pair.turn_bad()
        took = pair.reverted(since=turned, within=45)
        pair.promoted(seconds=90)
        packets = lost()
    assert packets > 20
    end = time.time()
    assert records.failed(pair.well.load.stop(), 0, end) == []
    seen = pair.bad.load.stop()
    assert others_failures(seen, 0, end) == []
    assert pair.well.stage.route_weights() == [[0, 100]]
    harmed = len(records.failed(seen, turned, end))
    print(f"\nat 0 {took:.1f} s after it turned bad, {packets} packets lost until promotion; {harmed} requests harmed")
