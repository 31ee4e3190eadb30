"""A small world that scrapes pods: what Prometheus would hold, to be read in windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from modelrollout.core.model import (
    AdoptRoute,
    Analysis,
    Arm,
    Counts,
    ErrorBudget,
    Key,
    RolloutSpec,
    Selector,
    Sli,
    Step,
    Traffic,
    Weight,
)
from modelrollout.core.observation import EvidenceSeen
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker, Span

ORIGIN = 1_700_000_000.0
REQUESTS = Selector("requests_total")
ERRORS = Selector("requests_total", regex=(("code", "5.."),))
ERROR_PLAN = SliPlan("errors", total=(Term(REQUESTS),), bad=(Term(ERRORS),))


def series(samples: Iterable[tuple[float, float]], *, rejected: Iterable[float] = (), **labels: str) -> Series:
    """A series; `name` stands for `__name__`."""
    name = labels.pop("name", "requests_total")
    return Series.of({"__name__": name, **labels}, tuple(samples), tuple(rejected))


def spec(*slis: Sli, interval: float = 5.0, warmup: float = 30.0, budget: ErrorBudget | None = None) -> RolloutSpec:
    arm = Arm("d", "s")
    return RolloutSpec(
        Key("ns", "r"),
        uid="u",
        generation=1,
        legacy=arm,
        candidate=arm,
        port=80,
        traffic=Traffic(AdoptRoute("route")),
        steps=(Step(Weight(100), 30.0, 600.0),),
        slis=slis or (sli(),),
        budget=budget or ErrorBudget(),
        analysis=Analysis(interval=interval, warmup=warmup),
    )


def sli(name: str = "errors", allowed: float = 0.01) -> Sli:
    return Sli(name, Counts(REQUESTS, ERRORS), allowed)


@dataclass
class Fleet:
    """Samples of both arms by labels. `scrape` appends the counters of one pod as they are at a moment."""

    arms: dict[str, dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]] = field(
        default_factory=lambda: {"legacy": {}, "candidate": {}}
    )
    rejected: dict[tuple[tuple[str, str], ...], tuple[float, ...]] = field(default_factory=dict)

    def scrape(
        self, arm: str, pod: str, at: float, counters: Mapping[str, float], *, name: str = "requests_total"
    ) -> None:
        """`counters`: value by `code` label ("" for a series without one)."""
        for code, value in counters.items():
            labels = {"__name__": name, "pod": pod, "instance": pod + ":80"} | ({"code": code} if code else {})
            self.arms[arm].setdefault(tuple(sorted(labels.items())), []).append((at, value))

    def read(self, at: float, window: float) -> ArmSeries:
        """Series with samples in (at - window, at]."""

        def arm(name: str) -> list[Series]:
            found = []
            for labels, samples in self.arms[name].items():
                inside = tuple((t, v) for t, v in samples if at - window < t <= at)
                odd = tuple(t for t in self.rejected.get(labels, ()) if at - window < t <= at)
                if inside or odd:
                    found.append(Series.of(dict(labels), inside, odd))
            return found

        return ArmSeries(legacy=arm("legacy"), candidate=arm("candidate"))


def tracker(
    rollout: RolloutSpec | None = None,
    *,
    since: float = ORIGIN,
    scrape: float = 5.0,
    plan: SliPlan = ERROR_PLAN,
    stored: EvidenceSeen | None = None,
    index: int = 0,
) -> EvidenceTracker:
    """A new one; `stored`: evidence whose ledgers and checkpoints are in the status."""
    rollout = rollout or spec()
    plans = {one.name: replace(plan, sli=one.name) for one in rollout.slis}
    return EvidenceTracker(
        rollout,
        plans,
        grid=ORIGIN,
        since=since,
        scrape=scrape,
        ledgers=stored.ledgers if stored else (),
        checkpoints=stored.checkpoints if stored else (),
        index=index,
    )


def again(tracked: EvidenceTracker, rollout: RolloutSpec | None = None, *, since: float) -> EvidenceTracker:
    """The tracker of the next step, from what the last one would have stored."""
    found = tracked.assess(since)
    return tracker(rollout, since=since, stored=found if isinstance(found, EvidenceSeen) else None)


def step(tracked: EvidenceTracker, fleet: Fleet, now: float, names: Iterable[str] = ("errors",)) -> Span | None:
    """Ask what is due, read exactly that from the fleet, feed it."""
    span = tracked.span(now)
    if span is not None:
        answer = fleet.read(span.at, span.window)
        tracked.feed(span, dict.fromkeys(names, answer))
    return span
