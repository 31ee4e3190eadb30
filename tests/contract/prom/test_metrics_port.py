"""What the `Metrics` port promises, on a real Prometheus and on the fake that other tests use."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from modelrollout.core.observation import SpecProblem
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, NoAnswer, SeriesQuery, SourceSpec
from tests.contract.prom.conftest import World


async def read(world: World, query: SeriesQuery, *, at: float | None = None) -> Sequence[Series]:
    (result,) = await world.metrics.read("default", [query], at=world.now if at is None else at)
    assert isinstance(result, Answer), result
    return result.series


def label(series: Sequence[Series], name: str) -> list[str | None]:
    return sorted((each.labels.get(name) for each in series), key=str)


async def test_raw_samples_of_the_window_with_their_own_times(world: World, metric: str) -> None:
    at = world.now
    stored = [(at - 10, 1.0), (at - 9.999, 2.0), (at - 5.25, 3.0), (at, 4.0), (at + 1, 5.0)]
    world.put(metric, {"pod": "a", "code": "200"}, stored)
    (series,) = await read(world, SeriesQuery((metric,), 10.0))
    assert series.labels == {"__name__": metric, "pod": "a", "code": "200"}
    assert series.samples == ((at - 9.999, 2.0), (at - 5.25, 3.0), (at, 4.0))
    assert series.rejected == ()


async def test_time_of_evaluation_is_pinned(world: World, metric: str) -> None:
    world.put(metric, {}, [(world.now - 60, 1.0), (world.now, 2.0)])
    (series,) = await read(world, SeriesQuery((metric,), 10.0), at=world.now - 55)
    assert series.samples == ((world.now - 60, 1.0),)


async def test_any_of_the_metrics_and_no_other(world: World, metric: str) -> None:
    for name in (metric, f"{metric}_b", f"{metric}_c"):
        world.put(name, {}, [(world.now, 1.0)])
    series = await read(world, SeriesQuery((metric, f"{metric}_c"), 10.0))
    assert label(series, "__name__") == [metric, f"{metric}_c"]


async def test_boundaries_pick_buckets_in_any_spelling_and_keep_what_is_no_bucket(world: World, metric: str) -> None:
    for le in ("0.1", "0.30", "1", "1.0", "1e+00", "2.5e-05", "10", "1000000", "1e+06", "+Inf"):
        world.put(f"{metric}_bucket", {"le": le, "pod": le}, [(world.now, 1.0)])
    world.put(metric, {}, [(world.now, 1.0)])
    query = SeriesQuery((metric, f"{metric}_bucket"), 10.0, boundaries=(0.3, 1.0, 0.000025, 1e6))
    expected = ["0.30", "1", "1.0", "1000000", "1e+00", "1e+06", "2.5e-05", None]
    assert label(await read(world, query), "pod") == sorted(expected, key=str)
    everything = SeriesQuery((metric, f"{metric}_bucket"), 10.0)
    assert len(await read(world, everything)) == 11


async def test_namespaces(world: World, metric: str) -> None:
    for namespace in ("serving", "serving-b", "servingxb", "other"):
        world.put(metric, {"namespace": namespace}, [(world.now, 1.0)])
    one = await read(world, SeriesQuery((metric,), 10.0, namespaces=("serving",)))
    assert label(one, "namespace") == ["serving"]
    # As exact names, not as patterns.
    two = await read(world, SeriesQuery((metric,), 10.0, namespaces=("other", "serving.b")))
    assert label(two, "namespace") == ["other"]
    assert len(await read(world, SeriesQuery((metric,), 10.0))) == 4


async def test_pods_are_an_anchored_pattern(world: World, metric: str) -> None:
    for pod in ("fraud-v7-abc-1", "fraud-v7-abc-22", "my-fraud-v7-abc-1", "fraud-v8-abc-1"):
        world.put(metric, {"pod": pod}, [(world.now, 1.0)])
    found = await read(world, SeriesQuery((metric,), 10.0, pods="fraud-v7-[a-z0-9]+-[0-9]"))
    assert label(found, "pod") == ["fraud-v7-abc-1"]


async def test_no_series_is_an_answer(world: World, metric: str) -> None:
    assert await read(world, SeriesQuery((metric,), 10.0)) == ()


async def test_samples_that_are_no_numbers_are_counted_and_left_out(world: World, metric: str) -> None:
    at = world.now
    world.put(metric, {}, [(at - 3, 1.0), (at - 2, float("nan")), (at - 1, float("inf")), (at, 2.0)])
    (series,) = await read(world, SeriesQuery((metric,), 10.0))
    assert series.samples == ((at - 3, 1.0), (at, 2.0))
    assert series.rejected == (at - 2, at - 1)


async def test_results_come_in_the_order_of_the_queries(world: World, metric: str) -> None:
    names = [f"{metric}_{number}" for number in range(12)]
    for name in names:
        world.put(name, {}, [(world.now, 1.0)])
    results = await world.metrics.read("default", [SeriesQuery((name,), 10.0) for name in names], at=world.now)
    assert [result.series[0].labels["__name__"] for result in results if isinstance(result, Answer)] == names


async def test_total_counts_resets_new_series_and_keeps_names(world: World, metric: str) -> None:
    at = world.now
    steps = [at - 400 + 5 * number for number in range(81)]
    # Old: 1 per sample, restarted once; 40 of its 60 samples of the window are after that.
    world.put(metric, {"pod": "old"}, [(t, float(i if i < 41 else i - 41)) for i, t in enumerate(steps)])
    # New: born in the window with 7 at once.
    world.put(metric, {"pod": "new"}, [(t, 7.0) for t in steps[40:]])
    world.put(f"{metric}_bucket", {"pod": "new", "le": "0.5"}, [(t, 3.0) for t in steps[40:]])
    world.put(f"{metric}_bucket", {"pod": "new", "le": "5.0"}, [(t, 6.0) for t in steps[40:]])
    query = SeriesQuery((metric, f"{metric}_bucket"), 300.0, boundaries=(0.5,))
    result = await world.metrics.total("default", query, at=at)
    assert isinstance(result, Answer), result
    found = {(each.labels["__name__"], each.labels["pod"]): each for each in result.series}
    assert set(found) == {(metric, "old"), (metric, "new"), (f"{metric}_bucket", "new")}
    assert all(len(each.samples) == 1 and each.samples[0][0] == at for each in found.values())
    assert found[metric, "old"].samples[0][1] == pytest.approx(60, abs=3)
    assert found[metric, "new"].samples[0][1] == 7.0
    assert found[f"{metric}_bucket", "new"].samples[0][1] == 3.0
    assert found[f"{metric}_bucket", "new"].labels == {"__name__": f"{metric}_bucket", "pod": "new", "le": "0.5"}


async def test_total_respects_namespaces_and_pods(world: World, metric: str) -> None:
    for namespace, pod in (("a", "x-1"), ("a", "y-1"), ("b", "x-1")):
        world.put(metric, {"namespace": namespace, "pod": pod}, [(world.now - 5, 1.0), (world.now, 1.0)])
    query = SeriesQuery((metric,), 60.0, namespaces=("a",), pods="x-.*")
    result = await world.metrics.total("default", query, at=world.now)
    assert isinstance(result, Answer)
    assert [(s.labels["namespace"], s.labels["pod"]) for s in result.series] == [("a", "x-1")]


async def test_total_of_nothing_is_no_series(world: World, metric: str) -> None:
    assert await world.metrics.total("default", SeriesQuery((metric,), 60.0), at=world.now) == Answer(())


async def test_sources(world: World) -> None:
    assert world.metrics.source("default") == SourceSpec("default", ArmsByPod(), 5.0)
    missing = world.metrics.source("elsewhere")
    assert isinstance(missing, SpecProblem)
    assert "elsewhere" in missing.problem
    assert not world.metrics.allowed("elsewhere", "ml")
    assert world.metrics.allowed("default", "web")
    assert world.metrics.allowed("closed", "ml")
    assert not world.metrics.allowed("closed", "web")
    assert not world.metrics.allowed("closed", "never-seen")


async def test_unknown_source_does_not_answer(world: World, metric: str) -> None:
    query = SeriesQuery((metric,), 10.0)
    assert await world.metrics.read("elsewhere", [query, query], at=world.now) == [NoAnswer("Unreachable")] * 2
    assert await world.metrics.total("elsewhere", query, at=world.now) == NoAnswer("Unreachable")


async def test_silent_server_is_a_timeout_and_is_heard_again_later(world: World, metric: str) -> None:
    world.put(metric, {}, [(world.now, 1.0)])
    query = SeriesQuery((metric,), 10.0)
    assert len(await read(world, query)) == 1
    world.silence()
    started = time.monotonic()
    assert await world.metrics.read("default", [query] * 10, at=world.now) == [NoAnswer("Timeout")] * 10
    assert await world.metrics.total("default", query, at=world.now) == NoAnswer("Timeout")
    assert time.monotonic() - started < 2 * (1.0 + 0.3)
    world.wake()
    assert len(await read(world, query)) == 1
