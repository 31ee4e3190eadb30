"""Machine-readable reasons: part of the API, stable, each described in `docs/reference/reasons.md`."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a rollout is where it is: `.status.reason`, condition reasons and decision records."""

    # Waiting before the first step.
    PREFLIGHT = "Preflight"
    CANDIDATE_NOT_READY = "CandidateNotReady"
    LEGACY_NOT_READY = "LegacyNotReady"
    ROUTE_PENDING = "RoutePending"
    METRICS_PENDING = "MetricsPending"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    # On the way.
    PROGRESSING = "Progressing"
    SCALING = "Scaling"
    LEGACY_CHANGED = "LegacyChanged"
    SPEC_CHANGED = "SpecChanged"
    SUPERSEDED = "Superseded"
    NO_DATA = "NoData"
    AWAITING_ATTRIBUTION = "AwaitingAttribution"
    # Waiting for a person, for evidence or for the world.
    APPROVAL = "Approval"
    PAUSED_BY_SPEC = "PausedBySpec"
    PAUSED_BY_ACTION = "PausedByAction"
    INCONCLUSIVE = "Inconclusive"
    SHARED_DEGRADATION = "SharedDegradation"
    ELEVATED_BURN = "ElevatedBurn"
    METRICS_UNREACHABLE = "MetricsUnreachable"
    CANDIDATE_UNREADY = "CandidateUnready"
    ROUTE_CONFLICT = "RouteConflict"
    # Going back, and why.
    SLI_FAILED = "SliFailed"
    HARD_GUARD = "HardGuard"
    BUDGET_BURN = "BudgetBurn"
    BUDGET_SHARE_SPENT = "BudgetShareSpent"
    CANDIDATE_UNHEALTHY = "CandidateUnhealthy"
    ABORTED = "Aborted"
    ROLLBACK_BLOCKED = "RollbackBlocked"
    ROLLED_BACK = "RolledBack"
    # Ends.
    PROMOTED = "Promoted"
    FOUND_AT_FULL = "FoundAtFull"
    IDLE = "Idle"
    SAME_AS_LEGACY = "SameAsLegacy"
    DELETING = "Deleting"
    # What only the cluster can tell.
    INVALID_SPEC = "InvalidSpec"
    REF_NOT_FOUND = "RefNotFound"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    SOURCE_NOT_FOUND = "SourceNotFound"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    PROFILE_NOT_ACCEPTED = "ProfileNotAccepted"
    NAME_TAKEN = "NameTaken"
    METRIC_NOT_FOUND = "MetricNotFound"
    BOUNDARY_MISSING = "BoundaryMissing"
    DENIED = "Denied"
    # Conditions at rest.
    ACCEPTED = "Accepted"
    RESOLVED = "Resolved"
    FRESH = "Fresh"
    WITHIN_BUDGET = "WithinBudget"
    SERVING = "Serving"
    NOT_EVALUATED = "NotEvaluated"
    IN_PROGRESS = "InProgress"
    NOT_ROLLED_BACK = "NotRolledBack"


class EventReason(StrEnum):
    """Reasons of Kubernetes Events."""

    STEP_STARTED = "StepStarted"
    WEIGHT_CHANGED = "WeightChanged"
    ROLLBACK_STARTED = "RollbackStarted"
    ROLLBACK_COMPLETED = "RollbackCompleted"
    ROLLBACK_BLOCKED = "RollbackBlocked"
    PROMOTED = "Promoted"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    NO_DATA = "NoData"
    ROUTE_CONFLICT = "RouteConflict"
    INVALID = "Invalid"
    EVIDENCE_RESTARTED = "EvidenceRestarted"
    RELEASED = "Released"


class ConditionType(StrEnum):
    """Types of `.status.conditions`."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    AVAILABLE = "Available"
    PAUSED = "Paused"
    METRICS_FRESH = "MetricsFresh"
    BUDGET_HEALTHY = "BudgetHealthy"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"


ROLLBACK_REASONS = frozenset(
    {
        Reason.SLI_FAILED,
        Reason.HARD_GUARD,
        Reason.BUDGET_BURN,
        Reason.BUDGET_SHARE_SPENT,
        Reason.NO_DATA,
        Reason.INCONCLUSIVE,
        Reason.CANDIDATE_UNHEALTHY,
        Reason.ABORTED,
    }
)
