"""One decision's inputs with the questions that policies ask of them, and the draft they answer with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from modelrollout.core.intents import Announcement, Intent, Move, SetWeight, Severity
from modelrollout.core.model import FULL, ZERO, Phase, RolloutSpec, Sli, Verdict, Weight
from modelrollout.core.observation import (
    ArmCounts,
    EvidenceSeen,
    LedgerState,
    Observation,
    RouteSeen,
    SliAssessment,
    SliCheckpoint,
    WorkloadSeen,
)
from modelrollout.core.pods import Pods, ahead, pods_for, spelled, weight_of
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.status import DecisionRecord, Holds, RolloutStatus, SliStatus, StepState, recorded
from modelrollout.core.wording import percent

ACTIVE = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.INVALID})
AT_REST = frozenset({Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK})

RAISE = "Raise"
"""Action of the record of a raise."""
RETURN = "Return"
"""Action of the record of a weight that comes back to its step after the candidate was gone."""
INGEST = 2.0
"""Seconds that a tick may take from its end to its evidence, over and above the tick itself."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is wanted, remembered and seen at `now`. `abort`: an abort was asked for and who gave which reason."""

    spec: RolloutSpec
    status: RolloutStatus
    obs: Observation
    now: float
    abort: str | None = None

    @property
    def seen(self) -> Weight | None:
        """The candidate's weight at the router, segments aside; None without a usable route."""
        return self.obs.route.weight if isinstance(self.obs.route, RouteSeen) else None

    @property
    def exposed(self) -> bool:
        """Whether any user can reach the candidate through the router, by weight or by segment."""
        route = self.obs.route
        return isinstance(route, RouteSeen) and (route.weight > 0 or (self.has_segments and route.segments > 0))

    @property
    def has_segments(self) -> bool:
        """Whether some requests go to the candidate whatever the weight."""
        return bool(self.spec.traffic.segments)

    @property
    def under_way(self) -> bool:
        """Whether a revision is somewhere between its first step and its end."""
        return self.status.step is not None and self.status.phase in ACTIVE

    @property
    def ordered(self) -> Weight:
        """The weight that the recorded state calls for."""
        if self.status.phase is Phase.PROMOTED:
            return FULL
        if self.under_way and self.status.step is not None and self.status.holds.unready is None:
            return self.status.step.weight
        return ZERO

    @property
    def pods(self) -> Pods | None:
        """The pods behind the weight, where it is a share of pods."""
        return self.obs.route.pods if isinstance(self.obs.route, RouteSeen) else None

    @property
    def scaling(self) -> bool:
        """Whether the pods are on the way to the ordered weight, by our own writes."""
        return self.pods is not None and self.status.reason == Reason.SCALING

    @property
    def legacy_serves(self) -> bool:
        """Whether legacy has a ready endpoint to send users to."""
        return isinstance(self.obs.legacy, WorkloadSeen) and self.obs.legacy.endpoints > 0

    @property
    def can_go_back(self) -> bool:
        """Whether users may be sent to legacy: it serves, or its pods are started first."""
        return self.legacy_serves or self.pods is not None

    @property
    def candidate_endpoints(self) -> int:
        """Ready endpoints of the candidate; 0 when it is absent."""
        return self.obs.candidate.endpoints if isinstance(self.obs.candidate, WorkloadSeen) else 0

    @property
    def candidate_ready(self) -> bool:
        """Whether the candidate can take more traffic: rolled out, and every wanted replica is a ready endpoint."""
        seen = self.obs.candidate
        if not isinstance(seen, WorkloadSeen) or (self.pods is not None and not seen.wanted):
            # Pods that are there although none is wanted are on their way out.
            return False
        return seen.settled and seen.endpoints >= max(1, seen.wanted)

    @property
    def startable(self) -> bool:
        """Whether the candidate lacks nothing but pods, which its first share brings: those that it had are gone."""
        seen = self.obs.candidate
        if self.pods is None or not isinstance(seen, WorkloadSeen):
            return False
        return seen.settled and seen.wanted == 0 and seen.endpoints == 0

    def claim(self, target: Weight) -> Weight:
        """What the status says on the way to this share: what the next write leaves, which may be more, never less."""
        return target if self.pods is None else max(target, weight_of(ahead(self.pods, target)))

    def bears(self, weight: Weight) -> bool:
        """Whether the candidate has the ready endpoints that this share of the traffic needs."""
        seen = self.obs.candidate
        return isinstance(seen, WorkloadSeen) and seen.endpoints >= max(1, ceil(seen.wanted * weight / FULL))

    @property
    def evidence(self) -> EvidenceSeen | None:
        """Evidence that was gathered since the present step began; older evidence says nothing about it."""
        evidence, step = self.obs.evidence, self.status.step
        if isinstance(evidence, EvidenceSeen) and step is not None and evidence.since >= step.started:
            return evidence
        return None

    @property
    def critical(self) -> tuple[SliAssessment, ...]:
        """Assessments that decide."""
        return tuple(s for s in self.evidence.slis if s.critical) if self.evidence else ()

    @property
    def recent(self) -> float:
        """Seconds for which what evidence tells is new enough to act on."""
        return 3 * self.spec.analysis.interval + INGEST

    @property
    def fresh(self) -> bool:
        """Whether there is evidence of this step, new enough to act on."""
        newest = self.evidence
        return newest is not None and self.now - newest.tick <= self.recent

    @property
    def passes(self) -> bool:
        """Whether every critical SLI has passed on evidence of this step that is fresh enough to act on."""
        if not self.fresh:
            return False
        wanted = {s.name for s in self.spec.slis if s.critical}
        return bool(wanted) and wanted == {s.name for s in self.critical if s.verdict is Verdict.PASS}


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy's answer: the next status, at most one intent, what to tell."""

    status: RolloutStatus
    intent: Intent | None = None
    announcements: tuple[Announcement, ...] = ()
    urgent: bool = False
    wake_at: float | None = None


