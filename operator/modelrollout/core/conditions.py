"""Conditions, columns and SLI lines of a status: derived from the rest of it, never remembered on their own."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import FULL, ZERO, Phase, Verdict
from modelrollout.core.observation import (
    EvidenceUnreachable,
    PreflightPassed,
    RouteAbsent,
    RouteSeen,
    SliAssessment,
    WorkloadAbsent,
)
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.situation import AT_REST, Situation
from modelrollout.core.status import Condition, RolloutStatus, SliStatus, Summary
from modelrollout.core.wording import assessment, burn, cut_off, ledger, percent, phase_step

_ORDER = (Verdict.FAIL, Verdict.INVALID, Verdict.NO_DATA, Verdict.WAIT, Verdict.PASS)

_REF_REASONS = frozenset(
    {
        *(Reason.REF_NOT_FOUND, Reason.SOURCE_NOT_FOUND, Reason.NAMESPACE_NOT_ALLOWED),
        *(Reason.PROFILE_NOT_FOUND, Reason.PROFILE_NOT_ACCEPTED),
    }
)
_SPEC_REASONS = frozenset({Reason.INVALID_SPEC, Reason.METRIC_NOT_FOUND, Reason.BOUNDARY_MISSING})


def rendered(s: Situation) -> RolloutStatus:
    """`s.status` with SLIs, ledger, columns and conditions brought up to date with the observation."""
    status = measured(s)
    s = replace(s, status=status)
    old = {c.type: c for c in status.conditions}
    conditions = tuple(_kept(old.get(c.type), c) for c in _conditions(s))
    return replace(status, summary=_summary(s, status), conditions=conditions)


def measured(s: Situation) -> RolloutStatus:
    """`s.status` with the numbers of the newest evidence, if there is any, and with what discovery has found."""
    status = discovered(s)
    if not s.evidence:
        return status
    counted = {x.name: x.counted for x in status.slis}
    slis = tuple(replace(_line(x), counted=counted.get(x.name, "")) for x in s.evidence.slis)
    return replace(status, slis=slis, budget=s.evidence.ledgers or status.budget)


def discovered(s: Situation) -> RolloutStatus:
    """`s.status` with what each SLI is counted from, and the notes of a discovery whose spec came in mid-rollout."""
    found = s.obs.preflight
    if not isinstance(found, PreflightPassed) or not s.under_way:
        return s.status
    counted = dict(found.counted)
    slis = tuple(replace(x, counted=counted.get(x.name, x.counted)) for x in s.status.slis)
    return replace(s.status, slis=slis, notes=s.status.notes or found.notes)


def _line(x: SliAssessment) -> SliStatus:
    return SliStatus(
        x.name,
        x.critical,
        x.verdict,
        x.candidate,
        x.legacy,
        x.burn,
        x.needed,
        x.sample_age,
        assessment(x),
        x.no_data,
        x.effect,
        x.odds,
        x.rates,
    )


def _kept(old: Condition | None, new: Condition) -> Condition:
    if old is None or old.status != new.status:
        return new
    same = (old.reason, old.message, old.generation) == (new.reason, new.message, new.generation)
    return old if same else replace(new, since=old.since)


def worst(status: RolloutStatus) -> Verdict | None:
    """The verdict that decides: the worst of the critical SLIs, or None before any evidence."""
    verdicts = {x.verdict for x in status.slis if x.critical}
    return next((v for v in _ORDER if v in verdicts), None)


def _summary(s: Situation, status: RolloutStatus) -> Summary:
    count = len(s.spec.steps)
    index = status.step.index if status.step else -1
    verdict = worst(status)
    burns = [x.burn for x in status.slis if x.critical and x.burn is not None]
    weight = status.weight if status.weight is not None else ZERO
    ahead = index + 1
    upcoming = f"{percent(s.spec.steps[ahead].weight)}%" if status.step and ahead < count else ""
    return Summary(
        step=phase_step(status.phase, index, count),
        weight=f"{percent(weight)}%",
        verdict=str(verdict) if verdict else "-",
        burn=burn(max(burns)) if burns else "-",
        next=upcoming,
    )


def _conditions(s: Situation) -> tuple[Condition, ...]:
    kinds = (
        _ready,
        _reconciling,
        _stalled,
        _accepted,
        _resolved,
        _available,
        _paused,
        _fresh,
        _budget,
        _promoted,
        _rolled_back,
    )
    return tuple(kind(s) for kind in kinds)


def _made(s: Situation, kind: ConditionType, value: bool | None, reason: str, message: str = "") -> Condition:
    text = "Unknown" if value is None else str(value)
    return Condition(kind, text, reason or Reason.NOT_EVALUATED, message, s.now, s.obs.generation)


def _unread(s: Situation) -> str:
    """Why the spec can't be read, while the status tells how the last one that could be read ended; else empty."""
    problem = s.obs.problem
    if problem is None or problem.reason != Reason.INVALID_SPEC or s.status.phase not in AT_REST:
        return ""
    return problem.problem or Reason.INVALID_SPEC


