"""Clocks of virtual time: one of the world, and one for each process that may be wrong about it."""

from __future__ import annotations

import asyncio

START = 1_800_000_000.0
"""Epoch seconds at which the loop's time is 0; a multiple of every tick that plans use."""


class WorldClock:
    """`Clock` that is right."""

    def now(self) -> float:
        """Epoch seconds."""
        return START + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return asyncio.get_running_loop().time()


class SkewedClock(WorldClock):
    """`Clock` of a machine whose wall time is off by `skew` seconds, which may change; waiting is not affected."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew

    def now(self) -> float:
        """What this machine takes for epoch seconds."""
        return super().now() + self.skew
