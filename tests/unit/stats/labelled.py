"""A world in which labels of predictions come late, and sooner or later depending on the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from modelrollout.core.model import ErrorBudget, Labels, RolloutSpec, Selector, Sli, Step, Weight
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker
from tests.unit.stats.fleet import ORIGIN, sli, spec, tracker

LABELLED = Selector("predictions_labeled_total")
WRONG = Selector("predictions_labeled_total", equal=(("correct", "false"),))
ALL = Selector("predictions_total")
PLAN = SliPlan("accuracy", (Term(LABELLED),), (Term(WRONG),), Term(ALL))
LATE = Labels(min_coverage=0.8, max_delay=900.0)
SCRAPE = 5.0

Floats = npt.NDArray[np.float64]


def accuracy(labels: Labels | None = LATE) -> Sli:
    return replace(sli("accuracy", allowed=0.2), labels=labels)


def ramp(one: Sli, *, weight: int = 1000) -> RolloutSpec:
    """A rollout without burn tiers, so that the comparison alone decides."""
    steps = (Step(Weight(weight), 30.0, 600.0), Step(Weight(10_000), 30.0, 600.0))
    return replace(spec(one, warmup=0.0, budget=ErrorBudget(tiers=())), steps=steps)


@dataclass
class Arm:
    """Predictions of one arm from `since` on, seconds after ORIGIN: `bad` share of them wrong, `labelled` share with a
    label at all, which comes after `delays` seconds (wrong, right) on average.
    """

    rate: float
    since: float
    until: float
    rng: np.random.Generator
    bad: float = 0.1
    labelled: float = 1.0
    delays: tuple[float, float] = (20.0, 300.0)
    bucket: float = 60.0
    predicted: Floats = field(init=False)
    wrong: npt.NDArray[np.bool_] = field(init=False)
    known: Floats = field(init=False)

    def __post_init__(self) -> None:
        n = int(self.rng.poisson(self.rate * (self.until - self.since)))
        self.predicted = np.sort(self.rng.uniform(self.since, self.until, n))
        self.wrong = self.rng.random(n) < self.bad
        delay = self.rng.exponential(np.where(self.wrong, *self.delays), n)
        self.known = np.where(self.rng.random(n) < self.labelled, self.predicted + delay, np.inf)

    def series(self, pod: str, *, cohorts: bool, total: bool, keep: float) -> list[Series]:
        """Its counters. `keep`: seconds for which a cohort is exposed. `total`: predictions are counted too."""
        target = {"pod": pod, "instance": pod + ":80"}
        times = np.arange(self.since, self.until, SCRAPE) + 1.0
        found = [Series.of({"__name__": "up", **target}, tuple((ORIGIN + float(t), 1.0) for t in times))]
        own = np.floor(self.predicted / self.bucket) * self.bucket if cohorts else np.zeros(len(self.predicted))
        for start in np.unique(own):
            mine = own == start
            label = {"cohort": f"{ORIGIN + start:.0f}"} if cohorts else {}
            kept = times[(times >= start) & (times <= start + keep)] if cohorts else times
            for right, text in ((False, "false"), (True, "true")):
                moments = np.sort(self.known[mine & (self.wrong != right)])
                labels = {"__name__": LABELLED.metric, "correct": text, **label, **target}
                found += _counter(labels, kept, moments, lazy=cohorts)
            if total:
                found += _counter({"__name__": ALL.metric, **label, **target}, kept, self.predicted[mine], lazy=cohorts)
        return found


def _counter(labels: dict[str, str], times: Floats, moments: Floats, *, lazy: bool) -> list[Series]:
    values = np.searchsorted(moments, times, side="right")
    samples = [(ORIGIN + float(t), float(v)) for t, v in zip(times, values, strict=True) if v or not lazy]
    return [Series.of(labels, tuple(samples))] if samples else []


@dataclass
class World:
    """Series of both arms, to be read in windows."""

    legacy: list[Series]
    candidate: list[Series]

    @classmethod
    def of(
        cls, legacy: Arm, candidate: Arm, *, cohorts: bool = True, total: bool = True, keep: float = 1080.0
    ) -> World:
        return cls(
            legacy.series("l-1", cohorts=cohorts, total=total, keep=keep),
            candidate.series("c-1", cohorts=cohorts, total=total, keep=keep),
        )

    def read(self, at: float, window: float) -> ArmSeries:
        def cut(series: list[Series]) -> list[Series]:
            found = []
            for one in series:
                if one.samples[0][0] <= at and one.samples[-1][0] > at - window:
                    inside = tuple(x for x in one.samples if at - window < x[0] <= at)
                    found.append(Series.of(one.labels, inside))
            return found

        return ArmSeries(legacy=cut(self.legacy), candidate=cut(self.candidate))

    def feed(self, tracked: EvidenceTracker, now: float) -> None:
        """All that is due `now` seconds after ORIGIN."""
        while (span := tracked.span(ORIGIN + now)) is not None:
            tracked.feed(span, {"accuracy": self.read(span.at, span.window)})
            if not span.behind:
                break


def identical(seed: int, *, until: float, since: float = 0.0, labelled: float = 1.0) -> tuple[Arm, Arm]:
    """Two arms with the same model: nine tenths of the traffic, for an hour already, and one tenth from `since` on."""
    rng = np.random.default_rng(seed)
    legacy = Arm(45.0, -3600.0, until, rng, labelled=labelled)
    return legacy, Arm(5.0, since, until, rng, labelled=labelled)


def tracked(one: Sli | None = None, *, since: float = 0.0, index: int = 0, weight: int = 1000) -> EvidenceTracker:
    rollout = ramp(one or accuracy(), weight=weight)
    return tracker(rollout, since=ORIGIN + since, scrape=SCRAPE, plan=PLAN, index=index)
