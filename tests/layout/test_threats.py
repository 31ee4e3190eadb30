"""The threat model names tests that there are, and every threat that has a control has one."""

from __future__ import annotations

import re

from modelrollout.adapters.prom.connect import Limits
from tests.layout.documents import DOCS, ROOT

PAGE = DOCS / "explanation" / "threat-model.md"
ROW = re.compile(r"^\| (?P<threat>T\d+) \| .+ \| (?P<control>.+) \| ?(?P<tests>.*?) ?\|$", re.MULTILINE)
ABSENT = {"T8": "there is none"}
"""Threats without a surface."""


def named() -> dict[str, list[str]]:
    return {row["threat"]: re.findall(r"`(test_\w+)`", row["tests"]) for row in ROW.finditer(PAGE.read_text())}


def defined() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE))
    return found


def test_every_threat_has_a_row() -> None:
    assert list(named()) == [f"T{number}" for number in range(1, 13)]


def test_every_control_is_shown_by_tests_that_there_are() -> None:
    assert {threat for threat, tests in named().items() if not tests} == set(ABSENT)
    assert {name for tests in named().values() for name in tests} - defined() == set()


def test_bounds_are_those_of_the_program() -> None:
    text = PAGE.read_text()
    assert f"{Limits().query >> 10} KiB" in text
    assert f"{Limits().answer >> 20} MiB" in text
    assert f"{Limits().series:_}".replace("_", " ") + " series" in text
