"""What no write of the operator may break: predicates over one change of the stored objects.

For every level of the suite: a `Change` holds the stored objects before and after some writes of one decision, all of
them or those up to a crash, and says nothing of who plays the API server. Each oracle answers with a sentence, or
None. Numbers are those of the reliability page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from modelrollout.core.intents import Decision, Move, SetWeight, ShapeRoute
from modelrollout.core.invariants import cap
from modelrollout.core.model import FULL, ZERO, ActionVerb, Outcome, Phase, RolloutSpec, Verdict, Weight
from modelrollout.core.observation import Attribution, EvidenceSeen, Observation, WorkloadSeen
from modelrollout.core.status import DecisionRecord, RolloutStatus


@dataclass(frozen=True, slots=True)
class Stored:
    """The objects at one moment. `weight`, `segments`: the candidate's share at the route; None without a route."""

    status: RolloutStatus | None
    weight: Weight | None
    segments: Weight = ZERO
    finalizer: bool = True
    deleting: bool = False
    gone: bool = False

    @property
    def candidate(self) -> Weight:
        """The candidate's weight, 0 without a route."""
        return self.weight or ZERO

    @property
    def reached(self) -> bool:
        """Whether the route sends anybody to the candidate."""
        return self.candidate > 0 or self.segments > 0


@dataclass(frozen=True, slots=True)
class Change:
    """Writes of one decision. `complete`: all of them were made. `observation`: what was decided on."""

    spec: RolloutSpec
    before: Stored
    after: Stored
    decision: Decision
    observation: Observation
    complete: bool = True

    @property
    def raised(self) -> bool:
        """Whether these writes gave the candidate more."""
        return self.after.candidate > self.before.candidate


Oracle = Callable[[Change], str | None]


def i01_sum(change: Change) -> str | None:
    """Weights are shares: 0..100 %, segments all or nothing."""
    after = change.after
    if after.weight is not None and not ZERO <= after.weight <= FULL:
        return f"I1: weight {after.weight} is outside 0..{FULL}"
    if after.segments != change.before.segments and after.segments not in (ZERO, FULL):
        return f"I1: segments at {after.segments}"
    return None


def i02_cap(change: Change) -> str | None:
    """No write gives the candidate more than the stored record allows."""
    allowed = cap(change.after.status)
    if change.raised and change.after.candidate > allowed:
        return f"I2: raised to {change.after.candidate}, the stored record allows {allowed}"
    if change.raised and change.after.deleting:
        return "I2: raised while the object is being deleted"
    grown = change.after.segments > change.before.segments
    if grown and not allowed:
        return "I2: segments go to the candidate before the record allows any weight"
    return None


def i03_no_resurrection(change: Change) -> str | None:
    """A revision that was rolled back gets no more traffic."""
    grown = change.raised or change.after.segments > change.before.segments
    status, revision = change.before.status, change.observation.revision
    if not grown or status is None:
        return None
    # The list itself is asked, not the operator's own reading of it.
    known = {entry.revision for entry in status.rejected}
    rejected = (revision or status.revision) in known or status.phase is Phase.ROLLING_BACK
    retried = any(action.verb is ActionVerb.RETRY for action in change.observation.actions)
    return None if not rejected or retried else f"I3: raises {revision or status.revision}, which was rolled back"


def i08_capacity(change: Change) -> str | None:
    """More only for a candidate whose ready endpoints bear it; less only for a legacy that serves."""
    seen, legacy = change.observation.candidate, change.observation.legacy
    after = change.after
    if change.raised and change.spec.steps and change.decision.status.phase is not Phase.PROMOTED:
        ready = seen.endpoints if isinstance(seen, WorkloadSeen) else 0
        needed = max(1, ceil(seen.wanted * after.candidate / FULL)) if isinstance(seen, WorkloadSeen) else 1
        if ready < needed:
            return f"I8: raised to {after.candidate} with {ready} ready endpoints of the candidate, needs {needed}"
    serves = isinstance(legacy, WorkloadSeen) and legacy.endpoints > 0
    if after.weight is not None and after.candidate < change.before.candidate and not serves:
        return f"I8: lowered to {after.candidate} though legacy has no ready endpoint"
    return None


