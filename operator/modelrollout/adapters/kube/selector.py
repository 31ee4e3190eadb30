"""Label selectors as `kubectl get -l` takes them, so that a single object can be held against the one of its list.

The API server applies the same text to lists and watches; a read by name has no selector, so that one is ours.
Source: Kubernetes, "Labels and selectors" (equality-based and set-based requirements).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_SET = re.compile(rf"({_NAME})\s+(in|notin)\s+\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)")
_EQUAL = re.compile(rf"({_NAME})\s*(==|=|!=)\s*({_VALUE})")
_THERE = re.compile(rf"(!?)\s*({_NAME})")
_COMMA = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of the terms. `values` None: any value. `wanted`: whether the label must have one of them, or must not."""

    label: str
    values: frozenset[str] | None
    wanted: bool

    def met(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it; a label that is not there meets what is not wanted."""
        value = labels.get(self.label)
        has = value is not None and (self.values is None or value in self.values)
        return has is self.wanted


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must be met; without any, every object is selected. `text`: as the API server takes it."""

    text: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """From `team=a,tier in (x, y),!legacy`. Raises ValueError, whose text names the part that can't be read."""
        parts = [part.strip() for part in _COMMA.split(text)] if text.strip() else []
        return cls(text.strip(), tuple(_requirement(part) for part in parts))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.met(labels) for requirement in self.requirements)


EVERYTHING = LabelSelector("", ())


def _requirement(part: str) -> Requirement:
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], values, wanted=found[2] == "in")
    if found := _EQUAL.fullmatch(part):
        return Requirement(found[1], frozenset({found[3]}), wanted=found[2] != "!=")
    if found := _THERE.fullmatch(part):
        return Requirement(found[2], None, wanted=not found[1])
    raise ValueError(
        f"{part!r} is no label requirement: write it as kubectl get -l takes it, such as team=a, team!=a, "
        "team in (a, b), team notin (a, b), team or !team"
    )
