"""What a replay of a journal found, as text or JSON, written while it is found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from modelrollout.sim.journal import Entry, Unread
from modelrollout.sim.redecide import Again, Difference
from modelrollout.sim.typed import TAG

Found = Again | Unread


@dataclass(slots=True)
class Summary:
    """Counts of a replay; `rollout` is the one asked for."""

    file: str
    rollout: str | None = None
    same: int = 0
    differ: int = 0
    acts: int = 0
    unread: int = 0
    others: set[str] = field(default_factory=set)

    def wanted(self, found: Found) -> bool:
        """Whether this line is part of the answer; counts it."""
        key = found.entry.key if isinstance(found, Again) else found.key
        if self.rollout and key and key != self.rollout:
            self.others.add(key)
            return False
        if isinstance(found, Unread):
            self.unread += 1
        elif found.differences:
            self.differ += 1
            self.acts += any(each.acts for each in found.differences)
        else:
            self.same += 1
        return True

    @property
    def problem(self) -> str:
        """Why there is no answer at all, or nothing."""
        if self.same or self.differ or self.unread:
            return ""
        if self.others:
            return f"{self.file}: no decision on {self.rollout}; it has {', '.join(sorted(self.others))}"
        return f"{self.file}: holds no decision; the operator writes one line per decision with `--journal FILE`"

    @property
    def text(self) -> str:
        """One line."""
        acts = f" ({self.acts} in what is done with traffic)" if self.differ else ""
        unread = f", {self.unread} unreadable" if self.unread else ""
        return f"{self.same} the same, {self.differ} differ{acts}{unread}\n"


def as_text(every: Iterable[Found], summary: Summary, *, all_of_them: bool) -> Iterator[str]:
    """A paragraph per decision that differs and per line that can't be read (all of them: per decision)."""
    for found in every:
        if not summary.wanted(found):
            continue
        if isinstance(found, Unread):
            yield f"line {found.line}: {found.problem}\n"
        elif found.differences or all_of_them:
            yield from _paragraph(found)
    if not summary.problem:
        yield summary.text


def as_json(every: Iterable[Found], summary: Summary, *, all_of_them: bool) -> Iterator[str]:
    """One object, its `decisions` in order of the file; nothing at all when there is no answer."""
    before = '{"decisions": ['
    for found in every:
        if not summary.wanted(found) or (isinstance(found, Again) and not found.differences and not all_of_them):
            continue
        yield f"{before}\n{json.dumps(_object(found), ensure_ascii=False)}"
        before = ","
    if not summary.problem:
        counts = {"same": summary.same, "differ": summary.differ, "act": summary.acts, "unreadable": summary.unread}
        end = json.dumps({"file": summary.file, **counts})
        yield f'{before if before != "," else ""}\n], "summary": {end}}}\n'


def _paragraph(found: Again) -> Iterator[str]:
    entry = found.entry
    verdict = "differs" if found.differences else "the same"
    yield f"line {entry.line}  {moment(entry.now)}  {entry.key}  {verdict}: {entry.decision.status.message or '-'}\n"
    for each in found.differences:
        yield f"  {'! ' if each.acts else '  '}{in_words(each)}\n"
    if found.differences and (entry.unknown or entry.missing):
        yield f"    {_gaps(entry)}\n"


def in_words(difference: Difference) -> str:
    """`status.phase: was Progressing, is RollingBack now`."""
    name = difference.field
    match difference.only:
        case "taken":
            return f"{name}: was {_value(difference.taken)}, is gone now"
        case "now":
            return f"{name}: was not there, is {_value(difference.now)} now"
    return f"{name}: was {_value(difference.taken)}, is {_value(difference.now)} now"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        inner = ", ".join(f"{name} {_value(each)}" for name, each in value.items() if name != TAG)
        kind = str(value.get(TAG, ""))
        return f"{kind} ({inner})" if inner else kind
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _gaps(entry: Entry) -> str:
    parts = []
    if entry.unknown:
        parts.append(f"not known to this version and left out: {', '.join(entry.unknown)}")
    if entry.missing:
        parts.append(f"not in the line, defaults taken: {', '.join(entry.missing)}")
    return f"written by version {entry.code}; {'; '.join(parts)}"


def _object(found: Found) -> dict[str, Any]:
    if isinstance(found, Unread):
        return {"line": found.line, "rollout": found.key or None, "problem": found.problem}
    entry = found.entry
    return {
        "line": entry.line,
        "rollout": entry.key,
        "at": moment(entry.now),
        "code": entry.code,
        "message": entry.decision.status.message,
        "differences": [
            {"field": each.field, "taken": each.taken, "now": each.now, "acts": each.acts} for each in found.differences
        ],
        "unknown": list(entry.unknown),
        "missing": list(entry.missing),
    }


def moment(epoch: float) -> str:
    """`2026-11-21T18:25:00.250Z`; the bare number when it is no time of a calendar."""
    try:
        return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{epoch!r}"
