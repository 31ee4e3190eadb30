"""`RolloutStatus` to `.status` and back.

`encode` answers with a JSON merge patch of the whole status: optional fields that are absent are an explicit None, so
that the patch removes what an earlier write left there; lists are replaced as a whole, and their items carry no None.
The result obeys the bounds of the CRD and stays under `MAX_BYTES`: long messages are cut first, those of older entries
most, then the oldest decisions and revisions are left out. Within the bounds nothing is lost:
`decode(encode(s)) == s` when its times are whole milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from modelrollout.api.scalars import render_weight
from modelrollout.api.status_decode import decode
from modelrollout.api.status_evidence import MAX_VALUES, encode_checkpoint, encode_effect, encode_odds, encode_rates
from modelrollout.api.status_text import cut, render_count, render_number, render_time
from modelrollout.api.v1alpha1.rollout import MAX_SLIS
from modelrollout.api.v1alpha1.status import MAX_CONDITIONS, MAX_NOTES, NAME, TEXT, WORD
from modelrollout.core import status as core
from modelrollout.core.intents import ActionResult
from modelrollout.core.model import Weight
from modelrollout.core.observation import ArmCounts, LedgerState
from modelrollout.core.wording import duration, exhausted_in

__all__ = ["MAX_BYTES", "as_stored", "decode", "encode", "encode_result", "size"]

MAX_BYTES = 16 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Room:
    """How much is written: characters of a message, and of those of older decisions and revisions; how many entries.

    `effects`: what SLIs differ by and their odds. `figures`: other numbers for people. `state`: values of a checkpoint
    beyond which it is left out.
    """

    text: int
    old: int
    decisions: int = core.MAX_DECISIONS
    history: int = core.MAX_HISTORY
    effects: bool = True
    figures: bool = True
    state: int = MAX_VALUES


_SENTENCE = 48
"""The first thing that people read keeps so many characters in any case."""

_RECENT = 3
"""So many of the newest decisions and revisions keep their whole message longest."""

_ROOMS = (
    _Room(TEXT, TEXT),
    _Room(256, 128),
    _Room(160, 48),
    _Room(128, 24),
    _Room(128, 48, decisions=12, history=5),
    _Room(96, 32, decisions=6, history=3),
    _Room(48, 16, decisions=3, history=2),
    _Room(48, 16, decisions=3, history=2, effects=False),
    _Room(16, 16, decisions=1, history=1, effects=False, figures=False),
    # What remains must fit whatever the names: ten SLIs with the evidence of all of them.
    _Room(0, 0, decisions=1, history=1, effects=False, figures=False, state=45),
)


def encode(status: core.RolloutStatus) -> dict[str, Any]:
    """`.status` as a merge patch under `MAX_BYTES`. Never raises."""
    out = _encode(status, _ROOMS[0])
    for room in _ROOMS[1:]:
        if size(out) < MAX_BYTES:
            break
        out = _encode(status, room)
    return out


def as_stored(status: core.RolloutStatus) -> core.RolloutStatus:
    """The status as a later read would see it: compare this one with the stored one, or cuts look like changes."""
    return decode(encode(status)) or core.RolloutStatus()


def encode_result(result: ActionResult, at: float) -> dict[str, Any]:
    """`.status` of a `RolloutAction` as a merge patch."""
    outcome = "Applied" if result.applied else "Refused"
    return {"result": outcome, "message": cut(result.message, TEXT), "at": render_time(at)}


def size(status: Mapping[str, Any]) -> int:
    """Bytes of the status as stored JSON."""
    return len(json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode())


def _encode(status: core.RolloutStatus, room: _Room) -> dict[str, Any]:
    return {
        "observedGeneration": render_count(status.observed_generation, least=core.UNSEEN),
        "phase": status.phase.value,
        "reason": cut(status.reason, WORD),
        "message": cut(status.message, max(room.text, _SENTENCE)),
        "revision": cut(status.revision, WORD),
        "attempt": render_count(status.attempt),
        "weight": _weight(status.weight),
        "step": _step(status.step),
        "summary": _summary(status.summary),
        "slis": [_sli(sli, room) for sli in status.slis[:MAX_SLIS]],
        "notes": [cut(note, room.text) for note in status.notes[:MAX_NOTES] if room.text],
        "budget": [_budget(ledger, room) for ledger in status.budget[:MAX_SLIS]],
        "decisions": [_decision(*entry) for entry in _aged(status.decisions[-room.decisions :], room)],
        "history": [_history(*entry) for entry in _aged(status.history[-room.history :], room)],
        "rejectedRevisions": [_rejected(entry) for entry in status.rejected[-core.MAX_REJECTED :]],
        "incident": _incident(status.incident, room),
        "conditions": [_condition(entry, room) for entry in _distinct(status.conditions)],
        "handledActions": [cut(uid, WORD) for uid in status.handled[-core.MAX_HANDLED :]],
        "leaderEpoch": render_count(status.leader_epoch),
        "checkpoint": _checkpoint(status, room),
    }


def _slim(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value is not None}


def _weight(value: Weight | None) -> str | None:
    return None if value is None else render_weight(min(max(int(value), 0), 10_000))


def _time(value: float | None) -> str | None:
    return None if value is None else render_time(value)


def _step(step: core.StepState | None) -> dict[str, Any] | None:
    if step is None:
        return None
    return {
        "index": render_count(step.index),
        "count": render_count(step.count),
        "startedAt": render_time(step.started),
        "weight": _weight(step.weight),
        "routeGeneration": render_count(step.route),
        "countedAt": _time(step.counted or None),
    }


def _summary(summary: core.Summary) -> dict[str, Any]:
    return {
        "step": cut(summary.step, WORD),
        "weight": cut(summary.weight, WORD),
        "verdict": cut(summary.verdict, WORD),
        "burn": cut(summary.burn, WORD),
        "next": cut(summary.next, WORD),
    }


def _counts(counts: ArmCounts) -> dict[str, int]:
    return {"total": render_count(counts.total), "bad": render_count(counts.bad)}


def _sli(sli: core.SliStatus, room: _Room) -> dict[str, Any]:
    return _slim(
        {
            "name": cut(sli.name, NAME),
            "critical": sli.critical,
            "verdict": sli.verdict.value,
            "candidate": _counts(sli.candidate) if room.figures and sli.candidate else None,
            "legacy": _counts(sli.legacy) if room.figures and sli.legacy else None,
            **(encode_rates(sli.rates) if room.effects else {}),
            **(encode_effect(sli.effect) if room.effects else {}),
            **(encode_odds(sli.odds) if room.effects else {}),
            "burn": render_number(sli.burn) if room.figures else None,
            "needed": render_count(sli.needed) if room.figures and sli.candidate else None,
            "sampleAge": render_number(sli.sample_age) if room.figures else None,
            "noData": None if sli.no_data is None else sli.no_data.value,
            "countedFrom": (cut(sli.counted, room.text) or None) if room.figures else None,
            "message": cut(sli.message, room.text) or None,
        }
    )


def _budget(ledger: LedgerState, room: _Room) -> dict[str, Any]:
    left = exhausted_in(ledger)
    share = 100 * ledger.spent / ledger.allowed if ledger.allowed else None
    return _slim(
        {
            "sli": cut(ledger.sli, NAME),
            "allowed": render_number(ledger.allowed),
            "spent": render_number(ledger.spent),
            # For people only: they follow from the others.
            "spentPercent": None if share is None or not room.figures else render_number(round(share, 1)),
            "exhaustedIn": None if left is None or not room.figures else duration(left),
            "peak": render_number(ledger.peak),
            "variance": render_number(ledger.variance),
            "candidateBad": render_count(ledger.candidate_bad),
            "candidateTotal": render_count(ledger.candidate_total),
            "lower": render_number(ledger.lower),
            "grossOver": ledger.gross_over,
            "rate": render_number(ledger.rate) if room.figures else None,
            "tick": render_time(ledger.tick),
        }
    )


def _aged(entries: Sequence[_T], room: _Room) -> Iterator[tuple[_T, int]]:
    """Entries, oldest first, with how long their message may be."""
    for age, entry in zip(range(len(entries) - 1, -1, -1), entries, strict=True):
        yield entry, room.text if age < _RECENT else room.old


def _decision(entry: core.DecisionRecord, limit: int) -> dict[str, Any]:
    return {
        "at": render_time(entry.at),
        "action": cut(entry.action, WORD),
        "reason": cut(entry.reason, WORD),
        "message": cut(entry.message, limit),
        "weight": _weight(entry.weight),
        "revision": cut(entry.revision, WORD),
        "generation": render_count(entry.generation),
    }


def _history(entry: core.HistoryEntry, limit: int) -> dict[str, Any]:
    return {
        "revision": cut(entry.revision, WORD),
        "outcome": cut(entry.outcome, WORD),
        "reason": cut(entry.reason, WORD),
        "message": cut(entry.message, limit),
        "startedAt": render_time(entry.started),
        "endedAt": render_time(entry.ended),
    }


def _rejected(entry: core.Rejected) -> dict[str, Any]:
    return {"revision": cut(entry.revision, WORD), "reason": cut(entry.reason, WORD), "at": render_time(entry.at)}


def _incident(incident: core.Incident | None, room: _Room) -> dict[str, Any] | None:
    if incident is None:
        return None
    return {
        "revision": cut(incident.revision, WORD),
        "reason": cut(incident.reason, WORD),
        "message": cut(incident.message, room.text),
        "openedAt": render_time(incident.opened),
        "weight": _weight(incident.weight),
        "closedAt": _time(incident.closed),
    }


def _distinct(conditions: tuple[core.Condition, ...]) -> list[core.Condition]:
    # The API server refuses a list with a type twice, and with it the whole status.
    return list({cut(entry.type, WORD): entry for entry in conditions}.values())[:MAX_CONDITIONS]


def _condition(entry: core.Condition, room: _Room) -> dict[str, Any]:
    return {
        "type": cut(entry.type, WORD),
        "status": entry.status if entry.status in ("True", "False") else "Unknown",
        "reason": cut(entry.reason, WORD),
        "message": cut(entry.message, room.text),
        "lastTransitionTime": render_time(entry.since),
        "observedGeneration": render_count(entry.generation),
    }


def _checkpoint(status: core.RolloutStatus, room: _Room) -> dict[str, Any]:
    holds = status.holds
    legacy, candidate = status.backends
    return {
        "grid": render_time(status.grid) if status.grid else None,
        # Too long a state would cost the whole status; evidence that is gone is gathered again.
        "evidence": [encode_checkpoint(x) for x in status.checkpoints[:MAX_SLIS] if 0 < len(x.values) <= room.state],
        "plan": cut(status.plan, WORD),
        "legacyHash": cut(status.legacy_hash, WORD),
        "backends": {"legacy": cut(legacy, NAME), "candidate": cut(candidate, NAME)},
        "pausedByAction": status.paused_by_action,
        "skip": status.skip,
        "approved": min(max(int(status.approved), -1), 1000),
        "overridden": status.overridden,
        "lapses": render_count(status.lapses),
        "preflightSince": _time(status.preflight_since),
        "holds": {
            "noData": _time(holds.no_data),
            "unreachable": _time(holds.unreachable),
            "inconclusive": _time(holds.inconclusive),
            "attribution": _time(holds.attribution),
            "elevated": _time(holds.elevated),
            "unready": _time(holds.unready),
            "blocked": _time(holds.blocked),
            "foreign": _time(holds.foreign),
        },
    }
