"""Rounds of evidence run without the garbage collector, and never leave it off."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence

import pytest

from modelrollout.ports import QueryResult, SeriesQuery
from modelrollout.runtime.garbage import uncollected
from tests.engine.bench import Bench
from tests.engine.metrics import FakeMetrics
from tests.engine.world import spec_named


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


def test_it_goes_on_after_an_error() -> None:
    nothing = 0
    with pytest.raises(ZeroDivisionError), uncollected():
        assert gc.isenabled() or 1 / nothing
    assert gc.isenabled()


def test_it_goes_on_when_rounds_overlap() -> None:
    first, second = uncollected(), uncollected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_it_stays_off_when_it_was_off() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


class Asked(FakeMetrics):
    """Notes whether there was a collector while it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.collecting: list[bool] = []

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        self.collecting.append(gc.isenabled())
        return await super().read(name, queries, at=at)


@pytest.mark.looptime(start=0)
async def test_a_round_reads_without_it_and_lets_it_go_on() -> None:
    bench = Bench()
    bench.metrics = asked = Asked()
    bench.rounds._metrics = asked
    bench.follow(spec_named("m"))
    await bench.run(30)
    assert asked.collecting
    assert not any(asked.collecting)
    assert gc.isenabled()
    await asyncio.sleep(0)
