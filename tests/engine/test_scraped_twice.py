"""A pod that two jobs scrape answers each request once."""

from __future__ import annotations

import asyncio

import pytest

from modelrollout.core.model import Phase
from modelrollout.core.observation import EvidenceSeen, PreflightPassed
from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByPod, SeriesQuery, SourceSpec
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.scraped_twice import counted_once, scrapers
from tests.engine.api import SCRAPE, LoopClock
from tests.engine.bench import Bench
from tests.engine.metrics import FakeMetrics
from tests.engine.world import spec_named
from tests.scene import own

pytestmark = pytest.mark.looptime(start=0)


class ByTwoJobs(FakeMetrics):
    """Both jobs scrape every pod, under the same address."""

    JOBS: tuple[dict[str, str], ...] = ({"job": "serving/pods"}, {"job": "fraud"})

    def _series(self, query: SeriesQuery, at: float) -> list[Series]:
        found = []
        for one in super()._series(query, at):
            for scraper in self.JOBS:
                labels = {**one.labels, "instance": f"{one.labels['pod']}:8080", **scraper}
                found.append(Series(labels, one.times, one.values))
        return found


class ByTwoCopies(ByTwoJobs):
    """One job, of two copies of a Prometheus whose series one store holds."""

    JOBS = ({"job": "fraud", "prometheus_replica": "1"}, {"job": "fraud", "prometheus_replica": "0"})


@pytest.mark.parametrize("metrics", [FakeMetrics, ByTwoJobs, ByTwoCopies])
async def test_hazard_h05_requests_of_a_pod_that_is_scraped_twice_counted_as_two(metrics: type[FakeMetrics]) -> None:
    """All shares stayed as they were, and the comparison was twice as sure as it might be."""
    bench, spec = Bench(metrics()), spec_named("m")
    bench.follow(spec)
    await bench.run(61)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    found = own(evidence.slis[0])
    assert (found.total, found.bad) == (4500, 4), "100 a second"


async def test_whoever_has_two_scrapers_is_told_which_one_counts() -> None:
    for metrics, told in (
        (ByTwoJobs(), "jobs 'fraud' and 'serving/pods' scrape the same pods: only 'fraud' is counted"),
        (ByTwoCopies(), "jobs 'fraud/0' and 'fraud/1' scrape the same pods: only 'fraud/0' is counted"),
    ):
        spec = spec_named("m")
        metrics.serve(spec)
        preflights = Preflights(metrics, LoopClock(), lambda key: None)
        source = SourceSpec("default", ArmsByPod(), SCRAPE)
        preflights.look(spec, source, revision="r1", phase=Phase.PREFLIGHT)
        await asyncio.sleep(0.1)
        found = preflights.look(spec, source, revision="r1", phase=Phase.PREFLIGHT).preflight
        assert isinstance(found, PreflightPassed)
        assert any(told in note for note in found.notes), found.notes


def series(name: str, **labels: str) -> Series:
    return Series.of({"__name__": name, "namespace": "serving", **labels}, ((0.0, 1.0),))


def test_what_only_the_other_job_delivers_is_kept() -> None:
    both = [series("requests_total", instance="a:1", pod="p", job=job) for job in "ba"]
    only = series("latency_bucket", instance="a:1", pod="p", job="b")
    assert list(counted_once([*both, only])) == [both[1], only]
    assert scrapers([*both, only]) == ("a", "b")


@pytest.mark.parametrize(
    "pair",
    [
        ({"instance": "a:1", "pod": "p"}, {"instance": "a:2", "pod": "p"}),
        ({"instance": "a:1", "pod": "p"}, {"instance": "a:1", "pod": "q"}),
        ({"instance": "", "pod": "p"}, {"instance": "", "pod": "p"}),
        ({"instance": "gateway:9091"}, {"instance": "gateway:9091"}),
    ],
)
def test_other_ports_other_pods_and_what_was_pushed_are_no_copies(pair: tuple[dict[str, str], dict[str, str]]) -> None:
    found = [series("requests_total", job=job, **labels) for job, labels in zip("ab", pair, strict=True)]
    assert counted_once(found) == found
    assert scrapers(found) == ()


def test_labels_of_the_server_are_no_copies() -> None:
    found = [series("requests_total", instance="a:1", pod="p", job="a", code=code) for code in ("200", "500")]
    assert counted_once(found) is found


def test_nothing_stays_nothing() -> None:
    assert counted_once([]) == []
    assert scrapers([]) == ()
