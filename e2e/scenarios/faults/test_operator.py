"""The operator's network is slow and loses packets; its clock is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.scenarios.faults.apart import FAR_LINK, LINK, ROOM
from e2e.scenarios.faults.clock import set_wrong
from e2e.scenarios.faults.pairs import Pair

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
    harmed = pair.settled(turned=turned)
    assert pair.well.stage.route_weights() == [[0, 100]]
    print(f"\nat 0 {took:.1f} s after it turned bad, {packets} packets lost until promotion; {harmed} requests harmed")


def test_ahead_of_prometheus_by_five_minutes(pair: Pair, offset: Path) -> None:
    """Nothing is judged by such a clock, and what it has written holds nobody up once it is right."""
    clock_wrong(pair, offset, 300.0)


def test_behind_prometheus_by_five_minutes(pair: Pair, offset: Path) -> None:
    """The same."""
    clock_wrong(pair, offset, -300.0)


def clock_wrong(pair: Pair, offset: Path, seconds: float) -> None:
    """The operator's clock jumps by `seconds`, then the candidate turns bad, then the clock is put right again."""
    set_wrong(offset, seconds)
    try:
        turned = pair.turn_bad()
        pair.frozen("MetricsUnreachable", "ClockSkew", seconds=60)
    finally:
        offset.unlink()
    right = time.time()
    took = pair.reverted(since=right, within=30)
    pair.promoted()
    harmed = pair.settled(turned=turned)
    print(f"\nclock wrong by {seconds:+.0f} s for {right - turned:.0f} s; at 0 {took:.1f} s after; {harmed} harmed")
