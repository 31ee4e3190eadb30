"""Reasons to hold the weight: pauses by people, doubt about the data, damage that both arms share, capacity."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.inconclusive import given_up, inconclusive_hold, undecided
from modelrollout.core.intents import Move, SetWeight
from modelrollout.core.model import ZERO, BurnAction, Outcome, Phase, Verdict, Weight
from modelrollout.core.observation import (
    Attribution,
    EvidenceUnreachable,
    NoDataCause,
    RouteSeen,
    SliAssessment,
)
from modelrollout.core.reasons import EventReason, Reason
from modelrollout.core.scaling import draining
from modelrollout.core.situation import (
    RETURN,
    Draft,
    Situation,
    anew,
    blank_slis,
    noted,
    paused,
    restore,
    stay,
    tell,
    warn,
)
from modelrollout.core.status import Holds, StepState
from modelrollout.core.triggers import BLAMELESS
from modelrollout.core.wording import assessment, duration, hard_guard, ledger, percent, tier

ANSWER = 10.0
"""Seconds within which a gateway takes a change of its route; usually it is far less than one."""

HELD_BY_EVIDENCE = frozenset(
    {
        Reason.NO_DATA,
        Reason.METRICS_UNREACHABLE,
        Reason.AWAITING_ATTRIBUTION,
        Reason.SHARED_DEGRADATION,
        Reason.ELEVATED_BURN,
        Reason.INCONCLUSIVE,
    }
)


def emptied(s: Situation) -> Draft | None:
    """Users of a candidate without any endpoint go back whatever else is wrong, also what makes a rollout Invalid."""
    gone = s.under_way and s.candidate_endpoints == 0 and s.exposed
    return candidate_endpoints(s) if gone and s.can_go_back else None


def candidate_endpoints(s: Situation) -> Draft | None:
    """Traffic leaves a candidate without ready endpoints at once, and comes back when it is ready again."""
    if not s.under_way or s.status.step is None:
        return None
    name, since = s.spec.candidate.deployment, s.status.holds.unready
    if since is None and s.candidate_endpoints > 0:
        return None
    if since is not None and (s.candidate_ready or s.startable):
        lowers = (s.seen or ZERO) > s.status.step.weight
        if lowers and not s.can_go_back:
            return None
        if isinstance(s.obs.evidence, EvidenceUnreachable) and (s.seen or ZERO) < s.status.step.weight:
            text = f"candidate deployment {name!r} is ready again; {_frozen(s, s.obs.evidence)}"
            return paused(s, Reason.METRICS_UNREACHABLE, text)
        return _back(s, s.status.step)
    limit = s.spec.candidate_deadline
    start = since if since is not None else s.now
    message = (
        f"candidate deployment {name!r} has no ready endpoint; weight 0 until it is ready, "
        f"rolled back after {duration(limit)}"
    )
    if s.candidate_endpoints > 0:
        message = f"candidate deployment {name!r} is coming back, not all replicas are ready"
    if s.candidate_endpoints > 0 and s.pods is not None and s.pods.candidate == 0:
        message = f"candidate deployment {name!r} is started again when its {s.candidate_endpoints} pods have ended"
    holds = replace(s.status.holds, unready=start)
    draft = paused(s, Reason.CANDIDATE_UNREADY, message, wake_at=start + limit, holds=holds)
    if since is None:
        draft = replace(draft, status=replace(draft.status, lapses=s.status.lapses + 1))
    return _withdrawn(s, draft, message) if s.exposed and s.can_go_back and not draining(s) else draft


def _withdrawn(s: Situation, draft: Draft, message: str) -> Draft:
    """`draft` with the weight at 0, recorded: at the pause, or when legacy can take the users later on."""
    status = replace(draft.status, weight=ZERO)
    told = draft.announcements
    if not told:
        status = noted(s, status, "Lower", Reason.CANDIDATE_UNREADY, message, ZERO)
        told = (warn(EventReason.WEIGHT_CHANGED, f"{percent(s.seen or ZERO)} % -> 0 %: {message}"),)
    return Draft(status, SetWeight(ZERO, segments=False, move=Move.LOWER), told, True, draft.wake_at)


def _back(s: Situation, step: StepState) -> Draft:
    message = (
        f"candidate deployment {s.spec.candidate.deployment!r} is {_again(s)}: weight back to "
        f"{percent(step.weight)} %, evidence starts anew"
    )
    back = replace(
        s.status,
        phase=Phase.PROGRESSING,
        reason=Reason.PROGRESSING,
        holds=Holds(foreign=s.status.holds.foreign),
        step=replace(step, started=s.now),
    )
    back = noted(s, back, RETURN, Reason.PROGRESSING, message, step.weight)
    return restore(replace(s, status=back), step.weight, message, segments=s.has_segments)


def _again(s: Situation) -> str:
    return "ready again" if s.pods is None else "started again"


def unanswered(s: Situation) -> Draft | None:
    """A gateway that has not taken the route's last change: users are split as before, and what comes in meanwhile is
    not what the step asks for. Nothing is judged by it; the evidence starts anew when the gateway has answered.
    """
    route, step = s.obs.route, s.status.step
    if not s.under_way or step is None or not isinstance(route, RouteSeen) or route.weight != s.ordered:
        return None
    told = s.status.reason == Reason.ROUTE_PENDING
    if route.accepted is None and (told or s.now - step.started >= ANSWER):
        text = (
            f"the gateway has not taken the change to {percent(route.weight)} %: users may still be split as before; "
            "check the gateway's controller"
        )
        return stay(s, s.status.phase, Reason.ROUTE_PENDING, text, wake_at=s.now + ANSWER)
    if not told or not route.accepted:
        return None
    text = f"the gateway has taken the change to {percent(route.weight)} %: the evidence starts anew"
    begun = replace(anew(s).status, phase=Phase.PROGRESSING, reason=Reason.PROGRESSING, message=text)
    begun = noted(s, replace(begun, slis=blank_slis(s.spec)), "Restart", Reason.ROUTE_PENDING, text, route.weight)
    return Draft(begun, announcements=(tell(EventReason.EVIDENCE_RESTARTED, text),), wake_at=s.now)


def people(s: Situation) -> Draft | None:
    """`spec.paused` and the Pause action hold the weight until they are lifted."""
    if not s.under_way:
        return None
    if s.spec.paused:
        return paused_at(s, Reason.PAUSED_BY_SPEC, "spec.paused is true: set it to false to go on")
    if s.status.paused_by_action:
        return paused_at(s, Reason.PAUSED_BY_ACTION, "paused by a RolloutAction: a Resume action goes on")
    return None


def paused_at(s: Situation, reason: Reason, message: str) -> Draft:
    """Paused with the weight in the text."""
    return paused(s, reason, f"at {percent(s.status.weight or ZERO)} %: {message}")


def _judged(s: Situation) -> bool:
    """Whether evidence may hold the weight: a person who promotes has decided that it does not."""
    return s.under_way and not s.status.skip


def unreachable(s: Situation) -> Draft | None:
    """Prometheus is away: the weight is frozen; never a revert by itself; goes on when it answers again."""
    if not _judged(s):
        return None
    evidence, hold = s.obs.evidence, s.spec.analysis.no_data.hold
    if not isinstance(evidence, EvidenceUnreachable):
        return None
    since = s.status.holds.unreachable or evidence.since
    holds = replace(s.status.holds, unreachable=since)
    message = _frozen(s, evidence)
    if s.now - since >= hold:
        return paused(s, Reason.METRICS_UNREACHABLE, message, holds=holds)
    draft = stay(s, Phase.PROGRESSING, Reason.METRICS_UNREACHABLE, message, holds=holds, wake_at=since + hold)
    return _announced(s, draft, Reason.METRICS_UNREACHABLE, message)


def _held(s: Situation) -> Weight:
    """What the candidate has: the route tells better than the record when a write of it was lost."""
    return (s.status.weight or ZERO) if s.seen is None else s.seen


def _frozen(s: Situation, evidence: EvidenceUnreachable) -> str:
    return (
        f"metric source {s.spec.analysis.metric_source!r} does not answer ({evidence.kind}); the weight is frozen at "
        f"{percent(_held(s))} % and the rollout goes on by itself when it does"
    )


def no_data(s: Situation) -> Draft | None:
    """A critical SLI without data: hold; a pause at the deadline when the policy says so."""
    silent = [x for x in s.critical if x.verdict is Verdict.NO_DATA]
    if not silent or not _judged(s):
        return None
    policy = s.spec.analysis.no_data
    first = next((x for x in silent if x.no_data is not NoDataCause.NO_TRAFFIC), None)
    if first is None:
        return _doubt(s, Reason.INCONCLUSIVE, assessment(silent[0]))
    since = s.status.holds.no_data or s.now
    holds = replace(s.status.holds, no_data=since)
    # As with a Prometheus that does not answer: nobody is reverted because scraping failed.
    then = Outcome.PAUSE if all(x.no_data in BLAMELESS for x in silent) else policy.then
    message = f"{assessment(first)}; the weight is frozen, {then} after {duration(policy.hold)}"
    if s.now - since >= policy.hold and then is Outcome.PAUSE:
        return paused(s, Reason.NO_DATA, message, holds=holds)
    draft = stay(s, Phase.PROGRESSING, Reason.NO_DATA, message, holds=holds, wake_at=since + policy.hold)
    return _announced(s, draft, Reason.NO_DATA, message)


def invalid_evidence(s: Situation) -> Draft | None:
    """A critical SLI that can't be judged (buckets changed, say) never promotes."""
    broken = [x for x in s.critical if x.verdict is Verdict.INVALID]
    return paused(s, Reason.INCONCLUSIVE, assessment(broken[0])) if broken and _judged(s) else None


