"""Discovery and guard G0: asked beside the workers, repeated while it fails, kept while nothing relevant changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from modelrollout.core.model import Counts, ErrorBudget, Key, Margin, Phase, ProfileRef, RolloutSpec, Selector, Sli
from modelrollout.core.observation import PreflightFailed, PreflightPassed, PreflightUnknown
from modelrollout.core.rates import Exposure
from modelrollout.ports import ArmsByLabel, ArmsByPod, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime.preflight import AT_ONCE, RETRY, Found, Preflights
from modelrollout.stats.sequential import Comparison
from tests.engine.api import SCRAPE, LoopClock
from tests.engine.metrics import FakeMetrics, Load
from tests.engine.world import spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

SOURCE = SourceSpec("default", ArmsByPod(), SCRAPE)
DAY = 86_400.0


class Bench:
    def __init__(self) -> None:
        self.metrics = FakeMetrics()
        self.changed: list[Key] = []
        self.preflights = Preflights(self.metrics, LoopClock(), self.changed.append)

    def look(
        self,
        spec: RolloutSpec,
        *,
        phase: Phase = Phase.PREFLIGHT,
        source: SourceSpec = SOURCE,
        begun: bool = False,
    ) -> Found:
        return self.preflights.look(spec, source, revision="r1", phase=phase, begun=begun)

    async def looked(self, spec: RolloutSpec, *, source: SourceSpec = SOURCE) -> Found:
        self.look(spec, source=source)
        await asyncio.sleep(0.1)
        return self.look(spec, source=source)


async def test_the_first_look_waits_for_nobody_and_tells_when_it_knows() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    assert isinstance(bench.look(spec).preflight, PreflightUnknown)
    await asyncio.sleep(0.1)
    assert bench.changed == [spec.key]
    found = bench.look(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert [plan.sli for plan in found.plans] == ["availability"]


async def test_a_metric_that_is_not_there_is_named_and_looked_for_again() -> None:
    bench, spec = Bench(), spec_named("m")
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightFailed)
    assert "requests_total" in found.preflight.problem
    asked = len(bench.metrics.asked)
    for _ in range(5):
        bench.look(spec)
    await asyncio.sleep(1)
    assert len(bench.metrics.asked) == asked
    bench.metrics.serve(spec)
    await asyncio.sleep(RETRY)
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)


async def test_an_unknown_profile_is_told_without_asking() -> None:
    bench = Bench()
    base = spec_named("m")
    found = await bench.looked(replace(base, slis=(replace(base.slis[0], source=ProfileRef("nosuch", "errors")),)))
    assert isinstance(found.preflight, PreflightFailed)
    assert bench.metrics.asked == []


async def test_series_that_others_expose_need_a_label_that_tells_the_arms_apart_and_the_sources_will_do() -> None:
    bench, base = Bench(), spec_named("m")
    spec = replace(base, slis=(replace(base.slis[0], source=ProfileRef("traefik", "errors")),))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightFailed)
    assert "arms must be set for profile traefik/errors, or arms of the MetricSource" in found.preflight.problem
    assert bench.metrics.asked == []
    found = await bench.looked(spec, source=SourceSpec("default", ArmsByLabel("service", "old@x", "new@x"), SCRAPE))
    assert isinstance(found.preflight, PreflightFailed)
    assert "no series of traefik_service_requests_total with service='old@x' or 'new@x'" in found.preflight.problem


@pytest.mark.parametrize("hang", [False, True], ids=["503", "hang"])
async def test_a_source_that_does_not_answer_is_unknown_and_not_failed(hang: bool) -> None:
    bench, spec = Bench(), spec_named("m")
    if hang:
        bench.metrics.hang.add("default")
    else:
        bench.metrics.fail["default"] = "HTTP 503"
    bench.look(spec)
    await asyncio.sleep(31)
    found = bench.look(spec)
    assert isinstance(found.preflight, PreflightUnknown)
    assert found.unreachable == ("Timeout" if hang else "HTTP 503")
    assert found.unreachable in found.preflight.detail


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("Unreachable", "check spec.prometheus.address of the MetricSource, and that the operator's pod can reach it"),
        ("HTTP 401", "check the Secret that the MetricSource names in spec.prometheus.auth"),
    ],
)
async def test_a_source_that_does_not_answer_is_told_with_the_field_to_look_at(kind: str, fix: str) -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.fail["default"] = kind
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightUnknown)
    assert found.preflight.detail == f"metric source 'default' does not answer ({kind}); {fix}"


class DeafToTotals(FakeMetrics):
    """Finds series, and hangs at every query over days."""

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        if name == "slow":
            await asyncio.sleep(3600)
        return NoAnswer("Timeout")


async def test_a_query_over_the_window_that_fails_is_told_apart_from_a_source_that_does_not_answer() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics = DeafToTotals()
    bench.preflights = Preflights(bench.metrics, LoopClock(), bench.changed.append)
    bench.metrics.serve(spec)
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightUnknown)
    assert found.preflight.detail == (
        "metric source 'default' does not answer the query over 30d for the error budget (Timeout)"
    )


async def test_a_source_that_hangs_takes_no_turns_of_the_others() -> None:
    bench = Bench()
    bench.metrics = DeafToTotals()
    bench.preflights = Preflights(bench.metrics, LoopClock(), bench.changed.append)
    for n in range(2 * AT_ONCE):
        other = spec_named(f"slow{n}")
        bench.metrics.serve(other)
        bench.look(other, source=replace(SOURCE, name="slow"))
    spec = spec_named("m")
    bench.metrics.serve(spec)
    await bench.looked(spec)
    assert bench.changed == [spec.key]
    await bench.preflights.stop()


async def test_the_budget_is_what_legacy_left_of_it() -> None:
    bench = Bench()
    # The fake has counted for an hour: 100 requests a second, half a percent bad, one percent allowed.
    spec = spec_named("m", budget=ErrorBudget(window=3600.0, rollout_share=0.02))
    bench.metrics.serve(spec, legacy=Load(rate=100, errors=0.005))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    [(name, remaining, allowance)] = found.preflight.budgets
    assert name == "availability"
    assert remaining == pytest.approx(0.5, abs=0.01)
    assert allowance == pytest.approx(0.02 * 0.01 * 100 * 3600, rel=0.01)


async def test_a_young_service_is_given_the_budget_of_its_present_rate() -> None:
    bench = Bench()
    spec = spec_named("m", budget=ErrorBudget(window=30 * DAY))
    bench.metrics.serve(spec, legacy=Load(rate=100, errors=0.005))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    [(_, remaining, allowance)] = found.preflight.budgets
    assert remaining == pytest.approx(1 - 0.5 / 720, abs=0.001)
    assert allowance == pytest.approx(0.02 * 0.01 * 100 * 30 * DAY, rel=0.01)


async def test_a_service_without_requests_has_no_budget_line_instead_of_zero() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec, legacy=Load(rate=0), candidate=Load(rate=0))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.budgets == ()


async def test_events_without_a_total_have_no_budget_no_load_and_no_history() -> None:
    errors = Selector("requests_total", equal=(("code", "500"),))
    guard = Sli("restarts", Counts(None, errors, Exposure.REPLICAS), None)
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec, legacy=Load(errors=0.02))
    found = await bench.looked(replace(spec, slis=(*spec.slis, guard)))
    assert isinstance(found.preflight, PreflightPassed)
    assert [plan.sli for plan in found.plans] == ["availability", "restarts"]
    assert [name for name, *_ in found.preflight.budgets] == ["availability"]
    assert [checkpoint.sli for checkpoint in found.preflight.checkpoints] == ["availability"]
    assert not any("restarts" in note for note in found.preflight.notes)


async def test_lifting_a_pause_keeps_the_plans_and_another_threshold_does_not() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    await bench.looked(spec)
    assert bench.look(replace(spec, generation=2, paused=True), phase=Phase.PROGRESSING).plans
    other = replace(spec, slis=(replace(spec.slis[0], allowed=0.05),))
    assert not bench.look(other, phase=Phase.PROGRESSING).plans


async def test_a_rollout_under_way_is_not_looked_up_again() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    await bench.looked(spec)
    asked = len(bench.metrics.asked)
    await asyncio.sleep(DAY)
    bench.look(spec, phase=Phase.PROGRESSING)
    await asyncio.sleep(1)
    assert len(bench.metrics.asked) == asked


async def test_bug_a_new_leader_asked_for_the_past_of_every_rollout_under_way() -> None:
    """Thirty days of legacy and a forecast for each: two minutes of a thousand rollouts without evidence."""
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    bench.look(spec, phase=Phase.PROGRESSING, begun=True)
    await asyncio.sleep(0.5)
    found = bench.look(spec, phase=Phase.PROGRESSING, begun=True)
    assert [plan.sli for plan in found.plans] == ["availability"]
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.budgets == ()
    assert max(query.window for _, query, _ in bench.metrics.asked) < 900


async def test_a_rollout_that_starts_again_gets_its_budget_although_it_was_found_under_way() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    bench.look(spec, phase=Phase.PROGRESSING, begun=True)
    await asyncio.sleep(0.5)
    assert isinstance(bench.look(spec).preflight, PreflightUnknown), "what was found is not enough for a start"
    await asyncio.sleep(0.1)
    found = bench.look(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert [name for name, *_ in found.preflight.budgets] == ["availability"]
    assert bench.look(spec, phase=Phase.PROGRESSING, begun=True).preflight == found.preflight, "and keeps it"


async def test_the_scrape_interval_is_found_when_the_source_does_not_say() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    found = await bench.looked(spec, source=replace(SOURCE, scrape_interval=None))
    assert found.scrape == SCRAPE


async def test_a_forgotten_rollout_is_not_told_of() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec)
    bench.look(spec)
    bench.preflights.forget(spec.key)
    await asyncio.sleep(1)
    assert bench.changed == []


def modest(spec: RolloutSpec, margin: Margin) -> RolloutSpec:
    return replace(
        spec,
        slis=(replace(spec.slis[0], margin=margin),),
        analysis=replace(spec.analysis, tolerance=0.00001),
    )


async def test_a_margin_that_can_not_be_proven_in_time_is_told_with_the_ways_out() -> None:
    bench, spec = Bench(), modest(spec_named("m"), Margin(1.25, 0.0))
    bench.metrics.serve(spec, legacy=Load(rate=20, errors=0.001))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed), "it is a note, not a refusal to start"
    [note] = found.preflight.notes
    assert re.fullmatch(
        r"availability: margin 1\.25 \+ 0\.00004 is not provable at 5 % of 20 requests/s with 0\.1\d+ % bad within 6h "
        r"\(step 1, also step 2\): it would take about \d+h; provable: margin\.ratio [\d.]+, or margin\.difference "
        r"[\d.]+, or maxDuration and analysis\.inconclusive\.hold \d+h",
        note,
    )
    assert found.plans


async def test_the_rate_is_the_present_one_where_the_window_is_longer_than_the_service_is_old() -> None:
    """20 requests a second for an hour are not 0.03 a second for a month."""
    bench, spec = Bench(), modest(spec_named("m"), Margin(2.0, 0.001))
    bench.metrics.serve(spec, legacy=Load(rate=20, errors=0.001))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.notes == ()


async def test_bug_a_service_of_a_minute_was_held_to_have_had_its_requests_in_an_hour() -> None:
    """Each rollout on a fresh cluster was told that it would take days."""
    bench, spec = Bench(), modest(spec_named("m"), Margin(2.0, 0.001))
    bench.metrics.serve(spec, legacy=Load(rate=20, errors=0.001), age=60.0)
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.notes == ()
    [(_, _, allowance)] = found.preflight.budgets
    assert allowance == pytest.approx(spec.budget.rollout_share * 0.01 * 20 * spec.budget.window, rel=0.1)


async def test_a_service_older_than_the_look_is_not_held_to_be_young() -> None:
    """Half a minute of requests after half an hour without is a rate of the hour, not of the half minute."""
    bench, spec = Bench(), modest(spec_named("m"), Margin(2.0, 0.001))
    bench.metrics.serve(spec, legacy=Load(rate=0), age=1800.0)
    bench.metrics.change(spec.key.namespace, spec.legacy.deployment, START - 30.0, Load(rate=20, errors=0.0))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    [(_, _, allowance)] = found.preflight.budgets
    assert allowance == pytest.approx(spec.budget.rollout_share * 0.01 * 20 / 120 * spec.budget.window, rel=0.1)


async def test_a_margin_that_can_be_proven_is_not_mentioned() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec, legacy=Load(rate=20, errors=0.001))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.notes == ()


async def test_legacys_past_is_learned_before_a_rollout_begins_and_not_when_it_is_under_way() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics.serve(spec, legacy=Load(rate=100, errors=0.04))
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    (checkpoint,) = found.preflight.checkpoints
    assert checkpoint.sli == "availability"
    assert START - 10 < checkpoint.tick < START
    assert Comparison(spec.slis[0].margin, checkpoint.values).findings().usual == pytest.approx(0.04, rel=0.05)
    pods = {query.pods for _, query, _ in bench.metrics.asked if query.window > 900}
    assert "m-v7-.+" in pods, "legacy's pods only"
    later = Bench()
    later.metrics.serve(spec)
    later.look(spec, phase=Phase.PROGRESSING)
    await asyncio.sleep(0.1)
    found = later.look(spec, phase=Phase.PROGRESSING)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.checkpoints == ()


class DeafToHistory(FakeMetrics):
    """Answers everything but questions about legacy's last minutes."""

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        if any(query.window > 900 for query in queries):
            return [NoAnswer("TooLarge")] * len(queries)
        return await super().read(name, queries, at=at)


async def test_a_rollout_begins_without_a_history_that_prometheus_does_not_give() -> None:
    bench, spec = Bench(), spec_named("m")
    bench.metrics = DeafToHistory()
    bench.preflights = Preflights(bench.metrics, LoopClock(), bench.changed.append)
    bench.metrics.serve(spec)
    found = await bench.looked(spec)
    assert isinstance(found.preflight, PreflightPassed)
    assert found.preflight.checkpoints == ()
