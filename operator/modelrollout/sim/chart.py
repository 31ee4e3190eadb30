"""What a chart of a simulated rollout shows, before anything is drawn: panels over one time axis, and marks on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from modelrollout.core.model import Sli
from modelrollout.core.observation import EvidenceSeen, SliAssessment
from modelrollout.core.outlook import objective
from modelrollout.core.wording import percent
from modelrollout.sim.drive import Course, Look
from modelrollout.sim.outcome import decisions
from modelrollout.sim.scenario import ArmName

BINS = 60
"""Points of a line of shares: each holds the events of a sixtieth of the time, five seconds at least."""
SHORTEST = 15.0
ROOM = 1.05
ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


class Role(StrEnum):
    """Who a line is about: its colour and its letter."""

    CANDIDATE = "candidate"
    LEGACY = "legacy"
    WORSE = "worse"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Line:
    """Points (seconds, value) in order, None where nothing is known. `steps`: the value holds until the next point."""

    name: str
    role: Role
    points: tuple[tuple[float, float | None], ...]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A level that decides."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one scale from 0 to `high`. `percent`: values are fractions, shown in percent.

    `note`: why it is empty.
    """

    title: str
    high: float
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    percent: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision at a time, seconds. `weight`: what the candidate has from then on, as people write it."""

    at: float
    action: str
    reason: str
    weight: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it, from 0 to `end` seconds."""

    title: str
    end: float
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...]


def chart(course: Course, title: str) -> Chart:
    """The chart of a filmed course."""
    looks = course.looks
    end = max(course.ended, 1.0)
    panels = [_weight(course, end)]
    for sli in course.spec.slis:
        if sli.allowed is None:
            continue
        panels += [_shares(sli, looks, end), _evidence(sli, looks, [t.factor for t in course.spec.budget.tiers])]
    marks = tuple(Mark(at, record.action, record.reason, percent(record.weight)) for at, record in decisions(course))
    return Chart(title, end, tuple(panels), marks)


def _weight(course: Course, end: float) -> Panel:
    points = [(at, weight / 10_000) for at, weight in course.weights]
    points += [(end, points[-1][1])] if points else []
    line = Line("candidate", Role.CANDIDATE, tuple(points), steps=True)
    return Panel("candidate's share of traffic", 1.0, (line,), percent=True, note="" if points else "nothing happened")


def _shares(sli: Sli, looks: Sequence[Look], end: float) -> Panel:
    width = max(SHORTEST, end / BINS)
    chosen: list[Look] = []
    for look in looks:
        if not chosen or look.at - chosen[-1].at >= width:
            chosen.append(look)
    lines = tuple(
        Line(arm.value, Role(arm.value), tuple(_share(a, b, arm, sli.name) for a, b in pairwise(chosen)))
        for arm in (ArmName.LEGACY, ArmName.CANDIDATE)
    )
    return Panel(
        f"{sli.name}: bad share",
        _high(lines, 2 * objective(sli), 1.0),
        lines,
        (Limit("objective", objective(sli)),),
        percent=True,
        note="" if _some(lines) else "no requests",
    )


def _share(before: Look, after: Look, arm: ArmName, sli: str) -> tuple[float, float | None]:
    (n0, e0), (n1, e1) = before.truth[arm, sli], after.truth[arm, sli]
    return (before.at + after.at) / 2, (e1 - e0) / (n1 - n0) if n1 > n0 else None


def _evidence(sli: Sli, looks: Sequence[Look], factors: Sequence[float]) -> Panel:
    """Odds against chance as shares of their limits where the arms are compared; else the candidate's burn rate."""
    worse = _line(
        "worse", Role.WORSE, sli, looks, lambda s: _toward(s.odds.worse, s.odds.worse_limit) if s.odds else None
    )
    fine = _line("fine", Role.FINE, sli, looks, lambda s: _toward(s.odds.fine, s.odds.fine_limit) if s.odds else None)
    if _some((worse, fine)):
        # Far beyond its limit a line says nothing more; the scale is for the way there.
        return Panel(
            f"{sli.name}: evidence (log odds, 1 decides)",
            _high((worse, fine), 1.5, 3.0),
            (worse, fine),
            (Limit("decides", 1.0),),
        )
    burn = _line("burn", Role.CANDIDATE, sli, looks, lambda s: s.burn)
    high = _high((burn,), min(factors, default=1.0) * 1.5, 1.5 * max(factors, default=1.0))
    limits = tuple(Limit(f"{factor:g}x", factor) for factor in sorted(factors) if factor < high)
    note = "" if _some((burn,)) else "no evidence yet"
    return Panel(f"{sli.name}: burn rate (multiples of the allowed share)", high, (burn,), limits, note=note)


def _line(
    name: str, role: Role, sli: Sli, looks: Sequence[Look], value: Callable[[SliAssessment], float | None]
) -> Line:
    points: list[tuple[float, float | None]] = []
    for look in looks:
        found = None
        if isinstance(look.evidence, EvidenceSeen):
            found = next((value(s) for s in look.evidence.slis if s.name == sli.name), None)
        points.append((look.at, found))
    return Line(name, role, tuple(points))


def _toward(odds: float, limit: float) -> float:
    return max(0.0, odds) / limit


def _some(lines: Sequence[Line]) -> bool:
    return any(value is not None for line in lines for _, value in line.points)


def _high(lines: Sequence[Line], least: float, most: float) -> float:
    """Top of a scale: a round number with room above the highest value, within bounds."""
    top = max((value for line in lines for _, value in line.points if value is not None), default=0.0)
    wanted = min(most, max(least, top * ROOM))
    power = 10.0 ** math.floor(math.log10(wanted))
    return min(most, next(f for f in ROUND if f * power >= wanted * (1 - 1e-9)) * power)
