"""The three rollouts of the demo, and what each cost users: figures from the load generator's records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.models import records
from e2e.models.records import Record

SLOW_OVER = 0.3
ROUTE_TAKEN_S = 1.0
"""The gateway's threads take the first route one after the other: so long may one still answer 404."""
FIRST = "v1"
"""The version that users have before the first act."""

STEPS: tuple[Mapping[str, Any], ...] = tuple({"weight": w, "minDuration": "6s"} for w in (1, 5, 25, 50, 100))


def slis(legacy: str, candidate: str) -> tuple[Mapping[str, Any], ...]:
    """Errors, latency and labelled accuracy; labels arrive at any pod, so the version label tells the arms apart."""
    return (
        {"name": "availability", "profile": "modelrollout/errors", "objective": "99"},
        {"name": "latency", "profile": "modelrollout/latency", "threshold": "300ms", "objective": "95"},
        {
            "name": "accuracy",
            "profile": "modelrollout/accuracy",
            "objective": "85",
            "arms": {"label": "version", "legacy": legacy, "candidate": candidate},
        },
    )


@dataclass(frozen=True, slots=True)
class Act:
    """One rollout: the candidate's version and variant, and how it must end."""

    title: str
    version: str
    variant: str
    ends: str


ACTS = (
    Act("1. a better model: v2 replaces v1", "v2", "good", "Promoted"),
    Act("2. a model with a bug: v3 fails for large tumours", "v3", "erroring", "RolledBack"),
    Act("3. a slow model: every answer of v4 takes 420 ms", "v4", "slow", "RolledBack"),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one rollout did to users. Seconds are None when the candidate did no harm."""

    title: str
    outcome: str
    reason: str
    seconds: float
    detected_after: float | None
    harmed: int
    answers: int
    switching_failures: int


def figures(act: Act, status: Mapping[str, Any], seen: Sequence[Record], *, began: float, ended: float) -> Figures:
    """Measure one act. `detected_after`: from the candidate's first bad answer to its last answer of any kind."""
    # Before the first rollout made the route the gateway had none: those answers are nobody's switching.
    served = min((r.start for r in seen if r.version is not None), default=began)
    during = [r for r in seen if max(began, served) <= r.start]
    mine = [r for r in during if r.version == act.version]
    bad = [r for r in mine if r.failed or r.seconds > SLOW_OVER]
    last = records.last_answer(mine, act.version)
    reverted = act.ends == "RolledBack" and bad and last is not None
    return Figures(
        title=act.title,
        outcome=str(status.get("phase")),
        reason=str(status.get("reason")),
        seconds=ended - began,
        detected_after=last.start - min(r.end for r in bad) if reverted and last else None,
        harmed=len(bad),
        answers=len(mine),
        # Failures that no model answered: the switching or the gateway made them.
        switching_failures=sum(
            r.failed and r.version is None and not (r.status == 404 and r.start < served + ROUTE_TAKEN_S)
            for r in during
        ),
    )
