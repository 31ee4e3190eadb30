"""A rollout before it runs: durations, provable margins, times to detect regressions, harm. Pure; see `planning`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite

import numpy as np

from modelrollout.core.model import FULL, RolloutSpec, Sli
from modelrollout.core.outlook import (
    Load,
    Proof,
    RolloutOutlook,
    StepOutlook,
    objective,
    step_margin,
    undecided_limit,
)
from modelrollout.stats.detection import detect
from modelrollout.stats.guards import events_for_pass
from modelrollout.stats.planning import MOST, needed_for_pass, provable_difference, provable_ratio
from modelrollout.stats.ticks import read_offset

REGRESSIONS = (1.5, 2.0, 3.0, 5.0, 10.0, None)
"""Times legacy's bad share; None: every request is bad."""
PASS_TICKS = 2


def forecast(
    spec: RolloutSpec,
    loads: Mapping[str, Load],
    *,
    scrape: float,
    regressions: Sequence[float | None] = REGRESSIONS,
) -> RolloutOutlook:
    """What the rollout will take under these loads (by SLI); `scrape`: scrape interval in seconds.

    SLIs that are not critical, without an objective, a load or requests are left out. `regressions` may be empty: then
    only proofs are looked at, and smaller margins only where one can't be proven, which is cheap.
    """
    slis = [
        sli
        for sli in spec.slis
        if sli.critical and sli.allowed is not None and sli.name in loads and loads[sli.name].rate > 0
    ]
    proofs = _proofs(spec, slis, loads, scrape, always=bool(regressions))
    steps = []
    for index, step in enumerate(spec.steps):
        here = [
            replace(
                proof,
                detections=tuple(
                    detect(spec, sli, proof.load, weight=step.weight, ratio=ratio, scrape=scrape)
                    for ratio in regressions
                ),
            )
            for sli, proof in zip(slis, proofs[index], strict=True)
        ]
        slowest = max(here, key=lambda proof: proof.seconds, default=None)
        seconds = max(step.min_duration, slowest.seconds if slowest else 0.0)
        steps.append(
            StepOutlook(
                index=index,
                weight=step.weight,
                seconds=seconds,
                shortest=step.min_duration,
                limit=undecided_limit(spec, step),
                requests=slowest.load.rate * step.weight / FULL * seconds if slowest else 0.0,
                proofs=tuple(here),
            )
        )
    return RolloutOutlook(spec.key, tuple(steps))


def start_up(spec: RolloutSpec, sli: Sli, index: int, scrape: float) -> float:
    """Seconds after a step's start until its first tick counts and is read.

    The data plane settles, the tick that mixes weights is left out; before the first step the candidate is young, and
    its pods are not judged. Labels are taken to come as late as they may.
    """
    interval = spec.analysis.interval
    young = spec.analysis.warmup if index == 0 else 0.0
    return max(spec.traffic.settle, young) + 1.5 * interval + read_offset(scrape) + _labels(sli)


def _labels(sli: Sli) -> float:
    return sli.labels.max_delay if sli.labels else 0.0


def _proofs(
    spec: RolloutSpec, slis: Sequence[Sli], loads: Mapping[str, Load], scrape: float, *, always: bool
) -> list[tuple[Proof, ...]]:
    """What a PASS takes, per step and SLI; all of them in one batch (searching margins one by one takes 0.1 s each).

    `always`: smallest margins are wanted where everything is provable, too.
    """
    each = [(index, sli) for index in range(len(spec.steps)) for sli in slis]
    margins = [step_margin(spec, sli, index) for index, sli in each]
    alpha, tick = spec.analysis.false_promote, spec.analysis.interval
    weight = np.array([spec.steps[index].weight / FULL for index, _ in each])
    rate = weight * [loads[sli.name].rate for _, sli in each]
    share = np.array([loads[sli.name].share for _, sli in each])
    ratio = np.array([margin.ratio if margin else 1.0 for margin in margins])
    difference = np.array([margin.difference if margin else 1.0 for margin in margins])
    absolute = np.array([float(events_for_pass(objective(sli), spec.budget.tiers)) for _, sli in each])
    compared = np.array([margin is not None for margin in margins], dtype=bool)
    needed = np.where(compared, needed_for_pass(share, weight, ratio, difference, alpha), absolute)
    needed = np.where(needed >= MOST, inf, needed)
    begin = np.array([start_up(spec, sli, index, scrape) for index, sli in each])
    limit = np.array([undecided_limit(spec, spec.steps[index]) for index, _ in each])
    seconds = begin + np.maximum(needed / rate, PASS_TICKS * tick)
    provable = (seconds <= limit) | ~compared
    least_ratio, least_difference = np.full((2, len(each)), inf)
    if always or not provable.all():
        room = np.maximum(0.0, (limit - begin) * rate)
        least_ratio = provable_ratio(room, share, weight, difference, alpha)
        least_difference = provable_difference(room, share, weight, ratio, alpha)
    proofs = [
        Proof(
            sli=sli.name,
            load=loads[sli.name],
            margin=margins[place],
            needed=float(needed[place]),
            seconds=float(seconds[place]),
            provable=bool(provable[place]),
            delay=_labels(sli),
            least_ratio=_found(least_ratio[place], compared[place]),
            least_difference=_found(least_difference[place], compared[place]),
        )
        for place, (_, sli) in enumerate(each)
    ]
    width = len(slis)
    return [tuple(proofs[index * width : (index + 1) * width]) for index in range(len(spec.steps))]


def _found(least: float, compared: bool) -> float | None:
    return float(least) if compared and isfinite(least) else None
