"""Recorded Prometheus data: raw samples of counters, and the file format that keeps them (JSON Lines).

The first line says what is recorded; each further line is a stretch of one series, so that a recording can be written
and read as it comes. The format: docs/reference/recorded-data.md.
"""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByLabel
from modelrollout.sim.typed import shown

FORMAT = "modelrollout-samples"
VERSION = 1
LONGEST = 64 << 20
"""Bytes of a line."""
EXACT = 2.0**53

Labels = tuple[tuple[str, str], ...]


class BadRecording(ValueError):
    """The file is not what the format says; `line` counts from 1, 0 for the file as a whole."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Header:
    """What is recorded: `rollout` as <namespace>/<name>, from `start` to `end` (epoch seconds), `scrape` in seconds.

    `arms`: the label that tells the arms apart; None when pod names do.
    """

    rollout: str
    start: float
    end: float
    scrape: float
    arms: ArmsByLabel | None = None


@dataclass(slots=True)
class Stored:
    """One series; times ascend. `rejected`: times of samples that were NaN or infinite."""

    labels: Mapping[str, str]
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    rejected: array[float] = field(default_factory=lambda: array("d"))

    def between(self, start: float, end: float) -> Series | None:
        """The samples of (start, end], or None when there are none."""
        first, last = bisect_right(self.times, start), bisect_right(self.times, end)
        odd = self.rejected[bisect_right(self.rejected, start) : bisect_right(self.rejected, end)]
        if first == last and not odd:
            return None
        return Series(self.labels, tuple(self.times[first:last]), tuple(self.values[first:last]), tuple(odd))


class Recording:
    """A header and its series, in memory: 16 bytes a sample."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._series: dict[Labels, Stored] = {}

    @property
    def series(self) -> tuple[Stored, ...]:
        """All series, in order of appearance."""
        return tuple(self._series.values())

    @property
    def span(self) -> tuple[float, float] | None:
        """Times of the first and the last sample; None without any."""
        ends = [(s.times[0], s.times[-1]) for s in self._series.values() if s.times]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None

    def add(self, stretch: Series) -> None:
        """Append samples of a series. Raises ValueError when they are not later than those before."""
        key = tuple(sorted(stretch.labels.items()))
        stored = self._series.get(key)
        if stored is None:
            stored = self._series[key] = Stored(dict(key))
        last = stored.times[-1] if stored.times else -math.inf
        for at, value in stretch.samples:
            if at <= last:
                raise ValueError(f"the sample at {at!r} is not later than the one before it")
            last = at
            stored.times.append(at)
            stored.values.append(value)
        for at in stretch.rejected:
            if bisect_left(stored.rejected, at) < len(stored.rejected):
                raise ValueError(f"the rejected sample at {at!r} is not later than the one before it")
            stored.rejected.append(at)


def header_line(header: Header) -> str:
    """The first line of a file."""
    arms = header.arms
    label = {"label": arms.label, "legacy": arms.legacy, "candidate": arms.candidate} if arms else None
    return _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "rollout": header.rollout,
            "start": header.start,
            "end": header.end,
            "scrape": header.scrape,
            "arms": label,
        }
    )


def series_line(stretch: Series) -> str:
    """A line for some samples of one series."""
    line: dict[str, object] = {
        "labels": dict(sorted(stretch.labels.items())),
        "samples": [[_short(at), _short(value)] for at, value in stretch.samples],
    }
    if stretch.rejected:
        line["rejected"] = [_short(at) for at in stretch.rejected]
    return _line(line)


def read(file: BinaryIO) -> Recording:
    """A whole file. Raises BadRecording with the number of the line, and OSError."""
    lines = _objects(file)
    number, first = next(lines, (0, None))
    if first is None:
        raise BadRecording(0, "is empty")
    recording = Recording(_header(number, first))
    for number, line in lines:
        try:
            recording.add(_stretch(line))
        except ValueError as error:
            raise BadRecording(number, str(error)) from None
    return recording


def _objects(file: BinaryIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    while raw := file.readline(LONGEST + 1):
        number += 1
        if len(raw) > LONGEST:
            raise BadRecording(number, f"is longer than {LONGEST >> 20} MiB; write a line per stretch of a series")
        if not raw.strip():
            continue
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            raise BadRecording(number, "is no JSON") from None
        if not isinstance(found, dict):
            raise BadRecording(number, f"must be an object, is {shown(found)}")
        yield number, found


def _header(number: int, line: Mapping[str, Any]) -> Header:
    if line.get("format") != FORMAT:
        raise BadRecording(number, f'must have "format": "{FORMAT}"; `modelrollout record` writes such files')
    if line.get("version") != VERSION:
        raise BadRecording(number, f"has version {shown(line.get('version'))}; this program reads version {VERSION}")
    rollout = line.get("rollout")
    if not isinstance(rollout, str):
        raise BadRecording(number, f"rollout must be <namespace>/<name>, is {shown(rollout)}")
    start, end, scrape = (_number(number, line, name) for name in ("start", "end", "scrape"))
    if not start < end or scrape <= 0:
        raise BadRecording(number, "start must be before end, and scrape above 0")
    return Header(rollout, start, end, scrape, _arms(number, line.get("arms")))


def _arms(number: int, value: object) -> ArmsByLabel | None:
    if value is None:
        return None
    parts = [value.get(name) for name in ("label", "legacy", "candidate")] if isinstance(value, Mapping) else []
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != 3:
        raise BadRecording(number, "arms must have label, legacy and candidate, or be null")
    return ArmsByLabel(*texts)


def _number(number: int, line: Mapping[str, Any], name: str) -> float:
    value = line.get(name)
    if not _finite(value):
        raise BadRecording(number, f"{name} must be a number, is {shown(value)}")
    return float(value)  # type: ignore[arg-type]  # `_finite` has looked


def _stretch(line: Mapping[str, Any]) -> Series:
    labels, pairs, odd = line.get("labels"), line.get("samples"), line.get("rejected", [])
    if not isinstance(labels, Mapping) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("labels must be an object of strings")
    if not labels.get("__name__"):
        raise ValueError("labels must hold __name__, the metric")
    if not isinstance(pairs, list) or not isinstance(odd, list) or not all(_finite(at) for at in odd):
        raise ValueError("samples must be a list of [time, value], rejected a list of times")
    samples: list[tuple[float, float]] = []
    rejected = [float(at) for at in odd]
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not _finite(pair[0]) or type(pair[1]) not in (int, float):
            raise ValueError(f"a sample must be [time, value], is {shown(pair)}: {pair!r:.60}")
        if _finite(pair[1]):
            samples.append((float(pair[0]), float(pair[1])))
        else:
            rejected.append(float(pair[0]))
    return Series.of(dict(labels), tuple(samples), tuple(sorted(rejected)))


def _finite(value: object) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]  # an int or a float
    except OverflowError:
        return False


def _short(value: float) -> float:
    """Whole numbers without `.0`."""
    return int(value) if value == int(value) and abs(value) < EXACT else value


def _line(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def lines(header: Header, stretches: Iterable[Series]) -> Iterator[str]:
    """A whole file."""
    yield header_line(header)
    yield from map(series_line, stretches)
