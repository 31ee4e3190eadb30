"""What the user asked for, as the core sees it: frozen, validated, in plain units.

`api.convert` builds these. Weights are hundredths of a percent of traffic, times seconds, ratios fractions of 1.
What is said of routers stands in `core.traffic` and can be had from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from modelrollout.core.rates import Exposure
from modelrollout.core.traffic import Adopting as Adopting
from modelrollout.core.traffic import AdoptRoute as AdoptRoute
from modelrollout.core.traffic import HeaderMatch as HeaderMatch
from modelrollout.core.traffic import IngressNginx as IngressNginx
from modelrollout.core.traffic import Istio as Istio
from modelrollout.core.traffic import ManagedRoute as ManagedRoute
from modelrollout.core.traffic import ParentRef as ParentRef
from modelrollout.core.traffic import Replicas as Replicas
from modelrollout.core.traffic import RouteMatch as RouteMatch
from modelrollout.core.traffic import Router as Router
from modelrollout.core.traffic import Segment as Segment
from modelrollout.core.traffic import Subsets as Subsets
from modelrollout.core.traffic import Traefik as Traefik
from modelrollout.core.traffic import Traffic as Traffic

Weight = NewType("Weight", int)
"""Share of traffic in hundredths of a percent, 0..10000."""

Epoch = NewType("Epoch", int)
"""Leader epoch: grows by one whenever the Lease changes hands; fences writes of deposed leaders."""

NO_EPOCH = Epoch(0)
ZERO = Weight(0)
FULL = Weight(10_000)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name of a `ModelRollout`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of the rollout: a Deployment, the Service in front of it, and the model it is said to serve."""

    deployment: str
    service: str
    model_name: str | None = None
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: hold `weight` at least `min_duration`, at most `max_duration`; `approval` gates its start."""

    weight: Weight
    min_duration: float
    max_duration: float
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Selector:
    """A counter by name, narrowed by exact label values and by one optional anchored regular expression a label."""

    metric: str
    equal: tuple[tuple[str, str], ...] = ()
    regex: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """An SLI given by the user: `bad` events out of `total` events, or `per` exposure where there is no total."""

    total: Selector | None
    bad: Selector
    per: Exposure | None = None


@dataclass(frozen=True, slots=True)
class ProfileRef:
    """An SLI of the catalogue, `<server>/<sli>`."""

    server: str
    sli: str

    def __str__(self) -> str:
        return f"{self.server}/{self.sli}"


@dataclass(frozen=True, slots=True)
class ClusterProfileRef(ProfileRef):
    """An SLI of a profile of the cluster; `digest` is of what it counts, empty when the profile has no such SLI."""

    digest: str


@dataclass(frozen=True, slots=True)
class ArmLabels:
    """Arms told apart by the value of a metric label instead of by pod name."""

    label: str
    legacy: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Margin:
    """What counts as "not worse": candidate's bad share <= `ratio` * legacy's + `difference` (a fraction of 1)."""

    ratio: float = 1.25
    difference: float = 0.0005

    def before(self, ahead: Weight, tolerance: float) -> Margin:
        """The margin that a step is passed against when `ahead` is the next weight.

        There an excess of `difference` costs at most `tolerance` of all traffic, or this margin is the wider one.
        """
        return Margin(self.ratio, max(self.difference, tolerance * FULL / ahead))


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels that come late: share of predictions that need one for a PASS, and seconds that one is waited for."""

    min_coverage: float = 0.8
    max_delay: float = 1800.0


@dataclass(frozen=True, slots=True)
class Sli:
    """One service level indicator. `allowed`: bad share that the objective permits (99.9 % -> 0.001); None without."""

    name: str
    source: ProfileRef | ClusterProfileRef | Counts
    allowed: float | None
    critical: bool = True
    threshold: float | None = None
    arms: ArmLabels | None = None
    margin: Margin = Margin()
    labels: Labels | None = None


class BurnAction(StrEnum):
    """What a burn tier does when it is true."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


@dataclass(frozen=True, slots=True)
class BurnTier:
    """True when the candidate burns `factor` times its allowed share over `long` and over `short` seconds."""

    name: str
    factor: float
    long: float
    short: float
    action: BurnAction


STANDARD_TIERS = (
    BurnTier("critical", 12.0, 300.0, 60.0, BurnAction.ROLLBACK),
    BurnTier("high", 6.0, 900.0, 180.0, BurnAction.ROLLBACK),
    BurnTier("elevated", 2.0, 1800.0, 300.0, BurnAction.PAUSE),
)


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """The SLO window, what share of its budget this rollout may cost, and how fast it may burn."""

    window: float = 30 * 86400.0
    rollout_share: float = 0.02
    min_remaining: float = 0.10
    tiers: tuple[BurnTier, ...] = STANDARD_TIERS


class Outcome(StrEnum):
    """What follows when a hold runs out."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"
    PROMOTE = "Promote"


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait at most `hold` seconds, then do `then`."""

    hold: float
    then: Outcome


@dataclass(frozen=True, slots=True)
class Analysis:
    """How evidence is read. `interval`: one tick. `warmup`: younger pods are not judged.

    `false_rollback`: risk per rollout that one within its margins is reverted. `false_promote`: per SLI, that one
    beyond passes a step. `tolerance`: bad share of ALL traffic that a step may add. `split_holds`: a wrong split holds.
    """

    metric_source: str = "default"
    interval: float = 5.0
    warmup: float = 30.0
    false_rollback: float = 0.01
    false_promote: float = 0.05
    tolerance: float = 0.0005
    split_holds: bool = True
    no_data: Hold = Hold(600.0, Outcome.ROLLBACK)
    inconclusive: Hold = Hold(21600.0, Outcome.PAUSE)


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """A validated `ModelRollout`, read at `generation`. With `ramp`, `steps` are the ladder of `spec.ramp`."""

    key: Key
    uid: str
    generation: int
    legacy: Arm
    candidate: Arm
    port: int
    traffic: Traffic
    steps: tuple[Step, ...]
    slis: tuple[Sli, ...]
    budget: ErrorBudget = ErrorBudget()
    analysis: Analysis = Analysis()
    candidate_deadline: float = 600.0
    paused: bool = False
    blocking: bool = False
    ramp: bool = False

    @property
    def scale(self) -> int:
        """Denominator the router writes: 100, or 10000 when a step is a fraction of a percent."""
        return 100 if all(step.weight % 100 == 0 for step in self.steps) else 10_000


class Phase(StrEnum):
    """Where a rollout stands, for people and dashboards; automation reads conditions."""

    IDLE = "Idle"
    PREFLIGHT = "Preflight"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    PROMOTED = "Promoted"
    INVALID = "Invalid"


class Verdict(StrEnum):
    """What the evidence says about one SLI."""

    FAIL = "FAIL"
    PASS = "PASS"
    WAIT = "WAIT"
    NO_DATA = "NO_DATA"
    INVALID = "INVALID"


class ActionVerb(StrEnum):
    """What a `RolloutAction` asks for."""

    ABORT = "Abort"
    PROMOTE = "Promote"
    PAUSE = "Pause"
    RESUME = "Resume"
    APPROVE = "Approve"
    RETRY = "Retry"
