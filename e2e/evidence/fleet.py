"""The rollouts that are measured: two arms with some pods each, four SLIs in four templates, all at a step of 25 %."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelrollout.catalog.resolve import service_view
from modelrollout.core.model import (
    Analysis,
    Arm,
    Counts,
    Key,
    ManagedRoute,
    ParentRef,
    Phase,
    ProfileRef,
    RolloutSpec,
    Selector,
    Sli,
    Step,
    Traffic,
    Weight,
)
from modelrollout.core.observation import LedgerState
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.status import RolloutStatus, StepState

NAMESPACES = 20
PODS = 2
"""Of each arm."""
INTERVAL = 5.0
"""Seconds of a tick, and between scrapes."""
CANDIDATE_SHARE = 0.25
THRESHOLD = 0.3
ANSWERS, FALLBACKS = Selector("predictions_total"), Selector("predictions_fallback_total")


@dataclass(frozen=True, slots=True)
class Pod:
    """One scraped pod; `share`: of its rollout's requests."""

    namespace: str
    name: str
    share: float


def namespace_of(index: int) -> str:
    """The namespace of a rollout."""
    return f"team-{index % NAMESPACES}"


def pods(index: int) -> list[Pod]:
    """The pods of both arms of a rollout."""
    found = []
    for version, share in ((1, 1.0 - CANDIDATE_SHARE), (2, CANDIDATE_SHARE)):
        for number in range(PODS):
            name = f"model-{index}-v{version}-7d9c5b8f6{version}-{index:04x}{number}"
            found.append(Pod(namespace_of(index), name, share / PODS))
    return found


def slis() -> tuple[Sli, ...]:
    """Three of the catalogue and a pair of counters."""
    return (
        Sli("errors", ProfileRef("modelrollout", "errors"), allowed=0.01),
        Sli("latency", ProfileRef("modelrollout", "latency"), allowed=0.05, threshold=THRESHOLD),
        Sli("fallbacks", Counts(ANSWERS, FALLBACKS), allowed=0.02),
        Sli("accuracy", ProfileRef("modelrollout", "accuracy"), allowed=0.1, critical=False),
    )


def plan_of(sli: Sli) -> SliPlan:
    """How an SLI is counted."""
    if isinstance(sli.source, Counts):
        assert sli.source.total is not None
        return SliPlan(sli.name, (Term(sli.source.total),), (Term(sli.source.bad),))
    return service_view(sli.source, threshold=sli.threshold)


def spec_of(index: int) -> RolloutSpec:
    """A rollout in the middle of its ladder."""
    name = f"model-{index}"
    return RolloutSpec(
        key=Key(namespace_of(index), name),
        uid=f"uid-{index}",
        generation=1,
        legacy=Arm(f"{name}-v1", f"{name}-v1"),
        candidate=Arm(f"{name}-v2", f"{name}-v2"),
        port=8080,
        traffic=Traffic(ManagedRoute((ParentRef("public"),))),
        steps=tuple(Step(Weight(weight), 600.0, 21_600.0) for weight in (500, 2500, 5000, 10_000)),
        slis=slis(),
        analysis=Analysis(interval=INTERVAL),
    )


def status_of(spec: RolloutSpec, now: float) -> RolloutStatus:
    """The second step began now (epoch seconds)."""
    return RolloutStatus(
        phase=Phase.PROGRESSING,
        revision="r",
        attempt=1,
        grid=math.ceil(now / INTERVAL) * INTERVAL,
        step=StepState(1, len(spec.steps), now, spec.steps[1].weight),
        budget=tuple(LedgerState(sli.name, allowed=1000.0) for sli in spec.slis),
    )
