"""What goes wrong with the operator's process and on its way to the API server, written and read as short text.

`promote/crash+after@7`: SIGKILL when the seventh write has been answered and the answer not passed on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from e2e.chaos import faults
from e2e.chaos.faults import BadPlan, Crash, Fail, Failure, Span


class Hurt(StrEnum):
    """What is wrong with the way for a while."""

    PARTIAL = "partial"
    """The write's answer ends in the middle; only this one."""
    LATE = "late"
    """The write reaches the API server only then, when its sender has long given up; only this one."""
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


class View(StrEnum):
    """What a second API server shows that has heard nothing from etcd since the write."""

    LAG = "lag"
    """From then on it answers lists and watches."""
    TRAVEL = "travel"
    """The next process asks it for lists and watches: what it finds is older than what its predecessor knew.

    The seconds begin when it has asked.
    """


@dataclass(frozen=True, slots=True)
class Stale:
    """Some seconds later the second API server hears again, and then the first one is asked again."""

    at: int
    view: View
    seconds: float


class Fate(StrEnum):
    """What becomes of the leader, while a standby is well."""

    KILLED = "killed"
    """SIGKILL before the write; it comes back as a standby."""
    PARTED = "parted"
    """It can't reach the API server."""
    HELD = "held"
    """SIGSTOP; the write is on its way all the time and arrives when the process goes on."""
    STOPPED = "stopped"
    """SIGSTOP when the write has been sent; it arrives at once."""


@dataclass(frozen=True, slots=True)
class Deposed:
    """For so many seconds, which is longer than its Lease lasts."""

    at: int
    fate: Fate
    seconds: float


class Loss(StrEnum):
    """What becomes of a store of three members."""

    KILLED = "killed"
    """SIGKILL of its leader, which is started again."""
    STOPPED = "stopped"
    """SIGSTOP of its leader."""
    QUORUM = "quorum"
    """SIGKILL of two: nothing can be read or written until they are back."""


@dataclass(frozen=True, slots=True)
class Etcd:
    """For some seconds from that write on."""

    at: int
    loss: Loss
    seconds: float


Lasting = Hurts | Stale | Deposed | Etcd
Fault = Crash | Fail | Lasting


class Needs(StrEnum):
    """What must be there for a plan to run."""

    SERVER = "one API server"
    LAGGING = "a second API server that lags"
    MEMBERS = "three members of etcd"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what happens anyway, and what goes wrong."""

    workload: str
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return f"{self.workload}/{','.join(map(text, self.faults))}"

    @property
    def blinds(self) -> bool:
        """Whether watches show nothing new for a while."""
        return any(isinstance(f, Stale) or (isinstance(f, Hurts) and f.hurt is Hurt.FROZEN) for f in self.faults)

    @property
    def needs(self) -> Needs:
        """What must be there."""
        kinds = set(map(type, self.faults))
        return Needs.MEMBERS if Etcd in kinds else Needs.LAGGING if Stale in kinds else Needs.SERVER


def text(fault: Fault) -> str:
    """A fault as text."""
    match fault:
        case Hurts(at, what, seconds):
            return f"hurt+{what}+{seconds:g}@{at}"
        case Stale(at, view, seconds):
            return f"stale+{view}+{seconds:g}@{at}"
        case Deposed(at, fate, seconds):
            return f"leader+{fate}+{seconds:g}@{at}"
        case Etcd(at, loss, seconds):
            return f"etcd+{loss}+{seconds:g}@{at}"
        case _:
            return faults.text(fault)


def parse(line: str) -> Plan:
    """A plan from its text. Raises BadPlan."""
    workload, slash, rest = line.strip().partition("/")
    if not slash or not workload:
        raise BadPlan(f"{line!r} is no plan: it is <workload>/<fault>,<fault>")
    try:
        plan = Plan(workload, tuple(_fault(part) for part in rest.split(",") if part))
    except ValueError as error:
        raise BadPlan(f"{line!r} is no plan: {error}") from error
    if {Etcd, Stale} <= set(map(type, plan.faults)):
        raise BadPlan(f"{line!r} is no plan: there is no cluster with three members of etcd and a server that lags")
    if any(isinstance(f, Fail) and f.failure is Failure.LATE for f in plan.faults):
        raise BadPlan(f"{line!r} is no plan: a late write is hurt+late+<seconds>@<k> here")
    return plan


def _fault(part: str) -> Fault:
    found = re.fullmatch(r"(hurt|stale|leader|etcd)\+([a-z]+)\+(\d+(?:\.\d+)?)@(\d+)", part)
    if found is not None:
        kind, what, seconds, at = found[1], found[2], float(found[3]), int(found[4])
        match kind:
            case "hurt":
                return Hurts(at, Hurt(what), seconds)
            case "stale":
                return Stale(at, View(what), seconds)
            case "leader":
                return Deposed(at, Fate(what), seconds)
            case _:
                return Etcd(at, Loss(what), seconds)
    (known,) = faults.parse(f"any/0/{part}").faults
    if not isinstance(known, Crash | Fail) or (isinstance(known, Fail) and known.span is Span.MINUTE):
        raise ValueError(f"{part!r} can't be done to a real API server; see hurt")
    return known


def nearest(plan: Plan) -> faults.Plan:
    """The plan as the oracles of virtual time know it: they count its faults, and ask for kinds that are not here."""
    known = [f if isinstance(f, Crash | Fail) else Fail(f.at, Failure.UNAVAILABLE, Span.MINUTE) for f in plan.faults]
    return faults.Plan(plan.workload, 0, tuple(known))
