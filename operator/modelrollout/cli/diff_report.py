"""What `modelrollout diff` shows: a line per field, the older revision before the newer one."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelrollout.cli.fields import Fields
from modelrollout.cli.revisions import LEGACY, Cell, Side
from modelrollout.cli.rollout_report import section

ABSENT = Cell(None, "this one has none")


def report(obj: Fields, older: Side, newer: Side) -> RenderableType:
    """Fields side by side, those that are the same, and what is not known of which revision."""
    meta = obj.part("metadata")
    parts: list[RenderableType] = [Text(f"{meta.text('namespace')}/{meta.text('name')}", "bold")]
    beside, same, unknown = Table.grid(padding=(0, 2)), [], []
    beside.add_row(Text(""), *(Text(_title(each), "bold") for each in (older, newer)))
    for name, (left, right) in _pairs(older, newer).items():
        if left.text is not None and left.text == right.text:
            same.append(f"{name}: {left.text}")
        elif left.text is not None or right.text is not None:
            beside.add_row(
                Text(name, no_wrap=True), *(Text(cell.text or "-", overflow="fold") for cell in (left, right))
            )
        for side, cell in ((older, left), (newer, right)):
            if cell.text is None and cell is not ABSENT:
                unknown.append((side.revision, name, cell.why))
    parts += section("SIDE BY SIDE", beside)
    parts += section("THE SAME", Text("\n".join(same))) if same else []
    parts += section("NOT KNOWN (-)", Text("\n".join(_reasons(unknown)))) if unknown else []
    return Group(*parts)


def as_object(obj: Fields, older: Side, newer: Side) -> dict[str, Any]:
    """The same for programs: `differs` names the fields whose values are known on both sides and differ."""
    pairs = _pairs(older, newer)
    known = {name: pair for name, pair in pairs.items() if None not in (pair[0].text, pair[1].text)}
    return {
        "namespace": obj.part("metadata").text("namespace"),
        "name": obj.part("metadata").text("name"),
        "older": _values(older),
        "newer": _values(newer),
        "differs": [name for name, (left, right) in known.items() if left.text != right.text],
        "same": [name for name, (left, right) in known.items() if left.text == right.text],
    }


def _pairs(older: Side, newer: Side) -> dict[str, tuple[Cell, Cell]]:
    names = dict.fromkeys([*newer.cells, *older.cells])
    return {name: (older.cells.get(name, ABSENT), newer.cells.get(name, ABSENT)) for name in names}


def _title(side: Side) -> str:
    return side.revision + (" (present)" if side.present else "")


def _reasons(unknown: list[tuple[str, str, str]]) -> list[str]:
    """Fields of one revision that have the same reason share a line."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for revision, name, why in unknown:
        grouped.setdefault((revision, why), []).append(name)
    return [f"{revision}: {', '.join(names)}: {why}" for (revision, why), names in grouped.items()]


def _values(side: Side) -> dict[str, Any]:
    return {
        "revision": None if side.revision == LEGACY else side.revision,
        "arm": LEGACY if side.revision == LEGACY else "candidate",
        "present": side.present,
        "fields": {name: cell.text for name, cell in side.cells.items()},
        "notKnown": {name: cell.why for name, cell in side.cells.items() if cell.text is None},
    }