def i09_truthful(change: Change) -> str | None:
    """Status never claims less than the route gives; Promoted only with the route at 100 %."""
    before, after = change.before, change.after
    if after.status is None or after.gone:
        return None
    claimed = after.status.weight or ZERO
    was_claimed = (before.status.weight or ZERO) if before.status else ZERO
    touched = after.candidate != before.candidate or claimed < was_claimed
    # Somebody raised the route behind our back, and it is being brought down.
    mending = was_claimed < before.candidate >= after.candidate and claimed >= was_claimed
    if touched and not mending and claimed < after.candidate and after.status.phase is not Phase.ROLLING_BACK:
        return f"I9: status claims {claimed}, the route gives {after.candidate}"
    promoted = after.status.phase is Phase.PROMOTED and (before.status is None or before.status.phase != Phase.PROMOTED)
    if promoted and after.weight != FULL:
        return f"I9: promoted while the route shows {after.weight}"
    over = before.status is not None and before.status.phase is Phase.PROMOTED
    if over and after.status.phase in (Phase.PROGRESSING, Phase.PAUSED):
        return f"I9: promoted, then {after.status.phase} again"
    return None


def i10_evidence(change: Change) -> str | None:
    """A step up, and a promotion, rest on a PASS of this step, on a person, or on a stated policy."""
    status, after = change.before.status, change.after.status
    if status is None or status.step is None or after is None or after.revision != status.revision:
        return None
    promoted = after.phase is Phase.PROMOTED and status.phase is not Phase.PROMOTED
    further = after.step is not None and after.step.weight > status.step.weight
    if not promoted and not further:
        return None
    by_person = status.skip or any(action.verb is ActionVerb.PROMOTE for action in change.observation.actions)
    by_policy = change.spec.analysis.inconclusive.then is Outcome.PROMOTE or change.spec.ramp
    if by_person or by_policy:
        return None
    fault = _no_pass(change, status.step.started)
    return f"I10: {'promoted' if promoted else 'a step up'} {fault}" if fault else None


def _no_pass(change: Change, started: float) -> str | None:
    evidence = change.observation.evidence
    if not isinstance(evidence, EvidenceSeen):
        return "without evidence"
    if evidence.since < started:
        return "on evidence from before this step"
    verdicts = {x.name: x.verdict for x in evidence.slis if x.critical}
    silent = [x.name for x in change.spec.slis if x.critical and verdicts.get(x.name) is not Verdict.PASS]
    return f"without a PASS of {silent[0]}" if silent else None


def i10_approval(change: Change) -> str | None:
    """A gate opens by a person only, for the plan that the person saw."""
    status, after = change.before.status, change.after.status
    if after is None or after.step is None or status is None or after.revision != status.revision:
        return None
    index = after.step.index
    if after.plan != status.plan and status.step is not None and after.approved > index:
        return f"I10: the approval of step {after.approved + 1} outlives the plan that it was given for"
    entered = status.step is None or (status.step.index < index and after.step.weight > status.step.weight)
    if not entered or not 0 <= index < len(change.spec.steps) or not change.spec.steps[index].approval:
        return None
    verbs = {action.verb for action in change.observation.actions}
    opened = status.approved >= index or status.skip or verbs & {ActionVerb.APPROVE, ActionVerb.PROMOTE}
    return None if opened else f"I10: step {index + 1} began without approval"


def i12_finalizer(change: Change) -> str | None:
    """The finalizer stands before the first weight, and goes when the weight is 0 or legacy can't serve."""
    before, after = change.before, change.after
    if change.raised and not after.finalizer:
        return "I12: a weight without the finalizer"
    promoted = before.status is not None and before.status.phase is Phase.PROMOTED
    legacy = change.observation.legacy
    serves = isinstance(legacy, WorkloadSeen) and legacy.endpoints > 0
    if after.gone and not before.gone and after.reached and serves and not promoted:
        return f"I12: let go with {after.candidate} at the candidate"
    return None


