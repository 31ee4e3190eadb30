"""What one decision is shown: a kind of evidence, the pods, an action, built into an `Observation` of a state."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

from e2e.chaos.model.state import NOW, State
from modelrollout.core.model import ActionVerb, AdoptRoute, BurnAction, BurnTier, Margin, RolloutSpec, Verdict
from modelrollout.core.observation import (
    ActionRequest,
    ArmCounts,
    Attribution,
    Effect,
    Evidence,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    HardGuardFinding,
    Interval,
    LedgerState,
    NoDataCause,
    Observation,
    Odds,
    Preflight,
    PreflightFailed,
    PreflightPassed,
    PreflightUnknown,
    Route,
    RouteAbsent,
    RouteSeen,
    RouteUnusable,
    SliAssessment,
    SpecProblem,
    TierFinding,
    Workload,
    WorkloadAbsent,
    WorkloadSeen,
)

LEGACY: dict[str, Workload] = {
    "ready": WorkloadSeen("legacy-template", wanted=3, endpoints=3, settled=True),
    "few": WorkloadSeen("legacy-template", wanted=3, endpoints=1, settled=False),
    "zero": WorkloadSeen("legacy-template", wanted=3, endpoints=0, settled=False),
    "other": WorkloadSeen("other-template", wanted=3, endpoints=3, settled=True),
    "absent": WorkloadAbsent("legacy.deployment not found"),
}
CANDIDATE: dict[str, Workload] = {
    "ready": WorkloadSeen("candidate-template", wanted=2, endpoints=2, settled=True),
    "short": WorkloadSeen("candidate-template", wanted=2, endpoints=1, settled=True),
    "zero": WorkloadSeen("candidate-template", wanted=2, endpoints=0, settled=False),
    "absent": WorkloadAbsent("candidate.deployment not found"),
}
PREFLIGHT: dict[str, Preflight] = {
    "passed": PreflightPassed(budgets=(("availability", 0.9, 100.0),)),
    "failed": PreflightFailed("MetricNotFound", "no such metric"),
    "unknown": PreflightUnknown(),
    "exhausted": PreflightPassed(budgets=(("availability", 0.0, 100.0),)),
}
PROBLEMS = {"source": SpecProblem("SourceNotFound", "no such MetricSource")}

ROLLBACK_TIER = BurnTier("critical", 12.0, 60.0, 60.0, BurnAction.ROLLBACK)
PAUSE_TIER = BurnTier("elevated", 2.0, 60.0, 60.0, BurnAction.PAUSE)

HARMFUL = frozenset({"fail", "hard", "tier", "ledger", "gross"})
"""Evidence of the present step that takes a candidate off at once."""


class Env(NamedTuple):
    """The world around one decision. Names are those of the tables above; `action` a verb."""

    evidence: str = "pass"
    candidate: str = "ready"
    legacy: str = "ready"
    preflight: str = "passed"
    accepted: bool | None = True
    action: ActionVerb | None = None
    problem: str | None = None
    shape_ok: bool = True

    def __str__(self) -> str:
        base = Env()
        parts = [f"{name}={value}" for name, value in self._asdict().items() if value != getattr(base, name)]
        return ",".join(parts) or "healthy"


def _sli(verdict: Verdict, **changes: object) -> SliAssessment:
    base: dict[str, object] = {
        "name": "availability",
        "critical": True,
        "verdict": verdict,
        "candidate": ArmCounts(500, 1),
        "legacy": ArmCounts(10_000, 50),
        "allowed": 0.01,
        "needed": 300,
    }
    return SliAssessment(**(base | changes))  # type: ignore[arg-type]  # names are the fields of SliAssessment


def _tier(tier: BurnTier, whose: Attribution) -> SliAssessment:
    return _sli(Verdict.WAIT, tiers=(TierFinding(tier, 30, 100, 0.99, whose),))


_ODDS = Odds(worse=0.0, worse_limit=log(200), fine=0.1, fine_limit=log(20), margin=Margin())
_BOUND = Effect(Interval(1.5, 1.0, 2.0), Interval(0.003, 0.0, 0.0055))
"""Costs all traffic 0.05 % at about 10 %."""
_LEDGER = LedgerState("availability", 100.0)

_ASSESSED: dict[str, SliAssessment] = {
    "pass": _sli(Verdict.PASS),
    "old": _sli(Verdict.PASS),
    "stale": _sli(Verdict.PASS),
    "wait": _sli(Verdict.WAIT),
    "fail": _sli(Verdict.FAIL),
    "invalid": _sli(Verdict.INVALID),
    "nodata": _sli(Verdict.NO_DATA, no_data=NoDataCause.STALE),
    "silent": _sli(Verdict.NO_DATA, no_data=NoDataCause.NO_TRAFFIC),
    "hard": _sli(Verdict.WAIT, hard_guard=HardGuardFinding(20, 30)),
    "hard-shared": _sli(Verdict.WAIT, hard_guard=HardGuardFinding(20, 30, Attribution.SHARED)),
    "tier": _tier(ROLLBACK_TIER, Attribution.CANDIDATE),
    "tier-awaiting": _tier(ROLLBACK_TIER, Attribution.AWAITING),
    "tier-shared": _tier(ROLLBACK_TIER, Attribution.SHARED),
    "tier-pause": _tier(PAUSE_TIER, Attribution.CANDIDATE),
    "stuck": _sli(Verdict.WAIT, candidate=ArmCounts(5_000, 20), odds=_ODDS, effect=_BOUND),
    "ledger": _sli(Verdict.WAIT),
    "gross": _sli(Verdict.WAIT),
    "half": _sli(Verdict.PASS),
}
_LEDGERS = {
    "ledger": LedgerState("availability", 100.0, 120.0, 120.0, lower=110.0),
    "gross": LedgerState("availability", 100.0, 90.0, 90.0, gross_over=True),
    "half": LedgerState("availability", 100.0, 60.0, 60.0, lower=10.0),
}
EVIDENCE = (*_ASSESSED, "unreachable", "pending", "other-fails", "missing-sli")


def evidence(kind: str, started: float | None) -> Evidence:
    """Evidence of the step that began at `started`, as seen at NOW."""
    if kind == "pending" or started is None:
        return EvidencePending()
    if kind == "unreachable":
        return EvidenceUnreachable("Timeout", NOW)
    if kind == "missing-sli":
        return EvidenceSeen(started, NOW, ())
    if kind == "other-fails":
        slis = (_ASSESSED["pass"], _sli(Verdict.FAIL, name="latency", critical=False))
        return EvidenceSeen(started, NOW, slis)
    since = started - 1.0 if kind == "old" else started
    tick = NOW - 1000.0 if kind == "stale" else NOW
    ledgers = (_LEDGERS[kind],) if kind in _LEDGERS else ()
    return EvidenceSeen(since, tick, (_ASSESSED[kind],), ledgers)


@dataclass(slots=True)
class Eyes:
    """Builds observations; the same question gets the same object, which saves most of the work."""

    seen: dict[tuple[object, ...], Observation] = field(default_factory=dict)

    def observe(self, state: State, env: Env, spec: RolloutSpec) -> Observation:
        """What `decide` is shown of `state` in the world `env`."""
        step = state.status.step if state.status else None
        started = step.started if step else None
        handle = (env, state.route, started, state.finalizer, state.deleting, state.revision, spec.generation)
        found = self.seen.get(handle)
        if found is None:
            found = self.seen[handle] = self._made(state, env, spec, started)
        return found

    def _made(self, state: State, env: Env, spec: RolloutSpec, started: float | None) -> Observation:
        adopted = isinstance(spec.traffic.router, AdoptRoute)
        route: Route = RouteUnusable("route not found") if adopted else RouteAbsent()
        if state.route is not None:
            route = RouteSeen(state.route.weight, state.route.segments, "1", env.shape_ok, env.accepted)
        verb = env.action
        actions = () if verb is None else (ActionRequest("asked", f"uid-{verb}", verb, NOW, None, "asked"),)
        return Observation(
            state.deleting,
            state.finalizer,
            LEGACY[env.legacy],
            CANDIDATE[env.candidate],
            route,
            evidence(env.evidence, started),
            PREFLIGHT[env.preflight],
            actions,
            PROBLEMS[env.problem] if env.problem else None,
            generation=spec.generation,
            revision=None if env.candidate == "absent" else state.revision,
        )
