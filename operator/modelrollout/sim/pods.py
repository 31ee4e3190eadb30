"""A virtual pod: it answers requests at random and counts them. Arrivals are Poisson and each request picks its pod at
random, so the pods' counts are independent Poisson counts; nothing is lost by drawing them pod by pod.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from modelrollout.catalog.resolve import PREDICTIONS
from modelrollout.sim.scenario import ArmName, LateLabels
from modelrollout.sim.streams import Histogram, Stream

SIGMA = 0.5
"""Spread of response times: standard deviation of their logarithm."""
TINY = 1e-9
BUCKET = 60.0
"""Seconds of predictions in a cohort."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Health:
    """How an arm is at one moment: bad share by SLI, and the factor on response times by SLI of a histogram."""

    bad: dict[str, float]
    times: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Due:
    at: float
    stream: Stream
    bad: tuple[int, ...]
    total: int
    cohort: Labels


class Pod:
    """One pod with its counters: `counters` maps (sorted labels with `__name__`) to the value, children as they appear.

    `tell` hears of every count: arm, SLI, events, bad events. `until`: the counters are complete up to that time.
    """

    def __init__(
        self,
        name: str,
        arm: ArmName,
        streams: Sequence[Stream],
        late: dict[str, LateLabels],
        *,
        born: float,
        dispersion: float,
        rng: np.random.Generator,
        tell: Callable[[ArmName, str, int, int], None],
    ) -> None:
        self.name = name
        self.arm = arm
        self.born = born
        self.up = True
        self.until = born
        self.counters: dict[Labels, float] = {}
        self._streams = streams
        self._late = late
        self._waiting: list[_Due] = []
        self._dispersion = dispersion
        self._edges = {
            histogram.name: [
                self._key(stream, f"{histogram.name}_bucket", (("le", le), *histogram.labels))
                for le in (*(f"{x:g}" for x in histogram.bounds), "+Inf")
            ]
            for stream in streams
            for histogram in stream.histograms
        }
        self._rng = rng
        self._tell = tell

    def serve(self, expected: float, t: float, health: Health) -> int:
        """Answer the requests since `until`, `expected` of them on average, and count them up to `t`; how many came."""
        n = int(self._rng.poisson(expected)) if expected > 0 else 0
        for stream in self._streams if n else ():
            late = self._late.get(stream.slis[0])
            total = n if late is None or late.share >= 1.0 else int(self._rng.binomial(n, late.share))
            bad = self._bad(stream, total, health)
            cohort = self._predicted(stream, n, (self.until + t) / 2)
            if late is None:
                self._count(stream, total, bad, health, cohort)
            else:
                # One moment for the events of a few seconds: spread is longer than that, or does not matter.
                middle = (self.until + t) / 2 + late.delay + self._rng.exponential(late.spread)
                self._waiting.append(_Due(middle, stream, bad, total, cohort))
        if self._waiting:
            for due in [d for d in self._waiting if d.at <= t]:
                self._count(due.stream, due.total, due.bad, health, due.cohort)
            self._waiting = [d for d in self._waiting if d.at > t]
        self.until = t
        return n

    def inherit(self, other: Pod) -> None:
        """Labels of another pod's predictions will be counted here."""
        self._waiting += other._waiting
        other._waiting = []

    def restart(self, t: float) -> None:
        """A new process: it counts from zero."""
        self.counters = {}
        self.born = self.until = t
        self.up = True

    def stock(self, expected: float, health: Health) -> None:
        """Counters of a past in which everything went as expected; `expected` requests of it. Nobody is told."""
        for stream in self._streams:
            shares = [health.bad[kind.sli] for kind in stream.kinds]
            bad = [expected * share for share in shares]
            good = self._children(stream, expected, bad)
            for histogram in stream.histograms:
                usual = _shares(histogram, health.bad[histogram.sli], 1.0)
                self._observe(histogram, [good * float(x) for x in usual.cumsum()], stream)

    def _bad(self, stream: Stream, n: int, health: Health) -> tuple[int, ...]:
        """Bad events of each kind; kinds exclude each other where they are parts of the same total."""
        found = []
        left = n
        for kind in stream.kinds:
            e = min(self._draw(n, health.bad[kind.sli]), n if kind.apart else left)
            left -= 0 if kind.apart else e
            found.append(e)
        return tuple(found)

    def _draw(self, n: int, share: float) -> int:
        if n == 0 or share <= 0.0:
            return 0
        if self._dispersion > 1.0 and n > 1 and share < 1.0:
            # A beta-binomial count has (1 + (n-1) rho) times the variance of a binomial one.
            rho = min(0.999, (self._dispersion - 1.0) / (n - 1))
            share = float(self._rng.beta(share * (1 / rho - 1), (1 - share) * (1 / rho - 1)))
        return int(self._rng.binomial(n, min(1.0, share)))

    def _predicted(self, stream: Stream, n: int, at: float) -> Labels:
        """Count predictions that labels may come for; the cohort of those made at `at`."""
        if stream.keep is None:
            return ()
        cohort: Labels = (("cohort", f"{at // BUCKET * BUCKET:.0f}"),)
        if stream is not next(s for s in self._streams if s.keep is not None):
            return cohort  # every prediction once, whatever is found out about it later
        key = self._key(stream, PREDICTIONS, cohort)
        if key not in self.counters:
            oldest = at - stream.keep
            self.counters = {k: v for k, v in self.counters.items() if float(dict(k).get("cohort", at)) >= oldest}
        self.counters[key] = self.counters.get(key, 0.0) + n
        return cohort

    def _count(self, stream: Stream, n: int, bad: Sequence[int], health: Health, cohort: Labels) -> None:
        good = int(self._children(stream, n, bad, cohort))
        for kind, e in zip(stream.kinds, bad, strict=True):
            self._tell(self.arm, kind.sli, n, e)
        for histogram in stream.histograms:
            shares = _shares(histogram, health.bad[histogram.sli], health.times.get(histogram.sli, 1.0))
            at_most = self._rng.multinomial(good, shares).cumsum()
            self._observe(histogram, [float(x) for x in at_most], stream)
            fast = int(at_most[histogram.bounds.index(histogram.threshold)])
            self._tell(self.arm, histogram.sli, n, n - fast)

    def _children(self, stream: Stream, n: float, bad: Sequence[float], cohort: Labels = ()) -> float:
        """Count into the children of a total and of its bad events; returns how many were good."""
        good = n - sum(e for kind, e in zip(stream.kinds, bad, strict=True) if not kind.apart)
        self._add(stream, stream.metric, stream.labels + cohort, good)
        for kind, e in zip(stream.kinds, bad, strict=True):
            self._add(stream, kind.metric, kind.labels + cohort, e)
        return good

    def _observe(self, histogram: Histogram, at_most: Sequence[float], stream: Stream) -> None:
        counters = self.counters
        for key, value in zip(self._edges[histogram.name], at_most, strict=True):
            counters[key] = counters.get(key, 0.0) + value
        if f"{histogram.name}_count" == stream.metric:
            return  # the total is this histogram's own count
        count = self._key(stream, f"{histogram.name}_count", histogram.labels)
        counters[count] = counters.get(count, 0.0) + at_most[-1]

    def _add(self, stream: Stream, metric: str, labels: Labels, value: float) -> None:
        if value <= 0:
            return  # a child with labels is created by its first event
        key = self._key(stream, metric, labels)
        self.counters[key] = self.counters.get(key, 0.0) + value

    def _key(self, stream: Stream, metric: str, labels: Labels) -> Labels:
        own: Labels = (("__name__", metric),)
        if stream.arms is not None:
            own = (*own, (stream.arms.label, getattr(stream.arms, self.arm.value)))
        return (*own, *labels)


@lru_cache(maxsize=256)
def _shares(histogram: Histogram, bad: float, times: float) -> NDArray[np.float64]:
    """Shares of good events by bucket: lognormal, with the share `bad` over the threshold before `times` stretch it."""
    slow = min(1.0 - TINY, max(TINY, bad))
    middle = math.log(histogram.threshold) - SIGMA * float(ndtri(1.0 - slow)) + math.log(times)
    at_most = ndtr((np.log(histogram.bounds) - middle) / SIGMA)
    return np.diff(np.concatenate(([0.0], at_most, [1.0])))
