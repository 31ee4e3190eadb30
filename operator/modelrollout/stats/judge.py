"""From counts to a verdict on one SLI. Nothing here knows of samples; nothing in `ticks` knows of verdicts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log

from modelrollout.core.model import BurnAction, BurnTier, Margin, RolloutSpec, Sli, Verdict
from modelrollout.core.observation import (
    DOUBT,
    ArmCounts,
    Attribution,
    Effect,
    HardGuardFinding,
    Interval,
    NoDataCause,
    Odds,
    SliAssessment,
    TierFinding,
)
from modelrollout.stats.cohorts import Coverage
from modelrollout.stats.guards import (
    HARD_EVENTS,
    attribute,
    attribute_outage,
    counts_of,
    events_for_pass,
    find_tier,
    hard_guard,
    least_legacy,
    newest_ticks,
    sum_counts,
)
from modelrollout.stats.sequential import Findings
from modelrollout.stats.ticks import NoTick, Tick, TickCounts, TickGrid, TickPair
from modelrollout.stats.windows import Sums, last_ticks, strata_of

BLAMED = (Attribution.CANDIDATE, Attribution.UNAVAILABLE)
SILENT_TICKS = 2
OUTAGE_WINDOW = 60.0
"""Seconds over which the arms are compared when the hard guard is true and legacy is in trouble too; with few requests
the guard looks further back, and then so does the comparison."""
OUTAGE_STRATA = 6
"""The same in strata, at least: with slow scrapes a minute holds too few."""
LEAST_STRATA = 2
EXPECTED_EVENTS = 5.0
"""Silence is news once this many events were to be expected (seven in a thousand silences are chance then)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one SLI in this step.

    `ticks`: oldest first, no more than the longest burn window. `candidate`, `legacy`: all events of the step.
    `newest`: time of the candidate's newest sample. `carried`: bad events that found no room in the total.
    `findings`: of the comparison of the arms. `sums`: of the candidate's ticks, up to the newest; worked out where they
    are not at hand. `coverage`: predictions that have their label, where there are cohorts. `unsettled`: ticks between
    the raise and this step's evidence, which the hard guard alone looks at.
    """

    ticks: Sequence[TickPair]
    candidate: ArmCounts
    legacy: ArmCounts
    newest: float | None
    carried: float = 0.0
    findings: Findings | None = None
    sums: Sums | None = None
    coverage: Coverage | None = None
    unsettled: Sequence[TickPair] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Evidence that a verdict takes, in nats: FAIL for the whole rollout, PASS for a step."""

    worse: float
    fine: float


def limits_of(spec: RolloutSpec) -> Limits:
    """The limits of every SLI: the risk of a false rollback is shared out equally among the critical ones (Bonferroni);
    a false promotion takes all of them at once, so each may be wrong with the whole risk.
    """
    critical = max(1, sum(sli.critical for sli in spec.slis))
    return Limits(log(critical / spec.analysis.false_rollback), log(1 / spec.analysis.false_promote))


