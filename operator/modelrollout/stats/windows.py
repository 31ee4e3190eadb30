"""Windows of the newest ticks: their sums in no time, whatever their number, for half an hour is looked at each tick;
and their strata.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby

from modelrollout.core.observation import ArmCounts
from modelrollout.stats.guards import counts_of, sum_counts
from modelrollout.stats.ticks import Tick, TickCounts, TickPair

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


def last_ticks(ticks: Sequence[TickPair], count: int) -> Sequence[TickPair]:
    """Those of the last `count` places of the grid, ending with the newest tick."""
    if not ticks:
        return ticks
    after = ticks[-1].tick - count
    return [pair for pair in ticks[-count:] if pair.tick > after]


def strata_of(ticks: Iterable[TickPair], width: int) -> list[tuple[ArmCounts, ArmCounts]]:
    """Candidate and legacy counts of the same time, in strata of `width` ticks on the grid.

    A stratum spans at least a scrape interval: in shorter ones the two arms would rarely have samples together.
    """
    if width == 1:
        return [(counts_of(pair.candidate), counts_of(pair.legacy)) for pair in ticks]
    groups = (list(group) for _, group in groupby(ticks, key=lambda pair: (pair.tick - 1) // width))
    return [(sum_counts(p.candidate for p in group), sum_counts(p.legacy for p in group)) for group in groups]
