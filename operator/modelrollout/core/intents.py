"""What a decision wants done: at most one change to the cluster, and what to tell people once it is persisted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.core.model import Weight
from modelrollout.core.status import RolloutStatus


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Put our finalizer on the object before the first weight is written."""


@dataclass(frozen=True, slots=True)
class DropFinalizer:
    """Let the object go; a managed route is left in place without its owner, so users keep being served."""


@dataclass(frozen=True, slots=True)
class ShapeRoute:
    """Create the managed route, or give it the shape the spec asks for, with this weight for the candidate."""

    weight: Weight


class Move(StrEnum):
    """Direction of a weight change: it decides the order of writes."""

    RAISE = "Raise"
    LOWER = "Lower"


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give the candidate `weight` of the traffic; `segments`: its segments too (all or nothing).

    RAISE persists the status first, LOWER writes the route first.
    """

    weight: Weight
    segments: bool
    move: Move


Intent = AddFinalizer | DropFinalizer | ShapeRoute | SetWeight


class Severity(StrEnum):
    """Event type."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event to post once the state it tells of is persisted."""

    severity: Severity
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of a `RolloutAction`."""

    name: str
    uid: str
    applied: bool
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status, at most one intent, and when to look again (epoch seconds; None: only on an event)."""

    status: RolloutStatus
    intent: Intent | None = None
    announcements: tuple[Announcement, ...] = ()
    results: tuple[ActionResult, ...] = ()
    wake_at: float | None = None
    urgent: bool = False
    """True for work that takes traffic off a candidate: it overtakes everything in the queue."""
