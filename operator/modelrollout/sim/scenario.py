"""What happens in a simulation: traffic, bad shares, regressions, incidents, outages. `sim.reading` makes it from YAML.

Times are seconds since the rollout was created; shares are fractions of 1; weights are hundredths of a percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.core.model import ActionVerb, Sli, Weight
from modelrollout.core.outlook import objective
from modelrollout.sim.traffic import Constant, Curve

DEFAULT_RATE = 20.0
DEFAULT_SHARE = 0.01
"""Bad share of an SLI without one of its own, if its objective leaves room for twice as much."""


class ArmName(StrEnum):
    """The two arms."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"


USUAL = Constant(DEFAULT_RATE)
BOTH = (ArmName.LEGACY, ArmName.CANDIDATE)


@dataclass(frozen=True, slots=True)
class Onset:
    """When something begins: at a time, or when the candidate's weight first reaches `weight`; `lasts`: for how long.

    `at` counts from the weight on when both are given.
    """

    at: float = 0.0
    weight: Weight | None = None
    lasts: float = float("inf")


@dataclass(frozen=True, slots=True)
class Change:
    """The bad share of an SLI becomes `share * ratio + difference`; `times`: response times become that many times
    as long (latency only). On `arms`: the candidate alone is a regression, both arms are an incident.
    """

    sli: str
    arms: tuple[ArmName, ...]
    onset: Onset = Onset()
    ratio: float = 1.0
    difference: float = 0.0
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class LateLabels:
    """Events of an SLI are counted `delay` seconds late, and `spread` more on average (exponential). `share`: of the
    predictions that ever get a label.
    """

    sli: str
    delay: float
    spread: float = 0.0
    share: float = 1.0


class OutageKind(StrEnum):
    """What Prometheus does wrong. DOWN: no answers and no scrapes; EMPTY: answers without series; NAN: no numbers."""

    DOWN = "down"
    UNREACHABLE = "unreachable"
    EMPTY = "empty"
    NAN = "nan"


@dataclass(frozen=True, slots=True)
class Outage:
    """Trouble with metrics between `start` and `end`; `arms`: whose series EMPTY and NAN concern."""

    kind: OutageKind
    start: float
    end: float
    arms: tuple[ArmName, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Crashes:
    """Each pod of an arm dies again and again, `every` seconds on average, and is back after `downtime`."""

    arm: ArmName
    onset: Onset
    every: float
    downtime: float


@dataclass(frozen=True, slots=True)
class Scale:
    """An arm has `replicas` pods from `at` on: new ones start, or the youngest end."""

    at: float
    arm: ArmName
    replicas: int


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Response times of an SLI are `times` as long in a pod's first `lasts` seconds."""

    sli: str
    times: float
    lasts: float


@dataclass(frozen=True, slots=True)
class Act:
    """A person's `RolloutAction`."""

    at: float
    verb: ActionVerb


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it. `base`: bad share by SLI on both arms. `settle`: seconds until the data plane follows a weight.

    `dispersion`: variance of bad counts over that of independent requests. `restarts`: when the operator restarts.
    `segments`: share of requests that match a segment of the rollout.
    """

    name: str = "healthy"
    traffic: Curve = USUAL
    base: tuple[tuple[str, float], ...] = ()
    changes: tuple[Change, ...] = ()
    late: tuple[LateLabels, ...] = ()
    outages: tuple[Outage, ...] = ()
    crashes: tuple[Crashes, ...] = ()
    scales: tuple[Scale, ...] = ()
    cold: tuple[ColdStart, ...] = ()
    actions: tuple[Act, ...] = ()
    restarts: tuple[float, ...] = ()
    dispersion: float = 1.0
    duration: float = 4 * 3600.0
    seed: int = 1
    replicas: tuple[int, int] = (2, 2)
    """Pods of legacy and of the candidate."""
    scrape: float = 5.0
    settle: float = 1.0
    segments: float = 0.0

    def share(self, sli: Sli) -> float:
        """Bad share of an SLI while nothing is wrong: 1 %, or half of what is allowed if that is less."""
        return dict(self.base).get(sli.name, min(DEFAULT_SHARE, objective(sli) / 2))
