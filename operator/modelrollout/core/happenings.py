"""What of a rollout is worth telling people outside of the cluster, read from its stored status alone.

A happening is a state that has begun and may end (paused, stuck, rolled back) or a moment (promoted). It is derived
from the record and never remembered: whoever reads the same status, before or after a restart, finds the same
happenings with the same identities.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from modelrollout.core.model import ZERO, Key, Phase, Weight
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.status import RolloutStatus
from modelrollout.core.wording import percent


class Happened(StrEnum):
    """Kinds of happenings; those that notification targets choose from."""

    ROLLED_BACK = "RolledBack"
    STUCK = "Stuck"
    PAUSED = "Paused"
    APPROVAL_WANTED = "ApprovalWanted"
    INVALID = "Invalid"
    PROMOTED = "Promoted"


class Level(StrEnum):
    """For whom: `page` wakes somebody, `ticket` can wait for the morning, `info` asks for nothing."""

    INFO = "info"
    TICKET = "ticket"
    PAGE = "page"

    @property
    def rank(self) -> int:
        """Higher is more severe."""
        return tuple(Level).index(self)


SETTLE = 30.0
"""Seconds that something Invalid must last before it is told: objects of one apply come one after the other."""

_BY_PEOPLE = frozenset({Reason.PAUSED_BY_SPEC, Reason.PAUSED_BY_ACTION})


@dataclass(frozen=True, slots=True)
class Happening:
    """One happening. `at`: when it began, epoch seconds, 0 when the record does not tell. `id`: the same for all who
    read the record. `settle`: seconds that it must last before it is told. `ends`: whether it is a state.
    """

    id: str
    kind: Happened
    level: Level
    key: Key
    uid: str
    revision: str
    reason: str
    message: str
    at: float
    weight: Weight = ZERO
    step: int = -1
    settle: float = 0.0
    ends: bool = True

    @property
    def title(self) -> str:
        """One line: the object, what happened, with which revision."""
        return f"{self.key}: {_TITLES[self.kind].format(revision=self.revision or 'unknown')}"

    @property
    def text(self) -> str:
        """The reason and the weight, with the numbers of the record."""
        return f"{self.reason} at {percent(self.weight)} %: {self.message}"

    @property
    def alike(self) -> tuple[object, ...]:
        """What two happenings have in common that are the same thing coming and going."""
        if self.kind in (Happened.ROLLED_BACK, Happened.PROMOTED):
            return (self.id,)
        return (self.uid, self.kind, self.revision, self.reason, self.step)


@dataclass(frozen=True, slots=True)
class _Record:
    key: Key
    uid: str
    status: RolloutStatus


@dataclass(frozen=True, slots=True)
class _Facts:
    level: Level
    reason: str
    message: str
    at: float


_TITLES = {
    Happened.ROLLED_BACK: "revision {revision} goes back to legacy",
    Happened.STUCK: "stuck with revision {revision}",
    Happened.PAUSED: "paused with revision {revision}",
    Happened.APPROVAL_WANTED: "revision {revision} waits for an approval",
    Happened.INVALID: "can't be carried out",
    Happened.PROMOTED: "revision {revision} promoted",
}


def standing(key: Key, uid: str, status: RolloutStatus | None) -> tuple[Happening, ...]:
    """What stands in this status, the most severe first; none for a rollout that nobody has looked at yet."""
    if status is None:
        return ()
    record = _Record(key, uid, status)
    made = (kind(record) for kind in (_stuck, _rolled_back, _invalid, _waiting, _promoted))
    return tuple(sorted((h for h in made if h is not None), key=lambda h: -h.level.rank))


def _rolled_back(r: _Record) -> Happening | None:
    s, incident = r.status, r.status.incident
    if incident is None or incident.revision != s.revision:
        return None
    if s.phase is not Phase.ROLLED_BACK and (s.phase is not Phase.ROLLING_BACK or incident.closed is not None):
        return None
    facts = _Facts(Level.TICKET, incident.reason, incident.message, incident.opened)
    return _made(r, Happened.ROLLED_BACK, facts, weight=incident.weight)


def _stuck(r: _Record) -> Happening | None:
    s = r.status
    back = s.phase is Phase.ROLLING_BACK
    level = Level.PAGE if back else Level.TICKET
    if back and s.holds.blocked is not None:
        return _made(r, Happened.STUCK, _Facts(level, Reason.ROLLBACK_BLOCKED, s.message, s.holds.blocked))
    stalled = s.condition(ConditionType.STALLED)
    if stalled is None or stalled.status != "True":
        return None
    refused = stalled.reason == Reason.DENIED or (stalled.reason == Reason.INVALID_SPEC and back)
    if refused or stalled.reason == Reason.ROUTE_CONFLICT:
        return _made(r, Happened.STUCK, _Facts(level, stalled.reason, stalled.message, stalled.since))
    return None


def _invalid(r: _Record) -> Happening | None:
    s = r.status
    stalled = s.condition(ConditionType.STALLED)
    unread = stalled is not None and stalled.status == "True" and stalled.reason == Reason.INVALID_SPEC
    if s.phase is Phase.ROLLING_BACK or (s.phase is not Phase.INVALID and not unread):
        return None
    if s.reason == Reason.DENIED:
        return None
    facts = _Facts(Level.TICKET, s.reason, s.message, stalled.since if stalled is not None else 0.0)
    if unread and stalled is not None:
        facts = _Facts(Level.TICKET, stalled.reason, stalled.message, stalled.since)
    return _made(r, Happened.INVALID, facts, settle=SETTLE)


def _waiting(r: _Record) -> Happening | None:
    s = r.status
    short = s.phase is Phase.PREFLIGHT and s.reason == Reason.BUDGET_EXHAUSTED
    if s.phase is not Phase.PAUSED and not short:
        return None
    if s.reason == Reason.ROUTE_CONFLICT:
        return None  # stuck
    level = Level.INFO if s.reason in _BY_PEOPLE else Level.TICKET
    kind = Happened.APPROVAL_WANTED if short or s.reason == Reason.APPROVAL else Happened.PAUSED
    return _made(r, kind, _Facts(level, s.reason, s.message, _paused_since(s)))


def _paused_since(s: RolloutStatus) -> float:
    """When it began to wait for this reason: the condition keeps the time of the first of several."""
    for record in reversed(s.decisions):
        if record.action == "Pause":
            if record.reason == s.reason:
                return record.at
            break
    paused = s.condition(ConditionType.PAUSED)
    return paused.since if paused is not None else 0.0


def _promoted(r: _Record) -> Happening | None:
    s = r.status
    last = s.history[-1] if s.history else None
    if s.phase is not Phase.PROMOTED or last is None or (last.outcome, last.revision) != ("Promoted", s.revision):
        return None
    return _made(r, Happened.PROMOTED, _Facts(Level.INFO, last.reason, last.message, last.ended), ends=False)


def _made(
    r: _Record, kind: Happened, facts: _Facts, *, weight: Weight | None = None, settle: float = 0.0, ends: bool = True
) -> Happening:
    s = r.status
    # Times survive being stored to the millisecond.
    told = (r.uid, kind.value, s.revision, str(facts.reason), str(round(facts.at * 1000)))
    return Happening(
        id=hashlib.blake2b("\n".join(told).encode(), digest_size=16).hexdigest(),
        kind=kind,
        level=facts.level,
        key=r.key,
        uid=r.uid,
        revision=s.revision,
        reason=str(facts.reason),
        message=facts.message,
        at=facts.at,
        weight=weight if weight is not None else (s.weight or ZERO),
        step=s.step.index if s.step is not None else -1,
        settle=settle,
        ends=ends,
    )
