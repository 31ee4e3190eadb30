"""`decide`: the only place that decides. Pure and total: the same inputs give the same decision, and none raises."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.actions import absorb
from modelrollout.core.ahead import on_time
from modelrollout.core.conditions import rendered
from modelrollout.core.counted import counted
from modelrollout.core.inconclusive import recalled, unwritten
from modelrollout.core.intents import Decision, DropFinalizer
from modelrollout.core.lifecycle import RECHECK, deleting, finalizer, new_revision, preflight, references
from modelrollout.core.model import Phase, RolloutSpec
from modelrollout.core.observation import Observation, PreflightPassed
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.rollback import lower, roll_back
from modelrollout.core.route_policy import kept, returned, settled, shape
from modelrollout.core.scaling import resumed, scaling
from modelrollout.core.situation import AT_REST, Draft, Policy, Situation
from modelrollout.core.status import Condition, RolloutStatus
from modelrollout.core.steps import changed_plan, dwell_and_advance
from modelrollout.core.triggers import condemned, rollback_trigger
from modelrollout.core.waiting import (
    burning,
    candidate_endpoints,
    emptied,
    invalid_evidence,
    no_data,
    not_looked_again,
    people,
    unanswered,
    undecided_for_too_long,
    unreachable,
)


def _finish_rollback(s: Situation) -> Draft | None:
    return lower(s) if s.status.phase is Phase.ROLLING_BACK else None


def _abort(s: Situation) -> Draft | None:
    # At rest at 0 there is nothing to do; a route that somebody raised behind our back comes down when asked.
    if s.abort is None or (s.status.phase in (Phase.ROLLED_BACK, Phase.IDLE) and not s.exposed):
        return None
    return roll_back(s, Reason.ABORTED, s.abort)


# Safety first: what takes traffic off a candidate stands before everything that waits (hazard H4).
POLICIES: tuple[Policy, ...] = (
    deleting,
    finalizer,
    _finish_rollback,
    _abort,
    rollback_trigger,
    new_revision,
    scaling,
    emptied,
    references,
    shape,
    candidate_endpoints,
    kept,
    preflight,
    unanswered,
    people,
    changed_plan,
    invalid_evidence,
    unreachable,
    no_data,
    burning,
    undecided_for_too_long,
    not_looked_again,
    dwell_and_advance,
    settled,
)


def decide(spec: RolloutSpec | None, status: RolloutStatus | None, obs: Observation, now: float) -> Decision:
    """The next status, at most one change to the cluster, and when to look again.

    `spec` is None when the stored object can't be converted; `obs.problem` then says why. The first policy that
    answers wins. `now` in epoch seconds.
    """
    before = status or RolloutStatus()
    if spec is None:
        return _unreadable(before, obs, now)
    s, decision = chosen(spec, before, obs, now)
    after, epoch = decision.status, max(obs.epoch, before.leader_epoch)
    if (after.observed_generation, after.leader_epoch) != (obs.generation, epoch):
        after = replace(after, observed_generation=obs.generation, leader_epoch=epoch)
    after = unwritten(spec, rendered(replace(s, status=after)), now)
    return replace(decision, status=counted(s, before, after))


def chosen(spec: RolloutSpec, status: RolloutStatus, obs: Observation, now: float) -> tuple[Situation, Decision]:
    """What the policies say, before conditions, columns and SLI lines are worked out; and the situation they judged."""
    status = on_time(status, now, spec.analysis.interval)
    s = resumed(Situation(spec, status, obs, now))
    # A step that begins anew forgets its evidence: not what condemns the candidate, which no later look might see.
    s, results = absorb(recalled(s if condemned(s) else returned(s)))
    draft = next((d for d in (policy(s) for policy in POLICIES) if d is not None), None) or Draft(s.status)
    return s, Decision(draft.status, draft.intent, draft.announcements, results, _wake(s, draft), draft.urgent)


def _wake(s: Situation, draft: Draft) -> float | None:
    """When to look again. In mid-step without known metrics nothing else brings news: they are looked up by looks."""
    if not s.under_way or isinstance(s.obs.preflight, PreflightPassed):
        return draft.wake_at
    soon = s.now + RECHECK
    return soon if draft.wake_at is None else min(draft.wake_at, soon)


def _unreadable(before: RolloutStatus, obs: Observation, now: float) -> Decision:
    if obs.deleting:
        return Decision(before, DropFinalizer() if obs.finalizer else None, urgent=True)
    message = obs.problem.problem if obs.problem else "the object can't be read"
    status = replace(before, observed_generation=obs.generation, leader_epoch=max(obs.epoch, before.leader_epoch))
    if not before.revision or before.phase not in AT_REST:
        # At rest the conditions tell: the phase says who has the users, and which revision may not start again.
        status = replace(status, phase=Phase.INVALID, reason=Reason.INVALID_SPEC, message=message)
    told = {
        ConditionType.READY: "False",
        ConditionType.RECONCILING: "False",
        ConditionType.STALLED: "True",
        ConditionType.ACCEPTED: "False",
        ConditionType.PROMOTED: "False",
        ConditionType.ROLLED_BACK: "False",
    }
    others = tuple(c for c in before.conditions if c.type not in told)
    old = {c.type: c for c in before.conditions}
    made = tuple(
        Condition(
            kind,
            value,
            Reason.INVALID_SPEC,
            message,
            old[kind].since if kind in old and old[kind].status == value else now,
            obs.generation,
        )
        for kind, value in told.items()
    )
    return Decision(replace(status, conditions=(*made, *others)))
