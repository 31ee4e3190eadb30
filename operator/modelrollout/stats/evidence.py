"""The evidence of one rollout: which samples to read next, what they add up to, and what they say.

Mutable and pure: it is told the time, it reads nothing itself. Ticks are read once, in order, per SLI. A tracker that
starts in mid-step and reads the range from the step's start at once arrives at the state of one that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from modelrollout.core.model import FULL, ZERO, ProfileRef, RolloutSpec, Sli, Verdict, Weight
from modelrollout.core.observation import (
    Attribution,
    Evidence,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    LedgerState,
    SliAssessment,
    SliCheckpoint,
)
from modelrollout.core.outlook import step_margin
from modelrollout.core.plan import SliPlan
from modelrollout.stats.judge import Judge, limits_of
from modelrollout.stats.rate_track import RateTrack
from modelrollout.stats.rates import RateComparison, RateStratum, advance_rates
from modelrollout.stats.sequential import Comparison, Stratum, advance, foresee
from modelrollout.stats.ticks import TickGrid, read_offset
from modelrollout.stats.track import ArmSeries, SliTrack, Timing

__all__ = ["ArmSeries", "EvidenceTracker", "Span"]

SHORTEST_MEMORY = 300.0
CHUNK = 1800.0
"""Seconds of samples asked for at once by a tracker that is behind."""
DAY = 86400.0
LATE_SLI = "accuracy"
REQUESTS = frozenset({"errors", "latency", "e2e-latency"})
"""Catalogue entries whose events are requests, one each, so that route weights tell how they are split."""


@dataclass(frozen=True, slots=True)
class Span:
    """Ticks to read: `first`..`last` of the grid, covering (start, end].

    The samples of the last `window` seconds before `at` (epoch seconds) are enough to read them.
    """

    first: int
    last: int
    start: float
    end: float
    window: float
    at: float
    behind: bool = False
    """Newer ticks than `last` are due too."""


class EvidenceTracker:
    """Evidence of one step of a rollout.

    `grid`: origin of the tick grid; `since`: where this step's evidence begins; `scrape`: scrape interval of the
    source (all epoch seconds or seconds). `ledgers`, `checkpoints`: as stored; an SLI without one gets an empty ledger
    without a limit, and evidence from nothing. `index`: of the step. `weight`: by which requests are split; ZERO
    where nothing says how. `raised`: when the weight was raised for this step; None when the candidate had no requests
    before. `skip`: ticks before that moment are not read. `plans` has a plan for every SLI of the spec. A new step
    takes a new tracker, from what is stored: so whoever takes over arrives at the same evidence.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        plans: Mapping[str, SliPlan],
        *,
        grid: float,
        since: float,
        scrape: float,
        ledgers: Sequence[LedgerState],
        checkpoints: Sequence[SliCheckpoint] = (),
        index: int = 0,
        weight: Weight = ZERO,
        raised: float | None = None,
        skip: float | None = None,
    ) -> None:
        tiers = spec.budget.tiers
        longest = max([tier.long for tier in tiers], default=SHORTEST_MEMORY)
        self._timing = Timing(TickGrid(grid, spec.analysis.interval), spec.analysis.warmup, scrape, longest)
        self._since = since
        self._behind = False
        stored = {ledger.sli: ledger for ledger in ledgers}
        known = {checkpoint.sli: checkpoint for checkpoint in checkpoints}
        limits = limits_of(spec)
        self._risk = spec.analysis.false_promote
        self._tracks: list[SliTrack | RateTrack] = []
        self._verdicts: list[Callable[[float], SliAssessment]] = []
        for sli in spec.slis:
            if sli.allowed is None:
                guard = RateTrack(
                    sli,
                    plans[sli.name],
                    self._timing,
                    since=since,
                    weight=weight or None,
                    last=step_margin(spec, sli, index) is None,
                    limit=limits.worse,
                    checkpoint=known.get(sli.name),
                )
                self._tracks.append(guard)
                self._verdicts.append(guard.assess)
                continue
            ledger = stored.get(sli.name, LedgerState(sli.name, allowed=None))
            margin = step_margin(spec, sli, index)
            track = SliTrack(
                sli,
                plans[sli.name],
                self._timing,
                since=since,
                step=margin or sli.margin,
                promised=promised_to(spec, sli, weight) if weight else None,
                ledger=ledger,
                checkpoint=known.get(sli.name),
                raised=raised,
                skip=skip,
            )
            self._tracks.append(track)
            judge = Judge(
                sli,
                tiers,
                self._timing.grid,
                stratum=self._timing.stratum,
                late=is_late(sli),
                limits=limits,
                step=margin,
                split_holds=spec.analysis.split_holds,
            )
            self._verdicts.append(partial(_assessed, track, judge))
        self._next = min((track.next for track in self._tracks), default=0)

    @property
    def ledgers(self) -> tuple[LedgerState, ...]:
        """The ledgers as of the newest tick read."""
        return tuple(track.ledger for track in self._tracks if isinstance(track, SliTrack))

    def span(self, now: float) -> Span | None:
        """The ticks due at `now`, None when there is none.

        A new tracker reaches back to the step's start, or to its checkpoint or ledger if they are earlier; at most
        `CHUNK` seconds at once and a day in all. Asking again without `feed` gives the same ticks: ask once per tick.
        """
        timing, grid = self._timing, self._timing.grid
        offset = read_offset(timing.scrape)
        newest = grid.last_until(now - offset)
        if not self._tracks or newest < self._next:
            return None
        due = [track for track in self._tracks if track.next <= newest]
        first = max(newest - grid.ticks_in(DAY) + 1, min(track.next for track in due))
        last = min(newest, first + grid.ticks_in(CHUNK) - 1)
        # Whoever is there as the step begins counts at once. So the ages of targets are learned from `warmup` seconds
        # before only by one who comes later than that: then all of them would look young.
        back = timing.slack + (timing.warmup if any(track.cold and first > track.begin for track in due) else 0.0)
        start, end = grid.start(first), grid.end(last)
        at = end + offset
        return Span(first, last, start, end, window=float(ceil(at - start + back)) + 1.0, at=at, behind=last < newest)

    def until_next(self, now: float) -> float:
        """Seconds until another tick is over and can be read."""
        offset, grid = read_offset(self._timing.scrape), self._timing.grid
        return grid.end(grid.last_until(now - offset) + 1) + offset - now

    def feed(self, span: Span, answers: Mapping[str, ArmSeries | str]) -> None:
        """Take in what Prometheus answered for each SLI at `span.at`: its series, or the kind of failure.

        Ticks without an answer stay unread and are part of the next span. Feeding a span twice changes nothing.
        """
        self._behind = span.behind
        for track in self._tracks:
            answer = answers.get(track.sli.name)
            if isinstance(answer, str):
                began = track.failure.since if track.failure else span.at
                track.failure = EvidenceUnreachable(answer, began)
            elif answer is not None:
                track.failure = None
                track.read(answer, max(track.next, span.first), span.last)
        self._next = min((track.next for track in self._tracks), default=0)

    def assess(self, now: float) -> Evidence:
        """What the evidence says now.

        One failed query makes it unreachable, unless another SLI says FAIL: that is never hidden. While ticks of long
        ago are being read it is pending, with the same exception.
        """
        settle([self])
        failures = [track.failure for track in self._tracks if track.failure]
        slis = [verdict(now) for verdict in self._verdicts]
        newest = [track.latest for track in self._tracks]
        if not any(sli.verdict is Verdict.FAIL for sli in slis):
            if failures:
                return min(failures, key=lambda failure: failure.since)
            if self._behind or None in newest:
                return EvidencePending()
        ends = [self._timing.grid.end(tick) for tick in newest if tick is not None]
        shown = tuple(_withheld(sli, track.failure) for sli, track in zip(slis, self._tracks, strict=True))
        checkpoints = tuple(track.checkpoint for track in self._tracks)
        return EvidenceSeen(self._since, max(ends, default=self._since), shown, self.ledgers, checkpoints)

    def dead(self, now: float) -> tuple[SliAssessment, ...]:
        """What the hard guard alone says, without comparing the arms: the SLIs that it blames the candidate for."""
        for track in self._tracks:
            track.unread.clear()
        slis = [verdict(now) for verdict in self._verdicts]
        return tuple(sli for sli in slis if sli.hard_guard and sli.hard_guard.attribution is Attribution.CANDIDATE)

    def unread(self) -> Iterator[tuple[Comparison, Stratum, float]]:
        """The oldest stratum of each SLI that its comparison has not taken in yet, with the risk of a wrong PASS."""
        for track in self._tracks:
            if isinstance(track, SliTrack) and track.unread:
                yield track.comparison, track.unread.popleft(), self._risk

    def unread_rates(self) -> Iterator[tuple[RateComparison, RateStratum]]:
        """The same for SLIs without a total."""
        for track in self._tracks:
            if isinstance(track, RateTrack) and track.unread:
                yield track.comparison, track.unread.popleft()


