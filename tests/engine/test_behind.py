"""Rollouts far behind, after a change of leader: asked for in groups, with the same evidence as asked for alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import EvidenceSeen, EvidenceUnreachable
from modelrollout.core.plan import SliPlan
from modelrollout.ports import ArmsByPod, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime import rounds
from modelrollout.runtime.behind import CATCH_UPS, FAIR, IN_TIME, ROOM, Behind
from modelrollout.runtime.questions import FEW_ROLLOUTS, Due, Watch, shared_query
from modelrollout.stats.evidence import EvidenceTracker, Span
from tests.engine.api import SCRAPE
from tests.engine.bench import PLAN, SOURCE, Bench, at_step
from tests.engine.metrics import FakeMetrics
from tests.engine.world import spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)


class Slow(FakeMetrics):
    """Takes long for the question that all share, and a second for others: `at_once` says how many of those were open
    in the first seconds of a shared one, and later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_once: tuple[list[int], list[int]] = [], []
        self._open = 0
        self._shared: float | None = None

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        time = asyncio.get_running_loop().time
        if all(query.window <= 120 for query in queries):
            self._shared = time()
            await asyncio.sleep(12)
            self._shared = None
        else:
            self._open += 1
            if self._shared is not None:
                self.at_once[time() - self._shared > IN_TIME].append(self._open)
            await asyncio.sleep(1)
            self._open -= 1
        return await super().read(name, queries, at=at)


