"""A status written and read back: nothing lost, nothing too large, nothing raised."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given

from modelrollout.api.status_codec import MAX_BYTES, decode, encode, size
from modelrollout.api.v1alpha1.rollout import MAX_SLIS
from modelrollout.core import status as core
from modelrollout.core.model import Verdict
from modelrollout.core.observation import ArmCounts, LedgerState
from tests.unit.api.statuses import RELAXED, STATUSES, fits, full, merge_patched, strategies


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
