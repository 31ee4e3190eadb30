"""The work queue: each key once, never twice at a time, priorities, planned moments, the gate of leadership."""

from __future__ import annotations

import asyncio

import pytest

from modelrollout.core.model import Key
from modelrollout.runtime.queue import SPARE, Priority, Work, WorkQueue

pytestmark = pytest.mark.looptime(start=0)

A, B, C = (Key("ns", name) for name in "abc")


def opened() -> WorkQueue:
    queue = WorkQueue()
    queue.open()
    return queue


async def taken(queue: WorkQueue, *, urgent_only: bool = False) -> Work | None:
    try:
        async with asyncio.timeout(0):
            return await queue.take(urgent_only=urgent_only)
    except TimeoutError:
        return None


async def test_a_key_added_many_times_is_handed_out_once() -> None:
    queue = opened()
    for _ in range(5):
        queue.add(A)
    work = await queue.take()
    queue.done(work.key)
    assert work.key == A
    assert await taken(queue) is None


async def test_a_key_in_work_is_not_handed_to_a_second_worker_but_runs_again_afterwards() -> None:
    queue = opened()
    queue.add(A)
    await queue.take()
    queue.add(A)
    queue.add(A, Priority.URGENT)
    assert await taken(queue) is None
    queue.done(A)
    again = await taken(queue)
    assert again is not None
    assert (again.key, again.priority) == (A, Priority.URGENT)
    queue.done(A)
    assert await taken(queue) is None


async def test_urgent_overtakes_and_resync_comes_last() -> None:
    queue = opened()
    queue.add(A, Priority.RESYNC)
    queue.add(B)
    queue.add(C, Priority.URGENT)
    assert [(await queue.take()).key for _ in range(3)] == [C, B, A]


async def test_a_status_to_be_written_comes_after_every_revert_and_before_all_else() -> None:
    queue = opened()
    queue.add(A)
    queue.add(B, Priority.RECORD)
    queue.add(C, Priority.URGENT)
    assert [(await queue.take()).key for _ in range(3)] == [C, B, A]


async def test_a_waiting_key_moves_up_but_never_down_and_keeps_its_age() -> None:
    queue = opened()
    queue.add(A, Priority.RESYNC)
    await asyncio.sleep(3)
    queue.add(A, Priority.URGENT)
    queue.add(A, Priority.NORMAL)
    assert queue.oldest_age() == 3
    work = await queue.take()
    assert (work.priority, work.waited) == (Priority.URGENT, 3)


async def test_the_reserved_worker_takes_urgent_work_only() -> None:
    queue = opened()
    queue.add(A)
    reserved = asyncio.create_task(queue.take(urgent_only=True))
    await asyncio.sleep(1)
    assert not reserved.done()
    queue.add(B, Priority.URGENT)
    assert (await reserved).key == B


async def test_the_earliest_of_several_moments_wins() -> None:
    queue = opened()
    queue.add_after(A, 10)
    queue.add_after(A, 2)
    queue.add_after(A, 20)
    await queue.take()
    assert asyncio.get_running_loop().time() == 2
    queue.done(A)
    await asyncio.sleep(30)
    assert await taken(queue) is None


async def test_taking_a_key_forgets_its_planned_moment() -> None:
    queue = opened()
    queue.add_after(A, 10)
    queue.add(A)
    await queue.take()
    assert queue.planned(A) is None
    queue.done(A)
    await asyncio.sleep(20)
    assert await taken(queue) is None


async def test_bug_lesser_news_made_a_planned_revert_wait_like_anything_else() -> None:
    queue = opened()
    queue.add_after(A, 10, Priority.URGENT)
    queue.add(A, Priority.NORMAL)
    assert (await queue.take()).priority is Priority.URGENT


async def test_a_moment_that_comes_while_the_key_is_in_work_runs_it_again() -> None:
    queue = opened()
    queue.add(A)
    await queue.take()
    queue.add_after(A, 1, Priority.URGENT)
    await asyncio.sleep(2)
    assert await taken(queue) is None
    queue.done(A)
    again = await taken(queue)
    assert again is not None
    assert again.priority is Priority.URGENT


async def test_a_closed_queue_hands_out_nothing_and_loses_nothing() -> None:
    queue = WorkQueue()
    worker = asyncio.create_task(queue.take())
    queue.add(A)
    queue.add_after(B, 1)
    await asyncio.sleep(5)
    assert not worker.done()
    queue.open()
    assert (await worker).key == A
    assert (await queue.take()).key == B
    queue.close()
    queue.add(C)
    assert await taken(queue) is None


async def test_what_takes_no_traffic_off_can_be_postponed() -> None:
    queue = opened()
    queue.add(A, Priority.URGENT)
    queue.add(B)
    queue.add(C, Priority.RESYNC)
    queue.postpone(5)
    assert [work.key for work in [await queue.take()]] == [A]
    assert await taken(queue) is None
    await asyncio.sleep(5)
    assert [(await queue.take()).key for _ in range(2)] == [B, C]


async def test_a_cancelled_worker_passes_its_wakeup_on() -> None:
    queue = opened()
    first = asyncio.create_task(queue.take())
    second = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add(A)
    first.cancel()
    assert (await second).key == A


async def test_forgetting_a_key_drops_its_work() -> None:
    queue = opened()
    queue.add(A)
    queue.add_after(B, 1)
    queue.forget(A)
    queue.forget(B)
    await asyncio.sleep(2)
    assert await taken(queue) is None
    assert queue.oldest_age() == 0


async def test_bug_moments_of_hours_ahead_piled_up_one_for_each_look() -> None:
    """Each look plans the next one; a rollout whose step may take six hours left 700 of them an hour."""
    queue = opened()
    queue.add_after(B, 10_000.0)
    for look in range(2_000):
        queue.add_after(A, 21_600.0 - look / 1000)
        queue.add(A)
        queue.done((await queue.take()).key)
        queue.add_after(Key("ns", f"once-{look}"), 20_000.0)
        queue.forget(Key("ns", f"once-{look}"))
    queue.add_after(A, 30.0)
    assert len(queue._heap) <= 2 * 2 + SPARE + 1
    assert queue.delayed == 2
    await asyncio.sleep(29.9)
    assert await taken(queue) is None
    await asyncio.sleep(0.2)
    assert (await queue.take()).key == A
    queue.done(A)
    await asyncio.sleep(10_000)
    assert (await queue.take()).key == B


async def test_no_key_is_lost_or_doubled_among_many_workers() -> None:
    queue = opened()
    keys = [Key("ns", str(i)) for i in range(200)]
    busy: set[Key] = set()
    seen: list[Key] = []

    async def work() -> None:
        while True:
            key = (await queue.take()).key
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0.01)
            busy.discard(key)
            seen.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(16)]
    for key in keys:
        queue.add(key)
    await asyncio.sleep(10)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert sorted(seen) == sorted(keys)
