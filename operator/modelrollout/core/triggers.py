"""What makes a rollout go back, and when. Evaluated before any pause, gate or readiness (hazard H4)."""

from __future__ import annotations

from dataclasses import dataclass

from modelrollout.core.inconclusive import given_up, undecided
from modelrollout.core.model import BurnAction, Outcome, Phase, Verdict
from modelrollout.core.observation import (
    Attribution,
    NoDataCause,
    SliAssessment,
    WorkloadAbsent,
)
from modelrollout.core.reasons import Reason
from modelrollout.core.rollback import roll_back
from modelrollout.core.scaling import overdue
from modelrollout.core.situation import Draft, Situation
from modelrollout.core.wording import arms, assessment, comparison, duration, ledger, tier


@dataclass(frozen=True, slots=True)
class Trigger:
    """A reason to go back, in words."""

    reason: Reason
    message: str


BLAMELESS = frozenset({NoDataCause.NO_TRAFFIC, NoDataCause.BOTH_ARMS})
"""Silence that says nothing about the candidate."""


def rollback_trigger(s: Situation) -> Draft | None:
    """Roll back when anything says so; the first reason in the order of certainty is recorded."""
    if not s.under_way and (not s.exposed or s.status.phase in (Phase.ROLLING_BACK, Phase.PROMOTED)):
        return None
    found = _from_evidence(s) or _from_candidate(s) or _from_holds(s)
    return roll_back(s, found.reason, found.message) if found else None


def condemned(s: Situation) -> bool:
    """Whether the evidence of a rollout on its way is a reason to go back."""
    return s.under_way and _from_evidence(s) is not None


def _from_evidence(s: Situation) -> Trigger | None:
    for sli in s.critical:
        if sli.hard_guard and sli.hard_guard.attribution is not Attribution.SHARED:
            return Trigger(Reason.HARD_GUARD, assessment(sli))
    for sli in s.critical:
        found = _burning(s, sli)
        if found:
            return found
    if s.evidence:
        for state in s.evidence.ledgers:
            over = state.allowed is not None and state.lower is not None and state.lower > state.allowed
            if over or state.gross_over:
                return Trigger(Reason.BUDGET_SHARE_SPENT, ledger(state))
    for sli in s.critical:
        if sli.verdict is Verdict.FAIL:
            return Trigger(Reason.SLI_FAILED, comparison(sli))
    return None


def _burning(s: Situation, sli: SliAssessment) -> Trigger | None:
    for finding in sli.tiers:
        if finding.attribution is Attribution.SHARED:
            continue
        due = finding.tier.action is BurnAction.ROLLBACK and (
            finding.attribution is not Attribution.AWAITING
            or _lasted(s.now, s.status.holds.attribution, finding.tier.short)
        )
        # A pausing tier that is still true after one more short window goes back too.
        due = due or (
            finding.tier.action is BurnAction.PAUSE
            and finding.attribution is not Attribution.AWAITING
            and _lasted(s.now, s.status.holds.elevated, finding.tier.short)
        )
        if due:
            return Trigger(Reason.BUDGET_BURN, f"{sli.name}: {tier(finding)}; {arms(sli)}")
    return None


def _from_candidate(s: Situation) -> Trigger | None:
    name = s.spec.candidate.deployment
    if isinstance(s.obs.candidate, WorkloadAbsent) and s.exposed:
        return Trigger(Reason.CANDIDATE_UNHEALTHY, s.obs.candidate.problem)
    limit = s.spec.candidate_deadline
    if s.under_way and _lasted(s.now, s.status.holds.unready, limit) and not s.candidate_ready:
        return Trigger(Reason.CANDIDATE_UNHEALTHY, f"candidate deployment {name!r} was not ready for {duration(limit)}")
    if s.under_way and (late := overdue(s)):
        return Trigger(Reason.CANDIDATE_UNHEALTHY, late)
    if s.under_way and s.status.lapses > 1:
        return Trigger(
            Reason.CANDIDATE_UNHEALTHY, f"candidate deployment {name!r} lost all its ready endpoints twice at this step"
        )
    return None


def _from_holds(s: Situation) -> Trigger | None:
    no_data = s.spec.analysis.no_data
    silent = [x for x in s.critical if x.verdict is Verdict.NO_DATA and x.no_data not in BLAMELESS]
    if silent and no_data.then is Outcome.ROLLBACK and _lasted(s.now, s.status.holds.no_data, no_data.hold):
        return Trigger(Reason.NO_DATA, f"{assessment(silent[0])}, for {duration(no_data.hold)}")
    if given_up(s, Outcome.ROLLBACK):
        return Trigger(Reason.INCONCLUSIVE, undecided(s))
    return None


def _lasted(now: float, since: float | None, limit: float) -> bool:
    return since is not None and now - since >= limit
