"""The operator as a pod would run: in a network of its own, with one link to the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.embedded import EmbeddedCluster

ROOM = "operator"
NEAR, FAR = "10.89.0.1", "10.89.0.2"
LINK, FAR_LINK = "operator0", "operator1"
"""The link's end in the cluster and the operator's end."""


class OperatorsRoom(EmbeddedCluster):
    """The cluster `name`, with programs run in the operator's network."""

    def _entry(self, argv: Sequence[str | Path]) -> list[str]:
        return super()._entry(["ip", "netns", "exec", ROOM, *argv])


def open_room(cluster: EmbeddedCluster) -> OperatorsRoom:
    """Make the network and its link."""
    for command in (
        f"ip netns add {ROOM}",
        f"ip link add {LINK} type veth peer name {FAR_LINK} netns {ROOM}",
        f"ip address add {NEAR}/24 dev {LINK}",
        f"ip link set {LINK} up",
        f"ip -n {ROOM} link set lo up",
        f"ip -n {ROOM} address add {FAR}/24 dev {FAR_LINK}",
        f"ip -n {ROOM} link set {FAR_LINK} up",
        f"ip -n {ROOM} route add default via {NEAR}",
    ):
        cluster.exec(command.split())
    return OperatorsRoom(cluster.name)
