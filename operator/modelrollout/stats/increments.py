"""Reset-aware increments of raw counter samples. Differences are taken per series; sums over pods come after.

Rules: a sample belongs to the interval (t0, t1] its own timestamp falls in. The base is the newest sample in
[t0 - slack, t0]; older ones are not looked at, so the answer does not depend on how far back a query reached. A drop
of the value is a restart of the process: the new value counts from 0. A series without a base counts from 0 only when
it is known to be new (`KnownTargets.born_at_zero`); otherwise its first sample is no more than a base.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from modelrollout.core.samples import Series

Target = tuple[str, str, str, str]
"""What Prometheus scrapes as one: the values of `job`, `instance`, `namespace` and `pod`."""

UP = "up"
PROCESS_START = "process_start_time_seconds"

QUARANTINE_FACTOR = 20.0
"""An increment through a reset above this many median ticks of the target is no restart but a merge of two scrapers."""

SNAP = 1e-6


def target_of(labels: Mapping[str, str]) -> Target:
    """The target a series comes from; labels that are absent count as empty."""
    get = labels.get
    return get("job", ""), get("instance", ""), get("namespace", ""), get("pod", "")


def whole(value: float) -> float:
    """`value` as an int when it is integral up to the noise of float sums; else unchanged."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= SNAP else value


class Track(NamedTuple):
    """One series ready for arithmetic: ascending times (epoch seconds) with values, and times of samples left out."""

    target: Target
    times: tuple[float, ...]
    values: tuple[float, ...]
    rejected: tuple[float, ...] = ()

    @classmethod
    def of(cls, series: Series, target: Target | None = None) -> Track:
        """The series without its labels; `target`: what `target_of` says of them, where that is at hand."""
        return cls(target or target_of(series.labels), series.times, series.values, series.rejected)

    def newest(self, until: float) -> float | None:
        """Time of the newest sample at or before `until`."""
        index = bisect_right(self.times, until)
        return self.times[index - 1] if index else None

    def odd(self, since: float, until: float) -> bool:
        """Whether a sample in [since, until] was left out."""
        return bool(self.rejected) and bisect_right(self.rejected, until) > bisect_left(self.rejected, since)

    def based(self, at: float, slack: float) -> bool:
        """Whether there is a sample in [at - slack, at] to count from."""
        first = bisect_right(self.times, at)
        return first > 0 and self.times[first - 1] >= at - slack

    def seen(self, after: float, until: float) -> bool:
        """Whether there is a sample in (after, until]."""
        first = bisect_right(self.times, after)
        return first < len(self.times) and self.times[first] <= until


class Increase(NamedTuple):
    """What a counter gained; an int when integral. `reset`: the value dropped on the way."""

    value: float
    reset: bool = False


def increase(track: Track, t0: float, t1: float, *, slack: float, from_zero: bool) -> Increase | None:
    """What the counter gained in (t0, t1]; None when it has no sample there.

    `from_zero`: whether a series without a base is known to be new, so that its first sample counts in full. A series
    with a rejected sample where its base would be never is: that may have been it.
    """
    first = bisect_right(track.times, t0)
    end = bisect_right(track.times, t1, first)
    if first == end:
        return None
    based = first > 0 and track.times[first - 1] >= t0 - slack
    if based:
        last = track.values[first - 1]
    elif from_zero and not track.odd(t0 - slack, track.times[first]):
        last = 0.0
    else:
        last = track.values[first]
    gained, reset = 0.0, False
    for value in track.values[first:end]:
        if value >= last:
            gained += value - last
        else:
            gained += value
            reset = True
        last = value
    return Increase(whole(gained), reset)


class KnownTargets:
    """When each target was scraped, from all series at hand: counters of both arms, `up` and process start times.

    A series of another label value, another arm or another metric of the same target proves the scrape just as well;
    `up` proves it only where it is 1.
    """

    def __init__(self, series: Iterable[Series] = ()) -> None:
        self._starts: dict[Target, Track] = {}
        self.scrapes: dict[Target, tuple[float, ...]] = {}
        for one in series:
            self.add(one, target_of(one.labels))

    def add(self, one: Series, target: Target) -> None:
        """Take note of a series of a target."""
        name, times = one.labels.get("__name__"), one.times
        if name == UP and one.values.count(1.0) != len(times):
            times = tuple([at for at, value in one.samples if value == 1.0])
        elif name == PROCESS_START:
            self._starts[target] = Track.of(one, target)
        self._note(target, times)

    def joined(self, other: KnownTargets) -> KnownTargets:
        """What both know."""
        both = KnownTargets()
        both.scrapes, both._starts = dict(self.scrapes), {**self._starts, **other._starts}
        for target, times in other.scrapes.items():
            both._note(target, times)
        return both

    def _note(self, target: Target, times: tuple[float, ...]) -> None:
        known = self.scrapes.get(target)
        if known is None:
            self.scrapes[target] = times
        elif known is not times and known != times:  # nearly always all series of a target have the same ones
            self.scrapes[target] = tuple(sorted({*known, *times}))

    def scraped(self, target: Target, since: float, until: float) -> bool:
        """Whether the target delivered a scrape in [since, until]."""
        times = self.scrapes.get(target, ())
        first = bisect_left(times, since)
        return first < len(times) and times[first] <= until

    def alive(self, since: float, until: float) -> bool:
        """Whether any target delivered a scrape in [since, until]."""
        return any(self.scraped(target, since, until) for target in self.scrapes)

    def born_at_zero(self, target: Target, t0: float, t1: float, *, slack: float) -> bool:
        """Whether a series of this target without a base at `t0` is new, so that its first sample is all new.

        True when the target was scraped in [t0 - slack, t0] (that scrape lacked the series), or when its process says
        that it started after t0.
        """
        if self.scraped(target, t0 - slack, t0):
            return True
        start = self._starts.get(target)
        if start is None:
            return False
        index = bisect_right(start.times, t1)
        return index > 0 and start.values[index - 1] > t0


def is_fake_reset(gain: Increase, earlier: Iterable[float]) -> bool:
    """Whether a "restart" gained too much for one: two scrapers of a pair are merged into one series.

    `earlier`: gains of the same target in earlier ticks; fewer than three are no basis for a judgement. Only drops are
    suspected: a mere burst of requests is real.
    """
    if not gain.reset:
        return False
    history = sorted(earlier)
    if len(history) < 3:
        return False
    middle = len(history) // 2
    median = history[middle] if len(history) % 2 else (history[middle - 1] + history[middle]) / 2
    return gain.value > QUARANTINE_FACTOR * max(1.0, median)
