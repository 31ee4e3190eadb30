"""Profiles, and how they fit, as tables for people and as objects for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelrollout.catalog import wording
from modelrollout.catalog.boundaries import text as duration
from modelrollout.catalog.fitting import Fit, ProfileFit
from modelrollout.catalog.page import TOLD
from modelrollout.catalog.profiles import Arms, LatencyEntry, Profile

PIPE_WIDTH = 160
NOTHING = (
    "nothing fits: check that Prometheus scrapes the pods, that they had requests in the last five minutes, and that "
    "their series carry the labels namespace and pod"
)
UNVERIFIED = "; not checked against a source"
SHOWN = 6
"""Values and boundaries that a cell names."""


def write(document: dict[str, Any], form: str, file: TextIO) -> None:
    """A document as `json` or `yaml`; fields are only ever added."""
    if form == "json":
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
        return
    import yaml

    yaml.safe_dump(document, file, sort_keys=False, allow_unicode=True, width=110)


def as_object(profile: Profile) -> dict[str, Any]:
    """A profile; lists and maps are there when they are empty, too."""
    slis = [
        {
            "sli": name,
            "summary": entry.summary,
            "threshold": isinstance(entry, LatencyEntry),
            "total": wording.total(entry),
            "bad": wording.bad(entry),
            "verified": entry.verified,
        }
        for name, entry in profile.slis.items()
    ]
    display = [
        {
            "name": name,
            "summary": each.summary,
            "type": "counter" if each.counter else "gauge",
            "metric": wording.counter(each.metric),
            "unit": each.unit.value,
            "verified": each.verified,
        }
        for name, each in profile.display.items()
    ]
    return {
        "server": profile.server,
        "summary": profile.summary,
        "arms": profile.arms.value,
        "label": profile.label or None,
        "hint": profile.hint or None,
        "needs": profile.needs or None,
        "slis": slis,
        "without": dict(profile.without),
        "display": display,
        "notes": list(profile.notes),
        "sources": list(profile.sources),
        "verified": profile.verified,
    }


def as_fit(found: ProfileFit) -> dict[str, Any]:
    """A profile held against a server."""
    return {
        "server": found.profile.server,
        "fits": found.fits,
        "series": found.seen,
        "arms": found.profile.arms.value,
        "label": found.profile.label or None,
        "values": list(found.values),
        "slis": [_fit_object(each) for each in found.slis],
        "display": [_fit_object(each) for each in found.display],
    }


def _fit_object(each: Fit) -> dict[str, Any]:
    return {
        "name": each.name,
        "fits": each.fits,
        "metrics": list(each.metrics),
        "boundariesSeconds": [float(f"{value:.9g}") for value in each.boundaries],
        "reason": each.reason or None,
    }


def overview(profiles: Sequence[Profile], file: TextIO) -> None:
    """All profiles, a row each."""
    console = _console(file)
    table = _table("server", "SLIs", "arms told apart by", "for dashboards", "what it is")
    for each in profiles:
        slis = ", ".join(name if entry.verified else f"{name}?" for name, entry in each.slis.items())
        told = each.label or TOLD[each.arms]
        table.add_row(each.server, slis or "-", told, ", ".join(each.display) or "-", each.summary)
    console.print(table)
    if not all(entry.verified for each in profiles for entry in each.slis.values()):
        console.print("?: names not checked against a source of the server")


def one(profile: Profile, file: TextIO) -> None:
    """One profile as a page, of lines that a pipe gets unbroken."""
    console = _console(file)
    _say(console, profile.server, profile.summary)
    _say(console, "needs", profile.needs)
    for name, entry in profile.slis.items():
        _say(console, f"{profile.server}/{name}", f"{entry.summary}{'' if entry.verified else UNVERIFIED}")
        _say(console, "  total", wording.total(entry))
        _say(console, "  bad", wording.bad(entry))
    for name, reason in profile.without.items():
        _say(console, f"no {name}", reason)
    for name, each in profile.display.items():
        kind = f"{'counter' if each.counter else 'gauge'}, {each.unit}{'' if each.verified else UNVERIFIED}"
        _say(console, f"for dashboards: {name}", f"{wording.counter(each.metric)} ({kind})")
    _say(console, "arms", profile.hint)
    for note in profile.notes:
        _say(console, "note", note)
    for source in profile.sources:
        _say(console, "source", source)


def _say(console: Console, what: str, words: str) -> None:
    if words:
        console.print(Text.assemble((what, "bold"), f": {words}"), soft_wrap=not console.is_terminal)


def fits(found: Sequence[ProfileFit], file: TextIO, *, asked: bool) -> None:
    """What fits and what is missing. `asked`: for these profiles by name; else those without a series share a line."""
    console = _console(file)
    there = [each for each in found if each.seen or asked]
    for each in there:
        _print(console, each)
    absent = [each.profile.server for each in found if not (each.seen or asked)]
    if absent:
        console.print(Text(f"no series of: {', '.join(absent)}"))
    fitting = [each.profile.server for each in found if each.fits]
    console.print(Text(f"fits: {', '.join(fitting)}" if fitting else NOTHING, style="bold"))


def _print(console: Console, found: ProfileFit) -> None:
    profile = found.profile
    verdict = ("fits", "bold green") if found.fits else ("does not fit", "bold yellow")
    console.print(Text.assemble((profile.server, "bold"), ": ", verdict, f", {found.seen} series"))
    table = _table("profile", "fits", "counted from", "boundaries", "what is missing, or to know")
    for name, each in ((f"{profile.server}/{fit.name}", fit) for fit in found.slis):
        table.add_row(*(Text(cell) for cell in _cells(name, "yes" if each.fits else "no", each)))
    for each in found.display:
        table.add_row(*(Text(cell) for cell in _cells(each.name, "to look at" if each.fits else "no", each)))
    console.print(table)
    for name, reason in profile.without.items():
        _say(console, f"no {name}", reason)
    if profile.arms is Arms.LABEL:
        values = _some(found.values) or "no value"
        _say(console, f"label {profile.label}", f"{values}; {profile.hint}")
    if profile.arms is Arms.NONE:
        _say(console, "for dashboards only", profile.hint)


def _cells(name: str, verdict: str, each: Fit) -> tuple[str, ...]:
    bounds = _some([duration(value) for value in each.boundaries])
    return name, verdict, ", ".join(each.metrics) or "-", bounds or "-", each.reason or "-"


def _some(values: Sequence[str]) -> str:
    more = f", ... {values[-1]} ({len(values)})" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more


def _console(file: TextIO) -> Console:
    """Colours only on a terminal and without NO_COLOR; wide where nobody sees the width."""
    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=max(console.width, PIPE_WIDTH))


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
