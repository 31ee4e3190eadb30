"""What a look at the cluster found: one line each, with what to do about it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How one thing stands. What could not be looked at is never ok."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "not known"


COLOURS = {State.OK: "32", State.WARNING: "33", State.ERROR: "31", State.UNKNOWN: "36"}
INDENT = max(map(len, State)) + 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `check`: its stable name; `fix`: what to do, empty when nothing is to be done."""

    check: str
    state: State
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    """It was looked at and is as it should be."""
    return Finding(check, State.OK, text)


def warning(check: str, text: str, fix: str) -> Finding:
    """Rollouts run, but not as well or not for ever."""
    return Finding(check, State.WARNING, text, fix)


def error(check: str, text: str, fix: str) -> Finding:
    """Rollouts do not run, or not safely."""
    return Finding(check, State.ERROR, text, fix)


def unknown(check: str, why: str, fix: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check, State.UNKNOWN, why, fix)


def as_text(found: Sequence[Finding], *, width: int, colour: bool) -> str:
    """A line per finding, the fix below it, and how many there are of each state."""
    lines: list[str] = []
    for each in found:
        state = each.state.ljust(INDENT)
        head = f"\x1b[{COLOURS[each.state]}m{state}\x1b[0m" if colour else state
        told = textwrap.wrap(f"{each.check}: {each.text}", width - INDENT, break_on_hyphens=False) or [""]
        lines.append(f"{head}{told[0]}")
        lines += [" " * INDENT + line for line in told[1:]]
        # To be copied, so never wrapped.
        lines += [f"{' ' * INDENT}fix: {each.fix}"] if each.fix else []
    return "".join(f"{line}\n" for line in [*lines, "", counted(found)])


def counted(found: Sequence[Finding]) -> str:
    """`9 ok, 1 warning, 2 not known`."""
    tally = Counter(each.state for each in found)
    return ", ".join(f"{tally[state]} {state}" for state in State if tally[state])


def as_object(found: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    tally = Counter(each.state for each in found)
    return {
        "findings": [
            {"check": each.check, "state": each.state.value, "text": each.text, "fix": each.fix or None}
            for each in found
        ],
        "counts": {state.value: tally[state] for state in State},
    }
