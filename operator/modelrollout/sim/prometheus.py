"""A virtual Prometheus: what was scraped, and answers to queries as the adapter would give them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from modelrollout.core.observation import SpecProblem
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.sim.pods import Labels, Pod
from modelrollout.sim.scenario import ArmName, Outage, OutageKind
from modelrollout.stats.increments import PROCESS_START, UP

JOB = "models"
PORT = 8080


class Line:
    """One stored series."""

    def __init__(self, labels: dict[str, str], arm: ArmName, usual: float) -> None:
        self.labels = labels
        self.arm = arm
        self.usual = usual
        """What the counter held at its first scrape."""
        self.times: list[float] = []
        self.samples: list[tuple[float, float]] = []
        self.rejected: list[float] = []

    def between(self, start: float, end: float) -> Series | None:
        """The samples of (start, end], or None when there are none."""
        samples = tuple(self.samples[bisect_right(self.times, start) : bisect_right(self.times, end)])
        rejected: tuple[float, ...] = ()
        if self.rejected:
            rejected = tuple(self.rejected[bisect_right(self.rejected, start) : bisect_right(self.rejected, end)])
        return Series.of(self.labels, samples, rejected) if samples or rejected else None


class Storage:
    """Everything that was scraped."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._of: dict[tuple[str, Labels], Line] = {}

    def store(self, pod: Pod, namespace: str, at: float, *, odd: bool) -> None:
        """One scrape. A pod that does not answer leaves only `up` = 0. `odd`: its counters are NaN."""
        self._sample(pod, namespace, (("__name__", UP),), float(pod.up), at, odd=False)
        if not pod.up:
            return
        self._sample(pod, namespace, (("__name__", PROCESS_START),), pod.born, at, odd=odd)
        for labels, value in pod.counters.items():
            self._sample(pod, namespace, labels, value, at, odd=odd)

    def _sample(self, pod: Pod, namespace: str, own: Labels, value: float, at: float, *, odd: bool) -> None:
        key = (pod.name, own)
        line = self._of.get(key)
        if line is None:
            # A server of one container a pod: the address is as good as the pod's name.
            target = {"job": JOB, "instance": f"{pod.name}:{PORT}", "namespace": namespace, "pod": pod.name}
            line = self._of[key] = Line({**dict(own), **target}, pod.arm, value)
            self.lines.append(line)
        if odd:
            line.rejected.append(at)
        else:
            line.times.append(at)
            line.samples.append((at, value))


class VirtualMetrics:
    """`Metrics` on a `Storage`. `began`: when the rollout was created; `history`, `stock`: seconds that legacy had
    served before, and those of them that its counters hold.
    """

    def __init__(
        self,
        storage: Storage,
        source: SourceSpec,
        outages: Sequence[Outage],
        now: Callable[[], float],
        *,
        began: float,
        history: float,
        stock: float,
    ) -> None:
        self._storage = storage
        self._source = source
        self._outages = outages
        self._now = now
        self._began = began
        self._history = history
        self._stock = stock
        self._chosen: dict[SeriesQuery, tuple[int, list[Line]]] = {}

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The only one."""
        return self._source

    def allowed(self, name: str, namespace: str) -> bool:
        """Always."""
        return True

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """Raw samples at one pinned time."""
        silent = self._silent()
        return [silent or Answer(tuple(self._answer(query, at))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Increases over a long window, of which most lies before the simulation."""
        silent = self._silent()
        if silent:
            return silent
        before = min(query.window, self._history) - max(0.0, at - self._began)
        found = []
        for line in self._lines(query):
            if line.samples:
                old = line.arm is ArmName.LEGACY and line.times[0] < self._began
                past = line.usual * max(0.0, before) / self._stock if old else 0.0
                found.append(Series.of(line.labels, ((at, line.samples[-1][1] - line.usual + past),)))
        return Answer(tuple(found))

    def _silent(self) -> NoAnswer | None:
        kinds = (OutageKind.DOWN, OutageKind.UNREACHABLE)
        return NoAnswer("Unreachable") if any(o.kind in kinds for o in self._present()) else None

    def _present(self) -> list[Outage]:
        t = self._now() - self._began
        return [o for o in self._outages if o.start <= t < o.end]

    def _answer(self, query: SeriesQuery, at: float) -> list[Series]:
        gone = {arm for o in self._present() if o.kind is OutageKind.EMPTY for arm in o.arms}
        found = (line.between(at - query.window, at) for line in self._lines(query) if line.arm not in gone)
        return [series for series in found if series is not None]

    def _lines(self, query: SeriesQuery) -> list[Line]:
        # The window does not matter for the choice; the choice only grows with the number of lines.
        key = SeriesQuery(query.metrics, 0.0, query.boundaries, query.namespaces, query.pods)
        count, chosen = self._chosen.get(key, (0, []))
        lines = self._storage.lines
        if count < len(lines):
            chosen = [*chosen, *(line for line in lines[count:] if _wanted(query, line.labels))]
            self._chosen[key] = len(lines), chosen
        return chosen


def _wanted(query: SeriesQuery, labels: dict[str, str]) -> bool:
    if labels["__name__"] not in query.metrics:
        return False
    if query.namespaces and labels["namespace"] not in query.namespaces:
        return False
    if query.boundaries and "le" in labels and float(labels["le"]) not in query.boundaries:
        return False
    return not query.pods or re.fullmatch(query.pods, labels["pod"]) is not None
