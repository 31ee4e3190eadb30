"""`ModelRollout`: one pair of Deployments and how to move between them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule, UniqueBy
from modelrollout.api.scalars import (
    Duration,
    FalsePromote,
    FalseRollback,
    Flag,
    Interval,
    Label,
    Percent,
    PositiveDuration,
    PositivePercent,
    ShortText,
    Subdomain,
    Tolerance,
    Window,
)
from modelrollout.api.v1alpha1.sli import Margin, Sli
from modelrollout.api.v1alpha1.steps import Ramp, StepDefaults, Steps
from modelrollout.api.v1alpha1.traffic import Traffic

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


Slis = Annotated[
    list[Sli],
    Field(min_length=1, max_length=MAX_SLIS),
    UniqueBy("name"),
    Rule(
        "self.exists(s, !has(s.critical) || s.critical)",
        "at least one SLI must be critical, otherwise nothing could stop a bad candidate",
        lambda slis: any(sli.critical is not False for sli in slis),
    ),
    Rule(
        "self.exists(s, (!has(s.critical) || s.critical) && (!has(s.counts) || has(s.counts.total)))",
        "at least one critical SLI must have a total, such as a profile: counts without one prove nothing",
        lambda slis: any(
            sli.critical is not False and (sli.counts is None or sli.counts.total is not None) for sli in slis
        ),
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
    margin: Margin | None = Field(
        default=None, description='What counts as not worse than legacy; absent: ratio "1.25", difference "0.0005".'
    )
    false_rollback: FalseRollback | None = Field(
        default=None,
        description="Risk that the comparison with legacy reverts a candidate that is within its margins: per rollout,"
        ' all SLIs and looks together; absent: "0.01".',
    )
    false_promote: FalsePromote | None = Field(
        default=None, description='Risk per SLI that a candidate beyond the margin passes a step; absent: "0.05".'
    )
    tolerance: Tolerance | None = Field(
        default=None, description='Extra bad share of all traffic that the next step may risk; absent: "0.05%".'
    )
    sample_ratio: Literal["Hold", "Warn"] | None = Field(
        default=None,
        description="Requests that are not split as the route says (a tenth off, beyond chance): Hold pauses, Warn only"
        " tells; absent: Hold. Warn is for services with callers that do not come by the route, or pinned connections.",
    )
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
        Rule(
            "!has(self.traffic.replicas) || (!has(self.legacy.service) && !has(self.candidate.service))",
            "with traffic.replicas both arms are behind traffic.replicas.service: remove legacy.service and"
            " candidate.service",
            lambda s: s.traffic.replicas is None or (s.legacy.service is None and s.candidate.service is None),
            path=".traffic.replicas.service",
        ),
        Rule(
            "!has(self.traffic.replicas) || !has(self.ramp)",
            "traffic.replicas takes steps, because a ramp stops at shares that pods can't make: write steps, or use"
            " managedRoute",
            lambda s: s.traffic.replicas is None or s.ramp is None,
            path=".ramp",
        ),
        Rule(
            "!has(self.traffic.replicas) || !has(self.steps) ||"
            " self.steps.all(s, type(s.weight) == int || !string(s.weight).contains('.'))",
            "traffic.replicas takes whole percents, because pods make no finer shares: use managedRoute for fractions",
            lambda s: s.traffic.replicas is None or not any("." in str(step.weight) for step in s.steps or ()),
            path=".steps",
        ),
        Rule(
            "has(self.steps) != has(self.ramp)",
            "exactly one of steps and ramp must be set",
            lambda s: (s.steps is None) != (s.ramp is None),
            path=".steps",
        ),
    )

    legacy: Arm = Field(description="What users get today, and where a revert goes.")
    candidate: Arm = Field(description="What they shall get.")
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] | None = Field(
        default=None, description="Service port of both arms; absent: 8080."
    )
    traffic: Traffic = Field(description="How requests reach the two arms.")
    steps: Steps | None = Field(default=None, description="Weights in rising order, the last one 100.")
    ramp: Ramp | None = Field(
        default=None,
        description="Instead of steps: weights that grow by a factor, or as far as tolerance bears a candidate that "
        "stays undecided; durations are those of stepDefaults.",
    )
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
