"""The operator's journal, read back: a line is one decision with everything that it was made from.

Lines are read one at a time, so that a file of any size can be. What can't be read is a value with its line number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from modelrollout.core.intents import Decision
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import Observation
from modelrollout.core.status import RolloutStatus
from modelrollout.runtime.record import VERSION
from modelrollout.sim.typed import Gaps, Unreadable, read, shown

LONGEST = 16 << 20
"""Bytes of a line. The operator's are some ten thousand; a whole journal file is kept below this."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision: `decide(spec, status, observation, now)` gave `decision` (and `taken`, as it stands in the line).

    `line` counts from 1. `now`: epoch seconds. `code`: version that wrote it. `unknown`, `missing`: fields that this
    version does not know, and fields that it has and the line lacks.
    """

    line: int
    code: str
    key: str
    now: float
    spec: RolloutSpec | None
    status: RolloutStatus | None
    observation: Observation
    decision: Decision
    taken: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that is no decision; `key` when at least that can be read."""

    line: int
    problem: str
    key: str = ""


Line = Entry | Unread


def entries(file: BinaryIO) -> Iterator[Line]:
    """The lines of a journal, in order; empty ones are passed over. Raises OSError only."""
    number = 0
    while raw := file.readline(LONGEST + 1):
        number += 1
        if len(raw) > LONGEST:
            yield Unread(number, f"is longer than {LONGEST >> 20} MiB, so it is no line of a journal")
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LONGEST)
        elif raw.strip():
            yield entry(number, raw)


def entry(number: int, raw: bytes) -> Line:
    """One line of a journal. Never raises."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        cut = "" if raw.endswith(b"\n") else " (it has no end: the operator may have been writing it)"
        return Unread(number, f"is no JSON{cut}")
    if not isinstance(found, dict):
        return Unread(number, f"must be an object, is {shown(found)}")
    key = found.get("key")
    key = key if isinstance(key, str) else ""
    version = found.get("v")
    if type(version) is not int:
        return Unread(number, "has no version `v`, so it is no line of a journal", key)
    if version > VERSION:
        return Unread(number, f"has format {version}; this program reads up to {VERSION}: use a newer one", key)
    try:
        return _typed(number, found)
    except Unreadable as error:
        return Unread(number, str(error), key)


def _typed(number: int, found: Mapping[str, Any]) -> Entry:
    gaps = Gaps()

    def part(kind: Any, name: str) -> Any:
        if name not in found:
            raise Unreadable(name, "must be there")
        return read(kind, found[name], name, gaps)

    return Entry(
        line=number,
        code=part(str, "code"),
        key=part(str, "key"),
        now=part(float, "now"),
        spec=part(RolloutSpec | None, "spec"),
        status=part(RolloutStatus | None, "status"),
        observation=part(Observation, "observation"),
        decision=part(Decision, "decision"),
        taken=found["decision"],
        unknown=tuple(gaps.unknown),
        missing=tuple(gaps.missing),
    )