def burning(s: Situation) -> Draft | None:
    """Tiers that are true without being a trigger yet, and a ledger half spent."""
    if not _judged(s):
        return None
    for sli in s.critical:
        if sli.hard_guard and sli.hard_guard.attribution is Attribution.SHARED:
            text = f"{sli.name}: {hard_guard(sli.hard_guard)}; legacy's were too, nobody is blamed"
            return paused(s, Reason.SHARED_DEGRADATION, text)
        draft = _tiers(s, sli)
        if draft:
            return draft
    for state in s.evidence.ledgers if s.evidence else ():
        half = state.allowed is not None and state.spent >= 0.5 * state.allowed
        if half and state.lower is not None and state.lower > 0:
            return paused(s, Reason.ELEVATED_BURN, f"half of the rollout's share is spent; {ledger(state)}")
    return None


def _tiers(s: Situation, sli: SliAssessment) -> Draft | None:
    for finding in sli.tiers:
        text = f"{sli.name}: {tier(finding)}"
        if finding.attribution is Attribution.SHARED:
            return paused(s, Reason.SHARED_DEGRADATION, f"{text}; both arms are bad, nobody is blamed")
        if finding.attribution is Attribution.AWAITING:
            since = s.status.holds.attribution or s.now
            holds = replace(s.status.holds, attribution=since)
            return stay(
                s,
                Phase.PROGRESSING,
                Reason.AWAITING_ATTRIBUTION,
                f"{text}; the weight is frozen",
                holds=holds,
                wake_at=since + finding.tier.short,
            )
        if finding.tier.action is BurnAction.PAUSE:
            since = s.status.holds.elevated or s.now
            holds = replace(s.status.holds, elevated=since)
            message = f"{text}; rolled back if still true in {duration(finding.tier.short)}"
            return paused(s, Reason.ELEVATED_BURN, message, holds=holds, wake_at=since + finding.tier.short)
    return None


