"""Steps of a rollout whose shares are made of pods: each becomes the share that pods can make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from modelrollout.api.reading import INVALID_SPEC
from modelrollout.api.scalars import render_weight
from modelrollout.api.v1alpha1 import traffic
from modelrollout.core.model import Replicas, Step, Weight
from modelrollout.core.observation import SpecProblem
from modelrollout.core.pods import pods_for, reached, spelled

Steps = tuple[Step, ...] | SpecProblem


def replicas(given: traffic.Replicas, asked: Steps) -> Replicas:
    """The router, with what the steps ask for."""
    return Replicas(
        given.service, given.total, () if isinstance(asked, SpecProblem) else tuple(s.weight for s in asked)
    )


def in_pods(steps: Steps, given: traffic.Replicas | None) -> Steps:
    """The steps with the shares that the pods make; a problem when two of them come to the same."""
    if given is None or isinstance(steps, SpecProblem):
        return steps
    total = given.total
    weights = [step.weight for step in steps]
    counts = [pods_for(weight, total) for weight in weights]
    for index, (before, count) in enumerate(pairwise(counts), 1):
        if before == count:
            one, other = (render_weight(weight) for weight in weights[index - 1 : index + 1])
            return SpecProblem(
                INVALID_SPEC,
                f"spec.steps[{index}].weight: {one} % and {other} %"
                f" are both {spelled(count, total)}: remove one of the two steps, or {_fix(weights)}",
            )
    return tuple(replace(step, weight=reached(step.weight, total)) for step in steps)


def _fix(weights: Sequence[Weight]) -> str:
    for total in range(2, traffic.MAX_PODS + 1):
        counts = [pods_for(weight, total) for weight in weights]
        if len(set(counts)) == len(counts):
            return f"set spec.traffic.replicas.total to {total} or more"
    return "use managedRoute"
