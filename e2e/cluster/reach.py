"""Addresses of a kind cluster's pods and Services, reached from beside its node by routes through it."""

from __future__ import annotations

from typing import Literal

from e2e.cluster.control_plane import SERVICE_RANGE

POD_RANGE = "10.244.0.0/16"
"""kind's own, as SERVICE_RANGE is."""


def route_argv(action: Literal["add", "del"], node: str) -> list[list[str]]:
    """Commands that add or remove the routes through the node at this address."""
    return [["ip", "route", action, network, "via", node] for network in (POD_RANGE, SERVICE_RANGE)]
