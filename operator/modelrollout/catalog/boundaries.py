"""Which bucket of a histogram stands for a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.core.samples import Series

SAME = 1e-9
"""Relative difference below which two numbers are one boundary: units and decimal spellings cost a last digit."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A boundary in the histogram's units, as stored; `seconds` is the same for people."""

    boundary: float
    seconds: float
    exact: bool

    def explain(self, histogram: str, threshold: float) -> str:
        """What was done to an inexact threshold."""
        return f"threshold {text(threshold)} is no bucket boundary of {histogram}; {text(self.seconds)} is used"


@dataclass(frozen=True, slots=True)
class NoneLower:
    """No shared boundary at or below the threshold; `nearest` are those above it, in seconds."""

    nearest: tuple[float, ...]

    def explain(self, histogram: str, threshold: float) -> str:
        """What is wrong, and what to do."""
        if not self.nearest:
            return (
                f"the pods of legacy and candidate share no bucket boundary of {histogram}; "
                "give both the same buckets, one of them at the threshold"
            )
        shown = ", ".join(text(each) for each in self.nearest)
        return (
            f"threshold {text(threshold)} is below every bucket boundary of {histogram} that the pods of legacy and "
            f"candidate share (nearest: {shown}); raise the threshold to one of them, or add a bucket"
        )


def choose(buckets: Sequence[Series], *, threshold: float, per_second: float) -> Chosen | NoneLower:
    """The boundary equal to `threshold` (seconds), else the next lower one, among those that every histogram has.

    Lower, so that more requests count as slow, never fewer.
    """
    wanted = threshold * per_second
    common = shared(buckets)
    lower = [each for each in common if each <= wanted or math.isclose(each, wanted, rel_tol=SAME)]
    if not lower:
        return NoneLower(tuple(each / per_second for each in common[:2]))
    best = lower[-1]
    return Chosen(best, best / per_second, math.isclose(best, wanted, rel_tol=SAME))


def shared(buckets: Sequence[Series]) -> list[float]:
    """Finite boundaries common to all histograms, ascending. A histogram is the series that differ in `le` only."""
    histograms: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for each in buckets:
        boundary = _number(each.labels.get("le", ""))
        if boundary is not None:
            rest = tuple(sorted((name, value) for name, value in each.labels.items() if name != "le"))
            histograms.setdefault(rest, set()).add(boundary)
    if not histograms:
        return []
    return sorted(each for each in set.intersection(*histograms.values()) if math.isfinite(each))


def _number(le: str) -> float | None:
    try:
        return float(le)
    except ValueError:
        return None


def text(seconds: float) -> str:
    """A duration as users write them: `300ms`, `1.5s`."""
    return f"{seconds * 1000:.6g}ms" if seconds < 1 else f"{seconds:.6g}s"
