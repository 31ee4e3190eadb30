"""Start and end of a revision: finalizer, new revisions, preflight, references, deletion."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.intents import AddFinalizer, DropFinalizer, Move, SetWeight
from modelrollout.core.model import FULL, ZERO, Phase, Replicas
from modelrollout.core.observation import (
    LedgerState,
    PreflightFailed,
    PreflightPassed,
    PreflightUnknown,
    RouteAbsent,
    RouteSeen,
    RouteUnusable,
    WorkloadAbsent,
    WorkloadSeen,
)
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.rollback import ended, roll_back
from modelrollout.core.scaling import LOOK, draining, spread
from modelrollout.core.situation import (
    AT_REST,
    Draft,
    Situation,
    grid_from,
    noted,
    paused,
    plan_hash,
    raise_to,
    stay,
    tell,
    warn,
)
from modelrollout.core.status import Holds, RolloutStatus
from modelrollout.core.wording import duration, percent, refused, share, unanswered

RELEASE_WAIT = 20.0
"""Seconds that a deletion waits for a legacy without ready endpoints before it lets go."""

MAX_MESSAGE = 500
"""Characters of a message that survive being stored; longer ones would look new at every decision."""

RECHECK = 10.0
"""Seconds between looks at something that no watch tells about."""


def deleting(s: Situation) -> Draft | None:
    """Traffic back to legacy, then let go. A promoted candidate keeps its users: they must not lose them."""
    if not s.obs.deleting:
        return None
    if not s.obs.finalizer:
        return Draft(s.status)
    lost = _pods_out_of_sight(s)
    if s.status.phase is Phase.PROMOTED or not (s.exposed or lost):
        kept = percent(s.seen or ZERO)
        return Draft(
            s.status,
            DropFinalizer(),
            (tell(EventReason.RELEASED, f"deleted; the route stays with the candidate at {kept} %"),),
            urgent=True,
        )
    waits = lost or draining(s)
    if s.can_go_back and waits is None:
        text = f"deleted at {percent(s.seen or ZERO)} %: traffic goes back to legacy"
        status = replace(s.status, phase=Phase.ROLLING_BACK, reason=Reason.DELETING, message=text)
        status = replace(status, weight=s.claim(ZERO))
        status = noted(s, status, "Delete", Reason.DELETING, text, ZERO)
        return Draft(status, SetWeight(ZERO, segments=False, move=Move.LOWER), urgent=True)
    since = s.status.holds.blocked or s.now
    limit = RELEASE_WAIT if lost or waits is None else max(RELEASE_WAIT, s.spec.candidate_deadline)
    if s.now - since >= limit:
        left = percent((s.status.weight if lost else s.seen) or ZERO)
        text = f"deleted; {waits or 'legacy has no ready endpoint'}, the route is left with the candidate at {left} %"
        return Draft(s.status, DropFinalizer(), (warn(EventReason.RELEASED, text),), urgent=True)
    status = replace(s.status, holds=replace(s.status.holds, blocked=since), reason=Reason.DELETING)
    return Draft(status, urgent=True, wake_at=min(since + limit, s.now + LOOK))


def _pods_out_of_sight(s: Situation) -> str | None:
    """Why pods of the candidate can't be taken away now, where there may be some: they get users when it is mended."""
    route, by_pods = s.obs.route, isinstance(s.spec.traffic.router, Replicas)
    return route.problem if by_pods and isinstance(route, RouteUnusable) and s.status.weight else None


def finalizer(s: Situation) -> Draft | None:
    """The finalizer stands before anything that it has to undo."""
    return None if s.obs.finalizer else Draft(s.status, AddFinalizer())


def references(s: Situation) -> Draft | None:
    """What does not resolve is said; a running weight stays where it is."""
    if s.status.phase in AT_REST and s.status.backends == (s.spec.legacy.service, s.spec.candidate.service):
        # The rollout is over: people may delete the arm that lost, or its metrics, without being told off.
        return None
    if s.obs.problem:
        return invalid(s, Reason(s.obs.problem.reason), s.obs.problem.problem)
    for seen in (s.obs.legacy, s.obs.candidate):
        if isinstance(seen, WorkloadAbsent):
            return invalid(s, Reason.REF_NOT_FOUND, seen.problem)
    if isinstance(s.obs.route, RouteUnusable):
        return invalid(s, Reason.REF_NOT_FOUND, s.obs.route.problem)
    return None


