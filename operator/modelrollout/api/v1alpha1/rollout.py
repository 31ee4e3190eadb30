"""`ModelRollout`: one pair of Deployments and how to move between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule, UniqueBy
from modelrollout.api.scalars import (
    DURATION,
    Duration,
    Flag,
    Interval,
    Label,
    Percent,
    PositiveDuration,
    PositivePercent,
    ShortText,
    StepWeight,
    Subdomain,
    Window,
    parse_duration,
    parse_weight,
    when,
)
from modelrollout.api.v1alpha1.sli import Sli
from modelrollout.api.v1alpha1.traffic import Traffic

MAX_STEPS = 20
MAX_SLIS = 10
SERVICE_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class Model(ApiModel):
    """Which model an arm serves; part of the revision."""

    name: ShortText = Field(description="Name of the model.")
    version: ShortText = Field(description="Version of the model, as text.")


def _service_named(arm: Arm) -> bool:
    return arm.service is not None or (len(arm.deployment) <= 63 and "." not in arm.deployment)


class Arm(ApiModel):
    """One side of the rollout, in the rollout's own namespace."""

    RULES = (
        Rule(
            f"has(self.service) || self.deployment.matches('{SERVICE_NAME}')",
            "service must be set, because the Deployment's name is not a valid Service name",
            _service_named,
            path=".service",
        ),
    )

    deployment: Subdomain = Field(description="Name of the Deployment.")
    service: Label | None = Field(default=None, description="Name of its Service; absent: the Deployment's name.")
    model: Model | None = Field(default=None, description="The model it serves, for people and for the revision.")


def _ordered(step: StepDefaults | Step) -> bool:
    if step.min_duration is None or step.max_duration is None:
        return True
    return parse_duration(step.min_duration) <= parse_duration(step.max_duration)


_MIN_BEFORE_MAX = Rule(
    "!has(self.minDuration) || !has(self.maxDuration) || "
    + when(DURATION, "", field="self.minDuration")
    + when(DURATION, "duration(self.minDuration) <= duration(self.maxDuration)", field="self.maxDuration"),
    "minDuration must not be longer than maxDuration",
    _ordered,
)


class StepDefaults(ApiModel):
    """Durations of steps that do not set their own."""

    RULES = (_MIN_BEFORE_MAX,)

    min_duration: Duration | None = Field(default=None, description="Absent: 1m.")
    max_duration: PositiveDuration | None = Field(default=None, description="Absent: 6h.")


class Step(ApiModel):
    """One rung of the ladder."""

    RULES = (_MIN_BEFORE_MAX,)

    weight: StepWeight = Field(
        description='Percent of traffic for the candidate: an integer, or a string such as "0.25".'
    )
    min_duration: Duration | None = Field(default=None, description="Stay at least this long; absent: stepDefaults.")
    max_duration: PositiveDuration | None = Field(
        default=None, description="Without a verdict by then, analysis.inconclusive applies; absent: stepDefaults."
    )
    approval: Flag | None = Field(
        default=None, description="Wait for a RolloutAction Approve before this weight is set; absent: false."
    )


def _rising(steps: list[Step]) -> bool:
    weights = [parse_weight(step.weight) for step in steps]
    return all(a < b for a, b in pairwise(weights))


# A weight that is no number is told by its own rule; without this guard the list's rules would end in a CEL error.
_NUMBERS = r"self.all(s, type(s.weight) == int || string(s.weight).matches('^[0-9]{1,3}([.][0-9]{1,2})?$'))"

Steps = Annotated[
    list[Step],
    Field(min_length=1, max_length=MAX_STEPS),
    Rule(
        f"!{_NUMBERS} || self.map(s, double(s.weight)).isSorted()"
        " && self.all(s, self.exists_one(other, double(other.weight) == double(s.weight)))",
        "weights must rise from step to step",
        _rising,
    ),
    Rule(
        f"!{_NUMBERS} || self.size() == 0 || double(self[self.size() - 1].weight) == 100.0",
        "the last step must have weight 100",
        lambda steps: parse_weight(steps[-1].weight) == 10_000,
    ),
]