def i13_budget(change: Change) -> str | None:
    """What a revision has spent is never forgotten."""
    old, new = change.before.status, change.after.status
    if old is None or new is None or (old.revision, old.attempt) != (new.revision, new.attempt):
        return None
    evidence = change.observation.evidence
    measured = {x.sli: x.peak for x in evidence.ledgers} if isinstance(evidence, EvidenceSeen) else {}
    peaks = {x.sli: x.peak for x in new.budget}
    lost = [x for x in old.budget if peaks.get(x.sli, 0.0) < min(x.peak, measured.get(x.sli, x.peak))]
    return f"I13: spent budget of {lost[0].sli} fell from {lost[0].peak:g}" if lost else None


def i14_audit(change: Change) -> str | None:
    """Each change of weight has a decision record with a reason, and is told once."""
    old, new = change.before, change.after
    if not change.complete or new.status is None or new.gone:
        return None
    if (old.candidate, old.segments) == (new.candidate, new.segments):
        return None
    fresh = [r for r in appended(old.status, new.status) if r.reason != "Action"]
    if fresh:
        return None if all(r.reason for r in fresh) else "I14: a decision record without a reason"
    if finishes(change):
        return None
    return f"I14: weight {old.candidate} -> {new.candidate} without a decision record"


def appended(old: RolloutStatus | None, new: RolloutStatus) -> tuple[DecisionRecord, ...]:
    """Records of `new` that `old` did not have; the oldest ones of `old` may have been dropped."""
    known = old.decisions if old else ()
    count = len(new.decisions)
    same = next((n for n in range(count, -1, -1) if known[len(known) - n :] == new.decisions[:n]), 0)
    return new.decisions[same:]


def finishes(change: Change) -> bool:
    """Whether the writes complete a change that is recorded already: a raise cut short, a rollback under way."""
    status = change.before.status
    if status is None:
        return False
    if status.phase is Phase.ROLLING_BACK and change.after.candidate == ZERO:
        return True
    intent = change.decision.intent
    weights = {r.weight for r in status.decisions}
    return isinstance(intent, SetWeight) and intent.move is Move.RAISE and intent.weight in weights


def one_way(change: Change) -> str | None:
    """An intent moves the way it says."""
    intent = change.decision.intent
    if isinstance(intent, SetWeight) and intent.move is Move.LOWER and intent.weight > change.before.candidate:
        return f"a lowering from {change.before.candidate} to {intent.weight} raises"
    if isinstance(intent, ShapeRoute) and change.raised and change.before.status is None:
        return "the route is made with a weight before there is a status"
    return None


def harmful(change_evidence: object, started: float | None) -> bool:
    """Whether evidence of the present step takes the candidate off at once, whatever waits."""
    if not isinstance(change_evidence, EvidenceSeen) or started is None or change_evidence.since < started:
        return False
    for sli in change_evidence.slis:
        if not sli.critical:
            continue
        if sli.verdict is Verdict.FAIL:
            return True
        if sli.hard_guard and sli.hard_guard.attribution is not Attribution.SHARED:
            return True
    return any(x.gross_over or (x.allowed and x.lower and x.lower > x.allowed) for x in change_evidence.ledgers)


ORACLES: tuple[Oracle, ...] = (
    i01_sum,
    i02_cap,
    i03_no_resurrection,
    i08_capacity,
    i09_truthful,
    i10_evidence,
    i10_approval,
    i12_finalizer,
    i13_budget,
    i14_audit,
    one_way,
)


def broken(change: Change, oracles: tuple[Oracle, ...] = ORACLES) -> tuple[str, ...]:
    """Sentences for all that `change` breaks."""
    return tuple(found for oracle in oracles if (found := oracle(change)) is not None)
