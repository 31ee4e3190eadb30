"""From counts to a verdict on one SLI. Nothing here knows of samples; nothing in `ticks` knows of verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from modelrollout.core.model import BurnAction, BurnTier, Sli, Verdict
from modelrollout.core.observation import (
    ArmCounts,
    Attribution,
    HardGuardFinding,
    NoDataCause,
    SliAssessment,
    TierFinding,
)
from modelrollout.stats.guards import (
    attribute,
    attribute_outage,
    events_for_pass,
    find_tier,
    hard_guard,
    least_legacy,
    newest_ticks,
    sum_counts,
)
from modelrollout.stats.ticks import NoTick, TickCounts, TickGrid, TickPair

BLAMED = (Attribution.CANDIDATE, Attribution.UNAVAILABLE)
SILENT_TICKS = 2
OUTAGE_WINDOW = 60.0
"""Seconds over which the arms are compared when the hard guard is true and legacy is in trouble too; with few requests
the guard looks further back, and then so does the comparison."""
OUTAGE_STRATA = 6
"""The same in strata, at least: with slow scrapes a minute holds too few."""
EXPECTED_EVENTS = 5.0
"""Silence is news once this many events were to be expected (seven in a thousand silences are chance then)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one SLI in this step.

    `ticks`: oldest first, no more than the longest burn window. `candidate`, `legacy`: all events of the step.
    `newest`: time of the candidate's newest sample. `carried`: bad events that found no room in the total.
    """

    ticks: Sequence[TickPair]
    candidate: ArmCounts
    legacy: ArmCounts
    newest: float | None
    carried: float = 0.0


def last_ticks(ticks: Sequence[TickPair], count: int) -> Sequence[TickPair]:
    """Those of the last `count` places of the grid, ending with the newest tick."""
    if not ticks:
        return ticks
    after = ticks[-1].tick - count
    return [pair for pair in ticks[-count:] if pair.tick > after]


def strata_of(ticks: Iterable[TickPair], width: int) -> list[tuple[ArmCounts, ArmCounts]]:
    """Candidate and legacy counts of the same time, in strata of `width` ticks on the grid.

    A stratum spans at least a scrape interval: in shorter ones the two arms would rarely have samples together.
    """
    groups = (list(group) for _, group in groupby(ticks, key=lambda pair: (pair.tick - 1) // width))
    return [(sum_counts(p.candidate for p in group), sum_counts(p.legacy for p in group)) for group in groups]


class Judge:
    """Judges one SLI by burn tiers (G1), their attribution (G2) and the hard guard.

    `late`: its events arrive with delay (labels), so that their absence says nothing about traffic.
    """

    def __init__(self, sli: Sli, tiers: Sequence[BurnTier], grid: TickGrid, *, stratum: int, late: bool) -> None:
        self._sli = sli
        self._tiers = [(tier, least_legacy(sli.allowed, tier.factor)) for tier in tiers]
        self._grid = grid
        self._stratum = stratum
        self._late = late
        self._shortest = min((tier.short for tier in tiers), default=60.0)
        self.needed = events_for_pass(sli.allowed, tiers)

    def assess(self, reading: Reading, now: float) -> SliAssessment:
        """The verdict with its numbers. FAIL is the candidate's fault; PASS takes `needed` events and no true tier."""
        hard = self._hard(reading.ticks)
        tiers = tuple(finding for tier, least in self._tiers if (finding := self._tier(reading, tier, least)))
        blamed = any(f.tier.action is BurnAction.ROLLBACK and f.attribution in BLAMED for f in tiers)
        gap = self._gap(reading.ticks)
        if blamed or (hard and hard.attribution in BLAMED):
            verdict = Verdict.FAIL
        elif gap is not None:
            verdict = Verdict.INVALID if gap.mismatch else Verdict.NO_DATA
        elif reading.candidate.total >= self.needed and not (tiers or hard) and self._has_data(reading.ticks):
            verdict = Verdict.PASS
        else:
            verdict = Verdict.WAIT
        recent = sum_counts(pair.candidate for pair in self._window(reading.ticks, self._shortest))
        return SliAssessment(
            name=self._sli.name,
            critical=self._sli.critical,
            verdict=verdict,
            candidate=reading.candidate,
            legacy=reading.legacy,
            allowed=self._sli.allowed,
            burn=None if recent.ratio is None else recent.ratio / self._sli.allowed,
            needed=self.needed,
            sample_age=None if reading.newest is None else max(0.0, now - reading.newest),
            no_data=gap.cause if verdict is Verdict.NO_DATA and gap else None,
            hard_guard=hard,
            tiers=tiers,
            note=self._note(reading, gap),
        )

    def _window(self, ticks: Sequence[TickPair], seconds: float) -> Sequence[TickPair]:
        return last_ticks(ticks, self._grid.ticks_in(seconds))

    def _hard(self, ticks: Sequence[TickPair]) -> HardGuardFinding | None:
        candidate = [pair.candidate for pair in ticks]
        found = hard_guard(candidate, self._sli.allowed)
        if found is None:
            return None
        # Legacy's last scrape may be older than the candidate's by an interval.
        same_time = ticks[-len(newest_ticks(candidate)) - self._stratum :]
        last = max(self._grid.ticks_in(OUTAGE_WINDOW), OUTAGE_STRATA * self._stratum, len(same_time))
        strata = strata_of(last_ticks(ticks, last), self._stratum)
        legacy = sum_counts(pair.legacy for pair in same_time)
        return replace(found, attribution=attribute_outage(strata, legacy, self._sli.allowed))

    def _tier(self, reading: Reading, tier: BurnTier, least: int) -> TierFinding | None:
        long = self._window(reading.ticks, tier.long)
        short = self._window(long, tier.short)
        return find_tier(
            tier,
            long=sum_counts(pair.candidate for pair in long),
            short=sum_counts(pair.candidate for pair in short),
            allowed=self._sli.allowed,
            blame=lambda: attribute(strata_of(long, self._stratum), self._sli.allowed, least),
        )

    def _gap(self, ticks: Sequence[TickPair]) -> NoTick | None:
        """Why there is no data, once that is more than one odd tick; None while there is."""
        missing = 0
        for pair in reversed(ticks):
            if not isinstance(pair.candidate, NoTick):
                break
            missing += 1
        if missing:
            last = ticks[-1].candidate
            assert isinstance(last, NoTick)
            return last if missing >= SILENT_TICKS or last.cause is NoDataCause.STALE else None
        return NoTick(NoDataCause.NO_TRAFFIC) if not self._late and _silent(ticks) else None

    def _has_data(self, ticks: Sequence[TickPair]) -> bool:
        return bool(ticks) and isinstance(ticks[-1].candidate, TickCounts)

    def _note(self, reading: Reading, gap: NoTick | None) -> str:
        if gap is not None and gap.mismatch:
            return gap.mismatch
        if reading.carried >= 1:
            return f"{reading.carried:g} bad events more than events in all: `bad` must be a part of `total`"
        if self._late and _silent(reading.ticks):
            return "no labels have arrived yet" if not reading.candidate.total else "no new labels"
        return ""


def _silent(ticks: Sequence[TickPair]) -> bool:
    """Whether scrapes of the candidate go on while its requests have stopped or never came.

    With few requests, empty ticks are normal: silence counts only when it is longer than the traffic before explains.
    """
    quiet = busy = events = 0
    for pair in reversed(ticks):
        tick = pair.candidate
        if isinstance(tick, TickCounts) and tick.sampled:
            events += tick.n
            if events:
                busy += 1
            else:
                quiet += 1
    return quiet >= SILENT_TICKS and quiet * events >= EXPECTED_EVENTS * busy
