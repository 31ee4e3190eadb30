"""SLIs with their numbers: both arms, how they compare, what a verdict takes. A table, or blocks where it is narrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelrollout.cli.fields import Fields
from modelrollout.cli.screen import VERDICTS
from modelrollout.core.model import Margin
from modelrollout.core.observation import ArmCounts
from modelrollout.core.wording import NEVER, about, counts, duration, margin, odds, share, times

TABLE = 110
"""Columns from which on the numbers of an SLI fit into one line."""
OLD = 60.0
NO_DATA = {
    "Stale": "newest sample too old",
    "NoTraffic": "no requests",
    "Missing": "series are gone",
    "Rejected": "samples are no numbers",
    "BothArms": "neither version has data",
}


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of one SLI."""

    name: str
    verdict: str
    candidate: str
    legacy: str
    compared: str
    bound: str
    odds: str
    samples: str
    burn: str
    message: str


def line(sli: Fields) -> Line:
    """What the status says of one SLI; a dash and why where it says nothing."""
    evidence = sli.part("evidence")
    nothing = NO_DATA.get(sli.text("noData"), "nothing counted yet")
    rates = sli.part("rates")
    return Line(
        name=sli.text("name") + (" (only watched)" if sli.flag("critical") is False else ""),
        verdict=sli.text("verdict") or "-",
        candidate=rate(rates, "candidate") if rates else arm(sli, "candidate", nothing),
        legacy=rate(rates, "legacy") if rates else arm(sli, "legacy", nothing),
        compared=compared(sli),
        bound=bound(evidence.part("margin")),
        odds=chances(evidence or rates),
        samples=samples(sli),
        burn=burn(sli.number("burn")),
        message=sli.text("message"),
    )


def arm(sli: Fields, name: str, nothing: str) -> str:
    """`2.12 % of 1,840`."""
    total, bad = sli.part(name).count("total"), sli.part(name).count("bad")
    return f"- ({nothing})" if total is None or bad is None else counts(ArmCounts(total=total, bad=bad))


def rate(rates: Fields, name: str) -> str:
    """`7 in 3.2h`, for events that have no total."""
    events, exposure = rates.part(name).count("events"), rates.part(name).number("exposure")
    unit = {"Replicas": "of replicas", "Weight": "of all traffic"}.get(rates.text("per"), "")
    return "-" if events is None or exposure is None else f"{events:,} in {duration(exposure)} {unit}".rstrip()


def compared(sli: Fields) -> str:
    """The ratio of the bad shares with its interval, or the difference; a dash for a bound that is not known."""
    alone = sli.part("rates").number("ratio")
    if alone is not None:
        return f"{times(alone)}x"
    ratio, difference = sli.part("ratio"), sli.part("difference")
    value = ratio.number("value")
    if value is not None:
        return f"{times(value)}x ({_bounds(ratio, times)})"
    value = difference.number("value")
    return f"{share(value)} more ({_bounds(difference, share)})" if value is not None else "-"


def _bounds(found: Fields, shown: object) -> str:
    assert callable(shown)
    low, high = found.number("low"), found.number("high")
    return f"{'-' if low is None else shown(low)} to {'-' if high is None else shown(high)}"


def bound(found: Fields) -> str:
    """The margin of this step, `1.25x + 0.05 %`."""
    ratio, difference = found.number("ratio"), found.number("difference")
    return "-" if ratio is None or difference is None else margin(Margin(ratio, difference))


def chances(evidence: Fields) -> str:
    """How far the tests are: `fine 3.1 : 1 of 20 : 1, worse none of 300 : 1`."""
    parts = []
    for word, name in (("fine", "fine"), ("worse", "worse")):
        limit = evidence.number(f"{name}Limit")
        if limit is not None:
            value = evidence.number(name)
            parts.append(f"{word} {odds(-math.inf if value is None else value)} of {odds(limit)}")
    return ", ".join(parts) or "-"


def samples(sli: Fields) -> str:
    """`122 of about 3,700`, and how old the newest one is when that is worth a word."""
    total, needed, age = sli.part("candidate").count("total"), sli.count("needed"), sli.number("sampleAge")
    if total is None:
        return "-"
    told = f"{total:,}"
    if needed:
        told += " of more than any number" if needed >= NEVER else f" of about {about(needed)}"
    return told + (f", newest {duration(age)} old" if age is not None and age >= OLD else "")


def burn(value: float | None) -> str:
    """`0.4x of what is allowed`."""
    return "-" if value is None else f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def slis(found: Sequence[Fields], *, width: int) -> RenderableType:
    """All SLIs, in the order of the status."""
    lines = [line(each) for each in found]
    return _table(lines) if width >= TABLE else _blocks(lines)


def _table(lines: Sequence[Line]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    heads = ("SLI", "VERDICT", "CANDIDATE", "LEGACY", "CANDIDATE/LEGACY", "MARGIN", "NEEDED", "BURN")
    grid.add_row(*(Text(each, "dim") for each in heads))
    for each in lines:
        verdict = Text(each.verdict, VERDICTS.get(each.verdict, ""))
        cells = (each.candidate, each.legacy, each.compared, each.bound, each.samples, each.burn)
        grid.add_row(Text(each.name), verdict, *(Text(cell) for cell in cells))
    told = [Text(each.message) for each in lines if each.message]
    tests = [Text(f"{each.name}: odds {each.odds}", "dim") for each in lines if each.odds != "-"]
    return Group(grid, *tests, *told)


def _blocks(lines: Sequence[Line]) -> RenderableType:
    parts: list[RenderableType] = []
    for each in lines:
        parts.append(Text.assemble(each.name, "  ", (each.verdict, VERDICTS.get(each.verdict, ""))))
        grid = Table.grid(padding=(0, 2))
        rows = (
            ("candidate", each.candidate),
            ("legacy", each.legacy),
            ("ratio", each.compared),
            ("margin", each.bound),
            ("odds", each.odds),
            ("samples", each.samples),
            ("burn", each.burn),
        )
        for name, value in rows:
            if value != "-":  # a terminal has few lines, and these say nothing
                grid.add_row(Text(name, "dim"), Text(value))
        if each.message:
            grid.add_row(Text("verdict", "dim"), Text(each.message))
        parts.append(Padding(grid, (0, 0, 0, 2)))
    return Group(*parts)
