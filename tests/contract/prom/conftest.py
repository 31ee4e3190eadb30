"""One Prometheus for the whole directory, and the worlds in which the port's contract must hold."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Protocol

import pytest
import pytest_asyncio

from e2e.cluster.prometheus import Prometheus
from e2e.cluster.remote_write import Sample
from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.ports import ArmsByPod, Metrics, SourceSpec
from tests.contract.fake_metrics import FakeMetrics

NUMBERS = itertools.count()
TEAM = {"ml": {"ml": "true"}, "web": {"ml": "false"}}


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as running:
        yield running


class World(Protocol):
    """A place to put samples, and the port that reads them. Source `default` is open, `closed` for namespace `ml`."""

    now: float
    metrics: Metrics

    def put(self, metric: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> None: ...

    def silence(self) -> None:
        """Source `default` accepts requests and never answers."""
        ...

    def wake(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        fake = FakeMetrics(SourceSpec("default", ArmsByPod(), 5.0), SourceSpec("closed", ArmsByPod(), None))
        fake.restrict("closed", "ml")
        self.metrics: Metrics = fake
        self._fake = fake

    def put(self, metric: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> None:
        self._fake.put(metric, labels, samples)

    def silence(self) -> None:
        self._fake.fail("Timeout")

    def wake(self) -> None:
        self._fake.heal()


class RealWorld:
    def __init__(self, prometheus: Prometheus, sources: Sources) -> None:
        self.now = float(int(time.time()))
        self.metrics: Metrics = PrometheusMetrics(sources, total_timeout=1.0)
        self._prometheus = prometheus

    def put(self, metric: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> None:
        self._prometheus.write([Sample(metric, labels, value, at) for at, value in samples])

    def silence(self) -> None:
        self._prometheus.hang()

    def wake(self) -> None:
        self._prometheus.wake()


async def no_secret(name: str, key: str) -> str | None:
    return None


def source_object(name: str, url: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": name},
        "spec": {"prometheus": {"address": url, "timeout": "1s"}, **spec},
    }


@pytest_asyncio.fixture(params=["fake", pytest.param("prometheus", marks=pytest.mark.prometheus)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    prometheus: Prometheus = request.getfixturevalue("prometheus")
    sources = Sources(read_secret=no_secret, namespace_labels=TEAM.get, allow_loopback=True)
    await sources.update(source_object("default", prometheus.url, scrapeInterval="5s"))
    await sources.update(source_object("closed", prometheus.url, allowedNamespaces={"matchLabels": {"ml": "true"}}))
    real = RealWorld(prometheus, sources)
    yield real
    real.wake()
    sources.close()


@pytest.fixture
def metric() -> str:
    """A name of its own for each test: the tests share one Prometheus."""
    return f"contract{next(NUMBERS)}_total"
