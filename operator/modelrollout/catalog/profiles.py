"""Profiles: which metrics of a server make which SLI. Read from TOML files, checked once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from modelrollout.errors import Bug

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter with alternative names, newest first, and the labels that narrow it. No names: the total's."""

    names: tuple[str, ...]
    equal: Pairs = ()
    regex: Pairs = ()


@dataclass(frozen=True, slots=True)
class RatioEntry:
    """`bad` events out of `total`."""

    summary: str
    total: Counter
    bad: Counter


@dataclass(frozen=True, slots=True)
class LatencyEntry:
    """`total` requests less those in a bucket of the histogram. `per_second`: the histogram's units in a second."""

    summary: str
    total: Counter
    histogram: tuple[str, ...]
    per_second: float


Entry = RatioEntry | LatencyEntry


@dataclass(frozen=True, slots=True)
class Profile:
    """All SLIs of one server. `arms`: whether its series tell the arms apart; if not, `hint` says what to use."""

    server: str
    summary: str
    slis: Mapping[str, Entry]
    arms: bool = True
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Profiles by server."""

    profiles: Mapping[str, Profile]

    @classmethod
    def of(cls, *profiles: Profile) -> Catalogue:
        """A catalogue of these."""
        return cls(MappingProxyType({each.server: each for each in sorted(profiles, key=lambda each: each.server)}))


@cache
def builtin() -> Catalogue:
    """The profiles that come with the package."""
    data = files("modelrollout.catalog") / "data"
    return Catalogue.of(*(parse(path.read_text()) for path in data.iterdir() if path.name.endswith(".toml")))


def parse(text: str) -> Profile:
    """The profile in a TOML text. Raises Bug with the place of a mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Bug(f"a profile is no TOML: {error}") from None
    server = _text(document, "server", "profile")
    slis = {name: _entry(_table(document["sli"], name, server), f"{server}/{name}") for name in document.get("sli", {})}
    _only(document, {"server", "summary", "arms", "hint", "sli"}, server)
    profile = Profile(
        server=server,
        summary=_text(document, "summary", server),
        slis=MappingProxyType(slis),
        arms=document.get("arms", True) is True,
        hint=str(document.get("hint", "")),
    )
    if not slis or profile.arms == bool(profile.hint):
        raise Bug("a profile needs SLIs, and a hint exactly when arms = false", subject=server)
    return profile


def _entry(table: Mapping[str, object], place: str) -> Entry:
    summary = _text(table, "summary", place)
    total = _counter(_table(table, "total", place), f"{place}.total")
    if not total.names:
        raise Bug("total needs names", subject=place)
    if "histogram" not in table:
        _only(table, {"summary", "total", "bad"}, place)
        bad = _counter(_table(table, "bad", place), f"{place}.bad")
        if not (bad.names or bad.equal or bad.regex):
            raise Bug("bad needs names or labels, else every event is bad", subject=place)
        return RatioEntry(summary, total, bad)
    _only(table, {"summary", "total", "histogram"}, place)
    histogram = _table(table, "histogram", place)
    _only(histogram, {"names", "unitsPerSecond"}, place)
    scale = histogram.get("unitsPerSecond")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or scale <= 0:
        raise Bug("histogram needs unitsPerSecond above 0", subject=place)
    names = _names(histogram, place)
    if not names:
        raise Bug("histogram needs names", subject=place)
    return LatencyEntry(summary, total, names, float(scale))


def _counter(table: Mapping[str, object], place: str) -> Counter:
    _only(table, {"names", "equal", "regex"}, place)
    return Counter(_names(table, place), _pairs(table, "equal", place), _pairs(table, "regex", place))


def _names(table: Mapping[str, object], place: str) -> tuple[str, ...]:
    names = table.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and METRIC.fullmatch(name) for name in names):
        raise Bug("names must be metric names", subject=place)
    return tuple(names)


def _pairs(table: Mapping[str, object], key: str, place: str) -> Pairs:
    pairs = _table(table, key, place) if key in table else {}
    if not all(LABEL.fullmatch(name) and isinstance(value, str) for name, value in pairs.items()):
        raise Bug(f"{key} must map label names to strings", subject=place)
    return tuple(sorted((name, str(value)) for name, value in pairs.items()))


def _table(parent: Mapping[str, object], key: str, place: str) -> Mapping[str, object]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise Bug(f"{key} must be a table", subject=place)
    return value


def _text(parent: Mapping[str, object], key: str, place: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise Bug(f"{key} must be a text", subject=place)
    return value


def _only(table: Mapping[str, object], known: set[str], place: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise Bug(f"unknown fields {', '.join(unknown)}", subject=place)