def _awaited(s: Situation) -> bool:
    """Whether the spec asks for a revision that has not begun, while the status tells how the last one ended."""
    backends = (s.spec.legacy.service, s.spec.candidate.service)
    asked = (s.obs.revision or s.status.revision, backends) == (s.status.revision, s.status.backends)
    return s.status.phase in AT_REST and not asked and bool(s.status.revision)


def _over(s: Situation, phase: Phase) -> bool:
    """Whether what the spec asks for now has ended in this phase."""
    return s.status.phase is phase and not _awaited(s) and not _unread(s)


def _moving(s: Situation) -> bool:
    moving = s.status.phase in (Phase.PREFLIGHT, Phase.PROGRESSING, Phase.PAUSED, Phase.ROLLING_BACK)
    return moving or _awaited(s)


def _stuck(s: Situation) -> bool:
    over = s.status.phase is Phase.INVALID or _over(s, Phase.ROLLED_BACK)
    return over or bool(_unread(s)) or s.status.reason == Reason.ROUTE_CONFLICT


def _ready(s: Situation) -> Condition:
    if problem := _unread(s):
        return _made(s, ConditionType.READY, False, Reason.INVALID_SPEC, problem)
    bad = _stuck(s) or s.status.phase is Phase.ROLLING_BACK or (s.spec.blocking and _moving(s))
    reason = Reason.ROLLED_BACK if _over(s, Phase.ROLLED_BACK) else (s.status.reason or Reason.IDLE)
    return _made(s, ConditionType.READY, not bad, reason, s.status.message)


def _reconciling(s: Situation) -> Condition:
    # A rollback is short and always told; a rollout is hours and trips GitOps timeouts unless asked for. Never beside
    # Stalled: kstatus takes the first of the two that it finds.
    value = not _stuck(s) and (s.status.phase is Phase.ROLLING_BACK or (s.spec.blocking and _moving(s)))
    return _made(s, ConditionType.RECONCILING, value, s.status.reason or Reason.IDLE)


def _stalled(s: Situation) -> Condition:
    if problem := _unread(s):
        return _made(s, ConditionType.STALLED, True, Reason.INVALID_SPEC, problem)
    value = _stuck(s)
    reason = Reason.ROLLED_BACK if _over(s, Phase.ROLLED_BACK) else s.status.reason
    return _made(
        s, ConditionType.STALLED, value, reason if value else Reason.IN_PROGRESS, s.status.message if value else ""
    )


def _accepted(s: Situation) -> Condition:
    if problem := _unread(s):
        return _made(s, ConditionType.ACCEPTED, False, Reason.INVALID_SPEC, problem)
    wrong = s.status.phase is Phase.INVALID and s.status.reason in (*_SPEC_REASONS, Reason.ROUTE_NOT_ACCEPTED)
    text = s.status.message if wrong else "; ".join(s.status.notes)
    return _made(s, ConditionType.ACCEPTED, not wrong, s.status.reason if wrong else Reason.ACCEPTED, text)


def _resolved(s: Situation) -> Condition:
    wrong = s.status.phase is Phase.INVALID and s.status.reason in _REF_REASONS
    return _made(
        s,
        ConditionType.RESOLVED_REFS,
        not wrong,
        s.status.reason if wrong else Reason.RESOLVED,
        s.status.message if wrong else "",
    )


