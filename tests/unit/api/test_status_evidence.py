"""Checkpoints, effects, odds and rates in a status."""

from __future__ import annotations

import math
import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.status_codec import as_stored, decode, encode
from modelrollout.core import status as core
from modelrollout.core.model import Margin, Verdict
from modelrollout.core.observation import ArmCounts, Effect, Interval, Odds, SliCheckpoint
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from tests.unit.api.statuses import RELAXED, fits, merge_patched


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
