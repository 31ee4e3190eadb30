"""How many requests a second arrive, as a function of time. Times are seconds since the rollout was created."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True, slots=True)
class Constant:
    """The same `rate` all the time."""

    rate: float


@dataclass(frozen=True, slots=True)
class Ramp:
    """From `start` to `end` requests a second in a straight line over `over` seconds, then `end` for ever."""

    start: float
    end: float
    over: float


@dataclass(frozen=True, slots=True)
class Diurnal:
    """A day's wave: `mean * (1 + swing * sin)`, with its top `peak` seconds after the rollout was created."""

    mean: float
    swing: float
    peak: float = 0.0
    period: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Straight lines between points (seconds, requests a second) in order; flat before the first and after the last."""

    points: tuple[tuple[float, float], ...]


Curve = Constant | Ramp | Diurnal | Piecewise


def rate(curve: Curve, t: float) -> float:
    """Requests a second at `t`."""
    match curve:
        case Constant():
            return curve.rate
        case Ramp():
            return curve.start + (curve.end - curve.start) * min(1.0, max(0.0, t / curve.over))
        case Diurnal():
            return curve.mean * (1.0 + curve.swing * math.cos(2 * math.pi * (t - curve.peak) / curve.period))
        case Piecewise():
            return _between(curve.points, t)
        case _:
            assert_never(curve)


def _between(points: tuple[tuple[float, float], ...], t: float) -> float:
    index = bisect_right(points, t, key=lambda point: point[0])
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (t0, r0), (t1, r1) = points[index - 1], points[index]
    return r0 + (r1 - r0) * (t - t0) / (t1 - t0)
