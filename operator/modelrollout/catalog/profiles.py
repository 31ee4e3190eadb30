"""Profiles: which metrics of a server make which SLI, and what it can't say. Data; `reading` makes them from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Pairs = tuple[tuple[str, str], ...]


class Arms(StrEnum):
    """How the series of a server tell legacy from candidate."""

    PODS = "pods"
    """They come from the arms' own pods."""
    LABEL = "label"
    """They come from others, and a label names the arm."""
    NONE = "none"
    """Not at all: for dashboards only."""


class Unit(StrEnum):
    """What the numbers of a metric for display are."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter with alternative names, newest first, and the labels that narrow it. No names: the total's."""

    names: tuple[str, ...]
    equal: Pairs = ()
    regex: Pairs = ()


@dataclass(frozen=True, slots=True)
class RatioEntry:
    """`bad` events out of `total`; each is the sum of its counters. `verified`: names were found in the server's source
    or documentation.
    """

    summary: str
    total: tuple[Counter, ...]
    bad: tuple[Counter, ...]
    verified: bool = True


@dataclass(frozen=True, slots=True)
class LatencyEntry:
    """`total` events less those in a bucket of the histogram. `per_second`: the histogram's units in a second."""

    summary: str
    total: tuple[Counter, ...]
    histogram: Counter
    per_second: float
    verified: bool = True


Entry = RatioEntry | LatencyEntry


@dataclass(frozen=True, slots=True)
class Display:
    """A metric to look at, never tested: a gauge has no events to count, a `counter` no bad ones."""

    summary: str
    metric: Counter
    counter: bool
    unit: Unit
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """What one server exposes.

    `without`: SLIs that it can't give, each with the way out. `label`: with Arms.LABEL the one that usually names the
    arm. `hint`: how to tell the arms apart, or what to use instead; empty with Arms.PODS. `needs`: what must be
    switched on. `notes`: traps. `sources`: where names, labels and units were found.
    """

    server: str
    summary: str
    slis: Mapping[str, Entry]
    arms: Arms = Arms.PODS
    label: str = ""
    hint: str = ""
    needs: str = ""
    notes: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)
    display: Mapping[str, Display] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether every name was found in the server's source or documentation."""
        return all(each.verified for each in (*self.slis.values(), *self.display.values()))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Profiles by server."""

    profiles: Mapping[str, Profile]

    @classmethod
    def of(cls, *profiles: Profile) -> Catalogue:
        """A catalogue of these."""
        return cls(MappingProxyType({each.server: each for each in sorted(profiles, key=lambda each: each.server)}))
