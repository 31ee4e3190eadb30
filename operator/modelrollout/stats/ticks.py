"""The tick grid, and how the samples of one arm become one pair of counts a tick.

Tick i covers (origin + (i-1) * interval, origin + i * interval] for both arms. A sample belongs to the tick of its own
timestamp, so a tick can be read as soon as Prometheus has stored what it scraped up to its end: `min(scrape, 1 s)`
later. A whole scrape interval need not pass: what a later scrape brings belongs to a later tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor

from modelrollout.core.observation import NoDataCause
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.stats.cohorts import NO_COHORT, Cohorts, cohort_of
from modelrollout.stats.dispersion import PodCounts
from modelrollout.stats.increments import (
    UP,
    Increase,
    KnownTargets,
    Target,
    Track,
    increase,
    is_fake_reset,
    target_of,
    whole,
)
from modelrollout.stats.matching import ArmSamples, Counter, Matcher, boundary_of

NUDGE = 1e-6
"""Epoch seconds as floats carry 1e-7 of rounding; a boundary that close belongs to the tick it ends."""

HISTORY = 12
STALE_SCRAPES = 3.0


def read_offset(scrape: float) -> float:
    """Seconds after its end at which a tick may be read: covers the scrape itself and its ingestion."""
    return min(scrape, 1.0)


def stratum_ticks(scrape: float, interval: float) -> int:
    """Ticks of `interval` seconds that a scrape interval takes: every target is scraped once in them."""
    return max(1, ceil(scrape / interval - NUDGE))


@dataclass(frozen=True, slots=True)
class TickGrid:
    """Equal ticks from `origin` (epoch seconds) on; tick 1 is the first after it."""

    origin: float
    interval: float

    def end(self, tick: int) -> float:
        """Last moment of a tick; the first moment after the tick before it."""
        return self.origin + tick * self.interval

    def start(self, tick: int) -> float:
        """The moment after which a tick begins."""
        return self.end(tick - 1)

    def first_from(self, since: float) -> int:
        """The first tick that begins at or after `since`."""
        position = (since - self.origin) / self.interval
        return -floor(-position + NUDGE) + 1

    def last_until(self, now: float) -> int:
        """The last tick that ended at or before `now`."""
        return floor((now - self.origin) / self.interval + NUDGE)

    def ticks_in(self, seconds: float) -> int:
        """Whole ticks that fit in a window; at least one."""
        return max(1, floor(seconds / self.interval + NUDGE))


@dataclass(frozen=True, slots=True)
class TickCounts:
    """`n` events of which `e` bad. `sampled` is False when no scrape fell into the tick (nothing new, not zero).

    `partial`: events of targets that are not judged were left out. `parts`: the same by cohort, where there are
    cohorts. `pods`: what each target adds. Neither is kept once its stratum is closed.
    """

    n: int
    e: int
    sampled: bool = True
    partial: bool = False
    parts: tuple[tuple[float, TickCounts], ...] = ()
    pods: tuple[PodCounts, ...] = field(default=(), compare=False)

    def of(self, cohort: float) -> TickCounts:
        """The part of one cohort, nothing when there is none; a tick without parts is of no cohort as a whole."""
        if not self.parts and cohort == NO_COHORT:
            return self
        return dict(self.parts).get(cohort, TickCounts(0, 0, self.sampled, partial=self.partial))


@dataclass(frozen=True, slots=True)
class NoTick:
    """The tick has no data; `mismatch` says what makes the series of this arm unfit (verdict INVALID)."""

    cause: NoDataCause
    mismatch: str = ""


Tick = TickCounts | NoTick


@dataclass(frozen=True, slots=True)
class TickPair:
    """One tick of both arms."""

    tick: int
    candidate: Tick
    legacy: Tick


class ArmReader:
    """Turns the samples of one arm into ticks, in order, each once.

    State: the newest sample of the total, what did not fit into a tick, and recent gains of each target.
    `scrape`: scrape interval in seconds. `slack`: how far back a base may lie. `cohorts`: those that count, if events
    are labels that come late; series without a cohort always count.
    """

    def __init__(self, plan: SliPlan, *, scrape: float, slack: float, cohorts: Cohorts | None = None) -> None:
        self._cohorts = cohorts
        terms = [(term, term.sign, 0, 0) for term in plan.total] + [(term, 0, term.sign, 0) for term in plan.bad]
        if plan.predicted and cohorts:
            terms.append((plan.predicted, 0, 0, plan.predicted.sign))
        buckets = {(t.selector.metric, t.boundary) for t in plan.bad if t.boundary is not None}
        self._buckets = tuple((name, le, name.removesuffix("_bucket") + "_count") for name, le in sorted(buckets))
        # By metric: what a name does not tell need not be looked at. Others of a histogram show its buckets.
        self._terms: dict[str, list[tuple[Matcher, int, int, int]]] = {
            name: [] for metric, _, sibling in self._buckets for name in (metric, sibling)
        }
        for term, total, bad, predicted in terms:
            self._terms.setdefault(term.selector.metric, []).append((Matcher.of(term), total, bad, predicted))
        self._patience = STALE_SCRAPES * scrape
        self._slack = slack
        self._rest = (0.0, 0.0)
        self._gains: dict[Target, deque[float]] = {}
        self.newest: float | None = None

    @property
    def carried(self) -> float:
        """Bad events that the total had no room for (below 0: good ones too many)."""
        return self._rest[1]

    def forget(self) -> None:
        """Carry nothing over and know no usual gains: a new step begins."""
        self._rest = (0.0, 0.0)
        self._gains.clear()

    def prepare(self, series: Iterable[Series]) -> ArmSamples:
        """Match the series of this arm; those that no term wants only prove scrapes."""
        counters: list[Counter] = []
        up, known = KnownTargets(), KnownTargets()
        for one in series:
            labels = one.labels
            name, target = labels.get("__name__", ""), target_of(labels)
            known.add(one, target)
            if name == UP:
                up.add(one, target)
            terms = self._terms.get(name)
            if terms is None:
                continue
            total = bad = predicted = 0
            for matcher, in_total, in_bad, in_predicted in terms:
                if matcher.matches(labels):
                    total, bad, predicted = total + in_total, bad + in_bad, predicted + in_predicted
            cohort = cohort_of(labels) if self._cohorts else None
            predicted = 0 if cohort is None else predicted
            le = boundary_of(labels) if self._buckets else None
            counters.append(Counter(Track.of(one, target), name, le, total, bad, predicted, cohort))
        return ArmSamples(tuple(counters), up, known)

    def read(
        self,
        arm: ArmSamples,
        t0: float,
        t1: float,
        *,
        known: KnownTargets,
        judged: Callable[[Target], bool],
        lazy: bool = False,
    ) -> Tick:
        """The tick (t0, t1]. `known`: scrapes of both arms. Targets not `judged` (too young) add nothing.

        `lazy`: the arm has no targets of its own (it is a label of somebody else's counter), so it may lack series
        just for want of requests. Bad events beyond the total wait for the next tick.
        """
        newest = arm.newest(t1)
        if newest is not None:
            self.newest = newest if self.newest is None else max(newest, self.newest)
        gap = self._gap(arm, t0, t1, known, lazy=lazy)
        if gap is not None:
            return gap
        each: dict[Target, tuple[float, float]] = {}
        parts: dict[float, dict[Target, tuple[float, float]]] = {}
        partial = False
        # Without a fresh total there is no gap only when its targets are well: nobody has asked them yet.
        sampled = not self._fresh(t1) and (arm.up.alive(t0, t1) or (lazy and known.alive(t0, t1)))
        gains: dict[Target, float] = {}
        for counter in arm.counters:
            target = counter.track.target
            if self._cohorts and not self._counts(counter, t0, t1, known):
                continue
            if not (counter.total or counter.bad):
                continue
            if not judged(target):
                partial = partial or counter.track.seen(t0, t1)
                continue
            gain = self._gain(counter, t0, t1, known)
            if gain is None:
                continue
            if gain.reset and is_fake_reset(gain, self._gains.get(target, ())):
                return NoTick(NoDataCause.REJECTED)
            n, e = each.get(target, (0.0, 0.0))
            each[target] = (n + counter.total * gain.value, e + counter.bad * gain.value)
            if self._cohorts:
                part = parts.setdefault(NO_COHORT if counter.cohort is None else counter.cohort, {})
                n, e = part.get(target, (0.0, 0.0))
                part[target] = (n + counter.total * gain.value, e + counter.bad * gain.value)
            if counter.total:
                sampled = True
                gains[target] = gains.get(target, 0.0) + gain.value
        for target, gained in gains.items():
            self._gains.setdefault(target, deque(maxlen=HISTORY)).append(gained)
        tick = self._clamped([(target, n, e) for target, (n, e) in each.items()], sampled, partial)
        return replace(tick, parts=_parts(parts, tick)) if parts.keys() - {NO_COHORT} else tick

    def _counts(self, counter: Counter, t0: float, t1: float, known: KnownTargets) -> bool:
        """Whether a series counts in this tick. What it says of a cohort's predictions and labels is taken note of,
        young targets or not: a label may arrive anywhere.
        """
        cohorts, cohort = self._cohorts, counter.cohort
        if cohorts is None or cohort is None or not (counter.total or counter.bad or counter.predicted):
            return True
        if not counter.track.seen(t0, t1) or not cohorts.counts(cohort, t0, t1):
            return False
        gain = self._gain(counter, t0, t1, known)
        if gain is not None:
            cohorts.add(cohort, predicted=counter.predicted * gain.value, labelled=counter.total * gain.value)
        return True

    def _gain(self, counter: Counter, t0: float, t1: float, known: KnownTargets) -> Increase | None:
        based = counter.track.based(t0, self._slack)
        new = not based and known.born_at_zero(counter.track.target, t0, t1, slack=self._slack)
        return increase(counter.track, t0, t1, slack=self._slack, from_zero=new)

    def _gap(self, arm: ArmSamples, t0: float, t1: float, known: KnownTargets, *, lazy: bool) -> NoTick | None:
        """Why this tick has no data, or None when it has."""
        limit = t1 - self._patience
        rejected = [c.track for c in arm.counters if c.track.rejected and (c.total or c.bad) and c.track.odd(limit, t1)]
        if self._fresh(t1):
            for track in rejected:
                newest = track.newest(t1)
                if newest is None or newest < limit:
                    return NoTick(NoDataCause.REJECTED)
            mismatch = self._mismatch(arm, t0, t1)
            return NoTick(NoDataCause.MISSING, mismatch) if mismatch else None
        if rejected:
            return NoTick(NoDataCause.REJECTED)
        if lazy and known.alive(limit, t1):
            return None
        if self.newest is not None:
            return NoTick(NoDataCause.STALE)
        return None if arm.up.alive(limit, t1) else NoTick(NoDataCause.MISSING)

    def _fresh(self, t1: float) -> bool:
        return self.newest is not None and self.newest >= t1 - self._patience

    def _mismatch(self, arm: ArmSamples, t0: float, t1: float) -> str:
        """A bucket that the plan counts on and a histogram of this arm lacks; empty when all is well.

        A histogram shows its buckets with its `_count`: one without the other means other boundaries. With another
        total, no bucket may just mean no success so far, which is a count of zero.
        """
        for metric, le, sibling in self._buckets:
            held = {c.track.target for c in arm.counters if c.metric == metric and c.le == le and c.track.seen(t0, t1)}
            for counter in arm.counters:
                if counter.metric == sibling and counter.track.target not in held and counter.track.seen(t0, t1):
                    return f'{metric} has no bucket le="{le:g}" on {counter.track.target[3] or counter.track.target[1]}'
        return ""

    def _clamped(self, each: Sequence[PodCounts], sampled: bool, partial: bool) -> TickCounts:
        events = whole(sum(n for _, n, _ in each) + self._rest[0])
        bad = whole(sum(e for _, _, e in each) + self._rest[1])
        fits = max(0, floor(events))
        counted = min(max(0, floor(bad)), fits)
        self._rest = (events - fits, bad - counted)
        return TickCounts(fits, counted, sampled, partial, pods=tuple(each))


def _parts(
    parts: Mapping[float, Mapping[Target, tuple[float, float]]], tick: TickCounts
) -> tuple[tuple[float, TickCounts], ...]:
    """A tick by cohort, oldest first."""
    found = []
    for cohort in sorted(parts):
        pods = [(target, n, min(max(e, 0.0), n)) for target, (n, e) in parts[cohort].items() if n > 0]
        n, e = floor(whole(sum(n for _, n, _ in pods))), floor(whole(sum(e for _, _, e in pods)))
        found.append((cohort, replace(tick, n=n, e=e, pods=tuple(pods))))
    return tuple(found)