class Judge:
    """Judges one SLI by the comparison of the arms, burn tiers (G1), their attribution (G2) and the hard guard.

    `late`: its events arrive with delay (labels), so that their absence says nothing about traffic. `step`: margin
    that this step is passed against; None when no step follows, at full weight: there is no legacy to compare with, and
    a PASS takes `events_for_pass` within the objective.
    """

    def __init__(
        self,
        sli: Sli,
        tiers: Sequence[BurnTier],
        grid: TickGrid,
        *,
        stratum: int,
        late: bool,
        limits: Limits,
        step: Margin | None,
        split_holds: bool = True,
    ) -> None:
        assert sli.allowed is not None, "an SLI without an objective is no matter of shares"
        self._sli = sli
        self._split_holds = split_holds
        self._allowed = allowed = sli.allowed
        # With the lengths of both windows in ticks; the short one is no longer than the long one.
        self._tiers = [
            (
                tier,
                least_legacy(allowed, tier.factor),
                grid.ticks_in(tier.long),
                grid.ticks_in(min(tier.long, tier.short)),
            )
            for tier in tiers
        ]
        self._grid = grid
        self._stratum = stratum
        self._late = late
        self._shortest = grid.ticks_in(min((tier.short for tier in tiers), default=60.0))
        self._limits = limits
        self._step = step
        self._needed = events_for_pass(allowed, tiers)

    def assess(self, reading: Reading, now: float) -> SliAssessment:
        """The verdict with its numbers. FAIL is the candidate's fault; PASS takes evidence and no true tier."""
        hard = self._hard([*reading.unsettled, *reading.ticks] if reading.unsettled else reading.ticks)
        sums = reading.sums or Sums(pair.candidate for pair in reading.ticks)
        tiers = tuple(finding for each in self._tiers if (finding := self._tier(reading, sums, *each)))
        blamed = any(f.tier.action is BurnAction.ROLLBACK and f.attribution in BLAMED for f in tiers)
        gap = self._gap(reading.ticks)
        found = reading.findings
        short = self._shortfall(reading)
        worse = found is not None and found.fails(self._limits.worse)
        if blamed or worse or (hard and hard.attribution in BLAMED):
            verdict = Verdict.FAIL
        elif gap is not None:
            verdict = Verdict.INVALID if gap.mismatch else Verdict.NO_DATA
        elif found is not None and found.split and self._split_holds and not found.split.slight:
            verdict = Verdict.INVALID
        elif self._enough(reading) and not (tiers or hard or short) and self._has_data(reading.ticks):
            verdict = Verdict.PASS
        else:
            verdict = Verdict.WAIT
        recent = self._sum(reading.ticks, sums, self._shortest)
        return SliAssessment(
            name=self._sli.name,
            critical=self._sli.critical,
            verdict=verdict,
            candidate=reading.candidate,
            legacy=reading.legacy,
            allowed=self._allowed,
            burn=None if recent.ratio is None else recent.ratio / self._allowed,
            needed=self._to_pass(reading),
            sample_age=None if reading.newest is None else max(0.0, now - reading.newest),
            no_data=gap.cause if verdict is Verdict.NO_DATA and gap else None,
            hard_guard=hard,
            tiers=tiers,
            note=self._note(reading, gap) or ("" if verdict is Verdict.FAIL else short),
            split=None if found is None else found.split,
            effect=None if found is None else _rounded(found.effect),
            margin=self._sli.margin,
            odds=self._odds(found) if found and (worse or self._step) else None,
        )

    def _enough(self, reading: Reading) -> bool:
        """Whether the evidence of this step is enough to go on."""
        found = reading.findings
        if self._step is None or found is None:
            return reading.candidate.total >= self._needed
        return (
            found.fine >= self._limits.fine
            and found.worse < DOUBT
            and found.strata >= LEAST_STRATA
            and reading.candidate.total >= HARD_EVENTS
        )

    def _shortfall(self, reading: Reading) -> str:
        """Which labels are missing for a PASS; empty when none, and where nobody can know."""
        if self._sli.labels is None or reading.coverage is None:
            return ""
        return reading.coverage.shortfall(self._sli.labels.min_coverage, alone=self._step is None)

    def _to_pass(self, reading: Reading) -> int:
        if self._step is None or reading.findings is None:
            return self._needed
        return max(HARD_EVENTS, ceil(reading.findings.needed))

    def _odds(self, found: Findings) -> Odds:
        margin = self._step or self._sli.margin
        limits = self._limits
        return Odds(few(found.worse), few(limits.worse), few(found.fine), few(limits.fine), margin)

    def _sum(self, ticks: Sequence[TickPair], sums: Sums, count: int) -> ArmCounts:
        """The candidate's events in a window of so many ticks."""
        if not ticks:
            return ArmCounts(0, 0)
        after, whole = ticks[-1].tick - count, max(0, len(ticks) - count)
        return sums.newest(len(ticks) - bisect_right(ticks, after, whole, key=lambda pair: pair.tick))

    def _hard(self, ticks: Sequence[TickPair]) -> HardGuardFinding | None:
        # The guard looks no further back than to the 20th event.
        candidate: list[Tick] = []
        events = 0
        for pair in reversed(ticks):
            candidate.append(pair.candidate)
            events += counts_of(pair.candidate).total
            if events >= HARD_EVENTS:
                break
        candidate.reverse()
        found = hard_guard(candidate, self._allowed)
        if found is None:
            return None
        # Legacy's last scrape may be older than the candidate's by an interval.
        same_time = ticks[-len(newest_ticks(candidate)) - self._stratum :]
        last = max(self._grid.ticks_in(OUTAGE_WINDOW), OUTAGE_STRATA * self._stratum, len(same_time))
        strata = strata_of(last_ticks(ticks, last), self._stratum)
        legacy = sum_counts(pair.legacy for pair in same_time)
        return replace(found, attribution=attribute_outage(strata, legacy, self._allowed))

    def _tier(
        self, reading: Reading, sums: Sums, tier: BurnTier, least: int, long: int, short: int
    ) -> TierFinding | None:
        ticks, found = reading.ticks, reading.findings

        def blame() -> Attribution:
            strata = strata_of(last_ticks(ticks, long), self._stratum)
            return attribute(strata, self._allowed, least, worse=found is not None and found.fails(DOUBT))

        return find_tier(
            tier,
            long=self._sum(ticks, sums, long),
            short=self._sum(ticks, sums, short),
            allowed=self._allowed,
            blame=blame,
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
            if missing < SILENT_TICKS and last.cause is not NoDataCause.STALE:
                return None
            # Both arms come by the same scrapes: what takes both away is not the candidate's doing.
            both = isinstance(ticks[-1].legacy, NoTick) and not last.mismatch
            return NoTick(NoDataCause.BOTH_ARMS) if both else last
        return NoTick(NoDataCause.NO_TRAFFIC) if not self._late and _silent(ticks) else None

    def _has_data(self, ticks: Sequence[TickPair]) -> bool:
        return bool(ticks) and isinstance(ticks[-1].candidate, TickCounts)

    def _note(self, reading: Reading, gap: NoTick | None) -> str:
        if gap is not None and gap.mismatch:
            return gap.mismatch
        if reading.carried >= 1:
            return f"{reading.carried:g} bad events more than events in all: `bad` must be a part of `total`"
        if self._late and reading.coverage is None and _silent(reading.ticks):
            return "no labels have arrived yet" if not reading.candidate.total else "no new labels"
        return ""


def few(value: float) -> float:
    """Digits that people and a status need."""
    return float(f"{value:.5g}")


def _rounded(effect: Effect | None) -> Effect | None:
    if effect is None:
        return None

    def rounded(interval: Interval) -> Interval:
        return Interval(*(None if v is None else few(v) for v in (interval.value, interval.low, interval.high)))

    size = None if effect.size is None else few(effect.size)
    return Effect(rounded(effect.ratio), rounded(effect.difference), size)


def _silent(ticks: Sequence[TickPair]) -> bool:
    """Whether scrapes of the candidate go on while its requests have stopped or never came.

    With few requests, empty ticks are normal: silence counts only when it is longer than the traffic before explains.
    """
    quiet = busy = events = 0
    for pair in reversed(ticks):
        tick = pair.candidate
        if isinstance(tick, TickCounts) and tick.sampled:
            events += tick.n
            if not events:
                quiet += 1
            elif quiet < SILENT_TICKS:
                return False
            else:
                busy += 1
    return quiet >= SILENT_TICKS and quiet * events >= EXPECTED_EVENTS * busy
