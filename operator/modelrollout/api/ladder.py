"""The steps of a rollout: as written, or the rungs that a ramp stands for."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from modelrollout.api.reading import INVALID_SPEC
from modelrollout.api.scalars import parse_duration, parse_growth, parse_weight, render_weight
from modelrollout.api.v1alpha1.rollout import RolloutSpec
from modelrollout.api.v1alpha1.steps import MAX_STEPS, Ramp, StepDefaults
from modelrollout.core.model import FULL, Step, Weight
from modelrollout.core.observation import SpecProblem

MIN_DURATION = 60.0
MAX_DURATION = 21_600.0
FROM = 1
GROWTH = "2.7"

_LAST_FACTOR = Decimal("1.2")
_GROWTH_STEP = Decimal("0.1")


def ladder(spec: RolloutSpec) -> tuple[Step, ...] | SpecProblem:
    """Steps in rising order with every default filled in, the last one at 100 %."""
    defaults = spec.step_defaults or StepDefaults()
    shortest = _seconds(defaults.min_duration, MIN_DURATION)
    longest = _seconds(defaults.max_duration, MAX_DURATION)
    if spec.steps is None:
        return _ramp(spec.ramp or Ramp(), shortest, longest, defaults)
    steps = tuple(
        Step(
            weight=parse_weight(step.weight),
            min_duration=_seconds(step.min_duration, shortest),
            max_duration=_seconds(step.max_duration, longest),
            approval=step.approval is True,
        )
        for step in spec.steps
    )
    for index, (written, step) in enumerate(zip(spec.steps, steps, strict=True)):
        if step.min_duration > step.max_duration:
            field = "maxDuration" if written.min_duration is None else "minDuration"
            return _never_long_enough(f"spec.steps[{index}].{field}", step)
    return steps


def rungs(start: Weight, growth: Decimal) -> tuple[Weight, ...]:
    """`start`, `start * growth`, ... in rising order, each rounded to a hundredth of a percent, then 100 %.

    The last one before 100 % leaves a factor of at least 1.2 to it: a shorter one would cost time and tell nothing.
    """
    weights: list[Weight] = []
    exact = Decimal(start)
    while exact * _LAST_FACTOR <= FULL:
        rung = Weight(int(exact.to_integral_value(ROUND_HALF_UP)))
        if not weights or rung > weights[-1]:
            weights.append(rung)
        exact *= growth
    return (*weights, FULL)


def _ramp(ramp: Ramp, shortest: float, longest: float, defaults: StepDefaults) -> tuple[Step, ...] | SpecProblem:
    start = parse_weight(FROM if ramp.start is None else ramp.start)
    growth = parse_growth(GROWTH if ramp.growth is None else ramp.growth)
    steps = tuple(Step(weight, shortest, longest) for weight in rungs(start, growth))
    if len(steps) > MAX_STEPS:
        wider = growth
        while len(rungs(start, wider)) > MAX_STEPS:
            wider = wider.quantize(_GROWTH_STEP) + _GROWTH_STEP
        return SpecProblem(
            INVALID_SPEC,
            f"spec.ramp.growth: from {render_weight(start)} % by factors of {growth} it takes {len(steps)} steps,"
            f" at most {MAX_STEPS} are possible; set growth to {wider} or more, or from to a higher weight",
        )
    if shortest > longest:
        field = "maxDuration" if defaults.min_duration is None else "minDuration"
        return _never_long_enough(f"spec.stepDefaults.{field}", steps[0])
    return steps


def _never_long_enough(field: str, step: Step) -> SpecProblem:
    return SpecProblem(
        INVALID_SPEC,
        f"{field}: the step would last at least {step.min_duration:g}s and at most {step.max_duration:g}s; set both"
        " durations, or change stepDefaults",
    )


def _seconds(text: str | None, default: float) -> float:
    return default if text is None else parse_duration(text)
