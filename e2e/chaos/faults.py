"""What goes wrong in a plan, and when: each fault begins at the operator's k-th write. Written and read as short text.

`crash+after@7` is a process killed right after its seventh write took effect; a plan joins several with a comma.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from e2e.chaos.metrics import Trouble
from e2e.chaos.views import Blur


class Span(StrEnum):
    """How long the API server misbehaves."""

    ONCE = "once"
    THRICE = "thrice"
    MINUTE = "minute"
    KIND = "kind"
    """For a minute, but for writes of that kind of object alone, as a broken admission webhook does."""


class Failure(StrEnum):
    """How a write fails. `applied`: it took effect, but its sender never learns. `late`: and only after it gave up."""

    CONFLICT = "409"
    THROTTLED = "429"
    INTERNAL = "500"
    UNAVAILABLE = "503"
    RESET = "reset"
    RESET_APPLIED = "reset-applied"
    TIMEOUT = "timeout"
    TIMEOUT_APPLIED = "timeout-applied"
    LATE = "late"


class Edit(StrEnum):
    """What somebody else does to the objects just before the write arrives."""

    WEIGHT = "weight"
    DECORATE = "decorate"
    ROUTE_DELETED = "route-deleted"
    LABEL = "label"
    TOUCH_STATUS = "touch-status"
    STEPS = "steps"
    LEASE_DELETED = "lease-deleted"
    LEASE_STOLEN = "lease-stolen"
    SLICES_AWAY = "slices-away"
    ABORT = "abort"
    FORCED_AWAY = "forced-away"
    """A second rollout comes, and is taken away past its finalizer."""


class Poison(StrEnum):
    """An object that no operator should be hurt by."""

    STORED_GARBAGE = "stored-garbage"
    HUGE = "huge"
    STATUS_GARBAGE = "status-garbage"
    SHARED_ROUTE = "shared-route"
    UNICODE = "unicode"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process is killed before or after the write, and comes back after a second."""

    at: int
    after: bool


@dataclass(frozen=True, slots=True)
class Fail:
    """The API server fails the write, and perhaps more."""

    at: int
    failure: Failure
    span: Span


@dataclass(frozen=True, slots=True)
class Blurred:
    """Watches of some kinds show something else than what is, for some seconds."""

    at: int
    blur: Blur
    kinds: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Edited:
    """Somebody else writes in between."""

    at: int
    edit: Edit


@dataclass(frozen=True, slots=True)
class Unwell:
    """Prometheus is in trouble for some seconds."""

    at: int
    trouble: Trouble
    seconds: float


@dataclass(frozen=True, slots=True)
class Parted:
    """The leader is cut off from the API server for some seconds while a standby with another clock is not.

    `held`: its write is not lost, but carried out as the connection comes back.
    """

    at: int
    seconds: float
    skew: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A second rollout of the same namespace is poison."""

    at: int
    poison: Poison


@dataclass(frozen=True, slots=True)
class Blocked:
    """The event loop stands still for some seconds."""

    at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Slowed:
    """For some seconds the leader's requests take almost as long as it waits for them; a standby's do not."""

    at: int
    seconds: float


Fault = Crash | Fail | Blurred | Edited | Unwell | Parted | Poisoned | Blocked | Slowed


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what happens anyway, chance, and what goes wrong."""

    workload: str
    seed: int
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return f"{self.workload}/{self.seed}/{','.join(map(text, self.faults))}"


class BadPlan(ValueError):
    """A text that is no plan."""


def text(fault: Fault) -> str:
    """A fault as text."""
    match fault:
        case Crash(at, after):
            words = ["crash", "after" if after else "before"]
        case Fail(at, failure, span):
            words = ["fail", failure, span]
        case Blurred(at, blur, kinds, seconds):
            words = ["blur", blur, "&".join(kinds), f"{seconds:g}"]
        case Edited(at, edit):
            words = ["edit", edit]
        case Unwell(at, trouble, seconds):
            words = ["metrics", trouble, f"{seconds:g}"]
        case Parted(at, seconds, skew, held):
            words = ["held" if held else "parted", f"{seconds:g}", f"{skew:g}"]
        case Poisoned(at, poison):
            words = ["poison", poison]
        case Blocked(at, seconds):
            words = ["blocked", f"{seconds:g}"]
        case Slowed(at, seconds):
            words = ["slow", f"{seconds:g}"]
    return f"{'+'.join(words)}@{at}"


def parse(line: str) -> Plan:
    """A plan from its text. Raises BadPlan."""
    try:
        workload, seed, faults = line.strip().split("/", 2)
        return Plan(workload, int(seed), tuple(_fault(part) for part in faults.split(",") if part))
    except (ValueError, KeyError, IndexError) as error:
        raise BadPlan(f"{line!r} is no plan: {error}") from error


def _fault(part: str) -> Fault:
    found = re.fullmatch(r"(.+)@(\d+)", part)
    if found is None:
        raise ValueError(f"{part!r} has no @k")
    kind, *words = found[1].split("+")
    at = int(found[2])
    match kind:
        case "crash":
            return Crash(at, words[0] == "after")
        case "fail":
            return Fail(at, Failure(words[0]), Span(words[1]))
        case "blur":
            return Blurred(at, Blur(words[0]), tuple(words[1].split("&")), float(words[2]))
        case "edit":
            return Edited(at, Edit(words[0]))
        case "metrics":
            return Unwell(at, Trouble(words[0]), float(words[1]))
        case "parted" | "held":
            return Parted(at, float(words[0]), float(words[1]), kind == "held")
        case "poison":
            return Poisoned(at, Poison(words[0]))
        case "blocked":
            return Blocked(at, float(words[0]))
        case "slow":
            return Slowed(at, float(words[0]))
        case _:
            raise ValueError(f"{kind!r} is no kind of fault")
