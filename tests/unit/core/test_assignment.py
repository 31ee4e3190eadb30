"""Users keep their place: in every process, while the weight grows, and apart from other rollouts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.core.assignment import PLACES, bucket, is_candidates, place
from modelrollout.core.model import Weight

KEY = "serving/fraud/rev-a"
VECTORS = [
    ("user-1", KEY, 0x7866FAE2829FDE59),
    ("user-2", KEY, 0xF06B6B717550C568),
    ("user-1", "serving/fraud/rev-b", 0x098E1E34740CA057),
    ("", "k", 0x2111189C0E723B49),
    ("ü", "schlüssel", 0x3F96C33B1EB5AA39),
]
"""Also in docs/reference/assignment.md, for implementations in other languages."""


@pytest.mark.parametrize(("unit", "key", "expected"), VECTORS)
def test_published_places(unit: str, key: str, expected: int) -> None:
    assert place(unit, key) == expected


def test_the_reference_lists_them() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "assignment.md").read_text()
    for unit, key, expected in VECTORS:
        assert (
            f"| {f'`{unit}`' if unit else '(empty)'} | `{key}` | `{expected:016x}` | `{bucket(unit, key):04d}` |"
            in page
        )


@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_process_finds_the_same_place(seed: str) -> None:
    code = f"from modelrollout.core.assignment import place; print([place(str(n), {KEY!r}) for n in range(50)])"
    env = {**os.environ, "PYTHONHASHSEED": seed}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str([place(str(n), KEY) for n in range(50)])


@given(unit=st.text(max_size=40), weights=st.tuples(*[st.integers(0, 10_000)] * 2))
def test_who_is_in_stays_in_while_the_weight_grows(unit: str, weights: tuple[int, int]) -> None:
    low, high = sorted(weights)
    assert not is_candidates(unit, KEY, Weight(low)) or is_candidates(unit, KEY, Weight(high))
    assert not is_candidates(unit, KEY, Weight(0))
    assert is_candidates(unit, KEY, Weight(10_000))


def test_the_weight_is_the_share_of_users() -> None:
    for weight in (100, 2500, 9000):
        share = sum(is_candidates(f"user-{n}", KEY, Weight(weight)) for n in range(20_000)) / 20_000
        assert abs(share - weight / 10_000) < 0.01


def test_a_place_on_the_edge_is_the_candidates_only_above_it() -> None:
    at = place("user-1", KEY) * 10_000 // PLACES
    assert not is_candidates("user-1", KEY, Weight(at))
    assert is_candidates("user-1", KEY, Weight(at + 1))


@pytest.mark.parametrize(("key", "size"), [("", 0), ("k" * 65, 65), ("ü" * 33, 66)])
def test_a_key_that_would_be_cut_off_is_refused(key: str, size: int) -> None:
    with pytest.raises(ValueError, match=rf"the key must have 1 to 64 bytes as UTF-8, has {size}"):
        place("user-1", key)
