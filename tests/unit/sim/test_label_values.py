"""Label values of simulated pods: one that the expression matches, or none."""

from __future__ import annotations

import re

import pytest

from modelrollout.catalog import builtin
from modelrollout.catalog.profiles import LatencyEntry
from modelrollout.sim.label_values import example


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("/v1/(score|explain)", "/v1/score"),
        ("5..", "5xx"),
        ("a|b", "a"),
        (r"\d+\.\d*", "0.0"),
        ("[^ab]c", "0c"),
        ("[b-d]?x", "bx"),
        ("(?:a|b)c", "ac"),
        ("", ""),
        ("(?!a)b", None),
        ("(", None),
        (r"(a)\1", None),
    ],
)
def test_the_first_of_what_is_matched(pattern: str, text: str | None) -> None:
    assert example(pattern) == text


def test_every_expression_of_the_catalogue_has_one() -> None:
    for profile in builtin().profiles.values():
        for entry in profile.slis.values():
            parts = (*entry.total, entry.histogram) if isinstance(entry, LatencyEntry) else (*entry.total, *entry.bad)
            for pattern in (pattern for each in parts for _, pattern in each.regex):
                found = example(pattern)
                assert found is not None, pattern
                assert re.fullmatch(pattern, found)
