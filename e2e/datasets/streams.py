"""From the data sets to counts per tick of two arms. A tick is five seconds, whatever it stands for."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from modelrollout.sim.counts import ARMS, Row

TICK = 5.0
BEGIN = 1_700_000_000.0
LATE = 60.0
"""Minutes after the scheduled arrival from which on a flight counts as bad."""
QUIET = 10
"""Ticks without requests before the trial: the rollout begins in them, so that no week of it is lost."""

ArmOf = Callable[[Mapping[str, str]], str | None]


def flights(path: Path) -> list[dict[str, str]]:
    """The rows of the zipped CSV."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def patients(path: Path) -> list[dict[str, str]]:
    """The rows of the CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def carriers(legacy: str, candidate: str) -> ArmOf:
    """Each carrier an arm."""
    arms = {legacy: "legacy", candidate: "candidate"}
    return lambda row: arms.get(row["carrier"])


def fleet(carrier: str, salt: str) -> ArmOf:
    """Planes of one carrier told apart by a hash of the tail number: one in five flies as the candidate."""

    def arm(row: Mapping[str, str]) -> str | None:
        if row["carrier"] != carrier or row["tailnum"] in ("", "NA"):
            return None
        return "candidate" if zlib.crc32(f"{salt}{row['tailnum']}".encode()) % 5 == 0 else "legacy"

    return arm


def by_hour(rows: Iterable[Mapping[str, str]], arm_of: ArmOf) -> Iterator[Row]:
    """Flights by the hour of their scheduled departure, in order of time; hours without one are counted as 0.

    Bad: it arrived `LATE` minutes late or more, or not at all where it should (cancelled, diverted).
    """
    total: Counter[tuple[int, str]] = Counter()
    bad: Counter[tuple[int, str]] = Counter()
    for row in rows:
        arm = arm_of(row)
        if arm is None:
            continue
        hour = int(datetime.fromisoformat(row["time_hour"]).timestamp()) // 3600
        total[hour, arm] += 1
        bad[hour, arm] += row["arr_delay"] in ("", "NA") or float(row["arr_delay"]) >= LATE
    first, last = min(hour for hour, _ in total), max(hour for hour, _ in total)
    for hour in range(first, last + 1):
        for arm in ARMS:
            yield Row(BEGIN + TICK * (hour - first + 1), arm, "on-time", total[hour, arm], bad[hour, arm])


def by_week(rows: Sequence[Mapping[str, str]], candidate: set[str], legacy: set[str]) -> Iterator[Row]:
    """Patients by week after their enrolment: those still followed as it began, and the events in it.

    `candidate`, `legacy`: codes of the treatments in each arm. Ends with the last week that has patients of both.
    """
    sides = {"legacy": legacy, "candidate": candidate}
    for tick in range(QUIET):
        yield from (Row(BEGIN + TICK * (tick + 1), arm, "event-free", 0, 0) for arm in ARMS)
    followed = {
        arm: [(int(r["days"]), r["cens"] == "1") for r in rows if r["arms"] in codes] for arm, codes in sides.items()
    }
    last = min(max(days for days, _ in each) for each in followed.values()) // 7
    for week in range(last + 1):
        for arm in ARMS:
            present = [(days, event) for days, event in followed[arm] if days >= 7 * week]
            events = sum(event for days, event in present if days < 7 * (week + 1))
            yield Row(BEGIN + TICK * (QUIET + week + 1), arm, "event-free", len(present), events)
