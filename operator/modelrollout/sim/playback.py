"""The `Metrics` port on a recording: what Prometheus would have answered at the time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelrollout.core.observation import SpecProblem
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.sim.recording import Recording, Stored
from modelrollout.stats.increments import Track, increase


class RecordedMetrics:
    """Answers from a recording; `source` stands for every name."""

    def __init__(self, recording: Recording, source: SourceSpec) -> None:
        self._recording = recording
        self._source = source
        self._chosen: dict[SeriesQuery, tuple[Stored, ...]] = {}

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The only one."""
        return self._source

    def allowed(self, name: str, namespace: str) -> bool:
        """Always."""
        return True

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """Raw samples at one pinned time."""
        return [Answer(tuple(self._between(query, at - query.window, at))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Increases over the window; what lies before the recording is taken to have been like it."""
        return Answer(tuple(self.increases(query, at, whole_window=True)))

    def increases(self, query: SeriesQuery, at: float, *, whole_window: bool = False) -> list[Series]:
        """Per series one sample: its increase over the window, as recorded, or scaled to the `whole_window`."""
        begin = self._recording.span
        start = at - query.window
        covered = min(query.window, at - begin[0]) if begin else 0.0
        factor = query.window / covered if whole_window and covered > 0 else 1.0
        found = []
        for one in self._between(query, start, at):
            first = one.times[0] if one.times else at
            # Everything from the first sample on; that one is the base.
            gain = increase(Track.of(one), first, at, slack=0.0, from_zero=False)
            found.append(Series(one.labels, (at,), (gain.value * factor if gain else 0.0,)))
        return found

    def _between(self, query: SeriesQuery, start: float, end: float) -> list[Series]:
        series = (one.between(start, end) for one in self._wanted(query))
        return [one for one in series if one is not None]

    def _wanted(self, query: SeriesQuery) -> tuple[Stored, ...]:
        key = SeriesQuery(query.metrics, 0.0, query.boundaries, query.namespaces, query.pods)
        found = self._chosen.get(key)
        if found is None:
            found = self._chosen[key] = tuple(s for s in self._recording.series if _matches(query, s.labels))
        return found


def _matches(query: SeriesQuery, labels: Mapping[str, str]) -> bool:
    if labels["__name__"] not in query.metrics:
        return False
    if query.namespaces and labels.get("namespace") not in query.namespaces:
        return False
    if query.boundaries and "le" in labels:
        try:
            if float(labels["le"]) not in query.boundaries:
                return False
        except ValueError:
            return False
    return not query.pods or re.fullmatch(query.pods, labels.get("pod", "")) is not None
