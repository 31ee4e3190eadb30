"""Predicates that hold at every moment, checked by tests; those about raising traffic before every write as well.

Numbers are those of the reliability page: I1 sum, I2 cap, I3 no resurrection, I9 truthful status, I10 no data is no
pass, I13 monotone budget.
"""

from __future__ import annotations

from modelrollout.core.intents import Decision, Move, SetWeight
from modelrollout.core.model import FULL, ZERO, Phase, Weight
from modelrollout.core.observation import Observation, RouteSeen
from modelrollout.core.status import RolloutStatus


def cap(status: RolloutStatus | None) -> Weight:
    """The most the candidate may hold by the recorded state (I2); 0 before a start, after a rollback decision."""
    if status is None:
        return ZERO
    if status.phase is Phase.PROMOTED:
        return FULL
    if status.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.IDLE, Phase.PREFLIGHT):
        return ZERO
    return status.step.weight if status.step else ZERO


def forbidden(obs: Observation, decision: Decision) -> tuple[str, ...]:
    """Sentences for what no decision may do to the weight, whatever led to it; empty when it may be carried out."""
    found: list[str] = []
    intent, after = decision.intent, decision.status
    if isinstance(intent, SetWeight):
        seen = _seen(obs)
        if not ZERO <= intent.weight <= FULL:
            found.append(f"I1: weight {intent.weight} is outside 0..{FULL}")
        if intent.weight > cap(after) and intent.move is Move.RAISE:
            found.append(f"I2: raises to {intent.weight}, the record allows {cap(after)}")
        if intent.move is Move.RAISE and after.is_rejected(after.revision):
            found.append(f"I3: raises the rejected revision {after.revision}")
        if intent.move is Move.LOWER and intent.weight > seen:
            found.append(f"a lowering from {seen} to {intent.weight} raises")
        if intent.move is Move.RAISE and obs.deleting:
            found.append("I2: raises an object that is being deleted")
    return tuple(found)


def violations(before: RolloutStatus | None, obs: Observation, decision: Decision) -> tuple[str, ...]:
    """Sentences for each invariant that carrying out `decision` would break; empty when all hold."""
    found = [*forbidden(obs, decision)]
    seen, after = _seen(obs), decision.status
    promoted = after.phase is Phase.PROMOTED and (before is None or before.phase is not Phase.PROMOTED)
    if promoted and seen != FULL:
        found.append(f"I9: promoted while the route shows {seen}")
    if before and before.revision == after.revision and before.attempt == after.attempt:
        found += _budget_losses(before, after)
    return tuple(found)


def _seen(obs: Observation) -> Weight:
    return obs.route.weight if isinstance(obs.route, RouteSeen) else ZERO


def _budget_losses(before: RolloutStatus, after: RolloutStatus) -> list[str]:
    peaks = {x.sli: x.peak for x in after.budget}
    return [
        f"I13: spent budget of {x.sli} fell from {x.peak:.1f} to {peaks.get(x.sli, 0.0):.1f}"
        for x in before.budget
        if peaks.get(x.sli, 0.0) < x.peak
    ]
