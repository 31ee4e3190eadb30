"""Contract of `Announcer`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from modelrollout.adapters.kube.events import EventAnnouncer
from modelrollout.adapters.kube.resources import EVENTS, Body
from modelrollout.core.intents import Announcement, Severity
from modelrollout.core.model import Key
from modelrollout.ports import RolloutObject
from tests.contract.kube.harness import Kube

STARTED = Announcement(Severity.NORMAL, "StepStarted", "step 2 of 5: 5 % to fraud-v8")
FAILED = Announcement(Severity.WARNING, "RollbackStarted", "availability: 12 of 300 bad")


class HandClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.25

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def subject(kube: Kube, name: str = "fraud") -> RolloutObject:
    return RolloutObject(
        Key(kube.namespace, name), "2c0c1f9e-0000-4000-8000-000000000001", "7", 1, 0.0, False, False, None, None, None
    )


@asynccontextmanager
async def running(kube: Kube, clock: HandClock) -> AsyncIterator[EventAnnouncer]:
    announcer = EventAnnouncer(kube.client, clock, instance="modelrollout-0")
    task = asyncio.create_task(announcer.run())
    try:
        yield announcer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def posted(kube: Kube) -> list[Body]:
    listing = await kube.other.list_all(EVENTS, kube.namespace)
    return sorted(listing.items, key=lambda event: (event["eventTime"], event["reason"]))


class AnnouncerSuite:
    async def test_posts_events_about_the_rollout(self, kube: Kube) -> None:
        async with running(kube, HandClock()) as announcer:
            announcer.announce(subject(kube), [STARTED, FAILED])
            await announcer.drain()
            assert announcer.dropped == 0
        failed, started = await posted(kube)
        assert (started["type"], started["reason"], started["note"]) == ("Normal", "StepStarted", STARTED.message)
        assert (failed["type"], failed["reason"], failed["note"]) == ("Warning", "RollbackStarted", FAILED.message)
        assert (started["reportingController"], started["reportingInstance"]) == (
            "modelrollout.dev/operator",
            "modelrollout-0",
        )
        assert started["eventTime"] == "2023-11-14T22:13:20.250000Z"
        regarding = started["regarding"]
        assert (regarding["kind"], regarding["apiVersion"]) == ("ModelRollout", "modelrollout.dev/v1alpha1")
        assert (regarding["name"], regarding["namespace"], regarding["uid"]) == (
            "fraud",
            kube.namespace,
            subject(kube).uid,
        )
        assert started["action"]

    async def test_repeats_are_a_series_not_more_events(self, kube: Kube) -> None:
        clock = HandClock()
        async with running(kube, clock) as announcer:
            for _ in range(4):
                announcer.announce(subject(kube), [STARTED])
                await announcer.drain()
                clock.time += 40
            assert announcer.dropped == 0
        [event] = await posted(kube)
        assert event["series"] == {"count": 4, "lastObservedTime": "2023-11-14T22:15:20.250000Z"}

    async def test_fast_repeats_are_told_in_one_write(self, kube: Kube) -> None:
        clock = HandClock()
        async with running(kube, clock) as announcer:
            for _ in range(20):
                announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
            assert (await posted(kube))[0]["series"]["count"] == 2
            clock.time += 31
            announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
        [event] = await posted(kube)
        assert event["series"]["count"] == 21

    async def test_after_a_long_while_it_is_a_new_event(self, kube: Kube) -> None:
        clock = HandClock()
        async with running(kube, clock) as announcer:
            announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
            clock.time += 601
            announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
        assert len(await posted(kube)) == 2

    async def test_an_expired_event_is_begun_anew(self, kube: Kube) -> None:
        clock = HandClock()
        async with running(kube, clock) as announcer:
            announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
            [event] = await posted(kube)
            await kube.other.delete(EVENTS, kube.namespace, event["metadata"]["name"])
            clock.time += 40
            announcer.announce(subject(kube), [STARTED])
            await announcer.drain()
            assert announcer.dropped == 0
        assert len(await posted(kube)) == 1

    async def test_long_names_and_notes_are_cut_to_what_the_server_takes(self, kube: Kube) -> None:
        async with running(kube, HandClock()) as announcer:
            long = Announcement(Severity.NORMAL, "StepStarted", "ü" * 2000)
            announcer.announce(subject(kube, "x" * 253), [long])
            await announcer.drain()
            assert announcer.dropped == 0
        [event] = await posted(kube)
        assert len(event["note"].encode()) <= 1024
        assert event["note"].endswith("ü…")

    async def test_what_can_not_be_posted_is_counted_and_nobody_waits(self, kube: Kube) -> None:
        async with running(kube, HandClock()) as announcer:
            wrong = Announcement(Severity.NORMAL, "", "an event without a reason is refused")
            announcer.announce(subject(kube), [wrong, STARTED])
            await announcer.drain()
            assert announcer.dropped == 1
        assert [event["reason"] for event in await posted(kube)] == ["StepStarted"]

    async def test_a_full_queue_drops(self, kube: Kube) -> None:
        announcer = EventAnnouncer(kube.client, HandClock(), instance="modelrollout-0")
        announcer.announce(subject(kube), [STARTED] * 300)
        assert announcer.dropped == 300 - 256
