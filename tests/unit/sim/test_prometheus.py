"""The virtual Prometheus answers as `FakeMetrics` does, which the contract suite holds to the real adapter."""

from __future__ import annotations

import asyncio
import math
from functools import cache

import numpy as np
import pytest

from modelrollout.core.model import FULL
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, QueryResult, SeriesQuery, SourceSpec
from modelrollout.sim.prometheus import VirtualMetrics
from modelrollout.sim.scenario import ArmName, Crashes, Onset, Outage, OutageKind, Scenario
from modelrollout.sim.world import HISTORY, START, STOCK, World
from tests.contract.fake_metrics import FakeMetrics
from tests.scene import make_spec
from tests.unit.sim.test_streams import ERRORS, LATENCY

SOURCE = SourceSpec("default", ArmsByPod(), 5.0)


@cache
def played() -> tuple[VirtualMetrics, FakeMetrics]:
    scenario = Scenario(
        crashes=(Crashes(ArmName.CANDIDATE, Onset(30.0), 40.0, 10.0),),
        outages=(Outage(OutageKind.NAN, 60.0, 80.0, (ArmName.LEGACY,)),),
    )
    w = World(make_spec(slis=(ERRORS, LATENCY)), scenario, np.random.default_rng(5))
    w.advance(START)
    w.order(FULL, FULL)
    w.advance(START + 200)
    virtual = VirtualMetrics(w.storage, SOURCE, (), lambda: w.now, began=START, history=HISTORY, stock=STOCK)
    fake = FakeMetrics(SOURCE)
    for line in w.storage.lines:
        labels = {name: value for name, value in line.labels.items() if name != "__name__"}
        fake.put(line.labels["__name__"], labels, [*line.samples, *((at, math.nan) for at in line.rejected)])
    return virtual, fake


def by_labels(result: QueryResult) -> dict[tuple[tuple[str, str], ...], Series]:
    assert isinstance(result, Answer)
    return {tuple(sorted(each.labels.items())): each for each in result.series}


@pytest.mark.parametrize("at", [START - 100.0, START + 77.7, START + 200.0])
@pytest.mark.parametrize(
    "query",
    [
        SeriesQuery(("requests_total", "up"), 30.0),
        SeriesQuery(("requests_total", "up"), 500.0, (), ("serving",), "fraud-v7-.+|fraud-v8-.+"),
        SeriesQuery(("latency_seconds_bucket", "requests_total"), 60.0, (0.3,), ("serving",)),
        SeriesQuery(("latency_seconds_bucket",), 60.0, (0.3, 0.6), (), "fraud-v8-.+"),
        SeriesQuery(("latency_seconds_count", "process_start_time_seconds"), 60.0),
        SeriesQuery(("up",), 60.0, (), ("elsewhere",)),
        SeriesQuery(("unheard_of_total",), 60.0),
    ],
    ids=lambda query: "-".join(query.metrics),
)
def test_answers(query: SeriesQuery, at: float) -> None:
    virtual, fake = played()
    (mine,) = asyncio.run(virtual.read("default", [query], at=at))
    (theirs,) = asyncio.run(fake.read("default", [query], at=at))
    assert by_labels(mine) == by_labels(theirs)
    told = query.namespaces != ("elsewhere",) and query.metrics != ("unheard_of_total",)
    candidate_only = query.pods == "fraud-v8-.+"
    assert bool(by_labels(mine)) == (told and not (candidate_only and at < START))
