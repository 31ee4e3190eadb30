"""Profiles from TOML texts, checked: a mistake names its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TypeVar

from modelrollout.catalog.profiles import (
    Arms,
    Catalogue,
    Counter,
    Display,
    Entry,
    LatencyEntry,
    Pairs,
    Profile,
    RatioEntry,
    Unit,
)
from modelrollout.errors import Bug

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

Table = Mapping[str, object]
Chosen = TypeVar("Chosen", Arms, Unit)


@cache
def builtin() -> Catalogue:
    """The profiles that come with the package."""
    data = files("modelrollout.catalog") / "data"
    texts = (path.read_text(encoding="utf-8") for path in data.iterdir() if path.name.endswith(".toml"))
    return Catalogue.of(*(parse(text) for text in texts))


def parse(text: str) -> Profile:
    """The profile in a TOML text. Raises Bug with the place of a mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Bug(f"a profile is no TOML: {error}") from None
    server = _text(document, "server", "profile")
    known = {"server", "summary", "arms", "label", "hint", "needs", "notes", "sources", "without", "sli", "display"}
    _only(document, known, server)
    profile = Profile(
        server=server,
        summary=_text(document, "summary", server),
        slis=MappingProxyType({name: _entry(each, place) for name, each, place in _named(document, "sli", server)}),
        arms=_choice(Arms, document.get("arms", "pods"), f"{server}: arms"),
        label=_text(document, "label", server, ""),
        hint=_text(document, "hint", server, ""),
        needs=_text(document, "needs", server, ""),
        notes=_texts(document, "notes", server),
        without=_without(document, server),
        display=MappingProxyType(
            {name: _display(each, place) for name, each, place in _named(document, "display", server)}
        ),
        sources=_texts(document, "sources", server),
    )
    _whole(profile)
    return profile


def _whole(profile: Profile) -> None:
    names = [*profile.slis, *profile.display, *profile.without]
    wrong = [name for name in (profile.server, *names) if not NAME.fullmatch(name)]
    if wrong:
        raise Bug(f"names must be lower case letters, digits and dashes: {', '.join(wrong)}", subject=profile.server)
    if len(set(names)) < len(names):
        raise Bug("an SLI is given twice, in sli, display or without", subject=profile.server)
    if not (profile.slis or profile.display):
        raise Bug("a profile needs SLIs, or metrics for display", subject=profile.server)
    if (profile.arms is Arms.PODS) == bool(profile.hint):
        raise Bug("a profile needs a hint exactly when arms is not pods", subject=profile.server)
    if (profile.arms is Arms.LABEL) != bool(profile.label):
        raise Bug("a profile needs a label exactly when arms is label", subject=profile.server)


def _named(document: Table, key: str, server: str) -> list[tuple[str, Table, str]]:
    group = _table(document, key, server) if key in document else {}
    return [(name, _table(group, name, server), f"{server}/{name}") for name in group]


def _entry(table: Table, place: str) -> Entry:
    summary = _text(table, "summary", place)
    total = _sum(table, "total", place)
    if not all(each.names for each in total):
        raise Bug("total needs names", subject=place)
    verified = _flag(table, "verified", place)
    if "histogram" not in table:
        _only(table, {"summary", "total", "bad", "verified"}, place)
        bad = _sum(table, "bad", place)
        if not all(each.names or each.equal or each.regex for each in bad):
            raise Bug("bad needs names or labels, else every event is bad", subject=place)
        return RatioEntry(summary, total, bad, verified)
    _only(table, {"summary", "total", "histogram", "verified"}, place)
    histogram = _table(table, "histogram", place)
    scale = histogram.get("unitsPerSecond")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or scale <= 0:
        raise Bug("histogram needs unitsPerSecond above 0", subject=place)
    rest = {name: value for name, value in histogram.items() if name != "unitsPerSecond"}
    found = _counter(rest, f"{place}.histogram")
    if not found.names:
        raise Bug("histogram needs names", subject=place)
    return LatencyEntry(summary, total, found, float(scale), verified)


def _display(table: Table, place: str) -> Display:
    _only(table, {"summary", "gauge", "counter", "unit", "verified"}, place)
    if ("gauge" in table) == ("counter" in table):
        raise Bug("needs one of gauge and counter", subject=place)
    key = "counter" if "counter" in table else "gauge"
    metric = _counter(_table(table, key, place), f"{place}.{key}")
    if not metric.names:
        raise Bug(f"{key} needs names", subject=place)
    unit = _choice(Unit, table.get("unit"), f"{place}: unit")
    return Display(_text(table, "summary", place), metric, key == "counter", unit, _flag(table, "verified", place))


def _without(document: Table, server: str) -> Mapping[str, str]:
    table = _table(document, "without", server) if "without" in document else {}
    return MappingProxyType({name: _text(table, name, f"{server}.without") for name in table})


def _sum(table: Table, key: str, place: str) -> tuple[Counter, ...]:
    value = table.get(key)
    parts = value if isinstance(value, list) else [value]
    tables = [part for part in parts if isinstance(part, dict)]
    if not parts or len(tables) < len(parts):
        raise Bug(f"{key} must be a table, or a list of tables that are added up", subject=place)
    return tuple(_counter(part, f"{place}.{key}") for part in tables)


def _counter(table: Table, place: str) -> Counter:
    _only(table, {"names", "equal", "regex"}, place)
    names = table.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and METRIC.fullmatch(name) for name in names):
        raise Bug("names must be metric names", subject=place)
    return Counter(tuple(names), _pairs(table, "equal", place), _pairs(table, "regex", place))


def _pairs(table: Table, key: str, place: str) -> Pairs:
    pairs = _table(table, key, place) if key in table else {}
    if not all(LABEL.fullmatch(name) and isinstance(value, str) for name, value in pairs.items()):
        raise Bug(f"{key} must map label names to strings", subject=place)
    if key == "regex":
        for name, pattern in pairs.items():
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise Bug(f"regex of {name} is none: {error}", subject=place) from None
    return tuple(sorted((name, str(value)) for name, value in pairs.items()))


def _choice(kind: type[Chosen], value: object, place: str) -> Chosen:
    if value not in list(kind):
        raise Bug(f"must be one of {', '.join(kind)}", subject=place)
    return kind(str(value))


def _flag(table: Table, key: str, place: str) -> bool:
    value = table.get(key, True)
    if not isinstance(value, bool):
        raise Bug(f"{key} must be true or false", subject=place)
    return value


def _table(parent: Table, key: str, place: str) -> Table:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise Bug(f"{key} must be a table", subject=place)
    return value


def _text(parent: Table, key: str, place: str, default: str | None = None) -> str:
    value = parent.get(key, default)
    if not isinstance(value, str) or (key in parent and not value) or value is None:
        raise Bug(f"{key} must be a text", subject=place)
    return value


def _texts(parent: Table, key: str, place: str) -> tuple[str, ...]:
    value = parent.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise Bug(f"{key} must be a list of texts", subject=place)
    return tuple(value)


def _only(table: Table, known: set[str], place: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise Bug(f"unknown fields {', '.join(unknown)}", subject=place)
