"""A Prometheus in memory: steady counters that may change their pace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import (
    SpecProblem,
)
from modelrollout.core.samples import Series
from modelrollout.ports import (
    Answer,
    ArmsByPod,
    NoAnswer,
    QueryResult,
    SeriesQuery,
    SourceSpec,
)
from tests.engine.api import SCRAPE
from tests.scene import START


@dataclass
class Load:
    """Requests per second and share of errors of one Deployment's only pod."""

    rate: float = 100.0
    errors: float = 0.001


class FakeMetrics:
    """Counters that have grown steadily since long ago, scraped every `SCRAPE` seconds; one pod per Deployment.

    A Deployment's load may change at a moment: `change(key, deployment, at, load)`.
    """

    def __init__(self, metric: str = "requests_total", label: str = "code", bad: str = "500") -> None:
        self.specs: dict[str, SourceSpec] = {"default": SourceSpec("default", ArmsByPod(), SCRAPE)}
        self.asked: list[tuple[str, SeriesQuery, float]] = []
        self.fail: dict[str, str] = {}
        self.hang: set[str] = set()
        self._loads: dict[tuple[str, str], list[tuple[float, Load]]] = {}
        self._metric, self._label, self._bad = metric, label, bad

    def serve(
        self, spec: RolloutSpec, *, legacy: Load | None = None, candidate: Load | None = None, age: float = 3600.0
    ) -> None:
        for arm, load in ((spec.legacy, legacy), (spec.candidate, candidate)):
            self._loads[spec.key.namespace, arm.deployment] = [(START - age, load or Load())]

    def change(self, namespace: str, deployment: str, at: float, load: Load) -> None:
        self._loads[namespace, deployment].append((at, load))

    def source(self, name: str) -> SourceSpec | SpecProblem:
        return self.specs.get(name) or SpecProblem("SourceNotFound", f"MetricSource {name!r} not found")

    def allowed(self, name: str, namespace: str) -> bool:
        return True

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        self.asked.extend((name, query, at) for query in queries)
        if name in self.hang:
            await asyncio.sleep(3600)
        if name in self.fail:
            return [NoAnswer(self.fail[name])] * len(queries)
        return [Answer(tuple(self._series(query, at))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        if name in self.fail:
            return NoAnswer(self.fail[name])
        return Answer(
            tuple(
                Series(one.labels, (at,), (one.values[-1] - one.values[0],))
                for one in self._series(query, at)
                if one.times
            )
        )

    def _series(self, query: SeriesQuery, at: float) -> list[Series]:
        if self._metric not in query.metrics:
            return []
        found = []
        first = max(int((at - query.window) // SCRAPE) + 1, int((START - 3600) // SCRAPE))
        times = [k * SCRAPE for k in range(first, int(at // SCRAPE) + 1)]
        for (namespace, deployment), loads in self._loads.items():
            if query.namespaces and namespace not in query.namespaces:
                continue
            pod = f"{deployment}-5d9c7b6f4-x2x9z"
            if query.pods and not re.fullmatch(query.pods, pod):
                continue
            since = [t for t in times if t >= loads[0][0]]
            if len(since) > 1200:
                since = [since[0], since[-1]]
            for code, share in (("200", False), (self._bad, True)):
                labels = {
                    "__name__": self._metric,
                    "namespace": namespace,
                    "pod": pod,
                    self._label: code,
                }
                found.append(Series.of(labels, tuple((t, float(_count(loads, t, share))) for t in since)))
        return found


def _count(loads: Sequence[tuple[float, Load]], t: float, bad: bool) -> int:
    total = 0
    for (start, load), end in zip(loads, [*(s for s, _ in loads[1:]), t], strict=True):
        seconds = max(0.0, min(t, end) - start)
        errors = int(seconds * load.rate * load.errors + 1e-9)
        total += errors if bad else int(seconds * load.rate + 1e-9) - errors
    return total
