"""Odd values of a status: never to the API, and never an error when read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.status_codec import as_stored, decode, encode, encode_result, size
from modelrollout.core import status as core
from modelrollout.core.intents import ActionResult
from modelrollout.core.model import Phase, Verdict
from modelrollout.core.observation import LedgerState
from tests.unit.api.statuses import RELAXED, STATUSES, fits, full, merge_patched


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


@pytest.mark.parametrize("raw", [None, {}, [], "x", 3, {"observedGeneration": -1}])
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
    assert (status.attempt, status.observed_generation, status.leader_epoch) == (0, core.UNSEEN, 0)
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
