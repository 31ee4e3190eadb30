"""When the numbers of a step are worth a write of their own.

What an SLI has counted changes every tick, and every write goes to every watcher. So numbers are written with whatever
else is, and by themselves ever more rarely: when a step has become twice as old as it was at the last write. A step of
ten minutes has two such writes, one of six hours has seven; what people read is never older than half of the step.
"""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.assignment import PLACES, place
from modelrollout.core.situation import Situation
from modelrollout.core.status import RolloutStatus, StepState, significant

FIRST = 120.0
"""Seconds that a step lasts at least before its numbers are written by themselves: shorter ones end with a write soon.
At most twice as long, by the rollout's uid: a thousand that were started together do not write in one tick."""


def counted(s: Situation, before: RolloutStatus, after: RolloutStatus) -> RolloutStatus:
    """`after`, what is to be stored instead of `before`, with the time of its numbers when it is worth a write."""
    step, at = after.step, s.status.step
    if step is None or at is None or at.started != step.started or not s.under_way:
        return after
    known = before.step.counted if before.step is not None and before.step.started == step.started else 0.0
    same = replace(after, step=replace(step, counted=known))
    # A new leader alone is not worth a write to every object.
    otherwise = significant(before, replace(same, leader_epoch=before.leader_epoch))
    if s.evidence is None or not (otherwise or s.now >= _due(s, step, known)):
        return same
    return replace(after, step=replace(step, counted=s.now))


def _due(s: Situation, step: StepState, known: float) -> float:
    """When numbers that were written at `known` (0: never in this step) are to be written again, epoch seconds."""
    spread = 1.0 + place(s.spec.uid, "counted") / PLACES
    return step.started + max(FIRST * spread, 2 * (known - step.started))
