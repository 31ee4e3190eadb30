"""Records of a load run and the questions asked of them.

A record is one request, as the client saw it. Times are Unix seconds. All functions are pure and take any
iterable of records in any order.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["ok", "http", "connect", "reset", "timeout", "invalid", "shed"]
# ok: 2xx. http: another status. connect: no connection. reset: closed under the request. timeout: no answer in
# time. invalid: 2xx without a prediction. shed: never sent, because too many were in flight.


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `version`, `arm` and `pod` are None when nobody that has them answered."""

    number: int
    scheduled: float
    start: float
    end: float
    kind: Kind
    status: int | None
    version: str | None
    arm: str | None
    pod: str | None
    user: str
    row: int
    label: int
    predicted: int | None
    marked: bool
    """Whether the user carries the extra header of a segment."""

    @property
    def seconds(self) -> float:
        """Time from sending to the end of the answer."""
        return self.end - self.start

    @property
    def waited(self) -> float:
        """Time from when it was due: includes what the client was late (no coordinated omission)."""
        return self.end - self.scheduled

    @property
    def failed(self) -> bool:
        """Whether the user got no prediction. A shed request was never sent and is not a failure of anybody."""
        return self.kind not in ("ok", "shed")


KEYS = (
    ("n", "number"),
    ("d", "scheduled"),
    ("s", "start"),
    ("e", "end"),
    ("k", "kind"),
    ("c", "status"),
    ("v", "version"),
    ("a", "arm"),
    ("p", "pod"),
    ("u", "user"),
    ("r", "row"),
    ("y", "label"),
    ("l", "predicted"),
    ("m", "marked"),
)
TIMES = frozenset({"scheduled", "start", "end"})


def to_line(record: Record) -> str:
    """Return the record as one line of compact JSON, times to a microsecond, without its absent fields."""
    compact: dict[str, Any] = {}
    for key, name in KEYS:
        value = getattr(record, name)
        if value is not None:
            compact[key] = round(value, 6) if name in TIMES else value
    return json.dumps(compact, separators=(",", ":"))


def from_line(line: str) -> Record:
    """Read what `to_line` wrote."""
    raw = json.loads(line)
    return Record(**{name: raw.get(key) for key, name in KEYS})


def read(path: Path) -> list[Record]:
    """Read a file of records. A last line that is cut (the writer still runs or was killed) is left out."""
    lines = path.read_text().split("\n")
    return [from_line(line) for line in lines[:-1] if line]


def read_rows(path: Path) -> list[tuple[list[float], int]]:
    """Read held-out rows and their true labels."""
    parsed = (json.loads(line) for line in path.read_text().splitlines())
    return [(item["row"], item["label"]) for item in parsed]


def within(records: Iterable[Record], t0: float, t1: float) -> Iterator[Record]:
    """Yield the records sent in [t0, t1)."""
    return (record for record in records if t0 <= record.start < t1)


def first_error(records: Iterable[Record], version: str) -> Record | None:
    """Return the failure answered by `version` that ended first."""
    mine = (r for r in records if r.version == version and r.failed)
    return min(mine, key=lambda r: r.end, default=None)


def first_answer(records: Iterable[Record], version: str) -> Record | None:
    """Return the answer of `version`, good or bad, that ended first."""
    return min((r for r in records if r.version == version), key=lambda r: r.end, default=None)


def last_answer(records: Iterable[Record], version: str) -> Record | None:
    """Return the answer of `version`, good or bad, that ended last."""
    return max((r for r in records if r.version == version), key=lambda r: r.end, default=None)


def share(records: Iterable[Record], version: str, t0: float, t1: float) -> float | None:
    """Return `version`'s part of the answers to requests sent in [t0, t1); None without any answer.

    Requests that nobody answered say nothing of who would have, and are left out: see `failed`.
    """
    answered = [r.version == version for r in within(records, t0, t1) if r.version is not None]
    return sum(answered) / len(answered) if answered else None


def failed(records: Iterable[Record], t0: float, t1: float) -> list[Record]:
    """Return the failures among the requests sent in [t0, t1), in order of their sending."""
    return sorted((r for r in within(records, t0, t1) if r.failed), key=lambda r: r.start)


def shed(records: Iterable[Record], t0: float, t1: float) -> int:
    """Return how many requests due in [t0, t1) were never sent. Not 0 means: the client was the limit."""
    return sum(r.kind == "shed" and t0 <= r.scheduled < t1 for r in records)


@dataclass(frozen=True, slots=True)
class Harm:
    """What users got from one version that they should not have got. A request is counted once, by its worst.

    errors: no prediction. slow: a prediction after the limit. wrong: in time, but not the true label.
    users: how many different users met any of these. answers: all answers of the version.
    """

    errors: int
    slow: int
    wrong: int
    users: int
    answers: int

    @property
    def requests(self) -> int:
        """All harmed requests."""
        return self.errors + self.slow + self.wrong


def harmed(records: Iterable[Record], version: str, *, slow_over: float | None = None) -> Harm:
    """Count the harm done by `version`. `slow_over` is the latency limit in seconds (None: none is slow).

    This is the whole harm: what legacy would have done to the same users is not subtracted; ask for it too.
    """
    errors = slow = wrong = answers = 0
    users: set[str] = set()
    for record in records:
        if record.version != version:
            continue
        answers += 1
        if record.failed:
            errors += 1
        elif slow_over is not None and record.seconds > slow_over:
            slow += 1
        elif record.predicted != record.label:
            wrong += 1
        else:
            continue
        users.add(record.user)
    return Harm(errors=errors, slow=slow, wrong=wrong, users=len(users), answers=answers)


def users_of(records: Iterable[Record], version: str, t0: float, t1: float) -> set[str]:
    """Return the users whose requests sent in [t0, t1) were answered by `version`."""
    return {r.user for r in within(records, t0, t1) if r.version == version}


def returned(records: Iterable[Record], version: str) -> set[str]:
    """Return the users who once got `version` and later another one: 0 while a sticky share grows."""
    seen: set[str] = set()
    back: set[str] = set()
    for record in sorted((r for r in records if r.version is not None), key=lambda r: r.start):
        if record.version == version:
            seen.add(record.user)
        elif record.user in seen:
            back.add(record.user)
    return back


def quantile(values: Iterable[float], q: float) -> float | None:
    """Return the smallest value that at least `q` of the values do not exceed; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = -int(-q * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]
