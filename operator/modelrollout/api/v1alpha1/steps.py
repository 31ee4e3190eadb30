"""The way up: steps one by one, or a ramp that stands for them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule
from modelrollout.api.scalars import (
    DURATION,
    Duration,
    Flag,
    Growth,
    PositiveDuration,
    RampStart,
    StepWeight,
    Tolerance,
    parse_duration,
    parse_weight,
    when,
)

MAX_STEPS = 20


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


class Ramp(ApiModel):
    """A ladder of weights, each a multiple of the one before; a step ends with its evidence."""

    start: RampStart | None = Field(
        default=None, alias="from", description='First weight in percent, such as 1 or "0.25"; absent: 1.'
    )
    growth: Growth | None = Field(
        default=None,
        description='Each weight is that many times the one before, rounded to 0.01, until 100; absent: "2.7".',
    )
    tolerance: Tolerance | None = Field(default=None, description="Absent: analysis.tolerance.")