def settle(trackers: Iterable[EvidenceTracker]) -> None:
    """Let the comparisons of all trackers take in what was read: one stratum of every SLI at a time, all at once."""
    for _ in settling(trackers):
        pass


def settling(trackers: Iterable[EvidenceTracker]) -> Iterator[None]:
    """`settle` in pieces of a millisecond or so: it is done when the iterator ends, and not before."""
    open_ones = list(trackers)
    moved: dict[int, tuple[Comparison, float]] = {}
    while work := [part for tracker in open_ones for part in tracker.unread()]:
        advance([comparison for comparison, _, _ in work], [stratum for _, stratum, _ in work])
        moved.update((id(comparison), (comparison, risk)) for comparison, _, risk in work)
        yield
    foresee([comparison for comparison, _ in moved.values()], [risk for _, risk in moved.values()])
    while rates := [part for tracker in open_ones for part in tracker.unread_rates()]:
        advance_rates([comparison for comparison, _ in rates], [stratum for _, stratum in rates])


def _assessed(track: SliTrack, judge: Judge, now: float) -> SliAssessment:
    return judge.assess(track.reading(), now)


def is_late(sli: Sli) -> bool:
    """Whether the events of an SLI are labels that arrive long after their predictions."""
    return (isinstance(sli.source, ProfileRef) and sli.source.sli == LATE_SLI) or sli.name == LATE_SLI


def promised_to(spec: RolloutSpec, sli: Sli, weight: Weight) -> float | None:
    """The candidate's share of the requests an SLI counts at a weight; None when it counts something else than
    requests, when segments bring more of them than the weight, or when the weight is a share of users.
    """
    requests = isinstance(sli.source, ProfileRef) and sli.source.sli in REQUESTS
    by_users = spec.traffic.bucket_header is not None
    return weight / FULL if requests and not spec.traffic.segments and not by_users else None


def _withheld(sli: SliAssessment, failure: EvidenceUnreachable | None) -> SliAssessment:
    """No verdict but FAIL stands on old ticks while Prometheus does not answer for this SLI."""
    if failure is None or sli.verdict is Verdict.FAIL:
        return sli
    return replace(sli, verdict=Verdict.WAIT, no_data=None, note=f"no answer from Prometheus: {failure.kind}")