def undecided_for_too_long(s: Situation) -> Draft | None:
    """A step past its deadline without a verdict pauses (rollback is a trigger, promotion is the step policy's)."""
    if s.status.skip or not given_up(s, Outcome.PAUSE):
        return None
    message = f"no verdict {duration(inconclusive_hold(s))} after the step's shortest time: {undecided(s)}"
    return paused(s, Reason.INCONCLUSIVE, message)


def not_looked_again(s: Situation) -> Draft | None:
    """What the evidence held stays held until there is evidence again.

    A new leader starts without any: that an incident is over, or that the clock of a hold starts anew, is not for it
    to say. A person who promotes goes before this.
    """
    if not _judged(s) or s.evidence is not None or s.status.reason not in HELD_BY_EVIDENCE:
        return None
    return Draft(s.status)


def _doubt(s: Situation, reason: Reason, message: str) -> Draft:
    since = s.status.holds.inconclusive or s.now
    holds = replace(s.status.holds, inconclusive=since)
    limit = inconclusive_hold(s)
    if s.now - since >= limit and s.spec.analysis.inconclusive.then is Outcome.PAUSE:
        return paused(s, reason, message, holds=holds)
    return stay(s, Phase.PROGRESSING, reason, message, holds=holds, wake_at=since + limit)


def _announced(s: Situation, draft: Draft, reason: Reason, message: str) -> Draft:
    if s.status.reason == reason:
        return draft
    status = noted(s, draft.status, "Hold", reason, message, s.status.weight or ZERO)
    return replace(draft, status=status, announcements=(warn(EventReason.NO_DATA, message),))
