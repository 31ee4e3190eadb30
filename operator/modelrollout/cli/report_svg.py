"""Charts of a report, as SVG that takes its colours from the page's style sheet. What they show is in a table too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from modelrollout.cli.report_facts import Facts, SliFacts, elapsed
from modelrollout.core.wording import share, times

WIDTH = 860
LEFT, RIGHT = 64, 24
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800)
WIDEST = 16.0
"""Ratios beyond this, or below its inverse, are drawn at the edge, with an arrow."""
GLYPHS = 56.0
"""Pixels of a number beside a bar."""
NEAR = 16.0
"""Pixels within which two numbers would overlap."""


def staircase(told: Facts) -> str:
    """The candidate's share over time, with the numbers of the decisions; empty when none is known."""
    course, began = told.course, told.began
    if not course or began is None:
        return ""
    top, height = 34, 150
    length = max(told.end - began, 1.0)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, (at - began) / length))

    def y(weight: float) -> float:
        return top + height * (1 - min(100.0, max(0.0, weight)) / 100)

    parts = [_grid(y, value) for value in (0, 25, 50, 75, 100)]
    path = f"M{x(began):.1f} {y(0):.1f}"
    for at, weight in course:
        path += f"H{x(at):.1f}V{y(weight):.1f}"
    parts.append(f'<path class="candidate line" d="{path}H{x(told.end):.1f}"/>')
    before, level = -math.inf, 0
    for number, turn in enumerate(told.turns, 1):
        if turn.at is None:
            continue
        level = (level + 1) % 2 if x(turn.at) - before < NEAR else 0
        before = x(turn.at)
        parts.append(f'<path class="mark" d="M{before:.1f} {top}V{top + height}"/>')
        parts.append(_text(before, top - 6 - 13 * level, str(number), "middle", "strong"))
    step = next((tick for tick in TICKS if length / tick <= 8), TICKS[-1])
    for index in range(int(length / step) + 1):
        parts.append(_text(x(began + index * step), top + height + 18, f"+{elapsed(index * step)}", "middle", "soft"))
    summary = "; ".join(f"{weight:g} % after {elapsed(at - began)}" for at, weight in course)
    return _svg(parts, top + height + 26, f"The candidate's share of the traffic: {summary}")


def shares(slis: Sequence[SliFacts]) -> str:
    """Bad share of both versions, with what the objective allows; empty when nothing was counted."""
    shown = [each for each in slis if each.candidate is not None or each.legacy is not None]
    if not shown:
        return ""
    row, top = 62, 8
    parts, told = [], []
    for index, sli in enumerate(shown):
        y = top + index * row
        allowed = None if sli.objective is None else 1 - sli.objective / 100
        high = max(value for value in (sli.candidate, sli.legacy, allowed, 1e-9) if value is not None) * 1.15
        parts.append(_text(LEFT, y + 12, sli.line.name, "start", "strong"))
        for arm, value, down in (("candidate", sli.candidate, 18), ("legacy", sli.legacy, 34)):
            parts.append(_text(LEFT + 62, y + down + 10, arm, "end", "soft"))
            if value is None:
                parts.append(_text(LEFT + 70, y + down + 10, "nothing counted", "start", "soft"))
                continue
            end = _scaled(value, high)
            edge = _scaled(allowed, high) if allowed is not None else end
            # Not across the line of what is allowed.
            beside = edge if edge - GLYPHS < end <= edge else end
            parts.append(
                f'<rect class="{arm} bar" x="{LEFT + 70}" y="{y + down}" width="{end - LEFT - 70:.1f}" height="12"/>'
            )
            parts.append(_text(beside + 6, y + down + 10, share(value), "start", ""))
            told.append(f"{sli.line.name} {arm} {share(value)}")
        if allowed is not None:
            at = _scaled(allowed, high)
            parts.append(f'<path class="limit" d="M{at:.1f} {y + 14}V{y + 50}"/>')
            parts.append(_text(max(at, LEFT + 160), y + 10, f"allowed {share(allowed)}", "middle", "soft"))
    return _svg(parts, top + row * len(shown), f"Bad shares: {'; '.join(told)}")


def ratios(slis: Sequence[SliFacts]) -> str:
    """Candidate's bad share in multiples of legacy's, with interval and margin; empty when none is known."""
    shown = [each for each in slis if each.ratio.value is not None]
    if not shown:
        return ""
    row, top = 34, 10
    base = top + row * len(shown)
    parts, told = [], []
    for place in (1 / 16, 1 / 4, 1.0, 4.0, 16.0):
        parts.append(f'<path class="grid" d="M{_log(place):.1f} {top}V{base}"/>')
        parts.append(_text(_log(place), base + 16, f"{times(place)}x", "middle", "soft"))
    parts.append(f'<path class="limit" d="M{_log(1.0):.1f} {top}V{base}"/>')
    for index, sli in enumerate(shown):
        y = top + index * row + row / 2
        value, low, high = sli.ratio.value, sli.ratio.low, sli.ratio.high
        assert value is not None
        begin, end = _log(low or 0.0), _log(math.inf if high is None else high)
        parts.append(_text(LEFT, y + 4, sli.line.name, "start", "strong"))
        parts.append(f'<path class="candidate line" d="M{begin:.1f} {y}H{end:.1f}"/>')
        if not low or low < 1 / WIDEST:
            parts.append(f'<path class="candidate line" d="M{begin + 6:.1f} {y - 5}l-6 5l6 5"/>')
        if high is None or high > WIDEST:
            parts.append(f'<path class="candidate line" d="M{end - 6:.1f} {y - 5}l6 5l-6 5"/>')
        if 1 / WIDEST <= value <= WIDEST:
            parts.append(f'<circle class="candidate dot" cx="{_log(value):.1f}" cy="{y}" r="5"/>')
        parts.append(_text(WIDTH - RIGHT, y + 4, f"{times(value)}x", "end", ""))
        if sli.margin is not None:
            parts.append(f'<path class="margin" d="M{_log(sli.margin):.1f} {y - 12}V{y + 12}"/>')
        told.append(f"{sli.line.name} {sli.line.compared}")
    return _svg(parts, base + 24, f"Candidate's bad share in multiples of legacy's: {'; '.join(told)}")


def _scaled(value: float, high: float) -> float:
    return LEFT + 70 + (WIDTH - LEFT - RIGHT - 150) * value / high


def _log(ratio: float) -> float:
    """Place on a scale of logarithms between a sixteenth and sixteen."""
    bound = min(WIDEST, max(1 / WIDEST, ratio))
    left, right = LEFT + 130, WIDTH - RIGHT - 70
    return left + (right - left) * (math.log(bound) / math.log(WIDEST) + 1) / 2


def _grid(y: Callable[[float], float], value: float) -> str:
    return f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>' + _text(
        LEFT - 8, y(value) + 4, f"{value:g} %", "end", "soft"
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def _svg(parts: Sequence[str], height: float, summary: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(summary)}">'
        f"<title>{escape(summary)}</title>{''.join(parts)}</svg>"
    )
