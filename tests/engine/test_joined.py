"""Questions of many about the same metrics are asked together, in groups that the source can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from modelrollout.core.model import Key, Phase
from modelrollout.ports import ArmsByPod, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import Split
from modelrollout.runtime.joined import GATHER, Joined
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.questions import FEW_ROLLOUTS
from tests.engine.api import SCRAPE, LoopClock
from tests.engine.metrics import FakeMetrics
from tests.engine.world import spec_named
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

SOURCE = SourceSpec("default", ArmsByPod(), SCRAPE)


class Weak(FakeMetrics):
    """Can't answer for more than `most` at once; each answer takes a tenth of a second."""

    def __init__(self, most: int = 1000, kind: str = "TooLarge") -> None:
        super().__init__()
        self.most, self.kind = most, kind

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        await asyncio.sleep(0.1)
        found = await super().read(name, queries, at=at)
        return [
            NoAnswer(self.kind) if query.pods.count("|") + 1 > self.most else answer
            for query, answer in zip(queries, found, strict=True)
        ]


def question(name: str, namespace: str = "serving", window: float = 300.0) -> SeriesQuery:
    return SeriesQuery(("requests_total",), window, namespaces=(namespace,), pods=f"{name}-.+")


async def ask(joined: Joined, *queries: SeriesQuery) -> list[Split | NoAnswer | BaseException]:
    """All at once; one answer each, or what was raised."""
    asked = (joined.read("default", [query], at=START) for query in queries)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [answer if isinstance(answer, BaseException) else answer[0] for answer in answers]


async def test_a_thousand_that_begin_under_way_are_looked_for_in_groups() -> None:
    """A new leader asked for the metrics of each rollout in mid-step: a query each."""
    told: list[Key] = []
    metrics = FakeMetrics()
    preflights = Preflights(metrics, LoopClock(), told.append)
    specs = [spec_named(f"m{i}", f"ns{i % 7}") for i in range(1000)]
    for spec in specs:
        metrics.serve(spec)
        preflights.look(spec, SOURCE, revision="r1", phase=Phase.PROGRESSING, begun=True)
    await asyncio.sleep(1)
    assert len(told) == 1000
    found = [preflights.look(s, SOURCE, revision="r1", phase=Phase.PROGRESSING, begun=True) for s in specs]
    assert {plan.sli for each in found for plan in each.plans} == {"availability"}
    assert all(each.plans for each in found)
    assert len(metrics.asked) == 1000 / FEW_ROLLOUTS


async def test_each_finds_its_own_in_the_answer_to_all() -> None:
    metrics = FakeMetrics()
    specs = [spec_named("same", namespace) for namespace in ("one", "two")]
    metrics.serve(specs[0])
    answers = await ask(Joined(metrics), *(question(s.legacy.deployment, s.key.namespace) for s in specs))
    assert len(metrics.asked) == 1
    for spec, answer, series in zip(specs, answers, (2, 0), strict=True):
        assert isinstance(answer, Split)
        assert len(answer.arms(spec, spec.slis[0], SOURCE)[0]) == series


async def test_other_windows_and_questions_without_pods_are_asked_apart() -> None:
    metrics = FakeMetrics()
    bare = SeriesQuery(("requests_total",), 300.0, namespaces=("serving",))
    await ask(Joined(metrics), question("a"), question("b", window=600.0), bare, question("c"))
    assert sorted((query.window, query.pods) for _, query, _ in metrics.asked) == [
        (300.0, ""),
        (300.0, "a-.+|c-.+"),
        (600.0, "b-.+"),
    ]


@pytest.mark.parametrize("most", [1, 3, 10])
async def test_a_source_that_can_not_answer_that_much_is_asked_for_less(most: int) -> None:
    metrics = Weak(most)
    answers = await ask(Joined(metrics), *(question(f"m{i}") for i in range(40)))
    assert all(isinstance(answer, Split) for answer in answers)
    sizes = [query.pods.count("|") + 1 for _, query, _ in metrics.asked]
    assert sizes[0] == FEW_ROLLOUTS
    assert sum(size for size in sizes if size <= most) == 40


async def test_one_that_can_not_be_answered_alone_is_told_why() -> None:
    answers = await ask(Joined(Weak(0)), question("a"), question("b"))
    assert answers == [NoAnswer("TooLarge"), NoAnswer("TooLarge")]


async def test_after_a_timeout_nobody_waits_twice_and_fewer_are_asked_for() -> None:
    metrics = Weak(5, "Timeout")
    joined = Joined(metrics)
    names = [question(f"m{i}") for i in range(FEW_ROLLOUTS)]
    assert set(await ask(joined, *names)) == {NoAnswer("Timeout")}
    assert len(metrics.asked) == 1
    await ask(joined, *names)
    assert metrics.asked[1][1].pods.count("|") + 1 == FEW_ROLLOUTS // 2


async def test_bug_a_source_that_hung_once_held_up_all_later_looks() -> None:
    """Found by a plan in virtual time: a rollout stood still for good after a change of leader."""
    metrics = FakeMetrics()
    metrics.hang.add("default")
    joined = Joined(metrics)
    assert await ask(joined, question("a"), question("b")) == [NoAnswer("Timeout")] * 2
    metrics.hang.clear()
    assert isinstance((await ask(joined, question("a")))[0], Split)


async def test_who_comes_while_others_are_asked_for_is_asked_for_next() -> None:
    metrics = Weak()
    joined = Joined(metrics)
    first = asyncio.create_task(joined.read("default", [question("a")], at=START))
    await asyncio.sleep(GATHER + 0.05)
    assert not first.done()
    assert isinstance((await ask(joined, question("b")))[0], Split)
    assert [query.pods for _, query, _ in metrics.asked] == ["a-.+", "b-.+"]
    await first


async def test_who_has_given_up_is_not_asked_for() -> None:
    metrics = Weak()
    joined = Joined(metrics)
    gone = asyncio.create_task(joined.read("default", [question("gone")], at=START))
    await asyncio.sleep(0)
    gone.cancel()
    await ask(joined, question("there"))
    assert [query.pods for _, query, _ in metrics.asked] == ["there-.+"]


async def test_what_the_adapter_raises_is_raised_to_all_and_the_next_are_asked_for() -> None:
    class Broken(FakeMetrics):
        async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
            if "broken" in queries[0].pods:
                raise RuntimeError("broken")
            return await super().read(name, queries, at=at)

    joined = Joined(Broken())
    assert [str(error) for error in await ask(joined, question("broken"), question("other"))] == ["broken"] * 2
    assert isinstance((await ask(joined, question("other")))[0], Split)


async def test_at_the_end_nobody_waits() -> None:
    joined = Joined(Weak())
    waiting = [asyncio.create_task(joined.read("default", [question(f"m{i}")], at=START)) for i in range(30)]
    await asyncio.sleep(0.05)
    await joined.stop()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
