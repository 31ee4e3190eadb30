"""How long a step has been due without a verdict, and what is missing for one.

The ordinary case is not stored: a step that runs on past its shortest time counts from that moment, so that waiting
for the last requests costs no write. `holds.inconclusive` is stored where it can't be derived (something else held the
step in between), and once when a step is long overdue: people then want to read what it waits for.
"""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import Outcome, Phase, RolloutSpec, Step, Verdict
from modelrollout.core.reasons import Reason
from modelrollout.core.situation import Situation
from modelrollout.core.status import RolloutStatus
from modelrollout.core.wording import assessment

OVERDUE = 30.0
"""Seconds past its shortest time after which an undecided step is worth a write of its own (or six ticks, if more)."""


def inconclusive_hold(s: Situation) -> float:
    """Seconds that this step may stay undecided after its shortest time; `analysis.inconclusive` before a step."""
    step = _step(s.spec, s.status)
    return s.spec.analysis.inconclusive.hold if step is None else longest_doubt(s.spec, step)


def longest_doubt(spec: RolloutSpec, step: Step) -> float:
    """Seconds that a step may stay undecided after its shortest time: until its own deadline, or the rollout's."""
    return min(spec.analysis.inconclusive.hold, max(0.0, step.max_duration - step.min_duration))


def undecided(s: Situation) -> str:
    """What is missing for a verdict."""
    open_ones = [assessment(x) for x in s.critical if x.verdict is not Verdict.PASS]
    return "; ".join(open_ones) or "no evidence yet"


def given_up(s: Situation, outcome: Outcome) -> bool:
    """Whether the step has been undecided for too long and `outcome` is what follows.

    Only with evidence in hand: without it the step is not undecided, it has not been looked at (an operator that was
    away, a metric source that does not answer).
    """
    since = s.status.holds.inconclusive
    lasted = since is not None and s.now - since >= inconclusive_hold(s)
    return lasted and s.evidence is not None and not s.passes and s.spec.analysis.inconclusive.then is outcome


def recalled(s: Situation) -> Situation:
    """`s` with `holds.inconclusive` filled in where it follows from the step."""
    due = _due(s.spec, s.status)
    if due is None or s.now < due or s.status.holds.inconclusive is not None:
        return s
    return replace(s, status=replace(s.status, holds=replace(s.status.holds, inconclusive=due)))


def unwritten(spec: RolloutSpec, status: RolloutStatus, now: float) -> RolloutStatus:
    """`status` without a `holds.inconclusive` that `recalled` would find again, unless the step is long overdue."""
    since = status.holds.inconclusive
    if since is None or since != _due(spec, status) or now - since >= max(OVERDUE, 6 * spec.analysis.interval):
        return status
    return replace(status, holds=replace(status.holds, inconclusive=None))


def _due(spec: RolloutSpec, status: RolloutStatus) -> float | None:
    if status.step is None or status.phase is not Phase.PROGRESSING or status.reason != Reason.PROGRESSING:
        return None
    step = _step(spec, status)
    return None if step is None else status.step.started + step.min_duration


def _step(spec: RolloutSpec, status: RolloutStatus) -> Step | None:
    # Steps may just have been edited to fewer than the one we stand at.
    return None if status.step is None else spec.steps[min(max(status.step.index, 0), len(spec.steps) - 1)]