def _available(s: Situation) -> Condition:
    route = s.obs.route
    if isinstance(route, RouteSeen) and route.through_legacy and route.weight == FULL and not s.legacy_serves:
        # Also when its Deployment is gone: people remove what no longer gets traffic.
        return _made(s, ConditionType.AVAILABLE, False, Reason.LEGACY_NOT_READY, cut_off(s.spec))
    if isinstance(route, RouteAbsent) or isinstance(s.obs.legacy, WorkloadAbsent):
        return _made(s, ConditionType.AVAILABLE, None, Reason.NOT_EVALUATED)
    if not isinstance(route, RouteSeen):
        return _made(s, ConditionType.AVAILABLE, None, Reason.REF_NOT_FOUND)
    short = [
        name
        for name, used, endpoints in (
            ("legacy", route.weight < FULL, s.legacy_serves),
            ("candidate", s.exposed, s.candidate_endpoints > 0),
        )
        if used and not endpoints
    ]
    if short:
        return _made(
            s,
            ConditionType.AVAILABLE,
            False,
            Reason.LEGACY_NOT_READY if "legacy" in short else Reason.CANDIDATE_NOT_READY,
            f"{' and '.join(short)} get traffic without a ready endpoint",
        )
    return _made(s, ConditionType.AVAILABLE, True, Reason.SERVING)


def _paused(s: Situation) -> Condition:
    waits = s.status.phase is Phase.PAUSED or s.status.reason == Reason.BUDGET_EXHAUSTED
    return _made(
        s,
        ConditionType.PAUSED,
        waits,
        s.status.reason if waits else Reason.IN_PROGRESS,
        s.status.message if waits else "",
    )


def _fresh(s: Situation) -> Condition:
    if not s.under_way:
        # Nobody is judged: what the last evidence was is no news, and telling it would cost a write.
        return _made(s, ConditionType.METRICS_FRESH, None, Reason.NOT_EVALUATED)
    if isinstance(s.obs.evidence, EvidenceUnreachable):
        return _made(s, ConditionType.METRICS_FRESH, False, Reason.METRICS_UNREACHABLE, s.obs.evidence.kind)
    if not s.evidence:
        old = s.status.condition(ConditionType.METRICS_FRESH)
        if (old and old.status == "True") or isinstance(s.obs.preflight, PreflightPassed):
            return _made(s, ConditionType.METRICS_FRESH, True, Reason.FRESH)
        return _made(s, ConditionType.METRICS_FRESH, None, Reason.NOT_EVALUATED)
    silent = [x for x in s.evidence.slis if x.verdict is Verdict.NO_DATA]
    if silent:
        return _made(s, ConditionType.METRICS_FRESH, False, Reason.NO_DATA, assessment(silent[0]))
    return _made(s, ConditionType.METRICS_FRESH, True, Reason.FRESH)


def _budget(s: Situation) -> Condition:
    burning = s.status.reason in (
        Reason.ELEVATED_BURN,
        Reason.BUDGET_BURN,
        Reason.BUDGET_SHARE_SPENT,
        Reason.BUDGET_EXHAUSTED,
        Reason.HARD_GUARD,
        Reason.SHARED_DEGRADATION,
    )
    told = "; ".join(ledger(x) for x in s.status.budget)
    if burning:
        return _made(s, ConditionType.BUDGET_HEALTHY, False, s.status.reason, s.status.message)
    if not s.status.budget and s.under_way and isinstance(s.obs.preflight, PreflightPassed):
        return _made(s, ConditionType.BUDGET_HEALTHY, True, Reason.WITHIN_BUDGET, "nothing is spent yet")
    if not s.status.budget:
        return _made(s, ConditionType.BUDGET_HEALTHY, None, Reason.NOT_EVALUATED)
    return _made(s, ConditionType.BUDGET_HEALTHY, True, Reason.WITHIN_BUDGET, told)


def _promoted(s: Situation) -> Condition:
    # What the spec asks for now: while the next revision waits for legacy, `kubectl wait` must not see the last one.
    value = _over(s, Phase.PROMOTED)
    return _made(
        s,
        ConditionType.PROMOTED,
        value,
        Reason.PROMOTED if value else Reason.IN_PROGRESS,
        f"revision {s.status.revision} holds 100 %" if value else "",
    )


def _rolled_back(s: Situation) -> Condition:
    value = _over(s, Phase.ROLLED_BACK)
    entry = next((r for r in reversed(s.status.rejected) if r.revision == s.status.revision), None)
    reason = entry.reason if value and entry else Reason.NOT_ROLLED_BACK
    return _made(s, ConditionType.ROLLED_BACK, value, reason, s.status.message if value else "")
