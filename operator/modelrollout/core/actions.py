"""What people ask for by `RolloutAction`: applied in order of creation, each once, refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from modelrollout.core.intents import ActionResult
from modelrollout.core.model import ActionVerb, Phase
from modelrollout.core.observation import ActionRequest
from modelrollout.core.reasons import Reason
from modelrollout.core.situation import ACTIVE, Situation
from modelrollout.core.status import MAX_HANDLED, DecisionRecord, Holds, RolloutStatus, recorded


@dataclass(frozen=True, slots=True)
class _Answer:
    status: RolloutStatus
    applied: bool
    message: str
    abort: str | None = None


def absorb(s: Situation) -> tuple[Situation, tuple[ActionResult, ...]]:
    """Apply what is pending to the situation; returns it with a result per action.

    An action whose uid is in `status.handled` was applied before its result could be written: it is answered again,
    never applied again.
    """
    if not s.status.revision:
        # Nothing has a name yet: an abort now would be forgotten by the start that follows.
        return s, ()
    results: list[ActionResult] = []
    for request in s.obs.actions:
        if request.uid in s.status.handled:
            results.append(ActionResult(request.name, request.uid, True, "applied earlier"))
            continue
        if _outruns(s, request):
            s = replace(s, abort=request.reason or f"action {request.name!r}")
            continue
        answer = _answer(s, request)
        status = replace(answer.status, handled=(*answer.status.handled, request.uid)[-MAX_HANDLED:])
        if answer.applied:
            text = f"{request.verb} by action {request.name!r}: {request.reason or 'no reason given'}"
            record = DecisionRecord(
                s.now,
                str(request.verb),
                "Action",
                text,
                status.weight if status.weight is not None else s.ordered,
                status.revision,
                s.spec.generation,
            )
            status = recorded(status, record)
        s = replace(s, status=status, abort=answer.abort or s.abort)
        results.append(ActionResult(request.name, request.uid, answer.applied, answer.message))
    return s, tuple(results)


def _answer(s: Situation, request: ActionRequest) -> _Answer:
    current = s.status.revision
    if request.revision and request.revision != current:
        return _refused(s, f"revision {request.revision} is not the present one ({current or 'none'})")
    match request.verb:
        case ActionVerb.ABORT:
            why = f"action {request.name!r}: {request.reason or 'no reason given'}"
            return _Answer(s.status, True, "traffic goes back to legacy", abort=why)
        case ActionVerb.PAUSE:
            return _pause(s)
        case ActionVerb.RESUME:
            return _resume(s)
        case ActionVerb.PROMOTE:
            return _promote(s)
        case ActionVerb.APPROVE:
            return _approve(s)
        case ActionVerb.RETRY:
            return _retry(s)
    assert_never(request.verb)


def _outruns(s: Situation, request: ActionRequest) -> bool:
    """An abort of whatever runs, while a newer revision is there: it stops this one and stays open for that one."""
    newer = s.obs.revision not in (None, s.status.revision)
    return request.verb is ActionVerb.ABORT and request.revision is None and newer


def _refused(s: Situation, message: str) -> _Answer:
    return _Answer(s.status, False, message)


def _in_flight(s: Situation) -> bool:
    return s.status.phase in ACTIVE or s.status.phase is Phase.PREFLIGHT


def _pause(s: Situation) -> _Answer:
    if not _in_flight(s):
        return _refused(s, f"nothing to pause in phase {s.status.phase}")
    return _Answer(replace(s.status, paused_by_action=True), True, "paused; a Resume action goes on")


def _resume(s: Situation) -> _Answer:
    # Timers start anew: a person has looked, so an old deadline must not fire at once. Readiness is no opinion.
    holds = Holds(unready=s.status.holds.unready)
    if s.status.reason == Reason.ROUTE_CONFLICT:
        return _Answer(replace(s.status, paused_by_action=False, holds=holds), True, "the weights are put back")
    if s.spec.paused:
        return _refused(s, "spec.paused is true: set it to false instead")
    if s.status.phase is not Phase.PAUSED and not s.status.paused_by_action:
        return _refused(s, f"not paused (phase {s.status.phase})")
    if s.status.reason == Reason.APPROVAL:
        return _refused(s, "waits for approval: an Approve action goes on")
    return _Answer(replace(s.status, paused_by_action=False, holds=holds), True, "goes on")


def _promote(s: Situation) -> _Answer:
    if not _in_flight(s):
        return _refused(s, f"nothing to promote in phase {s.status.phase}")
    return _Answer(replace(s.status, skip=True, paused_by_action=False), True, "goes to 100 % without further evidence")


def _approve(s: Situation) -> _Answer:
    if s.status.reason == Reason.BUDGET_EXHAUSTED:
        return _Answer(replace(s.status, overridden=True), True, "starts although the error budget is spent")
    if s.status.reason != Reason.APPROVAL:
        return _refused(s, f"nothing waits for approval (phase {s.status.phase})")
    index = s.status.step.index + 1 if s.status.step else 0
    return _Answer(replace(s.status, approved=index), True, f"step {index + 1} approved")


def _retry(s: Situation) -> _Answer:
    revision = s.status.revision
    if not s.status.is_rejected(revision) or s.status.phase is not Phase.ROLLED_BACK:
        return _refused(s, f"revision {revision or 'none'} was not rolled back")
    kept = tuple(r for r in s.status.rejected if r.revision != revision)
    # An empty revision makes the next policy start this one as if it were new.
    return _Answer(replace(s.status, rejected=kept, revision=""), True, f"revision {revision} starts again")