def invalid(s: Situation, reason: Reason, message: str) -> Draft:
    """Phase Invalid, announced once; looked at again soon, since nothing may tell when it is mended."""
    message = message[:MAX_MESSAGE]
    draft = stay(s, Phase.INVALID, reason, message, wake_at=s.now + RECHECK)
    if s.status.phase is Phase.INVALID and s.status.reason == reason and s.status.message == message:
        return draft
    return replace(draft, announcements=(warn(EventReason.INVALID, f"{reason}: {message}"),))


def new_revision(s: Situation) -> Draft | None:
    """A candidate not seen before, or other backends, starts from step 0; first the old one's traffic goes back."""
    revision = s.obs.revision
    backends = (s.spec.legacy.service, s.spec.candidate.service)
    if revision is None or (revision == s.status.revision and backends == s.status.backends):
        return None
    status = s.status
    if s.under_way:
        status = ended(s, status, "Superseded", Reason.SUPERSEDED, f"revision {revision} came")
    legacy_hash = s.obs.legacy.template_hash if isinstance(s.obs.legacy, WorkloadSeen) else ""
    again = revision == (status.history[-1].revision if status.history else "")
    fresh = RolloutStatus(
        observed_generation=status.observed_generation,
        phase=Phase.PREFLIGHT,
        reason=Reason.PREFLIGHT,
        message=f"revision {revision} is being checked",
        revision=revision,
        attempt=status.attempt + 1 if again else 1,
        grid=grid_from(s.now, s.spec.analysis.interval),
        plan=plan_hash(s.spec),
        legacy_hash=legacy_hash,
        backends=backends,
        weight=s.seen if s.seen is not None else ZERO,
        preflight_since=s.now,
        decisions=status.decisions,
        history=status.history,
        rejected=status.rejected,
        incident=status.incident,
        conditions=status.conditions,
        handled=status.handled,
    )
    if status.is_rejected(revision):
        fresh = _rejected_before(fresh)
    elif _same(s):
        fresh = replace(fresh, phase=Phase.IDLE, reason=Reason.SAME_AS_LEGACY, message="candidate and legacy are equal")
    if not s.exposed:
        return Draft(fresh, wake_at=s.now)
    if not status.revision and not status.attempt and s.seen == FULL:
        return _found_at_full(s, fresh)
    if not s.can_go_back:
        message = f"revision {revision} waits: legacy has no ready endpoint to take the old revision's users back"
        return stay(s, s.status.phase, Reason.ROLLBACK_BLOCKED, message, wake_at=s.now + RECHECK)
    text = f"revision {revision} came: its predecessor's {percent(s.seen or ZERO)} % go back to legacy first"
    reason = fresh.reason if s.pods is None else Reason.SCALING
    fresh = noted(s, replace(fresh, weight=s.claim(ZERO), reason=reason), "Supersede", Reason.SUPERSEDED, text, ZERO)
    return Draft(
        fresh,
        SetWeight(ZERO, segments=False, move=Move.LOWER),
        (tell(EventReason.WEIGHT_CHANGED, text),),
        urgent=True,
        wake_at=s.now,
    )


def _rejected_before(status: RolloutStatus) -> RolloutStatus:
    entry = next(r for r in status.rejected if r.revision == status.revision)
    text = f"revision {status.revision} was rolled back before ({entry.reason}): a Retry action starts it again"
    return replace(status, phase=Phase.ROLLED_BACK, reason=entry.reason, message=text)


def _found_at_full(s: Situation, fresh: RolloutStatus) -> Draft:
    # An object made anew (a restored backup, a delete and apply) after a promotion: moving all users to a legacy that
    # nobody has looked after since would be the harm that rollouts are there to avoid.
    text = (
        f"the route already gave revision {fresh.revision} 100 % when this rollout was first seen: "
        "taken as promoted, nothing was judged"
    )
    status = replace(fresh, phase=Phase.PROMOTED, reason=Reason.FOUND_AT_FULL, message=text, weight=FULL)
    status = noted(s, status, "Adopt", Reason.FOUND_AT_FULL, text, FULL)
    return Draft(status, announcements=(warn(EventReason.PROMOTED, text),), wake_at=s.now)


def _same(s: Situation) -> bool:
    legacy, candidate = s.obs.legacy, s.obs.candidate
    models = (s.spec.legacy.model_name, s.spec.legacy.model_version) == (
        s.spec.candidate.model_name,
        s.spec.candidate.model_version,
    )
    return (
        models
        and isinstance(legacy, WorkloadSeen)
        and isinstance(candidate, WorkloadSeen)
        and legacy.template_hash == candidate.template_hash
    )


