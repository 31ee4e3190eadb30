"""What the operator saw before it decides: made by `runtime.gather`, read by `core.decide`. Absence is never a zero.

What is seen of an arm's Deployment stands in `core.workload` and can be had from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log

from modelrollout.core.model import NO_EPOCH, ActionVerb, BurnTier, Epoch, Margin, Verdict, Weight
from modelrollout.core.pods import Pods
from modelrollout.core.rates import Rates
from modelrollout.core.split import Split
from modelrollout.core.workload import Workload as Workload
from modelrollout.core.workload import WorkloadAbsent as WorkloadAbsent
from modelrollout.core.workload import WorkloadSeen as WorkloadSeen


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """The route as it stands.

    `weight`: the candidate's share of requests of no segment; `segments`: its share of segment requests (equal to
    `weight` without segments). `shape_ok` is False when backends, matches or parents are not what the spec asks for
    (managed routes only). `accepted`: the gateway has taken this generation; None before it answers. `exact`: both
    weights are on the spec's scale and sum to it. `generation`: counts the changes of its spec, whoever makes them; 0
    when unknown. `pods`: where the weight is a share of pods, which takes several writes and pods to wait for.
    `through_legacy`: at any weight the candidate's users may be served only while legacy has a ready endpoint.
    `unfit`: what its owner must mend before the candidate may get more (`accepted` is False then); it can be lowered.
    """

    weight: Weight
    segments: Weight
    resource_version: str
    shape_ok: bool = True
    accepted: bool | None = None
    exact: bool = True
    detail: str = ""
    generation: int = 0
    pods: Pods | None = None
    through_legacy: bool = False
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class RouteAbsent:
    """There is no such route (yet)."""


@dataclass(frozen=True, slots=True)
class RouteUnusable:
    """The route exists but can't carry this rollout; `problem` names it, the field and the fix."""

    problem: str


Route = RouteSeen | RouteAbsent | RouteUnusable


class Attribution(StrEnum):
    """Whose fault a firing burn tier is (guard G2)."""

    CANDIDATE = "Candidate"
    SHARED = "Shared"
    UNAVAILABLE = "Unavailable"
    AWAITING = "Awaiting"


@dataclass(frozen=True, slots=True)
class TierFinding:
    """A burn tier that is true now, with the numbers behind it (long window)."""

    tier: BurnTier
    bad: int
    total: int
    probability: float
    attribution: Attribution


@dataclass(frozen=True, slots=True)
class HardGuardFinding:
    """Half of at least 20 recent candidate requests were bad; `attribution` is SHARED when legacy's were too."""

    bad: int
    total: int
    attribution: Attribution = Attribution.CANDIDATE


class NoDataCause(StrEnum):
    """Why a tick has no data (error-budget rules (a), (b), (d)). BOTH_ARMS: legacy has none either."""

    STALE = "Stale"
    NO_TRAFFIC = "NoTraffic"
    MISSING = "Missing"
    REJECTED = "Rejected"
    BOTH_ARMS = "BothArms"


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Events of one arm since the evidence of this step began."""

    total: int
    bad: int

    @property
    def ratio(self) -> float | None:
        """Bad share, or None without events."""
        return self.bad / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with bounds that hold at all looks at once with 95 %; None where nothing is known (no requests)."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """How much worse the candidate is than legacy, over this step, compared within strata of time (Mantel-Haenszel).

    `ratio`, `difference`: of the bad shares. `size`: Cohen's h of the two shares, None without requests of both.
    """

    ratio: Interval
    difference: Interval
    size: float | None = None


_OWN = Margin()
DOUBT = log(10)
"""Evidence of harm (nats) beyond which nothing goes on, though it may not be enough for a FAIL."""


@dataclass(frozen=True, slots=True)
class Odds:
    """Evidence of the sequential tests, as natural logs of e-values ("odds against chance" is exp of it).

    `worse`: against "not worse than the margin", over the whole rollout; FAIL at `worse_limit`. `fine`: against "worse
    than the margin of this step", over the step; PASS at `fine_limit`.
    """

    worse: float
    worse_limit: float
    fine: float
    fine_limit: float
    margin: Margin
    """That a PASS of this step is proven against; a FAIL is proven against the SLI's own."""


