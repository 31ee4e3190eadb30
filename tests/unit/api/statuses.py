"""Statuses: any that the core can hold, the fullest one, and whether the API would take them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jsonschema
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from modelrollout.api import crd
from modelrollout.api.v1alpha1.rollout import MAX_SLIS
from modelrollout.api.v1alpha1.status import MAX_CONDITIONS, MAX_NOTES
from modelrollout.core import status as core
from modelrollout.core.model import Epoch, Margin, Phase, Verdict, Weight
from modelrollout.core.observation import ArmCounts, Effect, Interval, LedgerState, NoDataCause, Odds, SliCheckpoint
from modelrollout.core.rates import ArmEvents, Exposure, Rates

RELAXED = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
SCHEMAS = {
    kind.name: crd.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].get("status")
    for kind in crd.KINDS
}


def moments() -> st.SearchStrategy[float]:
    return st.integers(1, 10**13).map(lambda milliseconds: milliseconds / 1000)


def words() -> st.SearchStrategy[str]:
    return st.text(max_size=12)


def numbers() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)


def values() -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(st.floats(allow_nan=False), min_size=1, max_size=8).map(tuple)


def counts() -> st.SearchStrategy[int]:
    return st.integers(0, 2**53 - 1)


def keys() -> st.SearchStrategy[str]:
    return st.text(min_size=1, max_size=12)


def weights() -> st.SearchStrategy[Weight]:
    return st.integers(0, 10_000).map(Weight)


def optional(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | inner


def tuples(inner: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(inner, max_size=min(size, 4)).map(tuple)


def strategies() -> dict[str, st.SearchStrategy[Any]]:
    """By "Class.field", or by field alone. A new field of the core that is missing here fails the round trip."""
    arm = st.builds(ArmCounts, counts(), counts())
    step = st.builds(core.StepState, counts(), counts(), moments(), weights())
    hold_fields = {field.name: optional(moments()) for field in dataclasses.fields(core.Holds)}
    interval = st.builds(Interval, optional(numbers()), optional(numbers()), optional(numbers()))
    evidence = numbers() | st.just(-math.inf)
    limit = numbers() | st.just(math.inf)
    odds = st.builds(Odds, evidence, limit, evidence, limit, st.builds(Margin, numbers(), numbers()))
    sli = st.builds(
        core.SliStatus,
        name=keys(),
        critical=st.booleans(),
        verdict=st.sampled_from(Verdict),
        candidate=arm,
        legacy=arm,
        burn=optional(numbers()),
        needed=counts(),
        sample_age=optional(numbers()),
        message=words(),
        no_data=optional(st.sampled_from(NoDataCause)),
        effect=optional(st.builds(Effect, interval, interval, optional(numbers()))),
        odds=optional(odds),
        rates=st.none(),
        counted=words(),
    )
    events = st.builds(ArmEvents, counts(), numbers())
    rates = st.builds(Rates, st.sampled_from(Exposure), events, events, optional(numbers()), evidence, limit)
    alone = st.builds(
        core.SliStatus,
        name=keys(),
        critical=st.booleans(),
        verdict=st.sampled_from(Verdict),
        candidate=st.none(),
        legacy=st.none(),
        burn=st.none(),
        needed=st.just(0),
        sample_age=optional(numbers()),
        message=words(),
        no_data=optional(st.sampled_from(NoDataCause)),
        effect=st.none(),
        odds=st.none(),
        rates=optional(rates),
        counted=words(),
    )
    ledger = st.builds(
        LedgerState,
        sli=keys(),
        allowed=optional(numbers()),
        spent=numbers(),
        peak=numbers(),
        variance=numbers(),
        candidate_bad=counts(),
        candidate_total=counts(),
        lower=optional(numbers()),
        gross_over=st.booleans(),
        rate=optional(numbers()),
        tick=moments(),
    )
    condition = st.builds(
        core.Condition,
        type=keys(),
        status=st.sampled_from(["True", "False", "Unknown"]),
        reason=words(),
        message=words(),
        since=moments(),
        generation=counts(),
    )
    decision = st.builds(core.DecisionRecord, moments(), words(), words(), words(), weights(), words(), counts())
    history = st.builds(core.HistoryEntry, words(), words(), words(), words(), moments(), moments())
    return {
        "observed_generation": counts() | st.just(core.UNSEEN),
        "phase": st.sampled_from(Phase),
        "reason": words(),
        "message": words(),
        "revision": words(),
        "attempt": counts(),
        "grid": st.just(0.0) | moments(),
        "plan": words(),
        "legacy_hash": words(),
        "backends": st.tuples(words(), words()),
        "step": optional(step),
        "weight": optional(weights()),
        "paused_by_action": st.booleans(),
        "skip": st.booleans(),
        "approved": st.integers(-1, 20),
        "overridden": st.booleans(),
        "lapses": counts(),
        "preflight_since": optional(moments()),
        "holds": st.builds(core.Holds, **hold_fields),
        "summary": st.builds(core.Summary, words(), words(), words(), words(), words()),
        "slis": tuples(sli | alone, MAX_SLIS),
        "notes": tuples(words(), MAX_NOTES),
        "budget": tuples(ledger, MAX_SLIS),
        "checkpoints": tuples(st.builds(SliCheckpoint, keys(), moments(), values()), MAX_SLIS),
        "decisions": tuples(decision, core.MAX_DECISIONS),
        "history": tuples(history, core.MAX_HISTORY),
        "rejected": tuples(st.builds(core.Rejected, keys(), words(), moments()), core.MAX_REJECTED),
        "incident": optional(
            st.builds(core.Incident, words(), words(), words(), moments(), weights(), optional(moments()))
        ),
        "conditions": st.lists(condition, max_size=4, unique_by=lambda entry: entry.type).map(tuple),
        "handled": tuples(words(), core.MAX_HANDLED),
        "leader_epoch": counts().map(Epoch),
    }


STATUSES: st.SearchStrategy[core.RolloutStatus] = st.builds(core.RolloutStatus, **strategies())


def merge_patched(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merge_patched(out.get(name), value)
    return out


def fits(status: dict[str, Any], kind: str = "ModelRollout") -> None:
    jsonschema.validate(status, SCHEMAS[kind])


def full(text: str = "x" * 2000, word: str = "MetricsUnreachable") -> core.RolloutStatus:
    """Every list longer than it may be, every message too long."""
    hour = 1_760_000_000.125
    number = 1234.5678901234567
    revision = "5f3c9a7b21"
    return core.RolloutStatus(
        observed_generation=12,
        phase=Phase.ROLLING_BACK,
        reason=word,
        message=text,
        revision=revision,
        attempt=3,
        grid=hour,
        plan="a" * 16,
        legacy_hash="b" * 16,
        backends=("s" * 63, "t" * 63),
        step=core.StepState(3, 20, hour, Weight(1234), 2**53 - 1, hour),
        weight=Weight(1234),
        holds=core.Holds(*[hour] * len(dataclasses.fields(core.Holds))),
        summary=core.Summary("20/20", "99.99%", "NO_DATA", "1234.5x", "99.99%"),
        slis=tuple(
            core.SliStatus(
                f"{index:02d}" + "n" * 61,
                True,
                Verdict.NO_DATA,
                ArmCounts(10**9, 10**8),
                ArmCounts(10**9, 10**8),
                number,
                10**6,
                number,
                text,
                NoDataCause.NO_TRAFFIC,
                Effect(Interval(number, number, number), Interval(number, number, number), number),
                Odds(number, number, number, number, Margin(number, number)),
                counted=text,
            )
            for index in range(MAX_SLIS + 1)
        ),
        notes=(text,) * (MAX_NOTES + 1),
        budget=tuple(
            LedgerState(
                "n" * 63, number, number, number, number, 10**8, 10**9, number, gross_over=True, rate=number, tick=hour
            )
            for _ in range(MAX_SLIS + 1)
        ),
        checkpoints=tuple(
            SliCheckpoint(f"{index:02d}" + "n" * 61, hour + index, (-math.inf, *[math.pi * 1e-9] * 44))
            for index in range(MAX_SLIS + 1)
        ),
        decisions=tuple(
            core.DecisionRecord(hour + index, word, word, text, Weight(1234), revision, 12)
            for index in range(core.MAX_DECISIONS + 1)
        ),
        history=tuple(
            core.HistoryEntry(revision, word, word, text, hour, hour + index) for index in range(core.MAX_HISTORY + 1)
        ),
        rejected=tuple(core.Rejected(f"{revision}{index}", word, hour) for index in range(core.MAX_REJECTED + 1)),
        incident=core.Incident(revision, word, text, hour, Weight(1234), hour),
        conditions=tuple(
            core.Condition(f"Condition{index}", "Unknown", word, text, hour, 12) for index in range(MAX_CONDITIONS + 1)
        ),
        handled=("123e4567-e89b-12d3-a456-426614174000",) * (core.MAX_HANDLED + 1),
        leader_epoch=Epoch(4711),
    )
