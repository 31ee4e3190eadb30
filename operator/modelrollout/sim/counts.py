"""Counts per tick as CSV: `time,arm,sli,total,bad`, read as counters of one pod per arm, and written.

A row holds the events of the tick that ends at its time. A missing row is a tick without data, never zero.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import TextIO

from modelrollout.api.reading import epoch
from modelrollout.core.model import Arm, Counts, RolloutSpec, Selector
from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.recording import BadRecording, Header, Recording
from modelrollout.sim.typed import shown

COLUMNS = ("time", "arm", "sli", "total", "bad")
ARMS = ("legacy", "candidate")
TOTAL, BAD = "recorded_total", "recorded_bad_total"
NO_ROWS = "remove it from the manifest, or record samples (JSON Lines) instead"
JOINED = 1.5
"""Rows further apart than this many ticks have a gap between them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One tick of one SLI of one arm; `time` is its end, epoch seconds."""

    time: float
    arm: str
    sli: str
    total: int
    bad: int


def read(file: TextIO) -> Iterator[Row]:
    """The rows. Raises BadRecording with the number of the line."""
    reader = csv.DictReader(file)
    try:
        names = tuple(reader.fieldnames or ())
    except csv.Error as error:
        raise BadRecording(1, f"is no CSV: {error}") from None
    if set(names) != set(COLUMNS):
        raise BadRecording(
            1, f"must be the columns {','.join(COLUMNS)}, is {','.join(map(str, names))[:80] or 'empty'}"
        )
    try:
        for line in reader:
            yield _row(reader.line_num, line)
    except csv.Error as error:
        raise BadRecording(reader.line_num, f"is no CSV: {error}") from None


def recording(spec: RolloutSpec, rows: Iterable[Row]) -> tuple[RolloutSpec, SourceSpec, Recording]:
    """The rows as counters, with the spec and the source that read them. Raises BadRecording."""
    tracks: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        tracks.setdefault((row.arm, row.sli), []).append(row)
    _complete(spec, tracks)
    gaps = [b.time - a.time for track in tracks.values() for a, b in pairwise(track)]
    if not gaps or min(gaps) <= 0:
        raise BadRecording(0, "rows of one arm and SLI must be at least two, each later than the one before")
    width = median(gaps)
    times = [row.time for track in tracks.values() for row in track]
    header = Header(str(spec.key), min(times) - width, max(times), width)
    made = Recording(header)
    for (arm, sli), track in tracks.items():
        for metric, stretch in _counters(track, width).items():
            made.add(Series.of(_labels(spec, arm, sli, metric), stretch))
    slis = tuple(
        replace(
            sli,
            source=Counts(_selector(TOTAL, sli.name), _selector(BAD, sli.name)),
            threshold=None,
            arms=None,
        )
        for sli in spec.slis
    )
    return replace(spec, slis=slis), SourceSpec("recorded", ArmsByPod(), width), made


def _selector(metric: str, sli: str) -> Selector:
    return Selector(metric, equal=(("sli", sli),))


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """A whole file."""
    yield ",".join(COLUMNS) + "\n"
    for row in rows:
        yield f"{row.time:.3f},{row.arm},{row.sli},{row.total},{row.bad}\n"


def _complete(spec: RolloutSpec, tracks: Mapping[tuple[str, str], object]) -> None:
    named = [sli.name for sli in spec.slis]
    bare = [sli.name for sli in spec.slis if sli.allowed is None]
    if bare:
        raise BadRecording(0, f"holds events out of totals, and SLI {bare[0]!r} has no counts.total; {NO_ROWS}")
    unknown = sorted({sli for _, sli in tracks} - set(named))
    if unknown:
        raise BadRecording(0, f"counts an SLI {unknown[0]!r} that the rollout lacks; it has {', '.join(named)}")
    missing = [f"{sli} of {arm}" for sli in named for arm in ARMS if (arm, sli) not in tracks]
    if missing:
        raise BadRecording(0, f"has no row for {', '.join(missing)}; remove such SLIs from the manifest, or add rows")


def _counters(track: Iterable[Row], width: float) -> dict[str, tuple[tuple[float, float], ...]]:
    """Cumulative counts at the rows' times, and a base where a tick begins that no row before it ends."""
    total, bad, last = 0, 0, float("-inf")
    totals: list[tuple[float, float]] = []
    bads: list[tuple[float, float]] = []
    for row in track:
        if row.time - last > JOINED * width:
            totals.append((row.time - width, float(total)))
            bads.append((row.time - width, float(bad)))
        total, bad, last = total + row.total, bad + row.bad, row.time
        totals.append((row.time, float(total)))
        bads.append((row.time, float(bad)))
    return {TOTAL: tuple(totals), BAD: tuple(bads)}


def _labels(spec: RolloutSpec, arm: str, sli: str, metric: str) -> dict[str, str]:
    side: Arm = spec.candidate if arm == "candidate" else spec.legacy
    return {"__name__": metric, "sli": sli, "namespace": spec.key.namespace, "pod": f"{side.deployment}-recorded-{arm}"}


def _row(number: int, line: Mapping[str, str | None]) -> Row:
    def text(name: str) -> str:
        value = line.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadRecording(number, f"{name} is missing")
        return value.strip()

    def count(name: str) -> int:
        value = text(name)
        if not value.isascii() or not value.isdigit() or len(value) > 15:
            raise BadRecording(number, f"{name} must be a whole number from 0 on, is {shown(value)}")
        return int(value)

    if None in line:
        raise BadRecording(number, f"has more than {len(COLUMNS)} fields")
    arm, total, bad = text("arm"), count("total"), count("bad")
    if arm not in ARMS:
        raise BadRecording(number, f"arm must be legacy or candidate, is {shown(arm)}")
    if bad > total:
        raise BadRecording(number, f"bad must be at most total ({total}), is {bad}")
    return Row(_time(number, text("time")), arm, text("sli"), total, bad)


def _time(number: int, text: str) -> float:
    try:
        at = float(text)
    except ValueError:
        moment = epoch(text)
        if moment is None:
            raise BadRecording(
                number, f"time must be epoch seconds, or like 2026-11-21T18:25:00Z, is {shown(text)}"
            ) from None
        at = moment
    if not isfinite(at):
        raise BadRecording(number, f"time must be finite, is {shown(text)}")
    return at
