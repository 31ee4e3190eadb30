"""Metrics in the Prometheus text format 0.0.4: standard library only.

Only what the model server needs: counters, gauges and classic histograms with labels. Children are made on
first use or ahead of time by `child`, so that a rate of a label such as `code="500"` exists from 0 on.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def escape_label(value: str) -> str:
    """Escape a label's value."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def escape_help(text: str) -> str:
    """Escape a HELP text."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def number(value: float) -> str:
    """Format a sample's value: whole numbers without a fraction, otherwise the shortest exact form."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def labels_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Format `{a="1",b="2"}`, or nothing without labels. An empty value is no label at all, as Prometheus has it."""
    inner = ",".join(f'{name}="{escape_label(value)}"' for name, value in zip(names, values, strict=True) if value)
    return "{" + inner + "}" if inner else ""


class Scalar:
    """A counter or gauge family. Values are keyed by the label values in the order of `labels`."""

    def __init__(self, kind: str, name: str, description: str, *, labels: Sequence[str] = ()) -> None:
        self.kind, self.name, self.description, self.labels = kind, name, description, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}

    def child(self, *values: str) -> None:
        """Make the child with value 0 unless it is there."""
        self._values.setdefault(values, 0.0)

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Add to the child's value. ValueError when a counter would fall."""
        if amount < 0 and self.kind == "counter":
            raise ValueError(f"counter {self.name} can't fall by {-amount}")
        self._values[values] = self._values.get(values, 0.0) + amount

    def put(self, *values: str, value: float) -> None:
        """Set the child's value (gauges)."""
        self._values[values] = value

    def drop(self, label: str, gone: Callable[[str], bool]) -> None:
        """Remove the children whose value of a label is `gone`."""
        place = self.labels.index(label)
        self._values = {values: number for values, number in self._values.items() if not gone(values[place])}

    def value(self, *values: str) -> float | None:
        """Return the child's value, None when there is no such child."""
        return self._values.get(values)

    def lines(self) -> Iterator[str]:
        """Yield the sample lines."""
        for values, value in sorted(self._values.items()):
            yield f"{self.name}{labels_text(self.labels, values)} {number(value)}"


class Histogram:
    """A classic histogram family. Bounds are upper, inclusive and ascending; `+Inf` is added."""

    kind = "histogram"

    def __init__(self, name: str, description: str, *, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self.name, self.description, self.labels = name, description, tuple(labels)
        self.bounds = (*bounds, float("inf"))
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def child(self, *values: str) -> None:
        """Make the child with empty buckets unless it is there."""
        if values not in self._counts:
            self._counts[values] = [0] * len(self.bounds)
            self._sums[values] = 0.0

    def observe(self, *values: str, value: float) -> None:
        """Count one observation."""
        self.child(*values)
        self._counts[values][bisect_left(self.bounds, value)] += 1
        self._sums[values] += value

    def lines(self) -> Iterator[str]:
        """Yield the sample lines: cumulative buckets, sum and count."""
        names = (*self.labels, "le")
        for values, counts in sorted(self._counts.items()):
            for bound, count in zip(self.bounds, accumulate(counts), strict=True):
                yield f"{self.name}_bucket{labels_text(names, (*values, number(bound)))} {count}"
            own = labels_text(self.labels, values)
            yield f"{self.name}_sum{own} {number(self._sums[values])}"
            yield f"{self.name}_count{own} {sum(counts)}"


def render(families: Sequence[Scalar | Histogram]) -> str:
    """Return the text of a scrape."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {escape_help(family.description)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines.extend(family.lines())
    return "\n".join(lines) + "\n"
