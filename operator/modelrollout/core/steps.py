"""The walk up: dwell, advance, bake, promote. The only place that raises a weight to a new step."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.inconclusive import given_up, inconclusive_hold, undecided
from modelrollout.core.model import FULL, Outcome, Phase, Step, Weight
from modelrollout.core.observation import RouteSeen, WorkloadSeen
from modelrollout.core.ramp import part_way
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.rollback import ended
from modelrollout.core.situation import (
    Draft,
    Situation,
    blank_slis,
    carried,
    noted,
    paused,
    plan_hash,
    raise_to,
    stay,
    tell,
)
from modelrollout.core.status import Holds
from modelrollout.core.wording import assessment, by_way_of_legacy, duration, percent, refused, share


def changed_plan(s: Situation) -> Draft | None:
    """Steps, SLIs or rates edited, or legacy's pods replaced, in mid-rollout: same weight, evidence starts anew."""
    if not s.under_way or s.status.step is None:
        return None
    step = s.status.step
    plan = plan_hash(s.spec)
    if plan != s.status.plan:
        below = [i for i, wanted in enumerate(s.spec.steps) if wanted.weight <= step.weight]
        index = below[-1] if below else -1
        kept = percent(step.weight)
        text = (
            f"steps, slis, their profiles or error rates were edited: the weight stays at {kept} %, the evidence starts"
            " anew"
        )
        moved = replace(step, index=index, count=len(s.spec.steps), started=s.now)
        status = replace(
            s.status,
            plan=plan,
            step=moved,
            # Who approved a step has seen the plan of before.
            approved=min(s.status.approved, index),
            holds=Holds(foreign=s.status.holds.foreign),
            slis=blank_slis(s.spec),
            # They were about the spec of before; discovery tells those of this one.
            notes=(),
            # Another margin is another question: what was learned for the old one is no answer to it.
            checkpoints=(),
        )
        return _restarted(s, replace(s, status=status), Reason.SPEC_CHANGED, text)
    legacy = s.obs.legacy
    if isinstance(legacy, WorkloadSeen) and legacy.template_hash != s.status.legacy_hash:
        text = f"the pod template of legacy deployment {s.spec.legacy.deployment!r} changed: the evidence starts anew"
        status = replace(
            s.status,
            legacy_hash=legacy.template_hash,
            step=replace(step, started=s.now),
            slis=blank_slis(s.spec),
            checkpoints=carried(s),
        )
        return _restarted(s, replace(s, status=status), Reason.LEGACY_CHANGED, text)
    return None


def _restarted(before: Situation, s: Situation, reason: Reason, text: str) -> Draft:
    status = noted(s, replace(s.status, message=text), "Restart", reason, text, before.ordered)
    return Draft(status, announcements=(tell(EventReason.EVIDENCE_RESTARTED, text),), wake_at=s.now)


def dwell_and_advance(s: Situation) -> Draft | None:
    """Hold until the shortest time is over and every critical SLI has passed, then take the next step."""
    step = s.status.step
    if not s.under_way or step is None:
        return None
    current = s.spec.steps[max(step.index, 0)]
    calm = replace(s.status.holds, no_data=None, unreachable=None, attribution=None, elevated=None)
    if calm != s.status.holds:
        s = replace(s, status=replace(s.status, holds=calm))
    last = step.index == len(s.spec.steps) - 1
    due = step.started + current.min_duration
    why = _reason_to_go(s, due)
    if why is None:
        part = part_way(s) if s.now >= due else None
        return (_raised_part(s, step.index, part) if part else None) or _dwell(s, current, due)
    if last:
        return _promote(s, why)
    return _next(s, step.index + 1, why)


def _raised_part(s: Situation, index: int, weight: Weight) -> Draft | None:
    """Part of the way of a ramp; None while the candidate or the gateway is not ready for it."""
    if not s.candidate_ready or _not_taken(s):
        return None
    tolerated = share(s.spec.analysis.tolerance)
    why = f"the most that costs all traffic no more than {tolerated}, as far as is known; {undecided(s)}"
    return raise_to(s, index, weight, why)


