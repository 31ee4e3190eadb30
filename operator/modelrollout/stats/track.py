"""Counts of one SLI over a rollout: samples in, ticks and a ledger out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from modelrollout.core.model import Margin, Sli
from modelrollout.core.observation import ArmCounts, EvidenceUnreachable, LedgerState, SliCheckpoint
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.stats.ages import Ages
from modelrollout.stats.cohorts import NO_COHORT, Cohorts, bunches
from modelrollout.stats.dispersion import by_pod, pearson
from modelrollout.stats.guards import sum_counts
from modelrollout.stats.judge import Reading
from modelrollout.stats.ledger import attributed, book
from modelrollout.stats.sequential import Comparison, Stratum, understood
from modelrollout.stats.ticks import (
    NUDGE,
    STALE_SCRAPES,
    ArmReader,
    NoTick,
    TickCounts,
    TickGrid,
    TickPair,
    stratum_ticks,
)
from modelrollout.stats.windows import Sums

RECENT = 60.0
"""Seconds over which legacy's usual share and the rate of cost are taken."""
LEAD = 300.0
"""Seconds before a step from which ticks are read when its checkpoint is older (the start waited for people)."""


@dataclass(frozen=True, slots=True)
class ArmSeries:
    """All series of the plan's metrics, by arm. Series of `up` and of process start times are welcome: they tell a
    target that has nothing to count yet from one that is not there.
    """

    legacy: Sequence[Series]
    candidate: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Timing:
    """What all SLIs of a rollout share, in seconds. `longest`: the longest burn window."""

    grid: TickGrid
    warmup: float
    scrape: float
    longest: float

    @property
    def slack(self) -> float:
        """How far before a tick a base may lie: as long as a sample is not stale."""
        return STALE_SCRAPES * self.scrape

    @property
    def stratum(self) -> int:
        """Ticks that a scrape interval takes."""
        return stratum_ticks(self.scrape, self.grid.interval)


class Lately(NamedTuple):
    """A stratum of the last minute, ending with `tick`: its ticks, legacy's events, what the candidate cost in it."""

    tick: int
    ticks: int
    legacy: ArmCounts
    cost: float


