"""`.status` as JSON to `RolloutStatus`. Total: what is absent or garbled becomes the value that moves no traffic.

Somebody with the right to do so may have edited the status, or another version of the operator may have written it.
An unknown phase is read as `Paused`: nothing is raised, a burning budget and an abort still count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from modelrollout.api.reading import count, epoch, mapping, text
from modelrollout.api.scalars import parse_weight
from modelrollout.api.status_evidence import decode_checkpoint, decode_effect, decode_odds, decode_rates
from modelrollout.api.status_text import parse_number
from modelrollout.core import status as core
from modelrollout.core.model import ZERO, Epoch, Phase, Verdict, Weight
from modelrollout.core.observation import ArmCounts, LedgerState, NoDataCause, SliCheckpoint

_E = TypeVar("_E", bound=StrEnum)

INITIAL: Mapping[str, Any] = {"observedGeneration": core.UNSEEN}
"""`.status` before the first write, by the CRD. Without it kstatus takes a new object for one that is done."""


def decode(raw: object) -> core.RolloutStatus | None:
    """The status, or None when nothing was written yet. `raw` is the value of `.status`."""
    if not isinstance(raw, Mapping) or not raw or raw == INITIAL:
        return None
    checkpoint = mapping(raw, "checkpoint")
    backends = mapping(checkpoint, "backends")
    return core.RolloutStatus(
        observed_generation=count(raw, "observedGeneration", default=core.UNSEEN),
        phase=_phase(raw),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        revision=text(raw, "revision"),
        attempt=count(raw, "attempt"),
        grid=_time(checkpoint, "grid") or 0.0,
        plan=text(checkpoint, "plan"),
        legacy_hash=text(checkpoint, "legacyHash"),
        backends=(text(backends, "legacy"), text(backends, "candidate")),
        step=_step(mapping(raw, "step")),
        weight=_weight(raw),
        paused_by_action=checkpoint.get("pausedByAction") is True,
        skip=checkpoint.get("skip") is True,
        approved=count(checkpoint, "approved", default=-1),
        overridden=checkpoint.get("overridden") is True,
        lapses=count(checkpoint, "lapses"),
        preflight_since=_time(checkpoint, "preflightSince"),
        holds=_holds(mapping(checkpoint, "holds")),
        summary=_summary(mapping(raw, "summary")),
        slis=tuple(_sli(item) for item in _items(raw, "slis", "name")),
        notes=_texts(raw, "notes"),
        budget=tuple(_ledger(item) for item in _items(raw, "budget", "sli")),
        checkpoints=_checkpoints(checkpoint),
        decisions=tuple(_decision(item) for item in _items(raw, "decisions"))[-core.MAX_DECISIONS :],
        history=tuple(_history(item) for item in _items(raw, "history"))[-core.MAX_HISTORY :],
        rejected=tuple(_rejected(item) for item in _items(raw, "rejectedRevisions", "revision"))[-core.MAX_REJECTED :],
        incident=_incident(mapping(raw, "incident")),
        conditions=tuple(_condition(item) for item in _items(raw, "conditions", "type")),
        handled=_texts(raw, "handledActions")[-core.MAX_HANDLED :],
        leader_epoch=Epoch(count(raw, "leaderEpoch")),
    )


def _phase(raw: Mapping[str, Any]) -> Phase:
    return _one_of(Phase, raw, "phase") or (Phase.IDLE if raw.get("phase") is None else Phase.PAUSED)


def _one_of(kind: type[_E], raw: Mapping[str, Any], field: str) -> _E | None:
    value = text(raw, field)
    return kind(value) if value in tuple(kind) else None


def _time(raw: Mapping[str, Any], field: str) -> float | None:
    return epoch(text(raw, field))


def _weight(raw: Mapping[str, Any]) -> Weight | None:
    value = text(raw, "weight")
    if parse_number(value) == 0:
        return ZERO
    try:
        return parse_weight(value)
    except ValueError:
        return None


def _number(raw: Mapping[str, Any], field: str) -> float | None:
    return parse_number(text(raw, field))


def _items(raw: Mapping[str, Any], field: str, key: str = "") -> Iterator[Mapping[str, Any]]:
    # An entry without its key says nothing about anything.
    value = raw.get(field)
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping) and (not key or text(item, key)):
            yield item


def _texts(raw: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = raw.get(field)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _step(raw: Mapping[str, Any]) -> core.StepState | None:
    weight, started = _weight(raw), _time(raw, "startedAt")
    if weight is None or started is None:
        return None
    return core.StepState(
        index=count(raw, "index"),
        count=count(raw, "count"),
        started=started,
        weight=weight,
        route=count(raw, "routeGeneration"),
        counted=_time(raw, "countedAt") or 0.0,
    )


def _holds(raw: Mapping[str, Any]) -> core.Holds:
    return core.Holds(
        no_data=_time(raw, "noData"),
        unreachable=_time(raw, "unreachable"),
        inconclusive=_time(raw, "inconclusive"),
        attribution=_time(raw, "attribution"),
        elevated=_time(raw, "elevated"),
        unready=_time(raw, "unready"),
        blocked=_time(raw, "blocked"),
        foreign=_time(raw, "foreign"),
    )


def _summary(raw: Mapping[str, Any]) -> core.Summary:
    return core.Summary(
        step=text(raw, "step"),
        weight=text(raw, "weight"),
        verdict=text(raw, "verdict"),
        burn=text(raw, "burn"),
        next=text(raw, "next"),
    )


def _counts(raw: Any) -> ArmCounts | None:
    return ArmCounts(total=count(raw, "total"), bad=count(raw, "bad")) if isinstance(raw, Mapping) else None


def _sli(raw: Mapping[str, Any]) -> core.SliStatus:
    return core.SliStatus(
        name=text(raw, "name"),
        critical=raw.get("critical") is not False,
        verdict=_one_of(Verdict, raw, "verdict") or Verdict.INVALID,
        candidate=_counts(raw.get("candidate")),
        legacy=_counts(raw.get("legacy")),
        burn=_number(raw, "burn"),
        needed=count(raw, "needed"),
        sample_age=_number(raw, "sampleAge"),
        message=text(raw, "message"),
        no_data=_one_of(NoDataCause, raw, "noData"),
        effect=decode_effect(raw),
        odds=decode_odds(raw),
        rates=decode_rates(raw),
        counted=text(raw, "countedFrom"),
    )


def _checkpoints(raw: Mapping[str, Any]) -> tuple[SliCheckpoint, ...]:
    found = (decode_checkpoint(item) for item in _items(raw, "evidence"))
    return tuple(entry for entry in found if entry is not None)


def _ledger(raw: Mapping[str, Any]) -> LedgerState:
    bad = count(raw, "candidateBad")
    spent = _number(raw, "spent")
    return LedgerState(
        sli=text(raw, "sli"),
        allowed=_number(raw, "allowed"),
        # Without the sum, every bad event of the candidate counts: a rollout must not gain from a garbled field.
        spent=float(bad) if spent is None else spent,
        peak=_number(raw, "peak") or 0.0,
        variance=_number(raw, "variance") or 0.0,
        candidate_bad=bad,
        candidate_total=count(raw, "candidateTotal"),
        lower=_number(raw, "lower"),
        gross_over=raw.get("grossOver") is True,
        rate=_number(raw, "rate"),
        tick=_time(raw, "tick") or 0.0,
    )


def _decision(raw: Mapping[str, Any]) -> core.DecisionRecord:
    return core.DecisionRecord(
        at=_time(raw, "at") or 0.0,
        action=text(raw, "action"),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        weight=_weight(raw) or ZERO,
        revision=text(raw, "revision"),
        generation=count(raw, "generation"),
    )


def _history(raw: Mapping[str, Any]) -> core.HistoryEntry:
    return core.HistoryEntry(
        revision=text(raw, "revision"),
        outcome=text(raw, "outcome"),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        started=_time(raw, "startedAt") or 0.0,
        ended=_time(raw, "endedAt") or 0.0,
    )


def _rejected(raw: Mapping[str, Any]) -> core.Rejected:
    return core.Rejected(revision=text(raw, "revision"), reason=text(raw, "reason"), at=_time(raw, "at") or 0.0)


def _incident(raw: Mapping[str, Any]) -> core.Incident | None:
    opened = _time(raw, "openedAt")
    if opened is None:
        return None
    return core.Incident(
        revision=text(raw, "revision"),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        opened=opened,
        weight=_weight(raw) or ZERO,
        closed=_time(raw, "closedAt"),
    )


def _condition(raw: Mapping[str, Any]) -> core.Condition:
    status = text(raw, "status")
    return core.Condition(
        type=text(raw, "type"),
        status=status if status in ("True", "False") else "Unknown",
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        since=_time(raw, "lastTransitionTime") or 0.0,
        generation=count(raw, "observedGeneration"),
    )
