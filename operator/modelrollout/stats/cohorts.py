"""Labels that come late: which predictions of a step they belong to, and how many of those have got theirs.

A cohort is the predictions of a short time, told by the label `cohort` of their counters: the start of that time in
epoch seconds. Within a step the weight is constant, so predictions of the same cohort are split at random, and labels
of it that arrive at the same time are of the same age in both arms. Nothing else is comparable when bad outcomes become
known sooner or later than good ones: the candidate's labels are younger than legacy's as long as the weight grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, nan

from modelrollout.stats.increments import SNAP

COHORT = "cohort"
NO_COHORT = float("-inf")
"""Stands for the cohort of labels that carry none."""
MOST_BUNCHES = 30
"""Comparisons at one moment; more cost time and split the labels too thin."""
LARGEST_GAP = 0.05
"""Shares of labelled predictions that differ by as much say that the arms' labels are not the same kind of sample."""


def cohort_of(labels: Mapping[str, str]) -> float | None:
    """Start of a series' cohort; None without one (an empty label is none), NaN for a text that is no time."""
    text = labels.get(COHORT, "")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return nan


@dataclass(frozen=True, slots=True)
class Covered:
    """Predictions of an arm, and those among them whose label has come."""

    predicted: float
    labelled: float

    @property
    def share(self) -> float:
        """The labelled share, at most 1; 0 without predictions."""
        return min(1.0, self.labelled / self.predicted) if self.predicted > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many predictions of a step have their label: of the cohorts that are the older half of its predictions.

    The youngest have not had time to get one. Those that have must not be few against them, or the evidence would be
    that of the labels that come first.
    """

    candidate: Covered
    legacy: Covered

    def shortfall(self, least: float, *, alone: bool) -> str:
        """Why the labels at hand are no basis for a PASS; empty when they are. `least`: share that must have one.

        `alone`: legacy has no traffic, so nothing is asked of its labels.
        """
        arms = (("candidate", self.candidate),) if alone else (("candidate", self.candidate), ("legacy", self.legacy))
        for arm, one in arms:
            if one.predicted <= 0:
                return f"no {arm} predictions with a cohort of this step are counted: coverage of the labels is unknown"
        for arm, one in arms:
            if one.share < least:
                return (
                    f"labels of {one.share * 100:.3g} % of {one.predicted:,.0f} {arm} predictions, "
                    f"{least * 100:.3g} % needed"
                )
        if not alone and abs(self.candidate.share - self.legacy.share) >= LARGEST_GAP:
            return (
                f"labels cover {self.candidate.share * 100:.3g} % of the candidate's predictions and "
                f"{self.legacy.share * 100:.3g} % of legacy's: not comparable"
            )
        return ""


class Cohorts:
    """The cohorts of one arm that count in a step. `since`: where its evidence begins; `max_delay`: seconds that the
    labels of a cohort are counted for.
    """

    def __init__(self, since: float, max_delay: float) -> None:
        self._since = since
        self._max_delay = max_delay
        self._counts: dict[float, Covered] = {}
        self.seen = False

    def counts(self, cohort: float, t0: float, t1: float) -> bool:
        """Whether events of a cohort that are counted in (t0, t1] belong to the step; NaN never does.

        The step goes on, so a cohort that began in it has no predictions of another weight.
        """
        self.seen = self.seen or t1 > self._since + SNAP
        return self._since - SNAP <= cohort <= t1 and t0 < cohort + self._max_delay

    def skip_to(self, start: float) -> None:
        """Nothing was read up to `start`: cohorts from before are known in part only and do not count any more."""
        self._since = max(self._since, start)
        self._counts = {cohort: count for cohort, count in self._counts.items() if cohort >= self._since - SNAP}

    def add(self, cohort: float, *, predicted: float, labelled: float) -> None:
        """Take note of new predictions, or labels, of a cohort."""
        known = self._counts.get(cohort, Covered(0.0, 0.0))
        self._counts[cohort] = Covered(known.predicted + predicted, known.labelled + labelled)

    def coverage(self, legacy: Cohorts) -> Coverage | None:
        """Of this arm, the candidate's, and legacy's; None while no series of either carries a cohort."""
        if not (self.seen or legacy.seen):
            return None
        nothing = Covered(0.0, 0.0)
        both = {
            cohort: (self._counts.get(cohort, nothing), legacy._counts.get(cohort, nothing))
            for cohort in sorted({*self._counts, *legacy._counts})
        }
        half = sum(c.predicted + g.predicted for c, g in both.values()) / 2
        found = [0.0] * 4
        for c, g in both.values():
            if found[0] + found[2] >= half:
                break
            for place, value in enumerate((c.predicted, c.labelled, g.predicted, g.labelled)):
                found[place] += value
        return Coverage(Covered(found[0], found[1]), Covered(found[2], found[3]))


def bunches(cohorts: Sequence[float]) -> list[tuple[float, ...]]:
    """Cohorts, oldest first, as they are compared: each alone, or with its neighbours when there are many. The weight
    is the same for all of them; that of no cohort is always alone.
    """
    alone = [(cohort,) for cohort in cohorts if cohort == NO_COHORT]
    named = [cohort for cohort in cohorts if cohort != NO_COHORT]
    width = max(1, ceil(len(named) / MOST_BUNCHES))
    return [*alone, *(tuple(named[at : at + width]) for at in range(0, len(named), width))]
