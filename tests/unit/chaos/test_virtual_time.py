"""The fault suite's loop: time jumps, nothing waits, and what would hang is an error."""

from __future__ import annotations

import asyncio

import pytest

from e2e.chaos.loop import Stuck, VirtualLoop, run


def test_an_hour_passes_at_once_and_in_order() -> None:
    told: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        told.append((name, asyncio.get_running_loop().time()))

    async def main() -> float:
        await asyncio.gather(sleeper("b", 3600), sleeper("a", 1.5))
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(3600)
    assert [name for name, _ in told] == ["a", "b"]
    assert [at for _, at in told] == pytest.approx([1.5, 3600])


def test_what_would_wait_for_ever_is_an_error() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        run(main())


def test_a_loop_that_stands_still_lets_time_pass() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.stand_still(30)
        return loop.time()

    assert run(main()) == 30


def test_tasks_left_over_are_ended() -> None:
    ended: list[str] = []

    async def other() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("other")

    async def main() -> None:
        asyncio.get_running_loop().create_task(other())
        await asyncio.sleep(1)

    run(main())
    assert ended == ["other"]
