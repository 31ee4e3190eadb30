"""How fast a figure grows, from samples that jump about. Pure.

A least-squares line through all samples would take them for independent, and its interval would be far too narrow:
memory goes up in steps and stays. So the line goes through the means of a few blocks, long enough to be nearly
independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = 10
STUDENT = 2.306
"""97.5 % of Student's t with BLOCKS - 2 degrees of freedom."""
SHORTEST = 1200.0
"""Seconds below which nothing is said: blocks of less than two minutes show the fleet's ups and downs."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth in an hour, with bounds that hold with 95 %."""

    hourly: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.hourly:+.2f} an hour ({self.low:+.2f} to {self.high:+.2f})"


def second_half(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Samples (seconds, value) of the later half of the time: what comes before is the growth of a start."""
    if not samples:
        return []
    middle = (samples[0][0] + samples[-1][0]) / 2
    return [sample for sample in samples if sample[0] >= middle]


def trend(samples: Sequence[tuple[float, float]]) -> Trend | None:
    """The growth over samples (seconds, value) in order of time; None when they span too little to tell."""
    if not samples or samples[-1][0] - samples[0][0] < SHORTEST:
        return None
    begin, length = samples[0][0], (samples[-1][0] - samples[0][0]) / BLOCKS
    blocks: list[list[tuple[float, float]]] = [[] for _ in range(BLOCKS)]
    for at, value in samples:
        blocks[min(int((at - begin) / length), BLOCKS - 1)].append((at, value))
    if not all(blocks):
        return None
    points = [(_mean([at / 3600.0 for at, _ in block]), _mean([value for _, value in block])) for block in blocks]
    x0, y0 = _mean([x for x, _ in points]), _mean([y for _, y in points])
    spread = sum((x - x0) ** 2 for x, _ in points)
    hourly = sum((x - x0) * (y - y0) for x, y in points) / spread
    left = sum((y - y0 - hourly * (x - x0)) ** 2 for x, y in points)
    half = STUDENT * math.sqrt(left / (BLOCKS - 2) / spread)
    return Trend(hourly, hourly - half, hourly + half)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
