"""The series of an arm, and which of them a plan is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from modelrollout.core.plan import Term
from modelrollout.stats.increments import KnownTargets, Track


@dataclass(frozen=True, slots=True)
class Matcher:
    """A Term with its regular expressions compiled; the metric is the caller's to compare."""

    term: Term
    patterns: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, term: Term) -> Matcher:
        """Of one term."""
        return cls(term, tuple((name, re.compile(text, re.DOTALL)) for name, text in term.selector.regex))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Prometheus rules: an absent label is an empty one, expressions are anchored, `le` is a number."""
        term = self.term
        if term.boundary is not None and boundary_of(labels) != term.boundary:
            return False
        for name, value in term.selector.equal:
            if labels.get(name, "") != value:
                return False
        if not self.patterns:
            return True  # most terms have none, and this is asked of each series at each tick
        return all(pattern.fullmatch(labels.get(name, "")) for name, pattern in self.patterns)


def boundary_of(labels: Mapping[str, str]) -> float | None:
    """The histogram boundary of a bucket as a number ("1" and "1.0" are one); None when it has none."""
    text = labels.get("le")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


class Counter(NamedTuple):
    """A series of an arm with the signs it carries in the sums; `metric` and `le` tell buckets apart."""

    track: Track
    metric: str
    le: float | None
    total: int
    bad: int
    predicted: int = 0
    cohort: float | None = None


@dataclass(frozen=True, slots=True)
class ArmSamples:
    """The series of one arm, matched against a plan once, to be read tick by tick. `up`: its targets' health; `known`:
    all scrapes that the arm's series prove.
    """

    counters: tuple[Counter, ...]
    up: KnownTargets
    known: KnownTargets

    def newest(self, until: float) -> float | None:
        """Time of the newest sample of the total, or of all predictions, at or before `until`."""
        newest: float | None = None
        seen: tuple[float, ...] | None = None
        for counter in self.counters:
            # Counters of a target share their times.
            if counter.track.times is not seen and (counter.total or counter.predicted):
                seen = counter.track.times
                at = counter.track.newest(until)
                newest = at if newest is None or (at is not None and at > newest) else newest
        return newest
