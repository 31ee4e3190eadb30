"""Streams by name: an hour of a rollout, looked at every 15 s."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from e2e.stats.jobs import seeded
from e2e.stats.streams import Floats, Stream, clustered, drawn, per_tick

TICKS = 240
SHARE = 0.01
INCIDENT = 0.05
DISPERSION = 2.5
RAMP = (0.05, 0.25, 0.5)
SCENARIOS = ("constant", "ramping", "diurnal", "shared incident", "dispersion 2.5")


def day() -> Floats:
    """A day's curve, squeezed into the hour: -0.8 to 0.8."""
    return 0.8 * np.sin(2 * np.pi * (np.arange(TICKS) + 0.5) / TICKS)


def stream(name: str, seed: int, runs: int, *, rps: float, excess: Callable[[Floats], Floats] | None = None) -> Stream:
    """`runs` rollouts of a scenario; `excess` turns legacy's bad share into the candidate's (default: the same)."""
    rng = seeded(seed, name, rps)
    ramp = per_tick(RAMP, TICKS)
    if name == "dispersion 2.5":
        return clustered(rng, runs, rps=rps, weight=np.full(TICKS, 0.25), share=SHARE, dispersion=DISPERSION)
    share = np.full(TICKS, SHARE)
    rate: Floats | float = rps
    if name == "diurnal":
        share, rate = SHARE * (1 + day()), rps * (1 - day())
    elif name == "shared incident":
        share[TICKS * 3 // 4 :] = INCIDENT
    weight = np.full(TICKS, 0.25) if name == "constant" else ramp
    bad = share if excess is None else excess(share)
    return drawn(rng, runs, rps=rate, weight=weight, share_c=bad, share_l=share)
