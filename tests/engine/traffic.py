"""Random requests and errors that follow the weights of routes, scraped pod by pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from modelrollout.core.model import RolloutSpec
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, QueryResult, SeriesQuery, SourceSpec
from tests.engine.metrics import FakeMetrics

RATE = 20.0
"""Requests a second of each rollout, both arms together."""
EVERY = 5.0
PODS = 2


@dataclass
class Pod:
    """One pod with its counters: good and bad requests so far, and what each scrape saw."""

    arm: int
    scraped_at: float
    counters: list[int] = field(default_factory=lambda: [0, 0])
    samples: list[tuple[float, int, int]] = field(default_factory=list)


class RandomTraffic(FakeMetrics):
    """Poisson requests, split by the weights of the moment; each bad with the probability of its arm."""

    def __init__(self, errors: tuple[float, float], seed: int) -> None:
        super().__init__()
        self.specs["default"] = SourceSpec("default", ArmsByPod(), EVERY)
        self.errors = errors
        self._rng = np.random.default_rng(seed)
        self._pods: dict[tuple[str, str], list[Pod]] = {}

    def meet(self, spec: RolloutSpec) -> None:
        """Pods of both arms, scraped at moments of their own."""
        for arm, side in enumerate((spec.legacy, spec.candidate)):
            phases = self._rng.integers(0, int(EVERY), PODS)
            self._pods[spec.key.name, side.deployment] = [Pod(arm, float(phase)) for phase in phases]

    def second(self, now: float, shares: dict[str, float]) -> None:
        """One second of traffic up to `now`; `shares`: the candidate's by rollout."""
        for (name, _), pods in self._pods.items():
            for pod in pods:
                share = shares[name] if pod.arm else 1 - shares[name]
                n = int(self._rng.poisson(RATE * share / PODS))
                bad = int(self._rng.binomial(n, self.errors[pod.arm]))
                pod.counters[0] += n - bad
                pod.counters[1] += bad
                if now % EVERY == pod.scraped_at:
                    pod.samples.append((now, pod.counters[0], pod.counters[1]))

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        self.asked.extend((name, query, at) for query in queries)
        return [Answer(tuple(self._found(at, query.window))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        # A month of the same traffic with half of the errors: no rollout starts on a spent budget.
        grown = []
        for series in self._found(at, 60.0):
            share = 0.995 if series.labels["code"] == "200" else 0.005
            grown.append(Series(series.labels, (at,), (RATE * query.window * share / PODS,)))
        return Answer(tuple(grown))

    def _found(self, at: float, window: float) -> list[Series]:
        found = []
        for (_, deployment), pods in self._pods.items():
            for number, pod in enumerate(pods):
                inside = [x for x in pod.samples if at - window < x[0] <= at]
                for code, place in (("200", 1), ("500", 2)):
                    labels = {
                        "__name__": "requests_total",
                        "namespace": "serving",
                        "pod": f"{deployment}-5d9c7b6f4-x2x9{number}",
                        "code": code,
                    }
                    # A label child is there from its first event on.
                    samples = tuple((x[0], float(x[place])) for x in inside if x[place])
                    found.append(Series.of(labels, samples))
        return [series for series in found if series.samples]
