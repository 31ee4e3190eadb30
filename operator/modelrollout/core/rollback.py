"""Going back to legacy: opening the incident, bringing the weight to 0, closing it. Reachable from every state."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.conditions import measured
from modelrollout.core.intents import Move, SetWeight
from modelrollout.core.model import ZERO, Phase
from modelrollout.core.observation import RouteSeen, RouteUnusable
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.scaling import LOOK, draining
from modelrollout.core.situation import Draft, Situation, noted, stay, tell, warn
from modelrollout.core.status import (
    MAX_HISTORY,
    MAX_REJECTED,
    HistoryEntry,
    Holds,
    Incident,
    Rejected,
    RolloutStatus,
)
from modelrollout.core.wording import percent


def roll_back(s: Situation, reason: Reason, message: str) -> Draft:
    """Open an incident and take the weight to 0 at once; the route is written before the status.

    Its record holds the numbers that it was decided on and the weight that users had: a route that shows 0 already is
    our own lowering, whose record was lost.
    """
    weight = max(s.seen or ZERO, s.status.weight or ZERO)
    text = f"{reason} at {percent(weight)} %: {message}"
    status = replace(
        measured(s),
        phase=Phase.ROLLING_BACK,
        reason=reason,
        message=text,
        incident=Incident(s.status.revision, reason, message, s.now, weight),
        holds=Holds(),
        skip=False,
        paused_by_action=False,
    )
    status = noted(s, status, "Rollback", reason, message, weight)
    draft = lower(replace(s, status=status))
    return replace(draft, announcements=(warn(EventReason.ROLLBACK_STARTED, text), *draft.announcements))


def lower(s: Situation) -> Draft:
    """One move towards 0: set the weight, or say why it must wait, or finish when the route shows 0."""
    if isinstance(s.obs.route, RouteUnusable):
        return stay(s, Phase.ROLLING_BACK, Reason(s.status.reason), s.obs.route.problem, wake_at=s.now + 5)
    if not s.exposed:
        return _finished(s)
    if waits := draining(s):
        holds = replace(s.status.holds, blocked=s.status.holds.blocked or s.now)
        draft = stay(s, Phase.ROLLING_BACK, Reason(s.status.reason), waits, wake_at=s.now + LOOK, holds=holds)
        return replace(draft, status=replace(draft.status, weight=s.seen or ZERO), urgent=True)
    if not s.can_go_back:
        since = s.status.holds.blocked or s.now
        message = (
            f"legacy deployment {s.spec.legacy.deployment!r} has no ready endpoint: the split stays at "
            f"{percent(s.seen or ZERO)} % until it can take users back"
        )
        holds = replace(s.status.holds, blocked=since)
        draft = stay(s, Phase.ROLLING_BACK, Reason(s.status.reason), message, holds=holds)
        told = () if s.status.holds.blocked else (warn(EventReason.ROLLBACK_BLOCKED, message),)
        return replace(draft, announcements=told, urgent=True, wake_at=s.now + 5)
    status = replace(s.status, weight=s.claim(ZERO), holds=replace(s.status.holds, blocked=None))
    return Draft(status, SetWeight(ZERO, segments=False, move=Move.LOWER), urgent=True)


def _finished(s: Situation) -> Draft:
    # Without a route nobody is sent to the candidate, which is as good as a route at 0.
    where = "the route shows 0" if isinstance(s.obs.route, RouteSeen) else "there is no route"
    incident = s.status.incident
    opened = incident.opened if incident else s.now
    reason = Reason(s.status.reason)
    message = f"revision {s.status.revision or 'unknown'} rolled back ({reason}): {where}"
    status = replace(
        s.status,
        phase=Phase.ROLLED_BACK,
        reason=reason,
        message=incident.message if incident else message,
        step=None,
        weight=ZERO,
        holds=Holds(),
        incident=replace(incident, closed=s.now) if incident else None,
    )
    status = ended(s, reject(status, reason, s.now), "RolledBack", reason, status.message)
    took = f"{message} {s.now - opened:.1f} s after the decision"
    return Draft(status, announcements=(tell(EventReason.ROLLBACK_COMPLETED, took),))


def reject(status: RolloutStatus, reason: Reason, at: float) -> RolloutStatus:
    """Remember the revision so that an unchanged spec does not start it again."""
    if not status.revision or status.is_rejected(status.revision):
        return status
    entry = Rejected(status.revision, reason, at)
    return replace(status, rejected=(*status.rejected, entry)[-MAX_REJECTED:])


def ended(s: Situation, status: RolloutStatus, outcome: str, reason: Reason, message: str) -> RolloutStatus:
    """`status` with the present revision in its history."""
    entry = HistoryEntry(s.status.revision, outcome, reason, message, s.status.grid or s.now, s.now)
    return replace(status, history=(*status.history, entry)[-MAX_HISTORY:])
