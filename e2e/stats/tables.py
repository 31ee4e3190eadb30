"""A table per question: what was asked, the target, what was reached. As text, markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | float | int | None


@dataclass(slots=True)
class Table:
    """Rows under columns. `missed`: rows of which a target was not reached, by their first cell."""

    name: str
    title: str
    columns: Sequence[str]
    note: str = ""
    rows: list[Sequence[Cell]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, *cells: Cell, reached: bool | None = None, known: str = "") -> None:
        """One row; with `reached` a last cell says whether its target was. `known`: why not, then it is no miss."""
        said = () if reached is None else ("yes" if reached else f"NO{known and ': ' + known}",)
        self.rows.append((*cells, *said))
        if reached is False and not known:
            self.missed.append(" ".join(str(cell) for cell in cells[:2]))

    def markdown(self) -> str:
        """Heading, note and the table."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, ""])

    @classmethod
    def read(cls, values: dict[str, Any]) -> Table:
        """From `as_json`."""
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "name": self.name,
            "title": self.title,
            "note": self.note,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "missed": self.missed,
        }


def shown(cell: Cell) -> str:
    """A number with as many digits as it is worth."""
    if cell is None:
        return "–"
    if isinstance(cell, str | int):
        return str(cell)
    return f"{cell:.3g}"


def percent(share: float) -> str:
    """0.0123 -> 1.23 %."""
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.0f} %"
