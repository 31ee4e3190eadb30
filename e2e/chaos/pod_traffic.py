"""Users of one Service: they find all ready pods alike, whichever arm they are of. Exact counters, pod by pod."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e.chaos.traffic import METRIC, RATE, SCRAPE, UNSCRAPED, Counter, scrapes
from modelrollout.core.samples import Series
from modelrollout.ports import SeriesQuery


@dataclass(slots=True)
class _Pod:
    arm: str
    born: float
    counter: Counter
    number: int
    died: float = float("inf")
    ready: bool = False


@dataclass(slots=True)
class PodTraffic:
    """All times are epoch seconds and never go back."""

    namespace: str
    errors: dict[str, float] = field(default_factory=lambda: {"legacy": 0.002, "candidate": 0.002})
    pods: dict[str, _Pod] = field(default_factory=dict)

    def begin(self, t: float, pod: str, arm: str) -> None:
        """A pod is started: it is scraped, and gets nobody yet."""
        self.pods[pod] = _Pod(arm, t, Counter(pod, [t]), len(self.pods))

    def ready(self, t: float, pods: set[str]) -> None:
        """From `t` on these pods, and no others, are behind the Service."""
        for name, pod in self.pods.items():
            pod.ready = name in pods
        self._settle(t)

    def end(self, t: float, pod: str) -> None:
        """A pod is gone; it must not be ready."""
        self.pods[pod].died = t

    def fail(self, t: float, arm: str, errors: float) -> None:
        """From `t` on this share of an arm's answers is bad."""
        self.errors[arm] = errors
        self._settle(t)

    def _settle(self, t: float) -> None:
        ready = sum(pod.ready for pod in self.pods.values())
        for pod in self.pods.values():
            rate = RATE / ready if pod.ready else 0.0
            if pod.died > t:
                pod.counter.change(t, rate, rate * self.errors[pod.arm])

    def series(self, query: SeriesQuery, at: float) -> list[Series]:
        """What Prometheus holds for a query at `at`."""
        found: list[Series] = []
        if query.namespaces and self.namespace not in query.namespaces:
            return found
        for name, pod in self.pods.items():
            first = max(at - query.window + UNSCRAPED, pod.born)
            times = scrapes(first, min(at, pod.died - UNSCRAPED), 1.0 + pod.number % 4, SCRAPE)
            if times:
                found += self._of(query, name, pod, times)
        return found

    def _of(self, query: SeriesQuery, name: str, pod: _Pod, times: tuple[float, ...]) -> list[Series]:
        labels = {"namespace": self.namespace, "pod": name, "instance": f"{name}:8080", "job": "models"}
        found = []
        if "up" in query.metrics:
            found.append(Series({"__name__": "up", **labels}, times, (1.0,) * len(times)))
        if METRIC in query.metrics:
            counts = [pod.counter.at(t) for t in times]
            bad = tuple(float(int(b + UNSCRAPED)) for _, b in counts)
            good = tuple(int(n + UNSCRAPED) - b for (n, _), b in zip(counts, bad, strict=True))
            found.append(Series({"__name__": METRIC, "code": "200", **labels}, times, good))
            found.append(Series({"__name__": METRIC, "code": "500", **labels}, times, bad))
        return found
