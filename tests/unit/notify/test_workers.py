"""Queues and workers in virtual time: order, tries, patience, what is dropped, what stands, changes of the file."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from modelrollout.adapters.notify import alertmanager
from modelrollout.adapters.notify.alerts import MAX_OVER, MAX_STANDING
from modelrollout.adapters.notify.dispatch import Dispatcher
from modelrollout.adapters.notify.outbox import MAX_WAITING
from modelrollout.adapters.notify.pace import GIVE_UP
from modelrollout.adapters.notify.post import Result
from modelrollout.adapters.notify.wording import Outgoing, rfc3339
from modelrollout.api.targets import Links, Notifications, Target, TargetKind
from modelrollout.core.happenings import Happened, Level
from tests.engine.api import LoopClock
from tests.unit.notify.counted import Counted, happening

pytestmark = pytest.mark.looptime(start=0)

OK = Result("ok")
DOWN = Result("Unreachable", again=True)
SINK = Target("bus", TargetKind.CLOUDEVENTS, "https://sink.example.com")
CALLS = Target("calls", TargetKind.ALERTMANAGER, "http://am:9093")


@dataclass
class Sink:
    """A receiver: what it got and when, and what it answers."""

    answer: Callable[[int], Result] = lambda _: OK
    got: list[tuple[float, str, Any]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def __call__(self, outgoing: Outgoing, *, timeout: float) -> Result:
        self.got.append((asyncio.get_running_loop().time(), outgoing.url, json.loads(outgoing.body)))
        if self.hold is not None:
            await self.hold.wait()
        return self.answer(len(self.got))

    @property
    def ids(self) -> list[str]:
        return [body["id"] for _, _, body in self.got]

    @property
    def times(self) -> list[float]:
        return [at for at, _, _ in self.got]


@dataclass
class Scene:
    sink: Sink
    count: Counted
    dispatcher: Dispatcher


def scene(*targets: Target, answer: Callable[[int], Result] = lambda _: OK) -> Scene:
    sink, count = Sink(answer), Counted()
    dispatcher = Dispatcher(sink, count, LoopClock(), rng=random.Random(1))
    dispatcher.configure(Notifications(targets or (SINK,)))
    return Scene(sink, count, dispatcher)


async def test_what_is_new_is_sent_once_and_in_order() -> None:
    s = scene()
    for number in range(3):
        s.dispatcher.begun(happening(number), new=True)
    s.dispatcher.begun(happening(9), new=False)
    await asyncio.sleep(10)
    assert s.sink.ids == ["id-0", "id-1", "id-2"]
    assert s.count.results == {"sent": 3}
    await s.dispatcher.close(within=1)


async def test_a_target_is_told_only_what_it_wants() -> None:
    s = scene(replace(SINK, severity=Level.PAGE))
    s.dispatcher.begun(happening(1), new=True)
    s.dispatcher.begun(happening(2, Level.PAGE), new=True)
    await asyncio.sleep(10)
    assert s.sink.ids == ["id-2"]
    await s.dispatcher.close(within=1)


async def test_tries_become_rarer_and_carry_the_same_id() -> None:
    s = scene(answer=lambda count: OK if count == 6 else DOWN)
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(300)
    assert s.sink.ids == ["id-0"] * 6
    gaps = [b - a for a, b in zip(s.sink.times, s.sink.times[1:], strict=False)]
    assert all(0.75 * 2**i <= gap <= 1.25 * 2**i for i, gap in enumerate(gaps))
    assert (s.count.results, s.count.answers) == ({"sent": 1}, {"Unreachable": 5, "ok": 1})
    await s.dispatcher.close(within=1)


async def test_a_receiver_that_asks_for_a_pause_gets_it() -> None:
    s = scene(answer=lambda count: OK if count == 2 else Result("HTTP 429", again=True, after=45))
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(100)
    assert s.sink.times[1] - s.sink.times[0] == 45
    await s.dispatcher.close(within=1)


async def test_a_refusal_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    s = scene(answer=lambda _: Result("HTTP 403"))
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(GIVE_UP)
    assert (len(s.sink.got), s.count.results) == (1, {"failed": 1})
    assert "bus: HTTP 403: not sent: serving/m0" in caplog.text
    await s.dispatcher.close(within=1)


async def test_a_dead_receiver_is_given_up_and_each_later_message_is_still_tried() -> None:
    s = scene(answer=lambda _: DOWN)
    for number in range(3):
        s.dispatcher.begun(happening(number), new=True)
    await asyncio.sleep(GIVE_UP + 5)
    assert s.count.results == {"failed": 3}
    assert set(s.sink.ids) == {"id-0", "id-1", "id-2"}
    assert GIVE_UP - 100 < s.sink.times[-1] <= GIVE_UP
    await s.dispatcher.close(within=1)


async def test_a_full_queue_drops_the_oldest_of_the_least_severe() -> None:
    s = scene()
    s.sink.hold = asyncio.Event()
    s.dispatcher.begun(happening(0), new=True)
    await asyncio.sleep(1)  # under way
    s.dispatcher.begun(happening(1, Level.PAGE), new=True)
    for number in range(2, 2 + MAX_WAITING):
        level = Level.INFO if number in (50, 60) else Level.TICKET
        s.dispatcher.begun(happening(number, level), new=True)
    assert (s.count.results, s.count.length) == ({"dropped": 1}, MAX_WAITING)
    for number in (200, 201):
        s.dispatcher.begun(happening(number), new=True)
    s.dispatcher.begun(happening(202, Level.INFO), new=True)
    s.sink.hold.set()
    await asyncio.sleep(10)
    lost = {f"id-{n}" for n in (*range(2 + MAX_WAITING), 200, 201, 202)} - set(s.sink.ids)
    assert lost == {"id-50", "id-60", "id-2", "id-202"}
    await s.dispatcher.close(within=1)


async def test_the_end_waits_for_what_is_on_its_way_but_not_for_long() -> None:
    s = scene()
    s.dispatcher.begun(happening(), new=True)
    await s.dispatcher.close(within=3)
    assert (s.count.results, asyncio.get_running_loop().time()) == ({"sent": 1}, 0)
    slow = scene()
    slow.sink.hold = asyncio.Event()
    for number in range(3):
        slow.dispatcher.begun(happening(number), new=True)
    await slow.dispatcher.close(within=3)
    assert asyncio.get_running_loop().time() == 3
    assert slow.count.results == {"dropped": 3}


async def test_a_new_address_takes_over_what_waits() -> None:
    s = scene(answer=lambda count: DOWN if count < 3 else OK)
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(1.5)
    s.dispatcher.configure(Notifications((replace(SINK, url="https://other.example.com"),), Links(), "prod"))
    await asyncio.sleep(60)
    assert s.sink.got[0][1] == "https://sink.example.com"
    assert s.sink.got[-1][1] == "https://other.example.com"
    assert s.sink.got[-1][2]["data"]["cluster"] == "prod"
    assert s.count.results == {"sent": 1}
    assert s.count.forgotten == []
    await s.dispatcher.close(within=1)


async def test_a_target_that_is_gone_is_told_nothing_and_leaves_no_series() -> None:
    s = scene()
    s.dispatcher.configure(Notifications())
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(10)
    assert s.sink.got == []
    assert s.count.forgotten == [("bus", "cloudevents")]
    await s.dispatcher.close(within=1)


async def test_a_target_of_another_kind_begins_anew() -> None:
    s = scene()
    s.dispatcher.configure(Notifications((replace(CALLS, name="bus"),)))
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(1)
    assert [url for _, url, _ in s.sink.got] == ["http://am:9093/api/v2/alerts"]
    await s.dispatcher.close(within=1)


async def test_a_worker_that_breaks_is_said_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(count: int) -> Result:
        if count == 1:
            raise ZeroDivisionError
        return OK

    s = scene(SINK, replace(SINK, name="other"), answer=breaks)
    s.dispatcher.begun(happening(), new=True)
    await asyncio.sleep(1)
    assert s.count.results["sent"] == 1
    assert "notify-bus has ended" in caplog.text
    await s.dispatcher.close(within=1)


def alerts(s: Scene) -> list[dict[str, str]]:
    """Of each request, its alerts: rollout, and whether it stands or is over."""
    found = []
    for at, _, body in s.sink.got:
        ends = {a["labels"]["rollout"]: a["endsAt"] for a in body}
        now = rfc3339(LoopClock().now() - asyncio.get_running_loop().time() + at)
        found.append({name: "stands" if end > now else "over" for name, end in ends.items()})
    return found


async def test_an_alert_is_sent_at_once_again_each_minute_and_ended_once() -> None:
    s = scene(CALLS)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(130)
    s.dispatcher.ended(happening(1), LoopClock().now())
    await asyncio.sleep(300)
    assert s.sink.times == [0, 60, 120, 130]
    assert alerts(s) == [{"m1": "stands"}] * 3 + [{"m1": "over"}]
    assert s.count.results == {"sent": 1}
    await s.dispatcher.close(within=1)


async def test_a_new_leader_keeps_an_alert_standing_without_calling_it_new() -> None:
    s = scene(CALLS)
    s.dispatcher.begun(happening(1), new=False)
    await asyncio.sleep(1)
    assert alerts(s) == [{"m1": "stands"}]
    assert s.count.results == {}
    await s.dispatcher.close(within=1)


async def test_who_leads_no_longer_neither_sends_nor_ends_an_alert() -> None:
    s = scene(CALLS)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(1)
    s.dispatcher.rest()
    s.dispatcher.ended(happening(1), LoopClock().now())
    await asyncio.sleep(300)
    assert len(s.sink.got) == 1
    await s.dispatcher.close(within=1)


async def test_a_moment_is_no_alert() -> None:
    s = scene(CALLS)
    s.dispatcher.begun(happening(1, kind=Happened.PROMOTED, ends=False), new=True)
    await asyncio.sleep(100)
    assert s.sink.got == []
    await s.dispatcher.close(within=1)


async def test_an_end_is_told_until_it_is_heard() -> None:
    s = scene(CALLS, answer=lambda count: OK if count in (1, 6) else DOWN)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(1)
    s.dispatcher.ended(happening(1), LoopClock().now())
    await asyncio.sleep(200)
    assert alerts(s) == [{"m1": "stands"}] + [{"m1": "over"}] * 5
    await s.dispatcher.close(within=1)


async def test_an_end_that_nobody_hears_is_given_up_when_the_alert_has_ended_by_itself() -> None:
    s = scene(CALLS, answer=lambda count: OK if count == 1 else DOWN)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(1)
    s.dispatcher.ended(happening(1), LoopClock().now())
    await asyncio.sleep(1000)
    assert alertmanager.LASTS < s.sink.times[-1] < alertmanager.LASTS + 2 * alertmanager.RESEND
    await s.dispatcher.close(within=1)


async def test_what_comes_back_stands_again() -> None:
    s = scene(CALLS, answer=lambda count: DOWN if count == 2 else OK)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(1)
    s.dispatcher.ended(happening(1), LoopClock().now())
    await asyncio.sleep(0.1)
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(30)
    assert alerts(s)[-1] == {"m1": "stands"}
    await s.dispatcher.close(within=1)


async def test_a_new_target_hears_what_stands() -> None:
    s = scene()
    s.dispatcher.begun(happening(1), new=True)
    await asyncio.sleep(1)
    s.dispatcher.configure(Notifications((SINK, CALLS)))
    await asyncio.sleep(1)
    assert len(s.sink.got) == 2
    assert [len(body) for _, url, body in s.sink.got if url.endswith("alerts")] == [1]
    await s.dispatcher.close(within=1)


async def test_an_alertmanager_that_wants_less_is_sent_less() -> None:
    s = scene(CALLS)
    for number in (1, 2):
        s.dispatcher.begun(happening(number, Level.PAGE if number == 2 else Level.TICKET), new=True)
    await asyncio.sleep(1)
    s.dispatcher.configure(Notifications((replace(CALLS, severity=Level.PAGE),)))
    await asyncio.sleep(1)
    assert alerts(s)[-1] == {"m2": "stands"}
    await s.dispatcher.close(within=1)


async def test_what_stands_and_what_is_over_have_bounds() -> None:
    s = scene(CALLS, answer=lambda _: DOWN)
    for number in range(MAX_STANDING + 5):
        s.dispatcher.begun(happening(number, Level.TICKET if number else Level.INFO), new=True)
    assert s.count.results == {"dropped": 5}
    for number in range(MAX_STANDING + 5):
        s.dispatcher.ended(happening(number), LoopClock().now())
    await asyncio.sleep(2)
    assert len(s.sink.got[-1][2]) == MAX_OVER
    await s.dispatcher.close(within=1)
