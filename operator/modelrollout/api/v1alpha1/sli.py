"""Service level indicators: a profile of the catalogue, or counts of your own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule
from modelrollout.api.scalars import (
    DECIMAL,
    Flag,
    Label,
    LabelName,
    LabelValue,
    MarginDifference,
    MarginRatio,
    MetricName,
    Objective,
    PositiveDuration,
    PositivePercent,
    parse_decimal,
    when,
)

UNPROVABLE = (
    "with a ratio of 1 or less, difference must be more than 0: no number of requests could prove that one version is"
    " not the least bit worse than its equal"
)

Profile = Annotated[
    str,
    Field(
        strict=True,
        min_length=3,
        max_length=127,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    ),
]


def are_label_names(match: dict[str, str]) -> bool:
    """Whether every key may be the name of a label that users select by."""
    return all(
        name.isascii() and name.isidentifier() and not name.startswith("__") and len(name) <= 128 for name in match
    )


LabelMatch = Annotated[
    dict[str, LabelValue],
    Field(max_length=8),
    Rule(
        "self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,127}$') && !name.startsWith('__'))",
        "keys must be label names: letters, digits and underscores, not starting with a digit or two underscores",
        are_label_names,
    ),
]


class Selector(ApiModel):
    """A counter, narrowed by exact label values."""

    metric: MetricName = Field(description="Name of the counter.")
    match: LabelMatch | None = Field(default=None, description="Label values that must be equal; absent: every series.")


class Counts(ApiModel):
    """Bad events out of all events, both as counters; or bad events alone, such as restarts."""

    RULES = (
        Rule(
            "!has(self.per) || !has(self.total)",
            "per is for events without a total; with a total they are counted out of that: remove one of the two",
            lambda c: c.per is None or c.total is None,
            path=".per",
        ),
    )

    total: Selector | None = Field(
        default=None,
        description="Counter of all events; absent: bad events are no part of anything, and the SLI is a guard that"
        " needs no objective.",
    )
    bad: Selector = Field(description="Counter of bad events.")
    per: Literal["Replicas", "Weight"] | None = Field(
        default=None,
        description="Without total: events are held against the time of each version's replicas, or against its share"
        " of the traffic; absent: Replicas.",
    )


class ArmLabels(ApiModel):
    """How the arms' series are told apart when they do not come from the arms' own pods."""

    RULES = (
        Rule(
            "self.legacy != self.candidate",
            "legacy and candidate must differ",
            lambda a: a.legacy != a.candidate,
            path=".candidate",
        ),
    )

    label: LabelName = Field(description="Name of the label.")
    legacy: LabelValue = Field(description="Its value for legacy.")
    candidate: LabelValue = Field(description="Its value for the candidate.")


def _provable(margin: Margin) -> bool:
    if margin.ratio is None or margin.difference is None:
        return True
    return parse_decimal(margin.ratio) > 1 or parse_decimal(margin.difference) > 0


class Margin(ApiModel):
    """Not worse: candidate's bad share is at most ratio times legacy's plus difference."""

    RULES = (
        Rule(
            "!has(self.ratio) || !has(self.difference) || "
            + when(DECIMAL, "", field="self.ratio")
            + when(DECIMAL, "double(self.ratio) > 1.0 || double(self.difference) > 0.0", field="self.difference"),
            UNPROVABLE,
            _provable,
            path=".difference",
        ),
    )

    ratio: MarginRatio | None = Field(
        default=None,
        description='Below "1" the candidate must be better than legacy; absent: that of analysis, there "1.25".',
    )
    difference: MarginDifference | None = Field(
        default=None, description="A fraction of 1 on top; absent: that of analysis, there 0.0005."
    )


class Labels(ApiModel):
    """Labels that come late, such as the truth about a prediction."""

    min_coverage: PositivePercent | None = Field(
        default=None, description="A PASS takes labels of so many of the predictions; absent: 80%."
    )
    max_delay: PositiveDuration | None = Field(
        default=None, description="No label is waited for longer than this; absent: 30m."
    )


def _alone(sli: Sli) -> bool:
    return sli.counts is not None and sli.counts.total is None


_ALONE = "(has(self.counts) && !has(self.counts.total))"


class Sli(ApiModel):
    """One indicator with its objective."""

    RULES = (
        Rule(
            "has(self.profile) != has(self.counts)",
            "exactly one of profile and counts must be set",
            lambda s: (s.profile is None) != (s.counts is None),
        ),
        Rule(
            "!has(self.threshold) || has(self.profile)",
            "threshold needs a profile: counts already say what is bad",
            lambda s: s.threshold is None or s.profile is not None,
            path=".threshold",
        ),
        Rule(
            f"{_ALONE} || has(self.objective)",
            "objective must be set, such as 99.9; only counts without a total have none",
            lambda s: _alone(s) or s.objective is not None,
            path=".objective",
        ),
        Rule(
            f"!{_ALONE} || !has(self.objective)",
            "counts without a total have no share of good events: remove objective, or set counts.total",
            lambda s: not _alone(s) or s.objective is None,
            path=".objective",
        ),
        Rule(
            f"!{_ALONE} || !has(self.margin) || !has(self.margin.difference)",
            "counts without a total are compared by margin.ratio alone: remove margin.difference, or set counts.total",
            lambda s: not _alone(s) or s.margin is None or s.margin.difference is None,
            path=".margin.difference",
        ),
        Rule(
            f"!{_ALONE} || !has(self.labels)",
            "counts without a total are no predictions that wait for a label: remove labels, or set counts.total",
            lambda s: not _alone(s) or s.labels is None,
            path=".labels",
        ),
    )

    name: Label = Field(description="Unique within the rollout.")
    critical: Flag | None = Field(default=None, description="false: shown and alerted, never decides; absent: true.")
    profile: Profile | None = Field(
        default=None, description="Entry of the catalogue, server/sli, such as modelrollout/errors."
    )
    counts: Counts | None = Field(default=None, description="Counters of your own.")
    threshold: PositiveDuration | None = Field(
        default=None,
        description="Latency profiles: slower requests are bad. Rounded down to a histogram boundary, with a note.",
    )
    objective: Objective | None = Field(
        default=None,
        description='Percent of events that must be good, such as "99.9"; must be absent where counts have no total.',
    )
    arms: ArmLabels | None = Field(default=None, description="Absent: as the MetricSource says.")
    margin: Margin | None = Field(default=None, description="What counts as not worse; absent: analysis.margin.")
    labels: Labels | None = Field(default=None, description="Labels that come late; absent: events count at once.")