Policy = Callable[[Situation], Draft | None]


def plan_hash(spec: RolloutSpec) -> str:
    """Identity of what evidence is about: steps, SLIs with their margins, error rates. When it changes in mid-rollout,
    the evidence starts again.
    """
    steps = tuple((s.weight, s.min_duration, s.max_duration, s.approval) for s in spec.steps)
    rates = (spec.analysis.false_rollback, spec.analysis.false_promote, spec.analysis.tolerance)
    return hashlib.blake2b(repr((steps, spec.slis, rates)).encode(), digest_size=5).hexdigest()


def stay(
    s: Situation,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    wake_at: float | None = None,
    holds: Holds | None = None,
) -> Draft:
    """Hold everything and say why."""
    status = replace(s.status, phase=phase, reason=reason, message=message, holds=holds or s.status.holds)
    return Draft(status, wake_at=wake_at)


def paused(
    s: Situation, reason: Reason, message: str, *, wake_at: float | None = None, holds: Holds | None = None
) -> Draft:
    """Hold the weight in phase Paused; announced and recorded once, when the reason is new."""
    draft = stay(s, Phase.PAUSED, reason, message, wake_at=wake_at, holds=holds)
    if s.status.phase is Phase.PAUSED and s.status.reason == reason:
        return draft
    status = noted(s, draft.status, "Pause", reason, message, s.status.weight or ZERO)
    return replace(draft, status=status, announcements=(warn(EventReason.PAUSED, f"{reason}: {message}"),))


def noted(
    s: Situation, status: RolloutStatus, action: str, reason: Reason, message: str, weight: Weight
) -> RolloutStatus:
    """`status` with a decision record."""
    record = DecisionRecord(s.now, action, reason, message, weight, status.revision, s.spec.generation)
    return recorded(status, record)


def raise_to(s: Situation, index: int, weight: Weight, message: str) -> Draft:
    """Start step `index` at `weight`: status first, then the route."""
    count, route = len(s.spec.steps), s.obs.route
    pods = "" if s.pods is None else f" ({spelled(pods_for(weight, s.pods.total), s.pods.total)})"
    text = f"step {index + 1}/{count}: candidate {percent(s.seen or ZERO)} % -> {percent(weight)} %{pods}; {message}"
    status = replace(
        s.status,
        phase=Phase.PROGRESSING,
        reason=Reason.PROGRESSING if s.pods is None else Reason.SCALING,
        message=text,
        step=StepState(index, count, s.now, weight, route.generation if isinstance(route, RouteSeen) else 0),
        weight=weight,
        holds=replace(Holds(), foreign=s.status.holds.foreign),
        lapses=0,
        slis=blank_slis(s.spec),
        checkpoints=carried(s),
        budget=charged(s),
    )
    status = noted(s, status, RAISE, Reason.PROGRESSING, text, weight)
    return Draft(
        status, SetWeight(weight, segments=s.has_segments, move=Move.RAISE), (tell(EventReason.STEP_STARTED, text),)
    )


def grid_from(now: float, interval: float) -> float:
    """The origin of ticks that are counted from now on, epoch seconds: whole intervals, the same for all rollouts."""
    return ceil(now / interval) * interval


def carried(s: Situation) -> tuple[SliCheckpoint, ...]:
    """The evidence that a new step begins with: as it is now, or as it was last written."""
    return (s.evidence.checkpoints if s.evidence else ()) or s.status.checkpoints


def charged(s: Situation) -> tuple[LedgerState, ...]:
    """What has been spent by now: whoever judges the next step need not read this one again for it."""
    return (s.evidence.ledgers if s.evidence else ()) or s.status.budget


def blank_slis(spec: RolloutSpec) -> tuple[SliStatus, ...]:
    """Every SLI waiting for its first count; a step begins with these."""

    def blank(x: Sli) -> SliStatus:
        none = None if x.allowed is None else ArmCounts(0, 0)
        told = f"{x.name}: waiting for the first count"
        return SliStatus(x.name, x.critical, Verdict.WAIT, none, none, None, 0, None, told)

    return tuple(blank(x) for x in spec.slis)


def restore(s: Situation, weight: Weight, message: str, *, segments: bool) -> Draft:
    """Put the route at the weight that the record calls for, which stays at its step."""
    move = Move.RAISE if weight > (s.seen or ZERO) else Move.LOWER
    status, route = replace(s.status, weight=s.claim(weight), message=message), s.obs.route
    if s.pods is not None:
        status = replace(status, reason=Reason.SCALING)
    if status.step is not None and isinstance(route, RouteSeen):
        status = replace(status, step=replace(status.step, route=route.generation))
    return Draft(
        status,
        SetWeight(weight, segments=segments, move=move),
        (warn(EventReason.WEIGHT_CHANGED, message),),
        urgent=move is Move.LOWER,
    )


def anew(s: Situation) -> Situation:
    """`s` with the step beginning now, at the weight it has: until now requests went another way."""
    if not s.under_way or s.status.step is None:
        return s
    return replace(s, status=replace(s.status, step=replace(s.status.step, started=s.now)))


def tell(reason: EventReason, message: str) -> Announcement:
    """A normal Event."""
    return Announcement(Severity.NORMAL, reason, message)


def warn(reason: EventReason, message: str) -> Announcement:
    """A warning Event."""
    return Announcement(Severity.WARNING, reason, message)
