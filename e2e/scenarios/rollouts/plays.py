"""The common opening of the scenarios: two arms, load, a rollout with short steps, walked to a weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2e.cluster import gateway
from e2e.models.manifests import Arm
from e2e.stage import Load, Stage
from modelrollout.core.reasons import Reason

LEGACY, CANDIDATE = "tumour-v1", "tumour-v2"
V1, V2 = "v1", "v2"

ERRORS: Mapping[str, Any] = {"name": "availability", "profile": "modelrollout/errors", "objective": "99"}
LATENCY: Mapping[str, Any] = {
    "name": "latency",
    "profile": "modelrollout/latency",
    "threshold": "300ms",
    "objective": "95",
}
ACCURACY: Mapping[str, Any] = {
    "name": "accuracy",
    "profile": "modelrollout/accuracy",
    "objective": "97",
    "arms": {"label": "version", "legacy": V1, "candidate": V2},
}

BAD_ANSWERS = frozenset({Reason.HARD_GUARD, Reason.BUDGET_BURN, Reason.BUDGET_SHARE_SPENT, Reason.SLI_FAILED})
"""Reasons to go back for bad answers: which guard sees them first is chance, also where a third of them is bad."""

QUICK: Mapping[str, Any] = {
    "interval": "2s",
    "warmup": "2s",
    # What can be proven within seconds of a hundred requests each: the default margin takes thousands of requests.
    "margin": {"ratio": "2", "difference": "0.05"},
    "tolerance": "5%",
}


def steps(*weights: int, last: str = "3s", each: str = "3s") -> list[dict[str, Any]]:
    """Steps with short shortest times."""
    return [{"weight": w, "minDuration": last if w == weights[-1] else each} for w in weights]


def hold_at(weight: int) -> list[dict[str, Any]]:
    """Steps that stay at `weight` until somebody or something acts."""
    return [{"weight": weight, "minDuration": "1h"}, {"weight": 100, "minDuration": "1h"}]


def arms(
    stage: Stage,
    *,
    legacy: str = "good",
    candidate: str = "good",
    replicas: int = 1,
    behaviour: Mapping[str, Any] | None = None,
    cohort_seconds: int = 0,
) -> tuple[Arm, Arm]:
    """The two arms; `behaviour` is the candidate's from its start on, also after a crash."""
    both = {"replicas": replicas, "peers": [V1, V2], "cohort_seconds": cohort_seconds}
    return (
        stage.arm(LEGACY, "legacy", legacy, V1, **both),
        stage.arm(CANDIDATE, "candidate", candidate, V2, behaviour=dict(behaviour or {}), **both),
    )


def managed(stage: Stage, name: str) -> dict[str, Any]:
    """`spec.traffic` with a managed route on a host name of its own."""
    parents = [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}]
    return {"managedRoute": {"parentRefs": parents, "hostnames": [f"{name}.{stage.host}"]}, "settle": "1s"}


def open_play(
    stage: Stage,
    *,
    wanted: Sequence[Mapping[str, Any]],
    slis: Sequence[Mapping[str, Any]] = (ERRORS,),
    legacy: str = "good",
    candidate: str = "good",
    rate: float = 100,
    duration: float = 300,
    replicas: int = 1,
    behaviour: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] = QUICK,
    cohort_seconds: int = 0,
    label_delay: float = 2,
    **spec: Any,
) -> Load:
    """Deploy both arms, start load, apply the rollout. `label_delay`: seconds from an answer to its true label."""
    made = arms(
        stage,
        legacy=legacy,
        candidate=candidate,
        replicas=replicas,
        behaviour=behaviour,
        cohort_seconds=cohort_seconds,
    )
    stage.deploy(*made)
    stage.apply(
        stage.rollout(legacy=LEGACY, candidate=CANDIDATE, steps=wanted, slis=slis, analysis=dict(analysis), **spec)
    )
    return stage.load(rate, duration=duration, extra=["--feedback-delay", f"{label_delay:g}"])
