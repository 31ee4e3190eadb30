"""A chart in plain characters: `c` candidate, `l` legacy, `*` both, `-` a limit; marks below the time axis."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from modelrollout.sim.chart import Chart, Line, Mark, Panel, Role

WIDTH = 72
ROWS = 7
MARGIN = 9
LETTERS = MappingProxyType({Role.CANDIDATE: "c", Role.LEGACY: "l", Role.WORSE: "w", Role.FINE: "f"})
SIGNS: Mapping[str, str] = MappingProxyType(
    {"Raise": "^", "Rollback": "v", "Promote": "!", "Pause": "=", "Hold": "=", "Resume": ">"}
)


def clock(seconds: float) -> str:
    """A time since creation: `1:05`, `2:03:07`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def text(chart: Chart, width: int = WIDTH, rows: int = ROWS) -> str:
    """The chart, `width` columns of plot beside its scales."""
    parts = [_panel(panel, chart.end, width, rows) for panel in chart.panels]
    parts.append(_axis(chart, width))
    return "\n".join(parts)


def _panel(panel: Panel, end: float, width: int, rows: int) -> str:
    cells = [[" "] * width for _ in range(rows)]
    for limit in panel.limits:
        if limit.value <= panel.high:
            cells[_row(limit.value, panel.high, rows)] = ["-"] * width
    for line in panel.lines:
        for column, value in enumerate(_columns(line, end, width)):
            if value is not None:
                row = _row(value, panel.high, rows)
                if line.steps and value > 0:
                    row = min(row, rows - 2)  # a small weight is not none
                there = cells[row][column]
                cells[row][column] = LETTERS[line.role] if there in " -" else "*"
    if panel.note:
        middle = f"({panel.note})".center(width)
        cells[rows // 2] = list(middle[:width])
    names = ", ".join(f"{LETTERS[line.role]} {line.name}" for line in panel.lines)
    limits = "".join(f", - {limit.name}" for limit in panel.limits[:1])
    title = f"{' ' * MARGIN} {panel.title} [{names}{limits}]"
    scale = {0: _label(panel.high, panel), rows - 1: _label(0.0, panel)}
    body = [f"{scale.get(i, ''):>{MARGIN}}|{''.join(row).rstrip()}" for i, row in enumerate(cells)]
    return "\n".join([title, *body])


def _columns(line: Line, end: float, width: int) -> list[float | None]:
    """One value a column: the highest of its points (the last one of a line in steps), held until the next point."""
    found: dict[int, float | None] = {}
    for at, value in line.points:
        column = min(width - 1, max(0, int(at / end * width)))
        there = found.get(column)
        if line.steps or there is None or (value is not None and value > there):
            found[column] = value
    last: float | None = None
    columns: list[float | None] = []
    for column in range(width):
        last = found.get(column, last)
        columns.append(last)
    return columns


def _row(value: float, high: float, rows: int) -> int:
    return rows - 1 - min(rows - 1, max(0, round(value / high * (rows - 1))))


def _label(value: float, panel: Panel) -> str:
    return f"{value * 100:.3g} %" if panel.percent else f"{value:.3g}"


def _axis(chart: Chart, width: int) -> str:
    line = ["-"] * width
    for mark in chart.marks:
        line[min(width - 1, int(mark.at / chart.end * width))] = _sign(mark)
    left, right = "0:00", clock(chart.end)
    ends = left + right.rjust(width - len(left))
    used = dict.fromkeys(_sign(mark) + " " + mark.action for mark in chart.marks)
    legend = f"{' ' * MARGIN} {', '.join(used)}" if used else f"{' ' * MARGIN} no decisions"
    return "\n".join([f"{'time':>{MARGIN}}+{''.join(line)}", f"{' ' * MARGIN} {ends}", legend])


def _sign(mark: Mark) -> str:
    return SIGNS.get(mark.action, "o")
