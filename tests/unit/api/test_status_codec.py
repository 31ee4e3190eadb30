"""The status survives its JSON form: without loss, within bounds, and whatever others made of it."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
import sys
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.api import crd
from modelrollout.api.status_codec import MAX_BYTES, as_stored, decode, encode, encode_result, size
from modelrollout.api.v1alpha1.rollout import MAX_SLIS
from modelrollout.api.v1alpha1.status import MAX_CONDITIONS, MAX_NOTES
from modelrollout.core import status as core
from modelrollout.core.intents import ActionResult
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
        "observed_generation": counts(),
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
        step=core.StepState(3, 20, hour, Weight(1234)),
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


def test_every_field_of_the_core_is_drawn() -> None:
    assert set(strategies()) == {field.name for field in dataclasses.fields(core.RolloutStatus)}


@RELAXED
@given(status=STATUSES)
def test_round_trip_without_loss(status: core.RolloutStatus) -> None:
    patch = json.loads(json.dumps(encode(status)))
    stored = merge_patched({}, patch)
    fits(stored)
    assert decode(stored) == status
    assert decode(patch) == status


@RELAXED
@given(before=STATUSES, after=STATUSES)
def test_a_patch_leaves_nothing_of_the_status_before(before: core.RolloutStatus, after: core.RolloutStatus) -> None:
    stored = merge_patched(merge_patched({}, encode(before)), encode(after))
    assert decode(stored) == after


def test_patches_never_put_none_into_lists() -> None:
    def inside(node: Any, *, listed: bool) -> None:
        if isinstance(node, dict):
            for value in node.values():
                inside(value, listed=listed)
        elif isinstance(node, list):
            for value in node:
                inside(value, listed=True)
        else:
            assert not (listed and node is None)

    sli = core.SliStatus("a", True, Verdict.WAIT, ArmCounts(0, 0), ArmCounts(0, 0), None, 0, None, "")
    inside(encode(core.RolloutStatus(slis=(sli,), budget=(LedgerState("a", None),))), listed=False)


@pytest.mark.parametrize("text", ["x" * 2000, "模" * 2000, "\U0001f525" * 2000, "\udc80" * 2000])
def test_a_full_status_fits(text: str) -> None:
    stored = merge_patched({}, encode(full(text)))
    assert size(stored) < MAX_BYTES
    fits(stored)
    status = decode(stored)
    assert status is not None
    # What decides the next move is never cut.
    given_ = full(text)
    for field in ("phase", "revision", "weight", "step", "holds", "grid", "plan", "legacy_hash", "backends"):
        assert getattr(status, field) == getattr(given_, field)
    assert status.rejected == given_.rejected[-core.MAX_REJECTED :]
    assert status.handled == given_.handled[-core.MAX_HANDLED :]
    assert status.checkpoints == given_.checkpoints[:MAX_SLIS]
    assert [
        dataclasses.replace(x, rate=entry.rate) for x, entry in zip(status.budget, given_.budget, strict=False)
    ] == [*given_.budget[:MAX_SLIS]]
    assert len(status.message) >= 48
    assert status.decisions[-1].at == given_.decisions[-1].at
    assert status.history[-1].ended == given_.history[-1].ended


def usual(slis: int) -> core.RolloutStatus:
    """A long rollout of ordinary size: short names, sentences, every decision and revision kept."""
    text = "availability: burn 14.4 over 5m (limit 12), 37 bad of 1234 requests, allowed 0.1 %, weight 25 % goes to 0"
    status = full(text)
    return dataclasses.replace(
        status,
        slis=tuple(dataclasses.replace(sli, name=f"latency-{i}") for i, sli in enumerate(status.slis[:slis])),
        checkpoints=tuple(
            dataclasses.replace(entry, sli=f"latency-{i}") for i, entry in enumerate(status.checkpoints[:slis])
        ),
        budget=tuple(dataclasses.replace(entry, sli=f"latency-{i}") for i, entry in enumerate(status.budget[:slis])),
        notes=(text,),
        conditions=status.conditions[:12],
        backends=("fraud-v7", "fraud-v8"),
    )


def test_an_ordinary_status_keeps_every_decision() -> None:
    stored = encode(usual(2))
    assert size(stored) < MAX_BYTES
    assert len(stored["decisions"]) == core.MAX_DECISIONS
    assert all("ratio" in sli and "evidence" in sli for sli in stored["slis"])
    assert len(stored["history"]) == core.MAX_HISTORY
    # What people read first is whole.
    assert not stored["message"].endswith("…")
    assert not any(entry["message"].endswith("…") for entry in (*stored["decisions"][-3:], *stored["history"][-3:]))


def test_more_slis_cost_the_oldest_decisions_not_the_evidence() -> None:
    stored = encode(usual(5))
    assert size(stored) < MAX_BYTES
    assert len(stored["decisions"]) < core.MAX_DECISIONS
    assert all("ratio" in sli and "evidence" in sli for sli in stored["slis"])
    assert len(stored["checkpoint"]["evidence"]) == 5


def checkpoint(*values: float) -> core.RolloutStatus:
    return core.RolloutStatus(checkpoints=(SliCheckpoint("a", 1_760_000_000.125, values),))


@RELAXED
@given(bits=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60))
def test_a_checkpoint_keeps_every_bit(bits: list[int]) -> None:
    packed = struct.pack(f"<{len(bits)}Q", *bits)
    found = as_stored(checkpoint(*struct.unpack(f"<{len(bits)}d", packed)))
    assert struct.pack(f"<{len(bits)}d", *found.checkpoints[0].values) == packed


def test_a_state_is_little_endian_float64_in_base64() -> None:
    (entry,) = encode(checkpoint(1.0, -math.inf))["checkpoint"]["evidence"]
    assert entry == {"sli": "a", "tick": "2025-10-09T08:53:20.125Z", "state": "AAAAAAAA8D8AAAAAAADw/w=="}


def test_the_longest_state_fits_and_a_longer_one_does_not_cost_the_status() -> None:
    longest = merge_patched({}, encode(checkpoint(*[math.pi] * 60)))
    fits(longest)
    assert decode(longest) == checkpoint(*[math.pi] * 60)
    assert as_stored(checkpoint(*[math.pi] * 61)) == core.RolloutStatus()


@pytest.mark.parametrize(
    "entry",
    [
        {"sli": "a", "tick": "2025-10-09T08:53:20Z"},
        {"sli": "a", "tick": "2025-10-09T08:53:20Z", "state": "AAAAAAAA8D"},
        {"sli": "a", "tick": "2025-10-09T08:53:20Z", "state": "AAAAAAAA8Pé="},
        {"sli": "a", "tick": "2025-10-09T08:53:20Z", "state": "AAAAAAAA"},
        {"sli": "a", "tick": "2025-10-09T08:53:20Z", "state": "A" * 1024},
        {"sli": "a", "tick": "today", "state": "AAAAAAAA8D8="},
        {"tick": "2025-10-09T08:53:20Z", "state": "AAAAAAAA8D8="},
    ],
    ids=["no state", "padding", "letters", "half a value", "too long", "no tick", "no name"],
)
def test_a_garbled_checkpoint_is_none(entry: dict[str, str]) -> None:
    whole = {"sli": "b", "tick": "2025-10-09T08:53:20Z", "state": "AAAAAAAA8D8="}
    found = decode({"checkpoint": {"evidence": [entry, whole]}})
    assert found is not None
    assert found.checkpoints == (SliCheckpoint("b", 1_760_000_000.0, (1.0,)),)


def with_evidence(effect: Effect | None, odds: Odds | None) -> core.RolloutStatus:
    none = ArmCounts(0, 0)
    sli = core.SliStatus("a", True, Verdict.WAIT, none, none, None, 0, None, "", effect=effect, odds=odds)
    return core.RolloutStatus(slis=(sli,))


def test_effects_and_odds_as_people_read_them() -> None:
    effect = Effect(Interval(1.5, 0.5, 3.25), Interval(0.0005, -1e-05, None), 0.02)
    (sli,) = encode(with_evidence(effect, Odds(1.5, 4.6, -0.25, 3.0, Margin(1.25, 0.002))))["slis"]
    assert sli["ratio"] == {"value": "1.5", "low": "0.5", "high": "3.25"}
    assert sli["difference"] == {"value": "0.0005", "low": "-1e-05"}
    assert sli["effectSize"] == "0.02"
    assert sli["evidence"] == {
        "worse": "1.5",
        "worseLimit": "4.6",
        "fine": "-0.25",
        "fineLimit": "3",
        "margin": {"ratio": "1.25", "difference": "0.002"},
    }


def test_rates_as_people_read_them() -> None:
    rates = Rates(Exposure.REPLICAS, ArmEvents(7, 11_520.0), ArmEvents(1, 45_360.5), 27.6, 5.7, 4.6)
    alone = core.SliStatus("oom", True, Verdict.FAIL, None, None, None, 0, 1.0, "", rates=rates)
    (sli,) = encode(core.RolloutStatus(slis=(alone,)))["slis"]
    assert sli["rates"] == {
        "per": "Replicas",
        "candidate": {"events": 7, "exposure": "11520"},
        "legacy": {"events": 1, "exposure": "45360.5"},
        "ratio": "27.6",
        "worse": "5.7",
        "worseLimit": "4.6",
    }
    assert not {"candidate", "legacy", "needed", "burn", "evidence"} & sli.keys()
    assert as_stored(core.RolloutStatus(slis=(alone,))).slis == (alone,)


@pytest.mark.parametrize("broken", [{"per": "Pods"}, {"legacy": {}}, {"candidate": {"events": 3}}])
def test_garbled_rates_are_none(broken: dict[str, Any]) -> None:
    arm = {"events": 1, "exposure": "5"}
    raw = {"name": "a", "rates": {"per": "Weight", "candidate": arm, "legacy": arm, **broken}}
    found = decode({"slis": [raw]})
    assert found is not None
    assert found.slis[0].rates is None


NAN = float("nan")


@pytest.mark.parametrize("strange", [math.inf, -math.inf, NAN])
def test_what_is_not_finite_never_breaks_the_write(strange: float) -> None:
    interval = Interval(strange, strange, strange)
    odds = Odds(strange, strange, strange, strange, Margin(strange, 0.5))
    stored = merge_patched({}, encode(with_evidence(Effect(interval, interval, strange), odds)))
    fits(stored)
    found = decode(stored)
    assert found is not None
    nothing = Interval(None, None, None)
    assert found.slis[0].effect == Effect(nothing, nothing)
    # Without its margin the evidence is about nothing.
    assert found.slis[0].odds is None


@pytest.mark.parametrize(
    ("strange", "evidence", "limit"),
    [(math.inf, sys.float_info.max, math.inf), (-math.inf, -math.inf, math.inf), (NAN, -math.inf, math.inf)],
)
def test_odds_that_are_not_finite_promote_nobody(strange: float, evidence: float, limit: float) -> None:
    found = as_stored(with_evidence(None, Odds(strange, strange, strange, strange, Margin())))
    assert found.slis[0].odds == Odds(evidence, limit, evidence, limit, Margin())


def test_size_counts_bytes() -> None:
    assert size({"a": "é"}) == len('{"a":"é"}'.encode())


def test_a_long_message_is_cut_with_a_mark() -> None:
    stored = encode(core.RolloutStatus(message="m" * 600))
    assert len(stored["message"]) == 512
    assert stored["message"].endswith("…")


def test_as_stored_is_a_fixed_point() -> None:
    once = as_stored(full())
    assert once != full()
    assert as_stored(once) == once


def test_strange_numbers_do_not_reach_the_api() -> None:
    nan, inf = float("nan"), float("inf")
    ledger = LedgerState("a", inf, spent=nan, peak=-inf, variance=1e300, lower=nan, rate=inf, tick=nan)
    stored = merge_patched({}, encode(core.RolloutStatus(grid=inf, preflight_since=-5.0, budget=(ledger,))))
    fits(stored)
    status = decode(stored)
    assert status is not None
    assert status.budget[0].allowed is None
    assert status.preflight_since == 0.0


@pytest.mark.parametrize(
    ("spent", "rate", "text"),
    [
        (40.0, 0.125, "8m"),
        (99.0, 0.125, "8s"),
        (130.0, 0.125, "0s"),
        (40.0, 0.0, None),
        (40.0, -1.0, None),
        (40.0, None, None),
        (40.0, 1e-9, None),
        (40.0, 5e-324, None),
    ],
)
def test_when_the_budget_is_gone_is_told(spent: float, rate: float | None, text: str | None) -> None:
    status = core.RolloutStatus(budget=(LedgerState("availability", 100.0, spent=spent, rate=rate),))
    out = encode(status)
    fits(merge_patched({}, out))
    assert out["budget"][0].get("exhaustedIn") == text


def test_a_rate_that_moves_is_not_worth_a_write() -> None:
    first, later = (
        core.RolloutStatus(budget=(LedgerState("availability", 100.0, spent=40.0, rate=rate),)) for rate in (0.1, 5.0)
    )
    assert encode(first)["budget"] != encode(later)["budget"]
    assert not core.significant(as_stored(first), as_stored(later))


def test_a_condition_type_twice_does_not_cost_the_status() -> None:
    first = core.Condition("Ready", "True", "A", "", 1.0, 1)
    stored = encode(core.RolloutStatus(conditions=(first, dataclasses.replace(first, reason="B"))))
    assert [entry["reason"] for entry in stored["conditions"]] == ["B"]


@pytest.mark.parametrize("raw", [None, {}, [], "x", 3])
def test_nothing_written_yet(raw: object) -> None:
    assert decode(raw) is None


def test_safe_values_for_garbled_fields() -> None:
    garbled = {
        "phase": "Flying",
        "weight": "250",
        "step": {"index": 1, "weight": "x", "startedAt": "now"},
        "attempt": -3,
        "observedGeneration": "7",
        "leaderEpoch": 2**70,
        "slis": [{"name": "a", "verdict": "SUPER", "critical": "no"}, {"verdict": "PASS"}, 3],
        "budget": [{"sli": "a", "spent": "lots", "candidateBad": 7, "grossOver": "yes"}],
        "conditions": [{"type": "Ready", "status": "maybe"}, {}],
        "rejectedRevisions": [{"revision": "abc"}, {"reason": "x"}],
        "handledActions": ["u", None],
        "incident": {"openedAt": "yesterday"},
        "checkpoint": {"approved": "3", "skip": "true", "holds": {"noData": "2026-01-01"}, "backends": []},
    }
    status = decode(garbled)
    assert status is not None
    assert status.phase is Phase.PAUSED
    assert status.weight is None
    assert status.step is None
    assert (status.attempt, status.observed_generation, status.leader_epoch) == (0, 0, 0)
    assert [(sli.name, sli.verdict, sli.critical) for sli in status.slis] == [("a", Verdict.INVALID, True)]
    assert status.budget == (LedgerState("a", None, spent=7.0, candidate_bad=7),)
    assert [(entry.type, entry.status) for entry in status.conditions] == [("Ready", "Unknown")]
    assert [entry.revision for entry in status.rejected] == ["abc"]
    assert status.handled == ("u",)
    assert status.incident is None
    assert (status.approved, status.skip, status.backends) == (-1, False, ("", ""))
    assert status.holds == core.Holds()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def paths(node: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [prefix] if prefix else []
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        found += paths(child, (*prefix, key))
    return found


@RELAXED
@given(status=STATUSES, data=st.data(), junk=JSON)
def test_decode_is_total(status: core.RolloutStatus, data: st.DataObject, junk: Any) -> None:
    stored = json.loads(json.dumps(encode(status)))
    *parents, last = data.draw(st.sampled_from(paths(stored)))
    node = stored
    for key in parents:
        node = node[key]
    node[last] = junk
    found = decode(stored)
    assert found is not None
    # What was read can be written again.
    fits(merge_patched({}, encode(found)))


@given(junk=JSON)
def test_decode_is_total_on_any_json(junk: Any) -> None:
    found = decode(junk)
    assert (found is None) == (not isinstance(junk, dict) or not junk)


def test_action_result() -> None:
    stored = encode_result(ActionResult("a", "u", False, "m" * 600), 1_760_000_000.5)
    fits(stored, "RolloutAction")
    assert stored["result"] == "Refused"
    assert stored["at"] == "2025-10-09T08:53:20.500Z"
    assert encode_result(ActionResult("a", "u", True, ""), 0.0)["result"] == "Applied"
