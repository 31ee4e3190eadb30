"""The end of a run without what may differ from run to run: times, versions, counts, texts.

Bad answers have several names: which guard sees them first depends on how many there were, and so on when the operator
could look.
"""

from __future__ import annotations

from typing import Any

from e2e.chaos.drive import Run
from modelrollout.api.status_codec import decode
from modelrollout.core.reasons import Reason

BAD_ANSWERS = frozenset({Reason.HARD_GUARD, Reason.BUDGET_BURN, Reason.BUDGET_SHARE_SPENT, Reason.SLI_FAILED})


def masked(run: Run) -> dict[str, Any]:
    """What two runs of the same workload must agree in."""
    rollout = run.end["rollout"]
    # Without a route nobody is sent to the candidate.
    found: dict[str, Any] = {"route": run.end["route"] or 0.0, "gone": rollout is None, "plane": run.end.get("plane")}
    if rollout is None:
        return found
    status = decode(rollout.get("status"))
    if status is None:
        return found | {"phase": None}
    return found | {
        "finalizers": tuple(rollout["metadata"].get("finalizers") or ()),
        "phase": status.phase.value,
        "reason": _named(status.reason),
        "revision": status.revision,
        "weight": status.weight,
        "step": status.step and (status.step.index, status.step.count, status.step.weight),
        "rejected": tuple(sorted((r.revision, _named(r.reason)) for r in status.rejected)),
        "history": tuple((h.revision, h.outcome) for h in status.history)[-1 if run.workload.brief else 0 :],
        "conditions": tuple(sorted((c.type, c.status, _named(c.reason)) for c in status.conditions)),
        "incident": status.incident and (_named(status.incident.reason), status.incident.closed is not None),
        "slis": tuple((s.name, s.verdict.value) for s in status.slis) if status.incident is None else None,
    }


def _named(reason: str) -> str:
    return "BadAnswers" if reason in BAD_ANSWERS else reason
