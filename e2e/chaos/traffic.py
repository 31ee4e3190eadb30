"""Users, pods and scrapes: exact counters of two arms that follow the weight, in closed form. Nothing here is random.

Requests arrive evenly; each arm's share is spread evenly over its pods.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol

from modelrollout.core.samples import Series
from modelrollout.ports import SeriesQuery

RATE = 100.0
SCRAPE = 5.0
PODS = 2
METRIC = "requests_total"
BEFORE = 4 * 3600.0
"""Seconds for which legacy has served before the world began."""
UNSCRAPED = 1e-6


class Counted(Protocol):
    """What users did, as Prometheus has it."""

    def fail(self, t: float, arm: str, errors: float) -> None:
        """From `t` on this share of an arm's answers is bad."""

    def series(self, query: SeriesQuery, at: float) -> list[Series]:
        """What Prometheus holds for a query at `at`."""


@dataclass(slots=True)
class Counter:
    """Requests and errors so far at each change, and how fast they grow from there."""

    name: str
    times: list[float]
    total: list[float] = field(default_factory=lambda: [0.0])
    bad: list[float] = field(default_factory=lambda: [0.0])
    rates: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    pods: list[tuple[str, float, float]] = field(default_factory=list)
    """Name, when it started, when it ended (inf while it lives)."""

    def at(self, t: float) -> tuple[float, float]:
        """Requests and errors up to `t`."""
        i = bisect_right(self.times, t) - 1
        if i < 0:
            return 0.0, 0.0
        span = t - self.times[i]
        return self.total[i] + span * self.rates[i][0], self.bad[i] + span * self.rates[i][1]

    def change(self, t: float, total: float, bad: float) -> None:
        """From `t` on so many a second."""
        now = self.at(t)
        self.times.append(t)
        self.total.append(now[0])
        self.bad.append(now[1])
        self.rates.append((total, bad))


class Traffic:
    """The data plane of one rollout. All times are epoch seconds and never go back.

    `rate`: requests a second; `scrape`: seconds between two samples.
    """

    def __init__(
        self,
        namespace: str,
        legacy: str,
        candidate: str,
        *,
        start: float,
        rate: float = RATE,
        scrape: float = SCRAPE,
    ) -> None:
        self.namespace = namespace
        self._rate = rate
        self._scrape = scrape
        self.weight = 0.0
        self.errors = {"legacy": 0.002, "candidate": 0.002}
        self.endpoints = {"legacy": PODS, "candidate": PODS}
        self._serial = 0
        self._arms = {
            "legacy": Counter(legacy, [start - BEFORE]),
            "candidate": Counter(candidate, [start - BEFORE]),
        }
        for arm in self._arms.values():
            arm.pods = [(self._named(arm), start - BEFORE, float("inf")) for _ in range(PODS)]
        self.settle(start - BEFORE)

    def order(self, t: float, weight: float) -> None:
        """From `t` on the gateway gives the candidate this share (0 to 1)."""
        self.weight = weight
        self.settle(t)

    def fail(self, t: float, arm: str, errors: float) -> None:
        """From `t` on this share of an arm's answers is bad."""
        self.errors[arm] = errors
        self.settle(t)

    def serve(self, t: float, arm: str, endpoints: int) -> None:
        """From `t` on an arm has that many ready endpoints."""
        self.endpoints[arm] = endpoints
        self.settle(t)

    def replace_pods(self, t: float, arm: str) -> None:
        """A new template or a restart: new pods, whose counters begin at 0."""
        found = self._arms[arm]
        found.pods = [(name, born, min(died, t)) for name, born, died in found.pods]
        found.pods += [(self._named(found), t, float("inf")) for _ in range(PODS)]

    def settle(self, t: float) -> None:
        """Count up to `t` with what held until then, and go on with what holds now."""
        for arm, share in (("legacy", 1 - self.weight), ("candidate", self.weight)):
            # Where nobody answers no pod counts either.
            rate = self._rate * share if self.endpoints[arm] > 0 else 0.0
            self._arms[arm].change(t, rate, rate * self.errors[arm])

    def _named(self, arm: Counter) -> str:
        self._serial += 1
        return f"{arm.name}-5d9c7b6f4-{self._serial:05d}"

    def series(self, query: SeriesQuery, at: float) -> list[Series]:
        """What Prometheus holds for a query at `at`."""
        found: list[Series] = []
        if query.namespaces and self.namespace not in query.namespaces:
            return found
        for arm in self._arms.values():
            for number, (pod, born, died) in enumerate(arm.pods):
                phase = 1.0 + number % PODS
                first = max(at - query.window + UNSCRAPED, born)
                times = scrapes(first, min(at, died - UNSCRAPED), phase, self._scrape)
                if times:
                    found += self._pod(query, arm, pod, born, times)
        return found

    def _pod(self, query: SeriesQuery, arm: Counter, pod: str, born: float, times: tuple[float, ...]) -> list[Series]:
        labels = {"namespace": self.namespace, "pod": pod, "instance": f"{pod}:8080", "job": "models"}
        found = []
        if "up" in query.metrics:
            found.append(Series({"__name__": "up", **labels}, times, (1.0,) * len(times)))
        if METRIC in query.metrics:
            zero = arm.at(born)
            counts = [arm.at(t) for t in times]
            bad = [float(int((b - zero[1]) / PODS + UNSCRAPED)) for _, b in counts]
            total = [float(int((n - zero[0]) / PODS + UNSCRAPED)) for n, _ in counts]
            good = tuple(n - b for n, b in zip(total, bad, strict=True))
            found.append(Series({"__name__": METRIC, "code": "200", **labels}, times, good))
            found.append(Series({"__name__": METRIC, "code": "500", **labels}, times, tuple(bad)))
        return found


def scrapes(start: float, end: float, phase: float, scrape: float) -> tuple[float, ...]:
    """When a pod was scraped from `start` to `end`."""
    first = -int((phase - start) // scrape)
    last = int((end - phase) // scrape)
    return tuple([phase + scrape * k for k in range(first, last + 1)])
