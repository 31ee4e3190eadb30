"""Sums over the newest ticks in no time, whatever their number: windows of half an hour are looked at each tick."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from modelrollout.core.observation import ArmCounts
from modelrollout.stats.ticks import Tick, TickCounts

SPARE = 64
"""Sums are dropped so many at a time."""


class Sums:
    """Events and bad ones of one arm, summed up tick by tick; a window is a difference of two of them."""

    def __init__(self, ticks: Iterable[Tick] = (), *, most: int | None = None) -> None:
        """`most`: ticks that a window may hold; None for all."""
        self._most = most
        self._total = array("q", (0,))
        self._bad = array("q", (0,))
        for tick in ticks:
            self.add(tick)

    def add(self, tick: Tick) -> None:
        """One more tick; one without data adds nothing."""
        n, e = (tick.n, tick.e) if isinstance(tick, TickCounts) else (0, 0)
        self._total.append(self._total[-1] + n)
        self._bad.append(self._bad[-1] + e)
        if self._most is not None and len(self._total) > self._most + 1 + SPARE:
            del self._total[:SPARE], self._bad[:SPARE]

    def newest(self, count: int) -> ArmCounts:
        """Events of the newest `count` ticks, which must not be more than are held."""
        place = len(self._total) - 1 - count
        return ArmCounts(self._total[-1] - self._total[place], self._bad[-1] - self._bad[place])
