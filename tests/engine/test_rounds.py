"""Evidence rounds: as many questions as templates whatever the number of rollouts; a bad source hurts its own only."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pytest

from modelrollout.core.model import Analysis, Key, Phase, Selector, Step, Weight
from modelrollout.core.observation import EvidencePending, EvidenceSeen, EvidenceUnreachable, NoDataCause
from modelrollout.core.plan import Term
from modelrollout.core.samples import Series
from modelrollout.core.status import RolloutStatus, StepState
from modelrollout.ports import ArmsByLabel, SeriesQuery
from modelrollout.runtime import assess
from modelrollout.runtime.assess import TOGETHER
from modelrollout.runtime.questions import raised, start_of_evidence
from modelrollout.runtime.queue import Priority
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker, Span, settling
from tests.engine.api import SCRAPE, LoopClock
from tests.engine.bench import PLAN, SOURCE, Bench, at_step
from tests.engine.metrics import FakeMetrics, Load
from tests.engine.world import spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)


@pytest.mark.parametrize("count", [1, 10, 500])
async def test_a_tick_takes_as_many_queries_as_there_are_templates(count: int) -> None:
    bench = Bench()
    for i in range(count):
        bench.follow(spec_named(f"m{i}", f"ns{i % 60}"))
    await bench.run(61)
    per_moment = Counter(at for _, _, at in bench.metrics.asked)
    assert set(per_moment.values()) == {1}
    assert {query.metrics for _, query, _ in bench.metrics.asked} == {(*PLAN.metrics, "up")}
    assert 8 <= len(per_moment) <= 12
    assert len({key for _, key, _ in bench.news}) == count
    assert all(isinstance(bench.rounds.evidence(Key(f"ns{i % 60}", f"m{i}")), EvidenceSeen) for i in range(count))
    namespaces = {query.namespaces for _, query, _ in bench.metrics.asked}
    assert namespaces == ({()} if count == 500 else {tuple(sorted(f"ns{i}" for i in range(count)))})


async def test_a_step_that_begins_takes_no_question_of_its_own() -> None:
    """Two queries for one template were asked in every tick in which a rollout began a step."""
    bench = Bench()
    bench.follow(spec_named("m0"))
    for i in range(1, 12):
        await bench.run(5 * i - asyncio.get_running_loop().time())
        bench.follow(spec_named(f"m{i}"), at_step(START + 5.0 * i))
    await bench.run(30)
    assert set(Counter(at for _, _, at in bench.metrics.asked).values()) == {1}
    assert all(isinstance(bench.rounds.evidence(Key("serving", f"m{i}")), EvidenceSeen) for i in range(12))


async def test_two_templates_are_two_queries() -> None:
    bench = Bench()
    other = replace(PLAN, total=(Term(Selector("other_total")),), bad=(Term(Selector("other_total")),))
    for i in range(5):
        bench.follow(spec_named(f"m{i}"))
    for i in range(5, 10):
        spec = spec_named(f"m{i}")
        bench.metrics.serve(spec)
        bench.rounds.follow(spec, at_step(), SOURCE, (other,), SCRAPE)
    await bench.run(31)
    assert set(Counter(at for _, _, at in bench.metrics.asked).values()) == {2}


class Alive(FakeMetrics):
    """Every target of the counters has an `up` of 1 beside them."""

    def _series(self, query: SeriesQuery, at: float) -> list[Series]:
        found = super()._series(query, at)
        if "up" not in query.metrics:
            return found
        ups = {one.labels["pod"]: replace(one, values=(1.0,) * len(one.times)) for one in found}
        return [*found, *(replace(one, labels={**one.labels, "__name__": "up"}) for one in ups.values())]


async def test_up_comes_with_one_query_of_a_rollout_and_serves_all_its_slis() -> None:
    """A third of an answer would be `up` if each template brought it; without it, no series is no scrape."""
    bench = Bench(metrics=Alive())
    spec = spec_named("m", slis=(sli(), sli("other")))
    nothing = (Term(Selector("other_total")),)
    other = replace(PLAN, sli="other", total=nothing, bad=nothing)
    bench.metrics.serve(spec)
    bench.rounds.follow(spec, at_step(), SOURCE, (PLAN, other), SCRAPE)
    await bench.run(31)
    assert {query.metrics for _, query, _ in bench.metrics.asked} == {(*PLAN.metrics, "up"), ("other_total",)}
    assert set(Counter(at for _, _, at in bench.metrics.asked).values()) == {2}
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    assert {one.name: one.no_data for one in evidence.slis} == {"availability": None, "other": NoDataCause.NO_TRAFFIC}


async def test_shared_questions_cover_the_last_ticks_only() -> None:
    bench = Bench()
    bench.follow(spec_named("m"))
    await bench.run(120)
    assert max(query.window for _, query, _ in bench.metrics.asked) <= 40


async def test_nothing_is_asked_before_the_data_plane_has_settled_and_a_tick_is_over() -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    assert start_of_evidence(spec, at_step()) == START + 10
    await bench.run(14)
    assert bench.metrics.asked == []
    assert bench.rounds.evidence(spec.key) == EvidencePending()


@pytest.mark.parametrize(
    ("started", "since"), [(0.0, 10.0), (0.1, 15.0), (5.0, 15.0), (7.0, 20.0)], ids=lambda x: f"{x}"
)
def test_evidence_begins_on_the_grid(started: float, since: float) -> None:
    assert start_of_evidence(spec_named("m"), at_step(START + started)) == START + since


def test_only_a_raise_of_a_weight_that_there_was_is_looked_at_before_it_has_settled() -> None:
    shadow, five, half = (Step(Weight(w), 0.0, 60.0) for w in (0, 500, 5000))
    first, second = at_step(), replace(at_step(), step=StepState(1, 2, START + 60.0, half.weight))
    assert raised(replace(spec_named("m"), steps=(five, half)), first) is None
    assert raised(replace(spec_named("m"), steps=(five, half)), second) == START + 60
    assert raised(replace(spec_named("m"), steps=(shadow, half)), second) is None


async def test_a_failing_source_is_told_to_its_own_rollouts_only() -> None:
    bench = Bench()
    bench.metrics.fail["sick"] = "HTTP 503"
    good, bad = spec_named("good"), spec_named("bad")
    bench.follow(good)
    bench.follow(bad, source=replace(SOURCE, name="sick"))
    await bench.run(60)
    assert isinstance(bench.rounds.evidence(good.key), EvidenceSeen)
    evidence = bench.rounds.evidence(bad.key)
    assert isinstance(evidence, EvidenceUnreachable)
    assert evidence.kind == "HTTP 503"
    asked = [at for name, _, at in bench.metrics.asked if name == "sick"]
    assert len(asked) <= 12


async def test_a_hanging_source_delays_nobody_else_and_counts_as_no_answer() -> None:
    bench = Bench()
    bench.metrics.hang.add("sick")
    good, bad = spec_named("good"), spec_named("bad")
    bench.follow(good)
    bench.follow(bad, source=replace(SOURCE, name="sick"))
    await bench.run(60)
    fed = [at for at, key, _ in bench.news if key == good.key]
    assert len(fed) >= 8
    assert max(b - a for a, b in itertools.pairwise(fed)) <= 5.5
    assert isinstance(bench.rounds.evidence(bad.key), EvidenceUnreachable)


async def test_evidence_comes_back_with_the_source() -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    bench.metrics.fail["default"] = "Timeout"
    await bench.run(40)
    assert isinstance(bench.rounds.evidence(spec.key), EvidenceUnreachable)
    bench.metrics.fail.clear()
    await bench.run(10)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    assert evidence.tick >= START + 40


async def test_bug_a_clock_that_was_set_back_left_rollouts_unasked_until_it_came_round() -> None:
    """Blind for the five minutes that the clock had been ahead: the next question had been planned by it."""
    clock = LoopClock(ahead=300)
    bench = Bench(clock=clock)
    spec = spec_named("m")
    bench.follow(spec)
    bench.metrics.fail["default"] = "ClockSkew"
    await bench.run(40)
    assert isinstance(bench.rounds.evidence(spec.key), EvidenceUnreachable)
    bench.metrics.fail.clear()
    clock.ahead = 0
    await bench.run(10)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    assert evidence.tick >= START + 40


async def test_a_new_leader_catches_up_alone_by_a_bounded_question() -> None:
    bench = Bench()
    await asyncio.sleep(7200)
    late, fresh = spec_named("late"), spec_named("fresh")
    bench.follow(late)
    bench.follow(fresh, at_step(START + 7195))
    await bench.run(60)
    assert isinstance(bench.rounds.evidence(late.key), EvidenceSeen)
    long = [q for _, q, _ in bench.metrics.asked if q.window > 120]
    assert long
    assert {q.pods for q in long} == {"late-v7-.+|late-v8-.+"}
    # No more than the longest burn window and the warm-up.
    assert max(q.window for q in long) <= 1900
    evidence = bench.rounds.evidence(late.key)
    assert isinstance(evidence, EvidenceSeen)
    assert evidence.tick >= START + 7240
    assert isinstance(bench.rounds.evidence(fresh.key), EvidenceSeen)


@pytest.mark.parametrize(
    "status",
    [
        at_step(phase=Phase.PROMOTED),
        at_step(phase=Phase.ROLLED_BACK),
        at_step(phase=Phase.ROLLING_BACK),
        at_step(step=None),
    ],
    ids=["promoted", "rolled back", "rolling back", "no step"],
)
async def test_only_a_step_under_way_is_evaluated(status: RolloutStatus) -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    bench.follow(spec, status)
    assert len(bench.rounds) == 0


async def test_a_new_step_starts_its_evidence_anew() -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    task = asyncio.create_task(bench.rounds.run())
    await asyncio.sleep(30)
    assert isinstance(bench.rounds.evidence(spec.key), EvidenceSeen)
    bench.rounds.follow(spec, at_step(START + 30), SOURCE, (PLAN,), SCRAPE)
    assert bench.rounds.evidence(spec.key) == EvidencePending()
    await asyncio.sleep(20)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    assert evidence.since == START + 40
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_same_status_changes_nothing() -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    task = asyncio.create_task(bench.rounds.run())
    await asyncio.sleep(30)
    before = bench.rounds.evidence(spec.key)
    bench.rounds.follow(spec, at_step(message="more requests"), SOURCE, (PLAN,), SCRAPE)
    assert bench.rounds.evidence(spec.key) is before
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_bad_news_are_urgent() -> None:
    bench = Bench()
    spec = spec_named("m")
    bench.follow(spec)
    bench.metrics.change("serving", "m-v8", START, Load(errors=0.6))
    await bench.run(40)
    assert bench.news[-1][2] is Priority.URGENT


async def test_bug_a_thousand_that_caught_up_were_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 ms of the loop for each: a minute in which nothing else was judged. Together it takes hardly more."""
    sizes: list[int] = []

    def counted(trackers: Iterable[EvidenceTracker]) -> Iterator[None]:
        open_ones = list(trackers)
        sizes.append(len(open_ones))
        return settling(open_ones)

    monkeypatch.setattr(assess, "settling", counted)
    bench = Bench()
    await asyncio.sleep(3600)
    specs = [spec_named(f"m{i}") for i in range(40)]
    for spec in specs:
        bench.follow(spec)
    await bench.run(60)
    assert sizes[0] == len(specs)
    assert all(isinstance(bench.rounds.evidence(spec.key), EvidenceSeen) for spec in specs)