@dataclass(frozen=True, slots=True)
class SliCheckpoint:
    """Evidence of one SLI up to `tick` (epoch seconds), as float64 values of a versioned layout; see `stats`."""

    sli: str
    tick: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SliAssessment:
    """What the evidence says about one SLI now.

    `burn`: the candidate's bad share over the shortest burn window, in multiples of the allowed share; None without
    requests. `needed`: candidate events that a PASS takes. `sample_age`: seconds since the candidate's newest sample.
    """

    name: str
    critical: bool
    verdict: Verdict
    candidate: ArmCounts | None
    legacy: ArmCounts | None
    allowed: float | None
    burn: float | None = None
    needed: int = 0
    sample_age: float | None = None
    no_data: NoDataCause | None = None
    hard_guard: HardGuardFinding | None = None
    tiers: tuple[TierFinding, ...] = ()
    note: str = ""
    split: Split | None = None
    effect: Effect | None = None
    margin: Margin = _OWN
    odds: Odds | None = None
    """None where the arms are not compared: at the last step, where legacy has no traffic."""
    rates: Rates | None = None
    """Instead of counts and odds, of events that have no total."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Guard G3, in events: what the rollout may cost, what it has cost, and bounds on that.

    `spent` is the signed sum of attributed bad events, `peak` its running maximum (shown). `lower`: lower confidence
    bound of `spent`. `gross_over`: the gross limit is passed. `tick`: last tick booked, epoch seconds.
    """

    sli: str
    allowed: float | None
    spent: float = 0.0
    peak: float = 0.0
    variance: float = 0.0
    candidate_bad: int = 0
    candidate_total: int = 0
    lower: float | None = None
    gross_over: bool = False
    rate: float | None = None
    tick: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidenceSeen:
    """Prometheus answered. `since`: start of the evidence of this step (epoch seconds); `tick`: newest tick in it."""

    since: float
    tick: float
    slis: tuple[SliAssessment, ...]
    ledgers: tuple[LedgerState, ...] = ()
    checkpoints: tuple[SliCheckpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceUnreachable:
    """Prometheus did not answer, or not in a usable way. `kind` is a class such as `Timeout` or `HTTP 503`."""

    kind: str
    since: float


@dataclass(frozen=True, slots=True)
class EvidencePending:
    """No tick has been evaluated yet since the weight last changed (or since the operator started)."""


Evidence = EvidenceSeen | EvidenceUnreachable | EvidencePending


@dataclass(frozen=True, slots=True)
class PreflightPassed:
    """Metrics were found; `notes`: facts the user should know; `counted`: per SLI, its name and metrics in words."""

    notes: tuple[str, ...] = ()
    budgets: tuple[tuple[str, float, float], ...] = ()
    """Per SLI: name, remaining share of the SLO window's budget, allowed bad events of this rollout."""
    checkpoints: tuple[SliCheckpoint, ...] = ()  # what legacy's past teaches, for the SLIs that have one
    counted: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PreflightFailed:
    """A metric, boundary or source is not there; `problem` names it and the fix."""

    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class PreflightUnknown:
    """Not looked yet, or Prometheus did not answer; `detail` says which."""

    detail: str = ""


Preflight = PreflightPassed | PreflightFailed | PreflightUnknown


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A `RolloutAction` without a result yet."""

    name: str
    uid: str
    verb: ActionVerb
    created: float
    revision: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """The object as stored can't be carried out; `reason` is a condition reason, `problem` a sentence."""

    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one decision may use."""

    deleting: bool
    finalizer: bool
    legacy: Workload
    candidate: Workload
    route: Route
    evidence: Evidence
    preflight: Preflight
    actions: tuple[ActionRequest, ...] = ()
    problem: SpecProblem | None = None
    epoch: Epoch = NO_EPOCH
    generation: int = 0
    revision: str | None = None
    """Hash of the candidate's pod template and model; None while the candidate is absent."""
