"""What is asked of a metric source for whom: rollouts under evaluation, their spans, and the shared questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelrollout.core.model import RolloutSpec, Sli
from modelrollout.core.observation import Evidence, EvidencePending
from modelrollout.core.plan import SliPlan
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import SeriesQuery, SourceSpec
from modelrollout.runtime.arms import pods_of
from modelrollout.runtime.glance import REACH, Glance
from modelrollout.stats.evidence import EvidenceTracker, Span
from modelrollout.stats.increments import UP

FEW_NAMESPACES = 50
FEW_ROLLOUTS = 20
"""Up to so many namespaces, or rollouts, a question names them; beyond it asks for all."""
SHARED_TICKS = 4
SHARED_SECONDS = 60.0
"""Ticks or seconds, whichever is more, that a shared question may cover; more would make one answer too large."""
READ_LIMIT = 15.0
"""Seconds after which a source that hangs has not answered, whatever its adapter promises."""
ALIVE = UP
"""Read once a round for each rollout: it tells a pod without events yet from one that is not scraped."""


@dataclass(slots=True)
class Watch:
    """One rollout under evaluation. `life` names the revision judged, `stretch` the step the evidence belongs to."""

    spec: RolloutSpec
    source: SourceSpec
    plans: tuple[SliPlan, ...]
    life: tuple[object, ...]
    stretch: tuple[object, ...]
    tracker: EvidenceTracker
    evidence: Evidence = field(default_factory=EvidencePending)
    busy: bool = False
    not_before: float = float("-inf")
    """Monotonic time of the next question: wall time may be set back by minutes."""
    broken: float | None = None
    """Epoch seconds since when its evidence can't be computed."""
    begin_glance: Callable[[float], Glance | None] = lambda now: None
    """At an epoch second."""
    glance: Glance | None = None
    """While it is far behind."""

    @property
    def known(self) -> Evidence:
        """The newest evidence; what a glance found as long as there is no other."""
        seen = self.glance.seen if self.glance is not None else None
        return seen if seen is not None and isinstance(self.evidence, EvidencePending) else self.evidence


@dataclass(frozen=True, slots=True)
class Due:
    """A tracker with the samples that it wants."""

    watch: Watch
    span: Span
    glance: Glance | None = None
    """Whose samples they are, if not the tracker's."""

    def carries(self, plan: SliPlan) -> bool:
        """Whether the question for this plan brings `ALIVE` too, for all plans of the rollout."""
        return plan is self.watch.plans[0]


@dataclass(frozen=True, slots=True)
class Question:
    """One query, and the plans that its answer serves."""

    query: SeriesQuery
    members: tuple[tuple[Due, SliPlan], ...]
    part: tuple[str, tuple[str, ...]]


def start_of_evidence(spec: RolloutSpec, status: RolloutStatus) -> float:
    """The first grid point at or after the data plane has settled, and one tick more: that tick mixes weights."""
    assert status.step is not None
    interval = spec.analysis.interval
    ticks = math.ceil((status.step.started + spec.traffic.settle - status.grid) / interval)
    return status.grid + (max(0, ticks) + 1) * interval


def raised(spec: RolloutSpec, status: RolloutStatus) -> float | None:
    """When the weight was raised for this step; None when the candidate had no requests before: then its first ones may
    find it cold, and the time until it has settled is its own.
    """
    assert status.step is not None
    before = spec.steps[: status.step.index][-1:]
    return status.step.started if before and before[0].weight else None


def near(span: Span, watch: Watch) -> bool:
    """Whether a question that all share may cover it."""
    return span.end - span.start <= max(SHARED_SECONDS, SHARED_TICKS * watch.spec.analysis.interval)


def glimpse(watch: Watch, now: float) -> Due | None:
    """The newest ticks of one that is far behind, if any are due; a glance that has fallen behind too is begun anew.

    Whoever judges more than it can in a tick would otherwise read all ticks twice, once by glances.
    """
    span = watch.glance.span(now) if watch.glance else None
    if span is not None and span.last - span.first >= REACH:
        watch.glance = watch.begin_glance(now)
        span = watch.glance.span(now) if watch.glance else None
    return None if span is None else Due(watch, span, watch.glance)


def shared_query(
    metrics: tuple[str, ...], members: Sequence[tuple[Due, SliPlan]], at: float, *, apart: bool
) -> SeriesQuery:
    """One query for the plans of several rollouts, which all read `metrics`; `at`: its pinned time, epoch seconds.

    With `ALIVE` where it is carried for one of them. `apart`: the answer must be kept small, so it is narrowed to these
    rollouts as far as a query can be.
    """
    names = (*metrics, ALIVE) if any(due.carries(plan) for due, plan in members) else metrics
    namespaces = sorted({due.watch.spec.key.namespace for due, _ in members})
    boundaries = sorted({b for _, plan in members for b in plan.boundaries})
    window = max(at - (due.span.at - due.span.window) for due, _ in members)
    pods = ""
    if apart and len({due.watch.spec.key for due, _ in members}) <= FEW_ROLLOUTS:
        each = {pods_of(d.watch.spec, sli_of(d.watch.spec, plan), d.watch.source): None for d, plan in members}
        # A rollout whose arms a label tells apart has no pod names to narrow by.
        pods = "|".join(each) if all(each) else ""
    narrow = apart or len(namespaces) <= FEW_NAMESPACES
    return SeriesQuery(names, window, tuple(boundaries), tuple(namespaces) if narrow else (), pods)


def sli_of(spec: RolloutSpec, plan: SliPlan) -> Sli:
    """The SLI that a plan counts."""
    return next(s for s in spec.slis if s.name == plan.sli)
