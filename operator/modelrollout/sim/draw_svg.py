"""A chart as SVG, and as PNG where resvg is installed. Colours are told apart by everybody, and never alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import pairwise
from types import MappingProxyType
from xml.sax.saxutils import escape

from modelrollout.errors import SpecError
from modelrollout.sim.chart import Chart, Line, Panel, Role
from modelrollout.sim.draw_text import clock

WIDTH = 960
LEFT, RIGHT, TOP = 76, 150, 84
HEIGHT, GAP = 104, 40
ROW = 16
# Named one by one: what turns SVG into PNG knows fonts by their names only.
TEXT = 'font-family="system-ui, Segoe UI, Helvetica, Arial, Noto Sans, Liberation Sans, DejaVu Sans, sans-serif"'
COLOURS = MappingProxyType(
    {Role.CANDIDATE: "#c2410c", Role.LEGACY: "#1d4ed8", Role.WORSE: "#9d174d", Role.FINE: "#047857"}
)
DASHES = MappingProxyType(
    {Role.CANDIDATE: "", Role.LEGACY: ' stroke-dasharray="7 3"', Role.WORSE: "", Role.FINE: ' stroke-dasharray="2 2"'}
)
INK, PALE, GREY = "#1f2937", "#e5e7eb", "#6b7280"
NARROW = 14.0
"""Pixels below which two numbers of marks would overlap."""
TICKS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 7 * 86_400)


def svg(chart: Chart) -> str:
    """The chart as one SVG document."""
    bottom = TOP + len(chart.panels) * (HEIGHT + GAP)
    height = bottom + 12 + ROW * max(1, len(chart.marks))
    summary = "; ".join(f"{clock(m.at)} {m.action} ({m.reason})" for m in chart.marks) or "no decisions"
    body = [
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 26, chart.title, size=15, bold=True),
        *_marks(chart, bottom),
    ]
    for index, panel in enumerate(chart.panels):
        body += _panel(panel, chart.end, TOP + index * (HEIGHT + GAP))
    body += _axis(chart, bottom - GAP)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" {TEXT}>',
            f"<title>{escape(chart.title)}</title>",
            f"<desc>{escape(summary)}</desc>",
            *body,
            "</svg>",
            "",
        ]
    )


def png(chart: Chart) -> bytes:
    """The chart as PNG, twice as large. Raises SpecError where resvg or a font is missing."""
    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError:
        raise SpecError(
            "PNG needs resvg: run `python -m pip install resvg-py`, or write --svg and convert it",
            field="--png",
        ) from None
    # Without a font resvg draws everything but the words, and says nothing.
    if resvg.svg_to_bytes(svg_string=_sample("Ag")) == resvg.svg_to_bytes(svg_string=_sample("")):
        raise SpecError(
            "PNG needs a font on this machine: install one (such as the package fonts-dejavu-core), or write --svg",
            field="--png",
        )
    return bytes(resvg.svg_to_bytes(svg_string=svg(chart), zoom=2.0))


def _sample(text: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" {TEXT}>'
        f'<text x="2" y="15" font-size="13">{text}</text></svg>'
    )


def _panel(panel: Panel, end: float, top: float) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, top + HEIGHT
    yield _text(LEFT, top - 8, panel.title, size=12)
    yield f'<rect x="{LEFT}" y="{top}" width="{right - LEFT}" height="{HEIGHT}" fill="none" stroke="{PALE}"/>'
    for value in (0.0, panel.high / 2, panel.high):
        y = _y(value, panel, top)
        yield _text(LEFT - 8, y + 4, _label(value, panel), size=11, anchor="end", colour=GREY)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{PALE}"/>'
    taken: list[float] = []
    for limit in panel.limits:
        if limit.value <= panel.high:
            y = _y(limit.value, panel, top)
            taken.append(y)
            yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{INK}" stroke-dasharray="1 3"/>'
            yield _text(right + 8, y + 4, limit.name, size=11, colour=INK)
    if panel.note:
        yield _text((LEFT + right) / 2, top + HEIGHT / 2, panel.note, size=12, anchor="middle", colour=GREY)
        return
    free = top + 10.0
    for line in panel.lines:
        yield from _line(line, panel, end, top)
        while any(abs(free - 4 - y) < ROW for y in taken) and free < bottom:
            free += 4.0
        key = f'stroke="{COLOURS[line.role]}" stroke-width="2"{DASHES[line.role]}'
        yield f'<path d="M{right + 8} {free - 4:.1f}h16" {key}/>'
        yield _text(right + 30, free, line.name, size=11, colour=COLOURS[line.role])
        free += ROW


def _line(line: Line, panel: Panel, end: float, top: float) -> Iterator[str]:
    style = f'fill="none" stroke="{COLOURS[line.role]}" stroke-width="1.8"{DASHES[line.role]}'
    path = ""
    drawn = False
    for (at, value), (_, following) in pairwise([*line.points, (end, None)]):
        if value is None:
            drawn = False
            continue
        x, y = _x(at, end), _y(min(value, panel.high), panel, top)
        if not drawn and following is None:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{COLOURS[line.role]}"/>'
        if not drawn:
            path += f"M{x:.1f} {y:.1f}"
        else:
            path += f"H{x:.1f}V{y:.1f}" if line.steps else f"L{x:.1f} {y:.1f}"
        drawn = True
    if path:
        yield f'<path d="{path}" {style}/>'


def _marks(chart: Chart, bottom: float) -> Iterator[str]:
    level, before = 0, -1e9
    for number, mark in enumerate(chart.marks, 1):
        x = _x(mark.at, chart.end)
        level = (level + 1) % 2 if x - before < NARROW else 0
        before = x
        for index in range(len(chart.panels)):
            top = TOP + index * (HEIGHT + GAP)
            yield f'<path d="M{x:.1f} {top}v{HEIGHT}" stroke="{GREY}" stroke-dasharray="4 3" stroke-width="0.8"/>'
        yield _text(x, TOP - 26 - 11 * level, str(number), size=10, anchor="middle", bold=True)
        row = bottom - 4 + ROW * number
        yield _text(LEFT, row, f"{number}  {clock(mark.at)}  {mark.action}, {mark.weight} % ({mark.reason})", size=11)
    if not chart.marks:
        yield _text(LEFT, bottom - 4 + ROW, "no decisions", size=11, colour=GREY)


def _axis(chart: Chart, y: float) -> Iterator[str]:
    step = next((t for t in TICKS if chart.end / t <= 8), TICKS[-1])
    at = 0.0
    while at <= chart.end:
        x = _x(at, chart.end)
        yield f'<path d="M{x:.1f} {y}v5" stroke="{GREY}"/>'
        yield _text(x, y + 18, clock(at), size=11, anchor="middle", colour=GREY)
        at += step


def _text(
    x: float, y: float, text: str, *, size: int, anchor: str = "start", colour: str = INK, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )


def _x(at: float, end: float) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * min(1.0, max(0.0, at / end))


def _y(value: float, panel: Panel, top: float) -> float:
    return top + HEIGHT * (1.0 - value / panel.high)


def _label(value: float, panel: Panel) -> str:
    return f"{value * 100:.3g} %" if panel.percent else f"{value:.3g}"
