"""Steps as written, and the ladder that a ramp stands for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.convert import to_spec
from modelrollout.core import model
from modelrollout.core.observation import SpecProblem
from tests.unit.api.objects import SMALLEST, changed, problem_of, spec_of


def ramped(ramp: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**SMALLEST, "spec": {**SMALLEST["spec"], "steps": None, "ramp": ramp, **spec}}


@pytest.mark.parametrize(
    ("ramp", "weights"),
    [
        ({}, [100, 270, 729, 1968, 5314, 10_000]),
        ({"from": "0.25", "growth": 10}, [25, 250, 2500, 10_000]),
        ({"from": 5, "growth": "5"}, [500, 2500, 10_000]),
        # 84 % would leave less than a factor of 1.2, 83.3 % does not.
        ({"from": 42, "growth": 2}, [4200, 10_000]),
        ({"from": "41.65", "growth": 2}, [4165, 8330, 10_000]),
        ({"from": 50, "growth": "1.2"}, [5000, 6000, 7200, 10_000]),
        # What rounds to the same weight is one step.
        (
            {"from": "0.01", "growth": "1.7"},
            [1, 2, 3, 5, 8, 14, 24, 41, 70, 119, 202, 343, 583, 990, 1684, 2862, 4866, 8272, 10_000],
        ),
    ],
)
def test_a_ramp_is_a_ladder(ramp: dict[str, Any], weights: list[int]) -> None:
    spec = spec_of(ramped(ramp))
    assert (spec.ramp, spec_of(SMALLEST).ramp) == (True, False)
    assert spec.steps == tuple(model.Step(model.Weight(weight), 60.0, 21600.0) for weight in weights)


def test_the_steps_of_a_ramp_last_as_step_defaults_say() -> None:
    steps = spec_of(ramped({"growth": 10}, stepDefaults={"minDuration": "2m", "maxDuration": "1h"})).steps
    assert [(step.min_duration, step.max_duration) for step in steps] == [(120.0, 3600.0)] * 3
    assert not any(step.approval for step in steps)


@given(start=st.integers(1, 5000), growth=st.integers(1200, 10_000))
def test_every_ramp_rises_to_all_traffic_or_says_what_to_change(start: int, growth: int) -> None:
    ramp = {"from": f"{start / 100:.2f}", "growth": f"{growth / 1000:.3f}"}
    found = to_spec(ramped(ramp), strict=True)
    if isinstance(found, SpecProblem):
        assert "spec.ramp.growth" in found.problem
        wider = found.problem.partition("set growth to ")[2].split()[0]
        assert float(wider) > growth / 1000
        found = spec_of(ramped(ramp | {"growth": wider}))
    weights = [step.weight for step in found.steps]
    assert weights == sorted(set(weights))
    assert (weights[0], weights[-1]) == (start, 10_000)
    assert len(weights) <= 20
    assert weights[-2] * 1.2 <= 10_000 + 0.6


def test_too_many_steps_of_a_ramp() -> None:
    assert problem_of(ramped({"from": "0.01", "growth": "1.2"})) == (
        "spec.ramp.growth: from 0.01 % by factors of 1.2 it takes 46 steps, at most 20 are possible; set growth to"
        " 1.7 or more, or from to a higher weight"
    )


def test_the_tolerance_of_a_ramp_is_that_of_the_rollout() -> None:
    analysis = {"tolerance": "0.1%"}
    assert spec_of(ramped({}, analysis=analysis)).analysis.tolerance == 0.001
    assert spec_of(ramped({"tolerance": "0.02%"}, analysis=analysis)).analysis.tolerance == 0.0002
    assert spec_of(ramped({})).analysis.tolerance == 0.0005


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"minDuration": "7h"}, "spec.stepDefaults.minDuration: the step would last at least 25200s"),
        ({"maxDuration": "30s"}, "spec.stepDefaults.maxDuration: the step would last at least 60s and at most 30s"),
    ],
)
def test_durations_that_no_step_of_a_ramp_can_have(defaults: dict[str, str], said: str) -> None:
    assert problem_of(ramped({}, stepDefaults=defaults)).startswith(said)


def test_step_defaults_fill_only_what_is_absent() -> None:
    obj = changed(SMALLEST, "stepDefaults", {"minDuration": "2m", "maxDuration": "1h"})
    obj = changed(obj, "steps.1.minDuration", "3m")
    durations = [(step.min_duration, step.max_duration) for step in spec_of(obj).steps]
    assert durations == [(120.0, 3600.0), (180.0, 3600.0), (120.0, 3600.0)]