def preflight(s: Situation) -> Draft | None:
    """Everything that must be true before the first request is at stake."""
    if s.status.step is not None or s.status.phase not in (Phase.PREFLIGHT, Phase.INVALID, Phase.PAUSED):
        return None
    if s.status.is_rejected(s.status.revision):
        # Asked for again after something that was Invalid, such as a commit that was taken back.
        return Draft(_rejected_before(s.status), wake_at=s.now)
    return _workloads(s) or _route(s) or _metrics(s) or _budget(s) or _start(s)


def _workloads(s: Situation) -> Draft | None:
    if not s.legacy_serves:
        message = f"legacy deployment {s.spec.legacy.deployment!r} has no ready endpoint: nothing to go back to"
        return stay(s, Phase.PREFLIGHT, Reason.LEGACY_NOT_READY, message, wake_at=s.now + RECHECK)
    if s.candidate_ready or s.startable:
        return None
    since = s.status.holds.unready or s.now
    limit = s.spec.candidate_deadline
    if s.now - since >= limit:
        return roll_back(
            s,
            Reason.CANDIDATE_UNHEALTHY,
            f"candidate deployment {s.spec.candidate.deployment!r} was not ready within {duration(limit)}",
        )
    message = (
        f"candidate deployment {s.spec.candidate.deployment!r} is not ready ({s.candidate_endpoints} endpoints); "
        f"given up {duration(limit)} after this began"
    )
    holds = replace(s.status.holds, unready=since)
    return stay(s, Phase.PREFLIGHT, Reason.CANDIDATE_NOT_READY, message, holds=holds, wake_at=since + limit)


def _route(s: Situation) -> Draft | None:
    route = s.obs.route
    if isinstance(route, RouteSeen) and route.accepted is False:
        return invalid(s, Reason.ROUTE_NOT_ACCEPTED, refused(route))
    if isinstance(route, RouteAbsent) or (isinstance(route, RouteSeen) and route.accepted is None):
        return stay(s, Phase.PREFLIGHT, Reason.ROUTE_PENDING, unanswered(s.spec), wake_at=s.now + RECHECK)
    return None


def _metrics(s: Situation) -> Draft | None:
    match s.obs.preflight:
        case PreflightFailed(reason, problem):
            return invalid(s, Reason(reason), problem)
        case PreflightUnknown(detail):
            message = f"looking for the metrics of the SLIs{': ' + detail if detail else ''}"
            return stay(s, Phase.PREFLIGHT, Reason.METRICS_PENDING, message, wake_at=s.now + RECHECK)
        case _:
            return None


def _budget(s: Situation) -> Draft | None:
    passed = s.obs.preflight
    if not isinstance(passed, PreflightPassed) or s.status.overridden:
        return None
    critical = {sli.name for sli in s.spec.slis if sli.critical}
    for name, remaining, _ in passed.budgets:
        if name in critical and remaining < s.spec.budget.min_remaining:
            message = (
                f"{name}: {share(max(remaining, 0.0))} of the error budget is left, errorBudget.minRemaining is "
                f"{share(s.spec.budget.min_remaining)}; starts when it has recovered, or by an Approve action"
            )
            return stay(s, Phase.PREFLIGHT, Reason.BUDGET_EXHAUSTED, message, wake_at=s.now + 6 * RECHECK)
    return None


def _start(s: Situation) -> Draft:
    first = s.spec.steps[0]
    if s.spec.paused or s.status.paused_by_action:
        by_spec = s.spec.paused
        reason = Reason.PAUSED_BY_SPEC if by_spec else Reason.PAUSED_BY_ACTION
        return paused(s, reason, "paused before the first step")
    if first.approval and s.status.approved < 0 and not s.status.skip:
        return paused(s, Reason.APPROVAL, f"step 1 ({percent(first.weight)} %) waits for an Approve action")
    passed = s.obs.preflight
    notes = (*spread(s.spec), *(passed.notes if isinstance(passed, PreflightPassed) else ()))
    budgets = passed.budgets if isinstance(passed, PreflightPassed) else ()
    ledgers = tuple(LedgerState(sli=name, allowed=allowed) for name, _, allowed in budgets)
    learned = passed.checkpoints if isinstance(passed, PreflightPassed) else ()
    # The spec may have been edited since the revision came.
    status = replace(s.status, plan=plan_hash(s.spec), notes=notes, budget=ledgers, checkpoints=learned, holds=Holds())
    return raise_to(replace(s, status=status), 0, first.weight, f"revision {s.status.revision} starts")
