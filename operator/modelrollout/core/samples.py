"""Raw samples as Prometheus holds them, before any arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels with `__name__`, and its samples in order, finite values only, as two columns.

    `times`: epoch seconds. `rejected`: times of the samples that were NaN or infinite and were left out, in order.
    """

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]
    rejected: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, labels: Mapping[str, str], samples: Iterable[tuple[float, float]], rejected: tuple[float, ...] = ()
    ) -> Series:
        """From samples as (epoch seconds, value)."""
        pairs = tuple(samples)
        return cls(labels, tuple([at for at, _ in pairs]), tuple([value for _, value in pairs]), rejected)

    @property
    def samples(self) -> tuple[tuple[float, float], ...]:
        """The samples as (epoch seconds, value)."""
        return tuple(zip(self.times, self.values, strict=True))
