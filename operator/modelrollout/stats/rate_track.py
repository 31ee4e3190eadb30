"""One SLI without a total over a rollout: samples in, a comparison of rates and a verdict out.

Such an SLI is a guard. Nothing may happen in either arm for ever, and then nothing can be proven, so it never keeps a
step waiting for evidence: it passes while there is data and no evidence of harm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from modelrollout.core.model import FULL, Counts, Sli, Verdict, Weight
from modelrollout.core.observation import DOUBT, EvidenceUnreachable, NoDataCause, SliAssessment, SliCheckpoint
from modelrollout.core.plan import SliPlan
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from modelrollout.stats.ages import Ages
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.judge import LEAST_STRATA, SILENT_TICKS, few
from modelrollout.stats.occurrences import UNCOUNTED, ArmEventSamples, Happened, Jobs, OccurrenceReader, judged_apart
from modelrollout.stats.rates import RateComparison, RateFindings, RateStratum, understood
from modelrollout.stats.ticks import NUDGE, NoTick
from modelrollout.stats.track import ArmSeries, Timing

_Pair = tuple[Happened | NoTick, Happened | NoTick]


class RateTrack:
    """Counts and comparison of one SLI without a total.

    `weight`: the candidate's, at this step; None when nobody knows it. `last`: no step follows, so there is nothing to
    compare with and only data are asked for. `limit`: evidence that a FAIL takes, in nats.
    """

    def __init__(
        self,
        sli: Sli,
        plan: SliPlan,
        timing: Timing,
        *,
        since: float,
        weight: Weight | None,
        last: bool,
        limit: float,
        checkpoint: SliCheckpoint | None,
    ) -> None:
        per = sli.source.per if isinstance(sli.source, Counts) else None
        assert per is not None, "an SLI with a total has another track"
        self.sli = sli
        self._per = per
        self._timing = timing
        jobs = Jobs()
        self._candidate = OccurrenceReader(plan, jobs, scrape=timing.scrape, slack=timing.slack)
        self._legacy = OccurrenceReader(plan, jobs, scrape=timing.scrape, slack=timing.slack)
        self._ages = Ages(warmup=timing.warmup, slack=timing.slack)
        self._share = None if weight is None else weight / FULL
        self._last = last
        self._limit = limit
        self.begin = timing.grid.first_from(since)
        carried = checkpoint.values if checkpoint and understood(checkpoint.values) else ()
        self.comparison = RateComparison(sli.margin.ratio, carried)
        self._told = checkpoint.tick if checkpoint and carried else 0.0
        self._open: list[_Pair] = []
        self._missing = 0
        self._newest: _Pair | None = None
        self._uncounted = False
        self.unread: deque[RateStratum] = deque()
        self.next = self.begin
        self.latest: int | None = None
        self.cold = True
        self.failure: EvidenceUnreachable | None = None

    @property
    def checkpoint(self) -> SliCheckpoint:
        """The evidence as of the newest whole stratum; complete once `unread` is empty."""
        return SliCheckpoint(self.sli.name, self._told, self.comparison.carried())

    def read(self, answer: ArmSeries, first: int, last: int) -> None:
        """Count the ticks from `first` to `last`; `answer` holds all samples from slack before on."""
        if first > self.next:
            self._open.clear()
        known = KnownTargets((*answer.legacy, *answer.candidate))
        candidate, legacy = self._candidate.prepare(answer.candidate), self._legacy.prepare(answer.legacy)
        lazy = judged_apart(self.sli.arms is not None, candidate, legacy)
        self._uncounted = lazy and self._per is Exposure.REPLICAS
        for tick in range(first, last + 1):
            if tick == self.begin:
                self._candidate.forget()
                self._legacy.forget()
            pair = self._tick(candidate, legacy, tick, known, lazy=lazy)
            self._close(pair, tick)
            if tick >= self.begin:
                self.latest, self._newest = tick, pair
                self._missing = self._missing + 1 if isinstance(pair[0], NoTick) else 0
        self.next = last + 1
        self.cold = False

    def _tick(
        self, candidate: ArmEventSamples, legacy: ArmEventSamples, tick: int, known: KnownTargets, *, lazy: bool
    ) -> _Pair:
        t0, t1 = self._timing.grid.start(tick), self._timing.grid.end(tick)
        self._ages.advance(known, t1)
        step = self._timing.grid.start(self.begin)
        ripe = {t for t in known.scrapes if self._ages.ripe(t, t0, step=step)}
        return (
            self._candidate.read(candidate, t0, t1, known=known, judged=ripe.__contains__, lazy=lazy),
            self._legacy.read(legacy, t0, t1, known=known, judged=ripe.__contains__, lazy=lazy),
        )

    def _close(self, pair: _Pair, tick: int) -> None:
        """When a stratum is whole, hand it to the comparison; each of them once."""
        grid, width = self._timing.grid, self._timing.stratum
        self._open.append(pair)
        if tick % width:
            return
        stratum, self._open = self._open, []
        first = tick - width + 1
        if first >= self.begin and grid.start(first) >= self._told - NUDGE:
            self._told = grid.end(tick)
            self.unread.append(self._stratum(stratum, grid.end(tick)))

    def _stratum(self, stratum: list[_Pair], end: float) -> RateStratum:
        both = [(c, g) for c, g in stratum if isinstance(c, Happened) and isinstance(g, Happened)]
        seconds = len(both) * self._timing.grid.interval
        share = None if self._share is None else (self._share, 1.0 - self._share)
        own = self._arm([c for c, _ in both], seconds, share[0] if share else None)
        other = self._arm([g for _, g in both], seconds, share[1] if share else None)
        return RateStratum(
            own,
            other,
            end=end,
            judged=len(both) == len(stratum) and not (self._last or self._uncounted),
            chi=sum(g.chi for _, g in both),
            degrees=sum(g.degrees for _, g in both),
        )

    def _arm(self, ticks: list[Happened], seconds: float, share: float | None) -> ArmEvents:
        """Events and exposure of one arm. Of its share of the traffic, replicas that are too young take their part."""
        events, exposure = sum(tick.events for tick in ticks), sum(tick.exposure for tick in ticks)
        if self._per is Exposure.REPLICAS:
            return ArmEvents(events, exposure)
        present = sum(tick.present for tick in ticks)
        part = exposure / present if present else 1.0
        return ArmEvents(events, seconds * share * part if share is not None else 0.0)

    def assess(self, now: float) -> SliAssessment:
        """The verdict with its numbers: FAIL for certain harm, PASS for data without a sign of it."""
        found = self.comparison.findings()
        gap, note = self._gap(), self._note(found)
        verdict = Verdict.WAIT
        if found.fails(self._limit):
            verdict = Verdict.FAIL
        elif gap is not None:
            verdict = Verdict.NO_DATA
        elif self._uncounted:
            verdict = Verdict.INVALID
        elif found.worse < DOUBT and not note and self._newest and isinstance(self._newest[0], Happened):
            verdict = Verdict.PASS
        newest = self._candidate.newest
        rates = Rates(
            self._per,
            found.candidate,
            found.legacy,
            None if found.ratio is None else few(found.ratio),
            few(found.worse),
            few(self._limit),
        )
        return SliAssessment(
            self.sli.name,
            self.sli.critical,
            verdict,
            candidate=None,
            legacy=None,
            allowed=None,
            sample_age=None if newest is None else max(0.0, now - newest),
            no_data=gap.cause if verdict is Verdict.NO_DATA and gap else None,
            note=UNCOUNTED if self._uncounted else "" if verdict is Verdict.FAIL else note,
            margin=replace(self.sli.margin, difference=0.0),
            rates=rates,
        )

    def _gap(self) -> NoTick | None:
        """Why there is no data, once that is more than one odd tick."""
        newest, legacy = self._newest or (None, None)
        if not isinstance(newest, NoTick):
            return None
        if self._missing < SILENT_TICKS and newest.cause is not NoDataCause.STALE:
            return None
        return NoTick(NoDataCause.BOTH_ARMS) if isinstance(legacy, NoTick) else newest

    def _note(self, found: RateFindings) -> str:
        """What keeps the arms from being compared at all; that is no lack of events but one of data."""
        if self._last or found.strata >= LEAST_STRATA:
            return ""
        if self._per is Exposure.WEIGHT and self._share is None:
            return ""
        if self._newest and isinstance(self._newest[1], NoTick):
            return "no data from legacy to compare with"
        return "nothing compared yet"
