"""Objects of the cluster as JSON, read without trust and without the API's classes, which take 200 ms to load.

What is absent or of another type is None or empty, never 0. Text steers no terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from modelrollout.cli.complaints import clean

_SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Fields:
    """The members of one JSON object."""

    __slots__ = ("_raw",)

    def __init__(self, raw: object) -> None:
        self._raw: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}

    def __bool__(self) -> bool:
        return bool(self._raw)

    def part(self, *names: str) -> Fields:
        """The object at this path, or an empty one."""
        found: object = self._raw
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return Fields(found)

    def items(self, name: str) -> list[Fields]:
        """The objects of a list."""
        found = self._raw.get(name)
        return [Fields(each) for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []

    def names(self) -> list[str]:
        """Names of the members."""
        return [name for name in self._raw if isinstance(name, str)]

    def texts(self, name: str) -> list[str]:
        """The strings of a list."""
        found = self._raw.get(name)
        return [clean(each) for each in found if isinstance(each, str)] if isinstance(found, list) else []

    def text(self, name: str) -> str:
        """A string, as it may be shown."""
        found = self._raw.get(name)
        return clean(found) if isinstance(found, str) else ""

    def number(self, name: str) -> float | None:
        """A number, also one that is written as a string; nothing that is not finite."""
        found = self._raw.get(name)
        if isinstance(found, bool) or not isinstance(found, (int, float, str)):
            return None
        try:
            value = float(found)
        except (ValueError, OverflowError):
            return None
        return value if isfinite(value) else None

    def count(self, name: str) -> int | None:
        """A whole number that is no boolean."""
        found = self._raw.get(name)
        return found if type(found) is int else None

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        found = self._raw.get(name)
        return found if isinstance(found, bool) else None

    def moment(self, name: str) -> float | None:
        """Epoch seconds of an RFC 3339 time with its zone."""
        found = self._raw.get(name)
        try:
            moment = datetime.fromisoformat(found) if isinstance(found, str) else None
        except ValueError:
            return None
        return moment.timestamp() if moment is not None and moment.tzinfo is not None else None

    def span(self, name: str) -> float | None:
        """Seconds of a duration such as 1m30s."""
        found = self._raw.get(name)
        return seconds(found) if isinstance(found, str) else None

    def condition(self, kind: str) -> Fields:
        """Of a status: the condition of this type, or an empty one."""
        return next((each for each in self.items("conditions") if each.text("type") == kind), Fields({}))


def seconds(text: str) -> float | None:
    """Seconds of a Go style duration; None when it is none."""
    if not _SPAN.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def looked_at(obj: Fields) -> bool:
    """Whether the status is about the spec as it is now."""
    generation = obj.part("metadata").count("generation")
    return generation is not None and obj.part("status").count("observedGeneration") == generation


def ended(obj: Fields, kind: str) -> bool:
    """Whether condition `kind` is True and about the spec as it is now: also for what the operator has not seen yet."""
    found = obj.part("status").condition(kind)
    generation = obj.part("metadata").count("generation")
    return found.text("status") == "True" and found.count("observedGeneration") == generation and looked_at(obj)


def newest(obj: Fields) -> float | None:
    """The latest time that the status speaks of: its numbers are at least as old as that."""
    status = obj.part("status")
    times = [status.part("step").moment("startedAt"), status.part("step").moment("countedAt")]
    times += [each.moment("at") for each in status.items("decisions")[-1:]]
    times += [each.moment("lastTransitionTime") for each in status.items("conditions")]
    times += [each.moment("tick") for each in status.items("budget")]
    return max((time for time in times if time is not None), default=None)