async def test_a_rollout_that_goes_while_others_catch_up_is_not_told_of() -> None:
    bench = Bench()
    await asyncio.sleep(3600)
    here, gone = spec_named("here"), spec_named("gone")
    bench.follow(here)
    bench.follow(gone)
    bench.rounds.tick()
    await asyncio.sleep(0.01)
    bench.rounds.drop(gone.key)
    await bench.run(60)
    assert {key for _, key, _ in bench.news} == {here.key}


async def test_bad_news_of_the_first_are_told_before_the_last_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a thousand takes a second, in which the first reverts are already on their way."""
    order: list[str] = []
    feed = EvidenceTracker.feed

    def fed(tracker: EvidenceTracker, span: Span, answers: Mapping[str, ArmSeries | str]) -> None:
        order.append("read")
        feed(tracker, span, answers)

    monkeypatch.setattr(EvidenceTracker, "feed", fed)
    bench = Bench()
    for i in range(2 * TOGETHER + 1):
        bench.follow(spec_named(f"m{i}"))
    bench.told = order
    await bench.run(40)
    first = order[: 2 * (2 * TOGETHER + 1)]
    assert first == (["read"] * TOGETHER + ["told"] * TOGETHER) * 2 + ["read", "told"]


async def test_a_tracker_that_breaks_freezes_its_own_rollout(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()
    good, bad = spec_named("good"), spec_named("bad")
    bench.follow(good)
    bench.follow(bad)

    def explode(*_: object) -> None:
        raise ArithmeticError("boom")

    monkeypatch.setattr(bench.rounds._watches[bad.key].tracker, "feed", explode)
    await bench.run(30)
    assert isinstance(bench.rounds.evidence(good.key), EvidenceSeen)
    assert isinstance(bench.rounds.evidence(bad.key), EvidenceUnreachable)
    assert "boom" in caplog.text


async def test_arms_by_label() -> None:
    bench = Bench()
    spec = spec_named("m", analysis=Analysis(interval=5.0))
    source = replace(SOURCE, arms=ArmsByLabel("pod", "m-v7-5d9c7b6f4-x2x9z", "m-v8-5d9c7b6f4-x2x9z"))
    bench.follow(spec, source=source)
    await bench.run(40)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    found = evidence.slis[0]
    assert found.candidate
    assert found.candidate.total > 0
    assert found.legacy
    assert found.legacy.total > 0


async def test_an_idle_arm_that_is_a_label_of_the_source_has_no_traffic_but_is_not_missing() -> None:
    bench = Bench()
    spec = spec_named("m", analysis=Analysis(interval=5.0))
    bench.follow(spec, source=replace(SOURCE, arms=ArmsByLabel("pod", "m-v7-5d9c7b6f4-x2x9z", "idle")))
    await bench.run(60)
    evidence = bench.rounds.evidence(spec.key)
    assert isinstance(evidence, EvidenceSeen)
    assert evidence.slis[0].no_data is NoDataCause.NO_TRAFFIC
