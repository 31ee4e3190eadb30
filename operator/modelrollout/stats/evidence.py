"""The evidence of one rollout: which samples to read next, what they add up to, and what they say.

Mutable and pure: it is told the time, it reads nothing itself. Ticks are read once, in order, per SLI. A tracker that
starts in mid-step and reads the range from the step's start at once arrives at the state of one that never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from modelrollout.core.model import ProfileRef, RolloutSpec, Sli, Verdict
from modelrollout.core.observation import (
    Evidence,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    LedgerState,
    SliAssessment,
)
from modelrollout.core.plan import SliPlan
from modelrollout.stats.judge import Judge
from modelrollout.stats.ticks import TickGrid, read_offset
from modelrollout.stats.track import ArmSeries, SliTrack, Timing

__all__ = ["ArmSeries", "EvidenceTracker", "Span"]

SHORTEST_MEMORY = 300.0
LATE_SLI = "accuracy"


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


class EvidenceTracker:
    """Evidence of one rollout over all its steps.

    `grid`: origin of the tick grid; `since`: where this step's evidence begins; `scrape`: scrape interval of the
    source (all epoch seconds or seconds). `ledgers`: as stored; an SLI without one gets an empty one without a limit.
    `plans` must hold a plan for every SLI of the spec.
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
    ) -> None:
        tiers = spec.budget.tiers
        longest = max([tier.long for tier in tiers], default=SHORTEST_MEMORY)
        self._timing = Timing(TickGrid(grid, spec.analysis.interval), spec.analysis.warmup, scrape, longest)
        self._since = since
        stored = {ledger.sli: ledger for ledger in ledgers}
        self._tracks: list[SliTrack] = []
        self._judges: list[Judge] = []
        for sli in spec.slis:
            ledger = stored.get(sli.name, LedgerState(sli.name, allowed=None))
            self._tracks.append(SliTrack(sli, plans[sli.name], self._timing, since=since, ledger=ledger))
            stratum = self._timing.stratum
            self._judges.append(Judge(sli, tiers, self._timing.grid, stratum=stratum, late=is_late(sli)))

    @property
    def ledgers(self) -> tuple[LedgerState, ...]:
        """The ledgers as of the newest tick read."""
        return tuple(track.ledger for track in self._tracks)

    def span(self, now: float) -> Span | None:
        """The ticks due at `now`, None when there is none.

        A new tracker reaches back to the step's start, or to the last tick of its ledger if that is earlier; ticks
        older than the longest burn window and `warmup` together are given up. Asking again without `feed` gives the
        same ticks: ask once per tick.
        """
        timing, grid = self._timing, self._timing.grid
        offset = read_offset(timing.scrape)
        last = grid.last_until(now - offset)
        oldest = last - ceil((timing.longest + timing.warmup) / grid.interval) + 1
        due = [track for track in self._tracks if track.next <= last]
        if not due:
            return None
        first = max(oldest, min(track.next for track in due))
        # Ages of targets are learned from `warmup` seconds before the first tick that counts.
        back = timing.slack + (timing.warmup if any(track.cold for track in due) else 0.0)
        start, end = grid.start(first), grid.end(last)
        at = end + offset
        return Span(first, last, start, end, window=float(ceil(at - start + back)) + 1.0, at=at)

    def feed(self, span: Span, answers: Mapping[str, ArmSeries | str]) -> None:
        """Take in what Prometheus answered for each SLI at `span.at`: its series, or the kind of failure.

        Ticks without an answer stay unread and are part of the next span. Feeding a span twice changes nothing.
        """
        for track in self._tracks:
            answer = answers.get(track.sli.name)
            if isinstance(answer, str):
                began = track.failure.since if track.failure else span.at
                track.failure = EvidenceUnreachable(answer, began)
            elif answer is not None:
                track.failure = None
                track.read(answer, max(track.next, span.first), span.last)

    def restart(self, since: float) -> None:
        """A new step: windows, counts and verdicts never reach back before `since`. The ledgers go on."""
        self._since = since
        for track in self._tracks:
            track.restart(since)

    def assess(self, now: float) -> Evidence:
        """What the evidence says now.

        One failed query makes it unreachable, unless another SLI says FAIL: that is never hidden.
        """
        failures = [track.failure for track in self._tracks if track.failure]
        readings = [track.reading() for track in self._tracks]
        slis = [judge.assess(reading, now) for judge, reading in zip(self._judges, readings, strict=True)]
        if not any(sli.verdict is Verdict.FAIL for sli in slis):
            if failures:
                return min(failures, key=lambda failure: failure.since)
            if not all(reading.ticks for reading in readings):
                return EvidencePending()
        ends = [self._timing.grid.end(reading.ticks[-1].tick) for reading in readings if reading.ticks]
        shown = tuple(_withheld(sli, track.failure) for sli, track in zip(slis, self._tracks, strict=True))
        return EvidenceSeen(self._since, max(ends, default=self._since), shown, self.ledgers)


def is_late(sli: Sli) -> bool:
    """Whether the events of an SLI are labels that arrive long after their predictions."""
    return (isinstance(sli.source, ProfileRef) and sli.source.sli == LATE_SLI) or sli.name == LATE_SLI


def _withheld(sli: SliAssessment, failure: EvidenceUnreachable | None) -> SliAssessment:
    """No verdict but FAIL stands on old ticks while Prometheus does not answer for this SLI."""
    if failure is None or sli.verdict is Verdict.FAIL:
        return sli
    return replace(sli, verdict=Verdict.WAIT, no_data=None, note=f"no answer from Prometheus: {failure.kind}")
