"""A decision of the journal, decided again, and where the two differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.core.decide import decide
from modelrollout.core.reasons import ConditionType
from modelrollout.runtime.record import plain
from modelrollout.sim.journal import Entry, Unread
from modelrollout.sim.typed import TAG

ACTS = ("intent", "status.phase", "status.weight", "status.step", "status.revision", "status.incident")
"""Fields in which a difference is one of deed; elsewhere the same is done, and told or remembered differently."""
NAMED = ("name", "sli", TAG)
"""Fields by which the items of a list are called in a path. The tag is a name in conditions only."""
CONDITIONS = frozenset(kind.value for kind in ConditionType)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of the decision: what was `taken`, and what is decided `now`, as plain values.

    `only`: "taken" or "now" when this item of a list is in that one alone.
    """

    field: str
    taken: Any
    now: Any
    only: str = ""

    @property
    def acts(self) -> bool:
        """Whether it changes what is done with traffic."""
        return any(self.field == each or self.field.startswith((f"{each}.", f"{each}[")) for each in ACTS)


@dataclass(frozen=True, slots=True)
class Again:
    """A decision that was decided again; no `differences`: it comes out as it was taken."""

    entry: Entry
    differences: tuple[Difference, ...]


def again(entry: Entry) -> Again | Unread:
    """Decide again from the same inputs. Fields that the line lacks, or that this version lacks, are not compared."""
    try:
        decision = decide(entry.spec, entry.status, entry.observation, entry.now)
    except Exception as error:
        # `decide` is total over what the operator can see; such a line was edited, or shows a bug.
        return Unread(entry.line, f"can't be decided again: {type(error).__name__} in `decide`", entry.key)
    return Again(entry, tuple(_differ("", entry.taken, plain(decision), frozenset(entry.unknown))))


def _differ(path: str, taken: Any, now: Any, unknown: frozenset[str]) -> Iterator[Difference]:
    if isinstance(taken, Mapping) and isinstance(now, Mapping) and taken.get(TAG) == now.get(TAG):
        for name in taken:
            where = f"{path}.{name}" if path else name
            if name in now and f"decision.{where}" not in unknown:
                yield from _differ(where, taken[name], now[name], unknown)
    elif isinstance(taken, list) and isinstance(now, list):
        yield from _lists(path, taken, now, unknown)
    elif not _equal(taken, now):
        yield Difference(path, taken, now)


def _lists(path: str, taken: Sequence[Any], now: Sequence[Any], unknown: frozenset[str]) -> Iterator[Difference]:
    """Items are paired by name where all have one, else by position."""
    before, after = _by_name(taken), _by_name(now)
    if before is None or after is None:
        before, after = _by_position(taken), _by_position(now)
    for name in {**before, **after}:
        where = f"{path}[{name}]"
        if name not in after:
            yield Difference(where, before[name], None, only="taken")
        elif name not in before:
            yield Difference(where, None, after[name], only="now")
        else:
            yield from _differ(where, before[name], after[name], unknown)
    if list(before) != list(after) and set(before) == set(after):
        yield Difference(f"order of {path}", list(before), list(after))


def _by_position(items: Sequence[Any]) -> dict[str, Any]:
    return {str(index): item for index, item in enumerate(items)}


def _by_name(items: Sequence[Any]) -> dict[str, Any] | None:
    """None when some item has no name, or two share one."""
    named = {name: item for item in items if (name := _name(item))}
    return named if len(named) == len(items) else None


def _name(item: Any) -> str:
    if not isinstance(item, Mapping):
        return ""
    for field in NAMED:
        value = item.get(field)
        if isinstance(value, str) and value and (field != TAG or value in CONDITIONS):
            return value
    return ""


def _equal(taken: Any, now: Any) -> bool:
    if isinstance(taken, float) and isinstance(now, float) and math.isnan(taken) and math.isnan(now):
        return True
    return bool(taken == now) and isinstance(taken, bool) == isinstance(now, bool)