class Weak(FakeMetrics):
    """Can't answer for more than so many rollouts at once over more than a minute."""

    def __init__(self, most: int, kind: str) -> None:
        super().__init__()
        self.most, self.kind = most, kind

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        if any(query.window > 120 and query.pods.count("|") // 2 + 1 > self.most for query in queries):
            return [NoAnswer(self.kind)] * len(queries)
        return await super().read(name, queries, at=at)


def long(bench: Bench) -> list[SeriesQuery]:
    """Questions that reach far back."""
    return [query for _, query, _ in bench.metrics.asked if query.window > 120]


@pytest.mark.parametrize("late", [100.0, 400.0])
async def test_bug_a_thousand_behind_after_a_change_of_leader_took_a_query_each(late: float) -> None:
    """The others waited meanwhile, were more than a minute behind again, and again took a query each."""
    count = 5 * FEW_ROLLOUTS
    bench = Bench()
    await asyncio.sleep(late)
    specs = [spec_named(f"m{i}", f"ns{i % 60}") for i in range(count)]
    for spec in specs:
        bench.follow(spec)
    await bench.run(30)
    assert all(isinstance(bench.rounds.evidence(spec.key), EvidenceSeen) for spec in specs)
    catching = [query for _, query, at in bench.metrics.asked if query.pods]
    assert len(catching) == count / FEW_ROLLOUTS
    assert {query.pods.count("|") + 1 for query in catching} == {2 * FEW_ROLLOUTS}, "narrowed to their pods"
    ordinary = Counter(at for _, query, at in bench.metrics.asked if not query.pods)
    assert set(ordinary.values()) == {1}, "then one for all in every tick"
    assert len(ordinary) >= 4


async def test_together_they_come_to_the_same_evidence_as_alone() -> None:
    names = [f"m{i}" for i in range(6)]
    started = [START + 40.0 * i for i in range(6)]
    found = []
    for together in (True, False):
        benches = [Bench()] if together else [Bench() for _ in names]
        for number, (name, at) in enumerate(zip(names, started, strict=True)):
            bench = benches[0 if together else number]
            bench.follow(spec_named(name), at_step(at))
        await asyncio.sleep(3600 - asyncio.get_running_loop().time() if together else 0)
        now = asyncio.get_running_loop().time()
        for bench in benches:
            bench.rounds.tick()
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - now < 0.1
        found.append(
            [benches[0 if together else n].rounds._watches[spec_named(name).key] for n, name in enumerate(names)]
        )
    for ours, alone in zip(*found, strict=True):
        span = ours.tracker.span(START + 3600)
        assert span is not None
        assert span.start >= START + 1800, "fed once"
        assert span == alone.tracker.span(START + 3600)
        assert ours.tracker.assess(START + 3600) == alone.tracker.assess(START + 3600)


@pytest.mark.parametrize(("most", "kind"), [(1, "TooLarge"), (3, "Timeout")])
async def test_a_server_that_cannot_answer_for_many_is_asked_for_fewer(most: int, kind: str) -> None:
    bench = Bench(Weak(most, kind))
    await asyncio.sleep(900)
    specs = [spec_named(f"m{i}") for i in range(FEW_ROLLOUTS)]
    for spec in specs:
        bench.follow(spec)
    await bench.run(60)
    assert all(isinstance(bench.rounds.evidence(spec.key), EvidenceSeen) for spec in specs)


async def test_no_more_than_a_few_groups_are_asked_for_at_once() -> None:
    bench = Bench()
    bench.metrics.hang.add("default")
    await asyncio.sleep(900)
    for i in range(10 * FEW_ROLLOUTS):
        bench.follow(spec_named(f"m{i}"))
    await bench.run(10)
    assert len(long(bench)) == CATCH_UPS
    assert len(bench.metrics.asked) == CATCH_UPS + 1, "and one glance at all"


async def test_the_past_makes_room_for_a_shared_question_that_is_late() -> None:
    slow = Slow()
    bench = Bench(metrics=slow)
    await asyncio.sleep(900)
    for i in range(10 * CATCH_UPS * FEW_ROLLOUTS):
        bench.follow(spec_named(f"m{i}"))
    await bench.run(12)
    first, later = slow.at_once
    assert max(first) == CATCH_UPS
    assert later.count(1) == len(later) > 3, "but it goes on"


async def test_a_rollout_whose_question_breaks_freezes_the_others_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def explosive(
        metrics: tuple[str, ...], members: Sequence[tuple[Due, SliPlan]], at: float, *, apart: bool
    ) -> SeriesQuery:
        if apart and any(due.watch.spec.key.name == "bad" for due, _ in members):
            raise ArithmeticError("boom")
        return shared_query(metrics, members, at, apart=apart)

    monkeypatch.setattr(rounds, "shared_query", explosive)
    bench = Bench()
    await asyncio.sleep(900)
    good, bad = [spec_named(f"m{i}") for i in range(FEW_ROLLOUTS - 1)], spec_named("bad")
    for spec in (*good, bad):
        bench.follow(spec)
    await bench.run(60)
    assert all(isinstance(bench.rounds.evidence(spec.key), EvidenceSeen) for spec in good)
    assert isinstance(bench.rounds.evidence(bad.key), EvidenceUnreachable)


async def test_two_slis_of_one_metric_do_not_widen_the_question_to_the_whole_namespace() -> None:
    bench = Bench()
    await asyncio.sleep(900)
    second = replace(PLAN, sli="other")
    for i in range(FEW_ROLLOUTS):
        spec = spec_named(f"m{i}", slis=(sli(), sli("other")))
        bench.metrics.serve(spec)
        bench.rounds.follow(spec, at_step(), SOURCE, (PLAN, second), SCRAPE)
    await bench.run(30)
    assert len(long(bench)) == 1
    assert all(query.pods for query in long(bench))


def due(name: str, start: float, *, length: float = 600.0) -> Due:
    spec: RolloutSpec = spec_named(name)
    tracker = EvidenceTracker(spec, {PLAN.sli: PLAN}, grid=START, since=START, scrape=SCRAPE, ledgers=())
    watch = Watch(spec, SourceSpec("default", ArmsByPod(), SCRAPE), (PLAN,), (), (), tracker)
    end = start + length
    return Due(watch, Span(0, 1, start, end, window=length + 30.0, at=end + 1.0))


def test_spans_that_lie_far_apart_are_not_asked_for_together() -> None:
    """The question covers all between: hours for everybody, because of one."""
    dues = [due(f"m{i}", START + 1800.0 * i) for i in range(FEW_ROLLOUTS)]
    groups = list(Behind().groups("default", dues))
    for group in groups:
        reach = max(each.span.at for each in group) - min(each.span.at - each.span.window for each in group)
        assert len(group) * reach <= ROOM
        assert 1 < len(group) < FEW_ROLLOUTS


def test_the_least_behind_are_asked_for_first_but_the_furthest_have_a_turn() -> None:
    behind = Behind()
    dues = [due(f"m{i}", START + ROOM * i) for i in range(3 * FAIR)]
    order = []
    for turn in range(3 * FAIR):
        (chosen,) = next(iter(behind.groups("default", dues)))
        behind.ended("default", asked=1)
        order.append(chosen.watch.spec.key.name)
        dues.remove(chosen)
        dues.append(due(f"n{turn}", START + ROOM * (100 + turn)))  # another one falls behind meanwhile
    assert order[:FAIR] == ["m11", "n0", "n1", "m0"]
    assert order[FAIR - 1 :: FAIR] == ["m0", "m1", "m2"]


def test_bug_those_that_fell_behind_again_took_the_turns_of_those_that_were_never_judged() -> None:
    """Five thousand after a change of leader: more than two cores can judge in a tick. Some waited for five minutes."""
    behind = Behind()
    waiting = [due(f"m{i}", START + ROOM * i) for i in range(12)]
    judged = []
    for turn in range(12):
        again = due(f"again{turn}", START + ROOM * (100 + turn))
        again.watch.evidence = EvidenceSeen(START, START, ())
        judged.append(again)
    order = []
    for _ in range(16):
        (chosen,) = next(iter(behind.groups("default", [*waiting, *judged])))
        behind.ended("default", asked=1)
        order.append(chosen.watch.spec.key.name)
        (waiting if chosen in waiting else judged).remove(chosen)
    first = [name for place, name in enumerate(order, start=1) if place % FAIR]
    assert first == [f"m{i}" for i in reversed(range(12))]
    assert order[FAIR - 1 :: FAIR] == ["again0", "again1", "again2", "again3"], "but they have a turn"


def test_one_alone_is_asked_for_however_far_it_reaches() -> None:
    (group,) = Behind().groups("default", [due("m", START, length=2 * ROOM)])
    assert len(group) == 1


def test_groups_grow_again_when_the_server_can() -> None:
    behind = Behind()
    dues = [due(f"m{i}", START, length=60.0) for i in range(FEW_ROLLOUTS)]

    def size(failure: str = "") -> int:
        group = next(iter(behind.groups("default", dues)))
        behind.ended("default", asked=len(group), failures=[failure] if failure else [])
        return len(group)

    assert [size("Timeout") for _ in range(6)] == [20, 10, 5, 2, 1, 1]
    assert size("Unreachable") == 1, "says nothing of the size"
    assert [size() for _ in range(22)] == [*range(1, 21), 20, 20]
