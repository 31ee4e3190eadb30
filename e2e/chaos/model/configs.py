"""Which rollouts are explored, and what may happen to each. One part of the world is hostile in each, so that the
space can be seen to its end; the random walk lets everything happen at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from e2e.chaos.model.world import PAUSE_TIER, ROLLBACK_TIER, Env
from modelrollout.core.model import (
    ActionVerb,
    AdoptRoute,
    Analysis,
    Arm,
    ErrorBudget,
    HeaderMatch,
    Hold,
    Key,
    ManagedRoute,
    Outcome,
    ParentRef,
    ProfileRef,
    RolloutSpec,
    Segment,
    Sli,
    Step,
    Traffic,
    Weight,
)

TICK = 60.0
LONG = 120.0
DWELL = 60.0
"""Every limit of these specs is one tick, so ages of 0, one, two and three ticks tell all cases apart."""

Moment = tuple[float, Env]
"""How long after the last decision, and what the world is like then."""


def make_spec(
    *weights: int,
    approval: int | None = None,
    segments: bool = False,
    adopt: bool = False,
    inconclusive: Outcome = Outcome.PAUSE,
    no_data: Outcome = Outcome.ROLLBACK,
    **changes: object,
) -> RolloutSpec:
    """A rollout whose limits are all `DWELL` seconds."""
    steps = tuple(
        Step(Weight(percent * 100), DWELL, 2 * DWELL, approval=i == approval) for i, percent in enumerate(weights)
    )
    parts = (Segment((HeaderMatch("x-tier", "beta"),)),) if segments else ()
    router = AdoptRoute("fraud") if adopt else ManagedRoute((ParentRef("public"),), ("fraud.example.com",))
    spec = RolloutSpec(
        key=Key("serving", "fraud"),
        uid="u1",
        generation=1,
        legacy=Arm("fraud-v7", "fraud-v7", "fraud", "7"),
        candidate=Arm("fraud-v8", "fraud-v8", "fraud", "8"),
        port=8080,
        traffic=Traffic(router, parts),
        steps=steps,
        slis=(
            Sli("availability", ProfileRef("modelrollout", "errors"), allowed=0.01),
            Sli("latency", ProfileRef("modelrollout", "latency"), allowed=0.05, critical=False),
        ),
        budget=ErrorBudget(tiers=(ROLLBACK_TIER, PAUSE_TIER)),
        analysis=Analysis(interval=5.0, no_data=Hold(DWELL, no_data), inconclusive=Hold(DWELL, inconclusive)),
        candidate_deadline=DWELL,
    )
    return replace(spec, **changes)  # type: ignore[arg-type]  # names are the fields of RolloutSpec


@dataclass(frozen=True, slots=True)
class Config:
    """One exploration: specs that may be in force (the first is the start), moments of decision, edits by others.

    `routes`: weights in percent that somebody may set, -1: the route is deleted. `templates`: of the candidate.
    """

    name: str
    specs: tuple[RolloutSpec, ...]
    moments: tuple[Moment, ...]
    routes: tuple[int, ...] = ()
    templates: tuple[str, ...] = ()
    deletion: bool = False
    wiped: bool = False
    quick: bool = True


def at(times: Iterable[float], envs: Iterable[Env]) -> tuple[Moment, ...]:
    """Every environment at every time."""
    return tuple(product(times, tuple(envs)))


def evidence(*kinds: str, **changes: object) -> list[Env]:
    """Environments that differ in their evidence."""
    return [Env(evidence=kind, **changes) for kind in kinds]  # type: ignore[arg-type]  # names are the fields of Env


def acts(*verbs: ActionVerb, kinds: tuple[str, ...] = ("pass", "wait"), **changes: object) -> list[Env]:
    """Environments with an action each."""
    return [e for verb in verbs for e in evidence(*kinds, action=verb, **changes)]


TIMES = (0.0, TICK, LONG)
NOW_AND_LATER = (0.0, TICK)
WALK = at(TIMES, evidence("pass", "wait")) + at((0.0,), evidence("fail"))
PODS = at(
    NOW_AND_LATER,
    [
        Env(evidence=kind, candidate=candidate, legacy=legacy)
        for kind, candidate, legacy in product(
            ("pass", "fail"), ("ready", "short", "zero", "absent"), ("ready", "zero")
        )
    ],
) + at((0.0,), [Env(legacy="few"), Env(legacy="few", evidence="fail"), Env(legacy="absent")])
ABORTS = at((0.0,), acts(ActionVerb.ABORT, legacy="ready") + acts(ActionVerb.ABORT, legacy="zero"))
PEOPLE = at((0.0,), acts(*ActionVerb) + [Env(action=verb, candidate="short") for verb in ActionVerb])
CHECKS = at(
    NOW_AND_LATER,
    [
        Env(preflight="failed"),
        Env(preflight="unknown"),
        Env(preflight="exhausted"),
        Env(preflight="exhausted", action=ActionVerb.APPROVE),
        Env(accepted=None),
        Env(accepted=False),
        Env(problem="source"),
        Env(problem="source", evidence="fail"),
        Env(legacy="other"),
        Env(candidate="short"),
    ],
)
ABSENT = ("pass", "wait", "fail", "nodata", "silent", "unreachable", "pending", "old", "stale")
BURNING = ("pass", "wait", "pending", "tier", "tier-awaiting", "tier-shared", "tier-pause")
GUARDS = ("pass", "hard", "hard-shared", "ledger", "gross", "half", "invalid", "other-fails", "missing-sli", "stuck")
THREE = make_spec(5, 25, 100)
GATED = make_spec(5, 25, 100, approval=1)
RESHAPED = at((0.0,), [Env(shape_ok=False), Env(shape_ok=False, legacy="zero"), Env(shape_ok=False, candidate="zero")])

CONFIGS = (
    Config("absent", (THREE,), at(TIMES, evidence(*ABSENT))),
    Config("burning", (THREE,), at(TIMES, evidence(*BURNING))),
    Config("guards", (THREE,), at(TIMES, evidence(*GUARDS))),
    Config("no-data-pauses", (make_spec(5, 100, no_data=Outcome.PAUSE),), at(TIMES, evidence(*ABSENT))),
    Config("undecided-reverts", (make_spec(5, 100, inconclusive=Outcome.ROLLBACK),), at(TIMES, evidence(*ABSENT))),
    Config("undecided-promotes", (make_spec(5, 100, inconclusive=Outcome.PROMOTE),), at(TIMES, evidence(*ABSENT))),
    Config("pods", (THREE,), WALK + PODS + ABORTS),
    Config("people", (THREE, replace(THREE, paused=True, generation=2)), WALK + PEOPLE),
    Config("gates", (GATED, make_spec(5, 10, 50, 100, approval=2, generation=2)), WALK + PEOPLE),
    Config("first-gated", (make_spec(5, 100, approval=0),), WALK + PEOPLE + CHECKS),
    Config("one-step", (make_spec(100),), WALK + PEOPLE + PODS + CHECKS, deletion=True),
    Config("from-zero", (make_spec(0, 50, 100),), WALK + PEOPLE + PODS + CHECKS),
    Config("checks", (THREE,), WALK + CHECKS + PEOPLE),
    Config("route", (THREE,), WALK + PODS + RESHAPED + ABORTS, routes=(0, 5, 15, 40, 100, -1)),
    Config("route-people", (THREE,), WALK + PEOPLE, routes=(0, 15, 100, -1)),
    Config("adopted", (make_spec(5, 100, adopt=True),), WALK + PODS + PEOPLE, routes=(0, 15, 100, -1)),
    Config("segments", (make_spec(5, 25, 100, segments=True),), WALK + PODS + PEOPLE, routes=(0, 15, -1)),
    Config("revisions", (THREE,), WALK + PEOPLE + PODS, templates=("rev-a", "rev-b"), routes=(100,)),
    Config("edits", (THREE, make_spec(10, 50, 100, generation=2), make_spec(100, generation=3)), WALK + PEOPLE + PODS),
    Config("ramp", (make_spec(5, 25, 100, ramp=True),), at(TIMES, evidence("pass", "wait", "stuck", "fail")) + PODS),
    Config("deletion", (THREE,), WALK + PODS + PEOPLE, deletion=True, routes=(15, -1)),
    Config(
        "back-and-forth",
        (make_spec(100),),
        at(NOW_AND_LATER, evidence("pass", "fail")) + at((0.0,), acts(ActionVerb.RETRY, ActionVerb.ABORT)),
        templates=("rev-a", "rev-b"),
    ),
    Config("wiped", (THREE,), WALK + PODS, wiped=True, templates=("rev-a", "rev-b")),
)
