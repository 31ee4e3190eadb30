"""What goes wrong on the way between the operator's process and the API server, written and read as short text.

`promote/crash+after@7`: SIGKILL when the seventh write has been answered and the answer not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from e2e.chaos import faults
from e2e.chaos.faults import BadPlan, Crash, Fail, Failure, Span


class Hurt(StrEnum):
    """What is wrong with the way for a while."""

    PARTIAL = "partial"
    """The write's answer ends in the middle; only this one."""
    SLOW = "slow"
    """Every request and every answer takes 300 ms."""
    STORM = "storm"
    """Every request is answered 429."""
    AWAY = "away"
    """Connections are cut and new ones too."""
    FROZEN = "frozen"
    """Watches show nothing; everything else works."""


@dataclass(frozen=True, slots=True)
class Hurts:
    """From the operator's write number `at` on, for some seconds."""

    at: int
    hurt: Hurt
    seconds: float


Fault = Crash | Fail | Hurts
SECONDS = 20.0
SINGLE = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what happens anyway, and what goes wrong."""

    workload: str
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return f"{self.workload}/{','.join(map(text, self.faults))}"


def text(fault: Fault) -> str:
    """A fault as text."""
    if isinstance(fault, Hurts):
        return f"hurt+{fault.hurt}+{fault.seconds:g}@{fault.at}"
    return faults.text(fault)


def parse(line: str) -> Plan:
    """A plan from its text. Raises BadPlan."""
    workload, slash, rest = line.strip().partition("/")
    if not slash or not workload:
        raise BadPlan(f"{line!r} is no plan: it is <workload>/<fault>,<fault>")
    try:
        return Plan(workload, tuple(_fault(part) for part in rest.split(",") if part))
    except ValueError as error:
        raise BadPlan(f"{line!r} is no plan: {error}") from error


def _fault(part: str) -> Fault:
    found = re.fullmatch(r"hurt\+([a-z]+)\+([0-9.]+)@(\d+)", part)
    if found is not None:
        return Hurts(int(found[3]), Hurt(found[1]), float(found[2]))
    (known,) = faults.parse(f"any/0/{part}").faults
    if not isinstance(known, Crash | Fail) or (isinstance(known, Fail) and known.span is Span.MINUTE):
        raise ValueError(f"{part!r} can't be done to a real API server; see hurt")
    return known


def crashes(count: int) -> Iterator[Fault]:
    """Every crash point of a run of `count` writes."""
    for k in range(1, count + 1):
        yield from (Crash(k, after=after) for after in (False, True))


def others(count: int) -> Iterator[Fault]:
    """Everything else, at every write."""
    for k in range(1, count + 1):
        yield from (Fail(k, failure, Span.ONCE) for failure in Failure)
        yield from (Hurts(k, hurt, SINGLE if hurt is Hurt.PARTIAL else SECONDS) for hurt in Hurt)


def nearest(plan: Plan) -> faults.Plan:
    """The plan as the oracles of virtual time know it: they count its faults, and ask for kinds that are not here."""
    known = [f if isinstance(f, Crash | Fail) else Fail(f.at, Failure.UNAVAILABLE, Span.MINUTE) for f in plan.faults]
    return faults.Plan(plan.workload, 0, tuple(known))