class SliTrack:
    """Counts of one SLI: the ticks of the longest window, the sums of the step, its ledger, and the comparison of arms.

    Ticks from the checkpoint on are read once; only those of the step itself are judged, the others teach what legacy's
    usual share is. `raised`: when the weight was raised for this step, epoch seconds; the hard guard looks at the ticks
    since then too. None when the candidate had no requests before. `skip`: ticks before that moment are not read.
    """

    def __init__(
        self,
        sli: Sli,
        plan: SliPlan,
        timing: Timing,
        *,
        since: float,
        step: Margin,
        promised: float | None,
        ledger: LedgerState,
        checkpoint: SliCheckpoint | None,
        raised: float | None = None,
        skip: float | None = None,
    ) -> None:
        assert sli.allowed is not None, "an SLI without an objective has another track"
        self.sli = sli
        self._allowed = sli.allowed
        self._timing = timing
        labels = sli.labels
        self._cohorts = (Cohorts(since, labels.max_delay), Cohorts(since, labels.max_delay)) if labels else None
        ours, theirs = self._cohorts or (None, None)
        self._candidate = ArmReader(plan, scrape=timing.scrape, slack=timing.slack, cohorts=ours)
        self._legacy = ArmReader(plan, scrape=timing.scrape, slack=timing.slack, cohorts=theirs)
        self._ages = Ages(warmup=timing.warmup, slack=timing.slack)
        self._ticks: deque[TickPair] = deque(maxlen=timing.grid.ticks_in(timing.longest))
        self._running = Sums(most=timing.grid.ticks_in(timing.longest))
        self._open: list[TickPair] = []
        self._lately: deque[Lately] = deque()
        self._newest: float | None = None
        self._since = since
        self.begin = timing.grid.first_from(since)
        # The tick that a raise falls into has no verdict either, so it is one of them.
        self._guarded = self.begin if raised is None else timing.grid.first_from(raised) - 1
        self._sums = (ArmCounts(0, 0), ArmCounts(0, 0))
        self.ledger = ledger
        carried = checkpoint.values if checkpoint and understood(checkpoint.values) else ()
        self.comparison = Comparison(sli.margin, carried)
        self.comparison.begin(step, promised=promised)
        self._told = checkpoint.tick if checkpoint and carried else 0.0
        self.unread: deque[Stratum] = deque()
        self.next = min(
            self.begin,
            timing.grid.first_from(max(self._told, since - LEAD)) if self._told else self.begin,
            timing.grid.first_from(ledger.tick) if ledger.tick else self.begin,
        )
        if skip is not None:
            self.next = max(self.next, timing.grid.first_from(skip))
        self.cold = True
        self.failure: EvidenceUnreachable | None = None

    @property
    def checkpoint(self) -> SliCheckpoint:
        """The evidence as of the newest whole stratum; complete once `unread` is empty."""
        return SliCheckpoint(self.sli.name, self._told, self.comparison.carried())

    def step_ticks(self) -> list[TickPair]:
        """Ticks of this step, oldest first."""
        if not self._ticks or self._ticks[0].tick >= self.begin:
            return list(self._ticks)
        return [pair for pair in self._ticks if pair.tick >= self.begin]

    def unsettled_ticks(self) -> list[TickPair]:
        """Ticks from the raise until this step's evidence begins, oldest first; none in a rollout's first step."""
        if not self._ticks or self._ticks[0].tick >= self.begin:
            return []
        return [pair for pair in self._ticks if self._guarded <= pair.tick < self.begin]

    @property
    def latest(self) -> int | None:
        """The newest tick of this step; None before the first."""
        return self._ticks[-1].tick if self._ticks and self._ticks[-1].tick >= self.begin else None

    def reading(self) -> Reading:
        """What the judge may know."""
        return Reading(
            self.step_ticks(),
            self._sums[0],
            self._sums[1],
            self._newest,
            self._candidate.carried,
            self.comparison.findings(),
            self._running,
            self._cohorts[0].coverage(self._cohorts[1]) if self._cohorts else None,
            self.unsettled_ticks(),
        )

    def read(self, answer: ArmSeries, first: int, last: int) -> None:
        """Count the ticks from `first` to `last`; `answer` holds all samples from slack before on."""
        grid = self._timing.grid
        if first > self.next:
            self._open.clear()
            for cohorts in self._cohorts or ():
                cohorts.skip_to(grid.start(first))
        candidate, legacy = self._candidate.prepare(answer.candidate), self._legacy.prepare(answer.legacy)
        known = legacy.known.joined(candidate.known)
        # A label of the targets themselves is on their `up` too; then an arm without series is an arm not scraped.
        lazy = self.sli.arms is not None and not (candidate.up.scrapes or legacy.up.scrapes)
        newest = candidate.newest(inf)
        if newest is not None:
            self._newest = newest if self._newest is None else max(newest, self._newest)
        for tick in range(first, last + 1):
            t0, t1 = grid.start(tick), grid.end(tick)
            if tick == self.begin:
                self._candidate.forget()
                self._legacy.forget()
            self._ages.advance(known, t1)
            step = grid.start(self.begin if tick >= self.begin else self._guarded)
            ripe = {t for t in known.scrapes if self._ages.ripe(t, t0, step=step)}
            pair = TickPair(
                tick,
                self._candidate.read(candidate, t0, t1, known=known, judged=ripe.__contains__, lazy=lazy),
                self._legacy.read(legacy, t0, t1, known=known, judged=ripe.__contains__, lazy=lazy),
            )
            self._ticks.append(_lean(pair))
            self._running.add(pair.candidate)
            if tick >= self.begin:
                self._sums = (_plus(self._sums[0], pair.candidate), _plus(self._sums[1], pair.legacy))
            self._close(pair)
        self.next = last + 1
        self.cold = False

    def _close(self, pair: TickPair) -> None:
        """When a stratum is whole, charge it to the ledger and hand it to the comparison; each of them once."""
        grid, width = self._timing.grid, self._timing.stratum
        self._open.append(pair)
        if pair.tick % width:
            return
        stratum, self._open = self._open, []
        first = pair.tick - width + 1
        recent = self._remember(stratum)
        if grid.start(stratum[0].tick) >= self.ledger.tick - NUDGE and pair.tick > 0:
            self._book(stratum, recent)
        if grid.start(first) >= self._told - NUDGE:
            self._told = grid.end(pair.tick)
            self.unread.extend(self._strata(stratum, judged=first >= self.begin))

    def _strata(self, stratum: Sequence[TickPair], *, judged: bool) -> list[Stratum]:
        """What the comparison is told of this time: labels of each cohort apart, the oldest first."""
        ticks = [tick for pair in stratum for tick in (pair.candidate, pair.legacy) if isinstance(tick, TickCounts)]
        cohorts = {cohort for tick in ticks for cohort, _ in tick.parts}
        if not cohorts:
            return [self._stratum(stratum, judged=judged)]
        if any(tick.n and not tick.parts for tick in ticks):
            cohorts.add(NO_COHORT)
        found = [
            self._stratum(
                [TickPair(pair.tick, _of(pair.candidate, bunch), _of(pair.legacy, bunch)) for pair in stratum],
                judged=judged,
            )
            for bunch in bunches(sorted(cohorts))
        ]
        seconds = found[0].seconds / len(found)
        return [replace(one, seconds=seconds, first=index == 0) for index, one in enumerate(found)]

    def _stratum(self, stratum: Sequence[TickPair], *, judged: bool) -> Stratum:
        legacy = [p.legacy for p in stratum if isinstance(p.legacy, TickCounts)]
        candidate = [p.candidate for p in stratum if isinstance(p.candidate, TickCounts)]
        pods = by_pod(tick.pods for tick in legacy)
        chi, degrees = pearson(pods)
        return Stratum(
            sum_counts(candidate),
            sum_counts(legacy),
            end=self._timing.grid.end(stratum[-1].tick),
            seconds=self._timing.stratum * self._timing.grid.interval,
            judged=judged,
            chi=chi,
            degrees=degrees,
            pods=(max(1, len(by_pod(tick.pods for tick in candidate))), max(1, len(pods))),
            whole=len(candidate) == len(legacy) == len(stratum) and not any(t.partial for t in (*candidate, *legacy)),
        )

    def _remember(self, stratum: Sequence[TickPair]) -> ArmCounts:
        """Legacy's events of the last minute of this step, this stratum included; before it, those of the stratum."""
        candidate, legacy = sum_counts(p.candidate for p in stratum), sum_counts(p.legacy for p in stratum)
        end, lately = stratum[-1].tick, self._lately
        while lately and lately[0].tick <= end - self._timing.grid.ticks_in(RECENT):
            lately.popleft()
        if stratum[0].tick < self.begin:
            return legacy
        total, bad = legacy.total, legacy.bad
        for one in lately:
            total += one.legacy.total
            bad += one.legacy.bad
        recent = ArmCounts(total, bad)
        cost, _ = attributed(candidate, legacy, recent=recent, allowed=self._allowed)
        lately.append(Lately(end, len(stratum), legacy, cost))
        return recent

    def _book(self, stratum: Sequence[TickPair], recent: ArmCounts) -> None:
        state = self.ledger
        # A stratum without data of either arm adds nothing to any statistic.
        if _has_counts(p.candidate for p in stratum) and _has_counts(p.legacy for p in stratum):
            candidate, legacy = sum_counts(p.candidate for p in stratum), sum_counts(p.legacy for p in stratum)
            state = book(state, candidate, legacy, recent=recent, allowed=self._allowed)
        self.ledger = replace(state, tick=self._timing.grid.end(stratum[-1].tick), rate=self._rate())

    def _rate(self) -> float | None:
        """Bad events a second that are the candidate's own, over the last minute of this step."""
        seconds = sum(one.ticks for one in self._lately) * self._timing.grid.interval
        return sum(one.cost for one in self._lately) / seconds if seconds else None


def _plus(counts: ArmCounts, tick: TickCounts | NoTick) -> ArmCounts:
    return ArmCounts(counts.total + tick.n, counts.bad + tick.e) if isinstance(tick, TickCounts) else counts


def _lean(pair: TickPair) -> TickPair:
    """A pair to be kept for the burn windows: cohorts and pods are told apart only once, when the stratum is closed."""
    c, g = (
        TickCounts(t.n, t.e, t.sampled, t.partial) if isinstance(t, TickCounts) else t
        for t in (pair.candidate, pair.legacy)
    )
    return TickPair(pair.tick, c, g)


def _of(tick: TickCounts | NoTick, bunch: Sequence[float]) -> TickCounts | NoTick:
    """What a tick holds of these cohorts."""
    if isinstance(tick, NoTick):
        return tick
    parts = [tick.of(cohort) for cohort in bunch]
    return replace(
        parts[0],
        n=sum(part.n for part in parts),
        e=sum(part.e for part in parts),
        pods=tuple(pod for part in parts for pod in part.pods),
    )


def _has_counts(ticks: Iterable[TickCounts | NoTick]) -> bool:
    return any(isinstance(tick, TickCounts) for tick in ticks)