Slis = Annotated[
    list[Sli],
    Field(min_length=1, max_length=MAX_SLIS),
    UniqueBy("name"),
    Rule(
        "self.exists(s, !has(s.critical) || s.critical)",
        "at least one SLI must be critical, otherwise nothing could stop a bad candidate",
        lambda slis: any(sli.critical is not False for sli in slis),
    ),
]


class Burn(ApiModel):
    """How fast the candidate may burn its allowance before the rollout reacts."""

    preset: Literal["standard"] = Field(
        description="standard: 12x over 5m/1m and 6x over 15m/3m revert, 2x over 30m/5m pauses."
    )


class ErrorBudget(ApiModel):
    """What this rollout may cost of the SLO window's error budget."""

    window: Window | None = Field(default=None, description="SLO window; absent: 30d.")
    rollout_share: PositivePercent | None = Field(
        default=None, description="The most this rollout may cost of the window's budget; absent: 2%."
    )
    min_remaining: Percent | None = Field(
        default=None, description="No rollout starts with less of the window's budget left; absent: 10%."
    )
    burn: Burn | None = Field(default=None, description="Burn tiers; absent: standard.")


class NoData(ApiModel):
    """What to do when metrics have no data."""

    hold: Duration | None = Field(default=None, description="Wait this long; absent: 10m.")
    then: Literal["Rollback", "Pause"] | None = Field(
        default=None, description="Absent: Rollback. A Prometheus that can't be reached always pauses."
    )


class Inconclusive(ApiModel):
    """What to do when the evidence decides neither way."""

    hold: Duration | None = Field(default=None, description="Wait this long; absent: 6h.")
    then: Literal["Pause", "Rollback", "Promote"] | None = Field(default=None, description="Absent: Pause.")


class Analysis(ApiModel):
    """How evidence is read."""

    metric_source: Subdomain | None = Field(default=None, description="Name of the MetricSource; absent: default.")
    interval: Interval | None = Field(default=None, description="Time between two looks; absent: 5s.")
    warmup: Duration | None = Field(default=None, description="Pods younger than this are not judged; absent: 30s.")
    no_data: NoData | None = Field(default=None, description="Metrics without data.")
    inconclusive: Inconclusive | None = Field(default=None, description="Evidence that decides neither way.")


class Gitops(ApiModel):
    """How GitOps tools see a running rollout."""

    blocking: Flag | None = Field(
        default=None, description="true: not Ready until the rollout has ended; absent: false, Ready while steps run."
    )


class RolloutSpec(ApiModel):
    """What to move, where, how fast, and what must hold meanwhile."""

    RULES = (
        Rule(
            "self.legacy.deployment != self.candidate.deployment",
            "candidate.deployment must differ from legacy.deployment",
            lambda s: s.legacy.deployment != s.candidate.deployment,
            path=".candidate.deployment",
        ),
        Rule(
            "(has(self.legacy.service) ? self.legacy.service : self.legacy.deployment)"
            " != (has(self.candidate.service) ? self.candidate.service : self.candidate.deployment)",
            "candidate.service must differ from legacy.service",
            lambda s: (s.legacy.service or s.legacy.deployment) != (s.candidate.service or s.candidate.deployment),
            path=".candidate.service",
        ),
    )

    legacy: Arm = Field(description="What users get today, and where a revert goes.")
    candidate: Arm = Field(description="What they shall get.")
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] | None = Field(
        default=None, description="Service port of both arms; absent: 8080."
    )
    traffic: Traffic = Field(description="How requests reach the two arms.")
    steps: Steps = Field(description="Weights in rising order, the last one 100.")
    step_defaults: StepDefaults | None = Field(
        default=None, description="Durations of steps that do not set their own."
    )
    slis: Slis = Field(description="Service level indicators, by name.")
    error_budget: ErrorBudget | None = Field(default=None, description="What the rollout may cost.")
    analysis: Analysis | None = Field(default=None, description="How evidence is read.")
    candidate_deadline: PositiveDuration | None = Field(
        default=None, description="A candidate that is not ready by then is rolled back; absent: 10m."
    )
    paused: Flag | None = Field(default=None, description="Hold the weight where it is; absent: false.")
    gitops: Gitops | None = Field(default=None, description="How GitOps tools see a running rollout.")
