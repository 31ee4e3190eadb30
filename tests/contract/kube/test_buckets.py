"""Expressions for buckets: at every weight they match the buckets below it, and say which weight that is."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.adapters.kube.buckets import ANYBODY, NOBODY, below, weight_of
from modelrollout.core.model import FULL, ZERO, Weight

PROGRAM = Path(__file__).with_name("buckets.go")
BUCKETS = [f"{number:04d}" for number in range(10_000)]
LINES = "\n".join(BUCKETS)
NO_BUCKETS = ["", "0", "000", "00000", "10000", " 0000", "0000 ", "0000\n", "-001", "000a", "none ", "٠٠٠٠"]
RE2 = re.compile(r"\^(none|\(\?:[0-9|{}\[\]-]+\))\$")
"""All that is used: what every dialect has, RE2, PCRE, Java and ECMAScript alike."""


def matched(expression: str) -> list[str]:
    return re.findall(expression, LINES, re.MULTILINE)


@pytest.mark.parametrize("weight", [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 2345, 5000, 9000, 9999, 10_000])
def test_exactly_the_buckets_below_match(weight: int) -> None:
    assert matched(below(Weight(weight))) == BUCKETS[:weight]


@given(weight=st.integers(0, 10_000))
def test_exactly_the_buckets_below_any_weight_match(weight: int) -> None:
    assert matched(below(Weight(weight))) == BUCKETS[:weight]


def test_every_weight_has_an_expression_of_its_own_that_says_it() -> None:
    every = [below(Weight(weight)) for weight in range(FULL + 1)]
    assert [weight_of(expression) for expression in every] == list(range(FULL + 1))
    assert len(set(every)) == FULL + 1
    assert ANYBODY not in every
    assert max(map(len, every)) == 56, "the Gateway API takes 4096 characters"
    assert all(RE2.fullmatch(expression) for expression in every)
    # The edge of every weight, where a digit too many or too few would show.
    for weight, expression in enumerate(every):
        edge = [number for number in (weight - 1, weight) if 0 <= number < FULL]
        assert [bool(re.search(expression, BUCKETS[number])) for number in edge] == [number < weight for number in edge]


@pytest.mark.timeout(180)  # Go compiles it first
def test_all_buckets_at_all_weights_by_the_expressions_of_gateways() -> None:
    """A hundred million comparisons, which take Python minutes; Go's are of the family of Envoy's, RE2."""
    every = json.dumps([below(Weight(weight)) for weight in range(FULL + 1)])
    done = subprocess.run(["go", "run", str(PROGRAM)], input=every, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    wrong = json.dumps([below(Weight(7))])
    other = subprocess.run(["go", "run", str(PROGRAM)], input=wrong, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stdout) == (1, f"{below(Weight(7))} at 0000\n"), "one that compares nothing agrees"


@given(low=st.integers(0, 10_000), high=st.integers(0, 10_000), bucket=st.sampled_from(BUCKETS))
def test_who_is_in_stays_in_while_the_weight_grows(low: int, high: int, bucket: str) -> None:
    low, high = sorted((low, high))
    assert not re.search(below(Weight(low)), bucket) or re.search(below(Weight(high)), bucket)


@pytest.mark.parametrize("text", NO_BUCKETS)
@pytest.mark.parametrize("expression", [below(FULL), below(Weight(2345)), ANYBODY])
def test_what_is_no_bucket_matches_nothing(text: str, expression: str) -> None:
    # "$" of Python alone also matches before a last line feed, which no header has.
    assert not re.search(expression.replace("$", r"\Z"), text)


def test_at_zero_no_bucket_matches_and_at_full_all_do() -> None:
    assert below(ZERO) == NOBODY
    assert matched(ANYBODY) == matched(below(FULL)) == BUCKETS


@pytest.mark.parametrize(
    "text",
    [
        "",
        ANYBODY,
        "^(?:)$",
        "^(?:0000|0000)$",
        "[0-1][0-9]{3}",
        "^(?:[0-1][0-9]{3})",
        "^(?:[0-1][0-9]{2})$",
        "^(?:[0-9]{4})$",
        "^(?:1[0-9]{3})$",
        "^(?:[0-9][0-9]{3}|10000)$",
        "^(?:[1-2][0-9]{3})$",
        ".*",
    ],
)
def test_another_expression_says_no_weight(text: str) -> None:
    assert weight_of(text) is None


@given(st.text(alphabet="0123456789[]{}()?:|^$-", max_size=30))
def test_any_text_says_a_weight_only_as_it_is_written(text: str) -> None:
    found = weight_of(text)
    assert found is None or below(found) == text
