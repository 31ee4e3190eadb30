"""Raw samples as Prometheus holds them, before any arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels with `__name__`, and samples as (epoch seconds, value) in order, finite values only.

    `rejected`: times of the samples that were NaN or infinite and were left out, in order.
    """

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]
    rejected: tuple[float, ...] = ()