def _reason_to_go(s: Situation, due: float) -> str | None:
    if s.status.skip:
        return "promoted by action"
    if s.now < due:
        return None
    if s.passes:
        return "; ".join(assessment(x) for x in s.critical)
    if given_up(s, Outcome.PROMOTE):
        return f"no verdict, analysis.inconclusive.then is Promote: {undecided(s)}"
    return None


def _dwell(s: Situation, current: Step, due: float) -> Draft:
    since = s.status.holds.inconclusive
    if s.now >= due and not s.passes:
        since = since or s.now
    else:
        since = None
    holds = s.status.holds if since == s.status.holds.inconclusive else replace(s.status.holds, inconclusive=since)
    left = due - s.now
    text = undecided(s) if not s.passes else "every critical SLI passes"
    if left > 0:
        text = f"{text}; at least {duration(left)} more at {percent(s.ordered)} %"
    wake = due if left > 0 else (since + inconclusive_hold(s) if since is not None else None)
    draft = stay(s, Phase.PROGRESSING, Reason.PROGRESSING, text, holds=holds, wake_at=wake)
    return _resumed(s, draft)


def _resumed(s: Situation, draft: Draft) -> Draft:
    if s.status.phase is not Phase.PAUSED:
        return draft
    text = f"goes on at {percent(s.ordered)} % ({s.status.reason} is over)"
    status = noted(s, draft.status, "Resume", Reason.PROGRESSING, text, s.ordered)
    return replace(draft, status=status, announcements=(tell(EventReason.RESUMED, text),))


def _next(s: Situation, index: int, why: str) -> Draft:
    if s.status.skip:
        index = len(s.spec.steps) - 1
    wanted = s.spec.steps[index]
    if wanted.approval and s.status.approved < index and not s.status.skip:
        text = f"step {index + 1} ({percent(wanted.weight)} %) waits for an Approve action; {why}"
        return paused(s, Reason.APPROVAL, text)
    if not s.candidate_ready:
        text = f"step {index + 1} waits until every replica of {s.spec.candidate.deployment!r} is ready"
        return stay(s, Phase.PROGRESSING, Reason.CANDIDATE_NOT_READY, text)
    return _not_taken(s, f"step {index + 1}") or raise_to(s, index, wanted.weight, why)


def _not_taken(s: Situation, what: str = "") -> Draft | None:
    """Why the gateway is in the way of a raise; None when it has taken the route as it stands."""
    route = s.obs.route
    if not isinstance(route, RouteSeen) or route.accepted:
        return None
    if route.accepted is None:
        text = f"{what} waits: the gateway has not taken the change to {percent(route.weight)} % yet"
        return stay(s, Phase.PROGRESSING, Reason.ROUTE_PENDING, text)
    text = f"{what} waits: {refused(route)}"
    return stay(s, Phase.PROGRESSING, Reason.ROUTE_NOT_ACCEPTED, text)


def _promote(s: Situation, why: str) -> Draft:
    pending = _not_taken(s, "promotion")
    if pending is not None:
        return pending
    if s.seen != FULL:
        return stay(s, Phase.PROGRESSING, Reason.PROGRESSING, "the route does not show 100 % yet")
    text = f"revision {s.status.revision} promoted: {why}"
    if isinstance(s.obs.route, RouteSeen) and s.obs.route.through_legacy:
        text = f"{text}; {by_way_of_legacy(s.spec)}"
    status = replace(
        s.status, phase=Phase.PROMOTED, reason=Reason.PROMOTED, message=text, weight=FULL, skip=False, holds=Holds()
    )
    status = noted(s, status, "Promote", Reason.PROMOTED, text, FULL)
    status = ended(s, status, "Promoted", Reason.PROMOTED, text)
    return Draft(status, announcements=(tell(EventReason.PROMOTED, text),))
