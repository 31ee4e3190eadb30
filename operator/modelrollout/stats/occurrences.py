"""Events without a total, tick by tick: how many there were, and how long an arm's replicas were watched for them.

An increment of a counter covers the time between two scrapes of its target, and so does its exposure: both end with the
last scrape in the tick and begin with the one before the tick. The exposure depends on scrapes alone. A target that is
scraped and has no such counter yet has had no event; but a scrape proves that only by a job that delivers the counter,
as soon as one is known to: kube-state-metrics may be down while the pods themselves are well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor

from modelrollout.core.observation import NoDataCause
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.stats.increments import UP, KnownTargets, Target, Track, increase, is_fake_reset, whole
from modelrollout.stats.matching import Matcher
from modelrollout.stats.rates import spread
from modelrollout.stats.ticks import HISTORY, STALE_SCRAPES, NoTick

UNCOUNTED = (
    "replicas can't be counted where a label of somebody else's counter tells the versions apart: set counts.per to "
    "Weight"
)


@dataclass(frozen=True, slots=True)
class Happened:
    """One tick of one arm: events of targets that are judged, and replica-seconds of those (`exposure`) and of all
    (`present`). `chi`, `degrees`: Pearson's X2 of the events over replicas.
    """

    events: int
    exposure: float
    present: float
    chi: float = 0.0
    degrees: int = 0


@dataclass(frozen=True, slots=True)
class ArmEventSamples:
    """The samples of one arm, matched once. `scraped`: all of its targets; `up`: it has health series of its own."""

    wanted: tuple[Track, ...]
    metric: tuple[Track, ...]
    scraped: KnownTargets
    up: bool


class Jobs:
    """Scrape jobs that deliver the counter, in either arm; one of these for both readers."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def advance(self, tracks: Iterable[Track], until: float) -> None:
        """Take notice of series that have a sample up to `until`."""
        self._known.update(t.target[0] for t in tracks if t.newest(until) is not None)

    def tell(self, target: Target) -> bool:
        """Whether a scrape of the target tells of events or of their absence."""
        return not self._known or target[0] in self._known


class OccurrenceReader:
    """Turns the samples of one arm into ticks, in order, each once. `scrape`, `slack` in seconds."""

    def __init__(self, plan: SliPlan, jobs: Jobs, *, scrape: float, slack: float) -> None:
        self._terms = [(term.selector.metric, Matcher.of(term)) for term in plan.bad]
        self._names = {term.selector.metric for term in plan.bad}
        self._jobs = jobs
        self._patience = STALE_SCRAPES * scrape
        self._slack = slack
        self._rest = 0.0
        self._gains: dict[Target, deque[float]] = {}
        self.newest: float | None = None

    def forget(self) -> None:
        """Carry nothing over and know no usual gains: a new step begins."""
        self._rest = 0.0
        self._gains.clear()

    def prepare(self, series: Sequence[Series]) -> ArmEventSamples:
        """Match the series of this arm."""
        wanted, metric = [], []
        for one in series:
            name = one.labels.get("__name__", "")
            if name not in self._names:
                continue
            track = Track.of(one)
            metric.append(track)
            if any(name == known and matcher.matches(one.labels) for known, matcher in self._terms):
                wanted.append(track)
        up = any(one.labels.get("__name__") == UP for one in series)
        return ArmEventSamples(tuple(wanted), tuple(metric), KnownTargets(series), up)

    def read(
        self,
        arm: ArmEventSamples,
        t0: float,
        t1: float,
        *,
        known: KnownTargets,
        judged: Callable[[Target], bool],
        lazy: bool,
    ) -> Happened | NoTick:
        """The tick (t0, t1]. `known`: scrapes of both arms. Targets not `judged` (too young) add nothing.

        `lazy`: the arm has no targets of its own (it is a label of somebody else's counter).
        """
        self._jobs.advance(arm.metric, t1)
        targets = {t: times for t, times in arm.scraped.scrapes.items() if self._jobs.tell(t)}
        gap = self._gap(arm, targets, t1, known, lazy=lazy)
        if gap is not None:
            return gap
        events: dict[tuple[str, str], float] = {}
        exposed: dict[tuple[str, str], float] = {}
        present: dict[tuple[str, str], float] = {}
        for target, times in targets.items():
            span, pod = _span(times, t0, t1, self._slack), _pod(target)
            present[pod] = max(present.get(pod, 0.0), span)
            if judged(target):
                exposed[pod] = max(exposed.get(pod, 0.0), span)
        for track in arm.wanted:
            if not judged(track.target):
                continue
            new = not track.based(t0, self._slack) and known.born_at_zero(track.target, t0, t1, slack=self._slack)
            gain = increase(track, t0, t1, slack=self._slack, from_zero=new)
            if gain is None:
                continue
            earlier = self._gains.setdefault(track.target, deque(maxlen=HISTORY))
            if is_fake_reset(gain, earlier):
                return NoTick(NoDataCause.REJECTED)
            earlier.append(gain.value)
            pod = _pod(track.target)
            events[pod] = events.get(pod, 0.0) + gain.value
        counted = whole(sum(events.values()) + self._rest)
        fits = floor(counted)
        self._rest = counted - fits
        chi, degrees = spread([(time, events.get(pod, 0.0)) for pod, time in exposed.items()])
        return Happened(fits, sum(exposed.values()), sum(present.values()), chi, degrees)

    def _gap(
        self,
        arm: ArmEventSamples,
        targets: dict[Target, tuple[float, ...]],
        t1: float,
        known: KnownTargets,
        *,
        lazy: bool,
    ) -> NoTick | None:
        """Why this tick has no data, or None when it has: no event is data as soon as somebody has looked."""
        limit = t1 - self._patience
        for track in arm.wanted:
            newest = track.newest(t1)
            if track.odd(limit, t1) and (newest is None or newest < limit):
                return NoTick(NoDataCause.REJECTED)
        seen = max((times[i - 1] for times in targets.values() if (i := bisect_right(times, t1))), default=None)
        if seen is not None:
            self.newest = seen if self.newest is None else max(seen, self.newest)
        if self.newest is not None and self.newest >= limit:
            return None
        if lazy and known.alive(limit, t1):
            return None
        return NoTick(NoDataCause.MISSING if self.newest is None else NoDataCause.STALE)


def judged_apart(labels: bool, *arms: ArmEventSamples) -> bool:
    """Whether the arms are a label of somebody else's counter: a label of the targets themselves is on their `up`."""
    return labels and not any(arm.up for arm in arms)


def _span(times: Sequence[float], t0: float, t1: float, slack: float) -> float:
    """Seconds that the scrapes of a target in (t0, t1] cover."""
    first, end = bisect_right(times, t0), bisect_right(times, t1)
    if first == end:
        return 0.0
    based = first > 0 and times[first - 1] >= t0 - slack
    return times[end - 1] - times[first - 1 if based else first]


def _pod(target: Target) -> tuple[str, str]:
    """What counts as one replica: its pod, whoever scrapes it; the target itself where there is no pod."""
    job, instance, namespace, pod = target
    return (namespace, pod) if pod else (job, instance)
