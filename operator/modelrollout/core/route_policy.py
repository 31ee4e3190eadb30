"""The route as the record wants it: made when missing, put back once when others change it, then left to a person."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.intents import ShapeRoute
from modelrollout.core.model import FULL, ZERO, Adopting, Phase, Replicas, Weight
from modelrollout.core.observation import EvidenceUnreachable, RouteAbsent, RouteSeen
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.situation import (
    RAISE,
    RETURN,
    Draft,
    Situation,
    anew,
    carried,
    noted,
    paused,
    restore,
    stay,
    warn,
)
from modelrollout.core.status import StepState
from modelrollout.core.wording import percent

UNFINISHED = 60.0
"""Seconds after a raise within which a route at the weight before it is our own unfinished work, although it has been
changed since: once, since others lower weights too."""
MOMENT = 5.0
"""Seconds of the weight before that a step may begin with when its raise had to be tried again."""


def shape(s: Situation) -> Draft | None:
    """Create or correct a managed route; traffic keeps its weight, never more than the record and the pods bear."""
    route = s.obs.route
    if isinstance(s.spec.traffic.router, Adopting | Replicas):
        return None
    if isinstance(route, RouteAbsent):
        bearable = s.status.phase is Phase.PROMOTED or s.bears(s.ordered)
        return _shaped(s, s.ordered if bearable else ZERO, "the route was missing")
    if isinstance(route, RouteSeen) and not route.shape_ok:
        weight = Weight(min(route.weight, s.ordered))
        if not s.legacy_serves and weight < FULL:
            name = s.spec.legacy.deployment
            text = f"the route must change but legacy deployment {name!r} has no ready endpoint"
            return stay(s, s.status.phase, Reason.LEGACY_NOT_READY, text, wake_at=s.now + 5)
        return _shaped(s, weight, "the route had another shape")
    return None


def _shaped(s: Situation, weight: Weight, why: str) -> Draft:
    status, seen, route = replace(s.status, weight=weight), s.seen or ZERO, s.obs.route
    segments = FULL if weight and s.has_segments else ZERO
    others = s.has_segments and isinstance(route, RouteSeen) and route.segments != segments
    if weight == seen and not others:
        return Draft(status, ShapeRoute(weight))
    text = f"{why}: candidate {percent(seen)} % -> {percent(weight)} %"
    status = noted(s, status, "Shape", Reason.ROUTE_CONFLICT, text, weight)
    return Draft(status, ShapeRoute(weight), (warn(EventReason.WEIGHT_CHANGED, text),))


def returned(s: Situation) -> Situation:
    """`s` with its step beginning now when the route shows the weight of the step again and was last seen with another.

    What came in meanwhile was split otherwise, whoever put it back and whatever the rollout waits for next.
    """
    route = s.obs.route
    away = s.status.weight != s.ordered and isinstance(route, RouteSeen) and route.weight == s.ordered
    return replace(anew(s), status=replace(anew(s).status, weight=s.ordered)) if s.under_way and away else s


def kept(s: Situation) -> Draft | None:
    """A weight that is not the recorded one: finish our own raise, else put it back once, else ask a person."""
    route = s.obs.route
    if not isinstance(route, RouteSeen) or s.status.phase is Phase.ROLLING_BACK:
        return None
    wanted = s.ordered
    segments = s.has_segments and wanted > 0
    full_segments = route.segments == (FULL if segments else ZERO) or not s.has_segments
    if route.weight == wanted and full_segments:
        return None
    if wanted < route.weight and not s.can_go_back:
        text = f"the route gives the candidate {percent(route.weight)} % but legacy has no ready endpoint to take it"
        return stay(s, s.status.phase, Reason.LEGACY_NOT_READY, text, wake_at=s.now + 5)
    if wanted > route.weight and not _enough(s, wanted):
        return None
    own, disputed = _own_raise(s, route), s.status.holds.foreign is not None
    if not own and disputed and not _own_shape(s, route.weight):
        return _asked(s, route, wanted)
    if wanted > route.weight and s.under_way and isinstance(s.obs.evidence, EvidenceUnreachable) and not s.status.skip:
        return None
    if own and not _proven(s):
        return Draft(s.status, wake_at=s.now + 1)
    if route.weight == ZERO and s.under_way and s.evidence is None and not _own_shape(s, route.weight):
        # Nothing may be our own lowering, whose record was lost: what that was decided on is in the step's evidence.
        text = f"the route is at 0 %: the evidence is asked for before the candidate gets {percent(wanted)} % again"
        return stay(s, s.status.phase, Reason.PROGRESSING, text, wake_at=s.now + 1)
    if own:
        text = f"finishing the step to {percent(wanted)} %"
        return restore(_afresh(_doubted(_heard(s), route)), wanted, text, segments=segments)
    if _own_shape(s, route.weight):
        text = f"the candidate can take {percent(wanted)} % again"
        status = noted(s, s.status, RETURN, Reason.PROGRESSING, text, wanted)
        return restore(anew(replace(s, status=status)), wanted, text, segments=segments)
    return _put_back(s, wanted, _changed(route, wanted), segments=segments)


def _changed(route: RouteSeen, wanted: Weight) -> str:
    if route.pods is not None:
        legacy, candidate = route.pods.counts
        counts = f"{legacy} pods of legacy and {candidate} of the candidate"
        return f"somebody scaled the Deployments from {percent(wanted)} % to {percent(route.weight)} % ({counts})"
    return f"somebody changed the route from {percent(wanted)} % to {percent(route.weight)} %"


def _asked(s: Situation, route: RouteSeen, wanted: Weight) -> Draft:
    """The weight of others stays, whichever it is: it was put back once, and they have changed it again."""
    text = f"{_changed(route, wanted)} again: put the weights back or send a Resume action; the weight is left as it is"
    seen = replace(s, status=replace(s.status, weight=route.weight))
    if s.under_way:
        if s.status.reason != Reason.ROUTE_CONFLICT:
            # What comes in at a weight that nobody promised is not carried on.
            seen = replace(seen, status=replace(seen.status, checkpoints=carried(s)))
        return paused(seen, Reason.ROUTE_CONFLICT, text)
    draft = stay(seen, s.status.phase, Reason.ROUTE_CONFLICT, text)
    if s.status.reason == Reason.ROUTE_CONFLICT:
        return draft
    return replace(draft, announcements=(warn(EventReason.ROUTE_CONFLICT, text),))


def _put_back(s: Situation, wanted: Weight, text: str, *, segments: bool) -> Draft:
    status = replace(s.status, holds=replace(s.status.holds, foreign=s.now), checkpoints=carried(s))
    status = noted(s, status, "Restore", Reason.ROUTE_CONFLICT, text, wanted)
    draft = restore(anew(replace(s, status=status)), wanted, f"{text}: put back once", segments=segments)
    return replace(draft, announcements=(warn(EventReason.ROUTE_CONFLICT, f"{text}: put back once"),))


def settled(s: Situation) -> Draft | None:
    """At rest the reason tells how it ended: what was said meanwhile is over when the route is as it was."""
    passing = (Reason.ROUTE_CONFLICT, Reason.LEGACY_NOT_READY, Reason.ROLLBACK_BLOCKED, Reason.SCALING)
    if s.status.reason not in passing:
        return None
    revision = s.status.revision
    entry = next((r for r in s.status.rejected if r.revision == revision), None)
    match s.status.phase:
        case Phase.PROMOTED:
            return stay(s, Phase.PROMOTED, Reason.PROMOTED, f"revision {revision} holds 100 %")
        case Phase.ROLLED_BACK:
            reason = Reason(entry.reason) if entry else Reason.ROLLED_BACK
            return stay(s, Phase.ROLLED_BACK, reason, f"revision {revision} was rolled back ({reason})")
        case Phase.IDLE:
            return stay(s, Phase.IDLE, Reason.IDLE, "nothing to do")
        case _:
            return None


def _enough(s: Situation, wanted: Weight) -> bool:
    # After a promotion legacy may be gone: any endpoint of the candidate is better then.
    if s.pods is not None:
        return True
    return s.candidate_endpoints > 0 if s.status.phase is Phase.PROMOTED else s.bears(wanted)


def _own_shape(s: Situation, seen: Weight) -> bool:
    """Whether the route is as we made it, with less than the step has, because the candidate could not bear more."""
    disputed = s.status.holds.foreign is not None or s.status.reason == Reason.ROUTE_CONFLICT
    return s.under_way and s.status.weight == seen < s.ordered and not disputed


def _own_raise(s: Situation, seen: RouteSeen) -> bool:
    """Whether the route is as it was when the raise was decided: by its generation, else, once, by time and weight."""
    step = s.status.step
    if s.under_way and step is not None and _untouched(step, seen) and seen.weight < step.weight:
        return True
    raised = next((record.at for record in reversed(s.status.decisions) if record.action in (RAISE, RETURN)), None)
    # Not since `step.started`, which each finish moves: who lowers the weight again and again is no crash of ours.
    if not s.under_way or step is None or raised is None or s.now - raised > UNFINISHED:
        return False
    foreign = s.status.holds.foreign
    if foreign is not None and (seen.generation or s.pods is not None or foreign >= raised):
        # A router without generations has nothing better than this: an edit of before the raise says little of now.
        return False
    below = [record.weight for record in s.status.decisions if record.weight < step.weight]
    before = below[-1] if below else ZERO
    return seen.weight in (before, ZERO) and seen.weight < step.weight


def _proven(s: Situation) -> bool:
    """Whether an unfinished raise may be finished: it was decided a moment ago, or Prometheus has answered since.

    What it was decided on says nothing of a minute in which the route could not be written.
    """
    step = s.status.step
    return s.fresh or s.status.skip or (step is not None and s.now - step.started <= MOMENT)


def _heard(s: Situation) -> Situation:
    """`s` without the wait for a Prometheus that has answered."""
    if s.status.reason != Reason.METRICS_UNREACHABLE:
        return s
    holds = replace(s.status.holds, unreachable=None)
    status = replace(s.status, phase=Phase.PROGRESSING, reason=Reason.PROGRESSING, holds=holds)
    return replace(s, status=status)


def _afresh(s: Situation) -> Situation:
    """`s` with the step beginning now, unless it began a moment ago.

    While the API server refuses the route, each try would begin it anew, which asks for other evidence, whose answer
    is the next try: five status writes a second.
    """
    step = s.status.step
    return s if step is not None and s.now - step.started <= MOMENT else anew(s)


def _untouched(step: StepState, seen: RouteSeen) -> bool:
    return step.route != 0 and seen.generation == step.route


def _doubted(s: Situation, seen: RouteSeen) -> Situation:
    """`s` that remembers a put-back when somebody may have lowered what is taken for our own unfinished raise."""
    step = s.status.step
    if step is None or _untouched(step, seen) or (seen.generation == 0 and s.status.holds.foreign is None):
        return s
    return replace(s, status=replace(s.status, holds=replace(s.status.holds, foreign=s.now)))
