"""What came of simulated rollouts: one, or the shares of many with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import betaincinv

from modelrollout.core.model import Phase
from modelrollout.core.status import DecisionRecord
from modelrollout.sim.drive import Course
from modelrollout.sim.scenario import ArmName
from modelrollout.sim.world import START

CONFIDENCE = 0.95


class Outcome(StrEnum):
    """How a simulated rollout stands at its end. UNFINISHED: still on its way when the scenario was over."""

    PROMOTED = "promoted"
    REVERTED = "reverted"
    PAUSED = "paused"
    UNFINISHED = "unfinished"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Result:
    """One run in short. `seconds`: since the rollout was created. `bad`, `total`: candidate's events by SLI."""

    seed: int
    outcome: Outcome
    reason: str
    message: str
    seconds: float
    events: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Share:
    """Runs with one outcome: how many, their share with its exact 95 % interval, and their time in seconds."""

    outcome: Outcome
    count: int
    share: float
    low: float
    high: float
    median: float | None
    p90: float | None
    reasons: tuple[tuple[str, int], ...]


def decisions(course: Course) -> tuple[tuple[float, DecisionRecord], ...]:
    """Seconds since creation and the decision, oldest first. The status keeps the last twenty."""
    return tuple((record.at - START, record) for record in course.status.decisions)


def result(course: Course, seed: int) -> Result:
    """The run in short."""
    match course.status.phase:
        case Phase.PROMOTED:
            outcome = Outcome.PROMOTED
        case Phase.ROLLED_BACK | Phase.ROLLING_BACK:
            outcome = Outcome.REVERTED
        case Phase.PAUSED:
            outcome = Outcome.PAUSED
        case Phase.INVALID:
            outcome = Outcome.INVALID
        case _:
            outcome = Outcome.UNFINISHED
    events = tuple(
        (sli.name, course.truth[ArmName.CANDIDATE, sli.name].total, course.truth[ArmName.CANDIDATE, sli.name].bad)
        for sli in course.spec.slis
        if sli.allowed is not None
    )
    return Result(seed, outcome, course.status.reason, course.status.message, course.ended, events)


def shares(results: Iterable[Result]) -> tuple[Share, ...]:
    """Every outcome that occurred, the commonest first. `results` must not be empty."""
    found = list(results)
    made = []
    for outcome in Outcome:
        mine = [r for r in found if r.outcome is outcome]
        if not mine:
            continue
        low, high = interval(len(mine), len(found))
        times = np.array([r.seconds for r in mine])
        made.append(
            Share(
                outcome,
                len(mine),
                len(mine) / len(found),
                low,
                high,
                float(np.quantile(times, 0.5)),
                float(np.quantile(times, 0.9)),
                _counted([r.reason for r in mine]),
            )
        )
    return tuple(sorted(made, key=lambda s: -s.count))


def interval(count: int, runs: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper-Pearson bounds of a share. Source: Clopper & Pearson, Biometrika 1934."""
    tail = (1.0 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, runs - count + 1, tail))
    high = 1.0 if count == runs else float(betaincinv(count + 1, runs - count, 1.0 - tail))
    return low, high


def _counted(reasons: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((r, reasons.count(r)) for r in set(reasons)), key=lambda pair: (-pair[1], pair[0])))
