"""A glance at the present of a rollout whose past is still being read.

A new leader reads a step's evidence from its beginning: of a thousand steps of hours that takes minutes. What its
predecessor had seen meanwhile is not what users suffer from now. So those that are behind are in the shared questions
too, with the newest ticks only, and only the hard guard is asked: half of the candidate's newest 20 requests bad.
"""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import RolloutSpec, Weight
from modelrollout.core.observation import EvidenceSeen
from modelrollout.core.plan import SliPlan
from modelrollout.core.status import RolloutStatus
from modelrollout.stats.evidence import EvidenceTracker, Span

REACH = 4
"""Ticks that the first glance reaches back."""
WARMUP = 120.0
"""The longest `analysis.warmup` for which there are glances: all who share the question read as much more."""


class Glance:
    """The newest ticks of the present step. `span` and `tracker` are those of `EvidenceTracker`.

    `seen`: a FAIL, once the candidate is seen to be dead, with ledger and checkpoint as they are stored; else None.
    """

    def __init__(self, tracker: EvidenceTracker, since: float, status: RolloutStatus) -> None:
        self.tracker = tracker
        self.seen: EvidenceSeen | None = None
        self._since = since
        self._stored = status

    def span(self, now: float) -> Span | None:
        """The ticks due at `now`; None when there is none."""
        return self.tracker.span(now)

    def look(self, span: Span, now: float) -> None:
        """Ask the hard guard; `span` has been read. What it found once stays found."""
        dead = self.tracker.dead(now)
        if dead:
            self.seen = EvidenceSeen(self._since, span.end, dead, self._stored.budget, self._stored.checkpoints)


def glance(
    now: float,
    *,
    spec: RolloutSpec,
    plans: tuple[SliPlan, ...],
    status: RolloutStatus,
    since: float,
    scrape: float,
    weight: Weight,
) -> Glance | None:
    """One that begins at `now`; None where a glance judges no SLI: events without a total, labels, none critical.

    `since`: where the evidence of the step begins; `weight`: see `EvidenceTracker`.
    """
    slis = tuple(sli for sli in spec.slis if sli.critical and sli.allowed is not None and sli.labels is None)
    if not slis or spec.analysis.warmup > WARMUP or status.step is None:
        return None
    known = {plan.sli: plan for plan in plans}
    tracker = EvidenceTracker(
        replace(spec, slis=slis),
        {sli.name: known[sli.name] for sli in slis},
        grid=status.grid,
        since=since,
        scrape=scrape,
        ledgers=(),
        index=status.step.index,
        weight=weight,
        skip=now - REACH * spec.analysis.interval,
    )
    return Glance(tracker, since, status)
