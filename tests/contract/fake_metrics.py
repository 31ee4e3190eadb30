"""The `Metrics` port in memory, with Prometheus' rules for what a query returns. Held to them by the contract suite."""

from __future__ import annotations

import math
import re
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import Reason
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, NoAnswer, QueryResult, SeriesQuery, SourceSpec

LOOKBACK = 300.0
DEFAULT = SourceSpec("default", ArmsByPod(), scrape_interval=5.0)

Labels = tuple[tuple[str, str], ...]


class FakeMetrics:
    """One store of series behind one or more sources.

    `put` adds samples, `fail` makes a source answer nothing until `heal`, `reads` lists what was asked.
    """

    def __init__(self, *sources: SourceSpec) -> None:
        self._sources: dict[str, SourceSpec | SpecProblem] = {each.name: each for each in sources or (DEFAULT,)}
        self._allowed: dict[str, frozenset[str]] = {}
        self._failing: dict[str, str] = {}
        self._store: dict[Labels, list[tuple[float, float]]] = {}
        self.reads: list[tuple[str, tuple[SeriesQuery, ...], float]] = []

    def put(self, metric: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> None:
        """Add samples (epoch seconds, value) to a series, in any order."""
        key = tuple(sorted({**labels, "__name__": metric}.items()))
        kept = self._store.setdefault(key, [])
        for sample in samples:
            insort(kept, sample, key=lambda each: each[0])

    def reject(self, name: str, problem: str) -> None:
        """Make a source unusable."""
        self._sources[name] = SpecProblem(Reason.SOURCE_NOT_FOUND, problem)

    def restrict(self, name: str, *namespaces: str) -> None:
        """Allow a source only from these namespaces."""
        self._allowed[name] = frozenset(namespaces)

    def fail(self, kind: str, name: str = "default") -> None:
        """Answer `NoAnswer(kind)` from now on."""
        self._failing[name] = kind

    def heal(self, name: str = "default") -> None:
        """Answer again."""
        self._failing.pop(name, None)

    def source(self, name: str) -> SourceSpec | SpecProblem:
        return self._sources.get(name) or SpecProblem(Reason.SOURCE_NOT_FOUND, f"metricSource {name!r} does not exist")

    def allowed(self, name: str, namespace: str) -> bool:
        if not isinstance(self._sources.get(name), SourceSpec):
            return False
        return name not in self._allowed or namespace in self._allowed[name]

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        self.reads.append((name, tuple(queries), at))
        return [self._answer(name, query, at) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        refused = self._refused(name)
        if refused is not None:
            return refused
        found = []
        for key, samples in self._select(query):
            increase = _increase(samples, at - query.window, at)
            if increase is not None:
                found.append(Series.of(dict(key), ((at, increase),)))
        return Answer(tuple(found))

    def _refused(self, name: str) -> NoAnswer | None:
        if not isinstance(self._sources.get(name), SourceSpec):
            return NoAnswer("Unreachable")
        return NoAnswer(self._failing[name]) if name in self._failing else None

    def _answer(self, name: str, query: SeriesQuery, at: float) -> QueryResult:
        refused = self._refused(name)
        if refused is not None:
            return refused
        found = []
        for key, samples in self._select(query):
            inside = [each for each in samples if at - query.window < each[0] <= at]
            finite = tuple(each for each in inside if math.isfinite(each[1]))
            if inside:
                odd = tuple(time for time, value in inside if not math.isfinite(value))
                found.append(Series.of(dict(key), finite, odd))
        return Answer(tuple(found))

    def _select(self, query: SeriesQuery) -> Iterable[tuple[Labels, list[tuple[float, float]]]]:
        return [(key, samples) for key, samples in self._store.items() if _matches(dict(key), query)]


def _matches(labels: Mapping[str, str], query: SeriesQuery) -> bool:
    if labels["__name__"] not in query.metrics:
        return False
    if query.namespaces and labels.get("namespace", "") not in query.namespaces:
        return False
    if query.pods and not re.fullmatch(query.pods, labels.get("pod", "")):
        return False
    boundary = labels.get("le", "")
    return not query.boundaries or not boundary or float(boundary) in query.boundaries


def _increase(samples: Sequence[tuple[float, float]], start: float, at: float) -> float | None:
    """What `(m unless m offset w) or increase(m[w])` gives, without extrapolation."""
    before = any(start - LOOKBACK < time <= start for time, _ in samples)
    latest = [value for time, value in samples if at - LOOKBACK < time <= at]
    if not before and latest:
        return latest[-1]
    inside = [value for time, value in samples if start < time <= at]
    if len(inside) < 2:
        return None
    return sum(b - a if b >= a else b for a, b in pairwise(inside))
