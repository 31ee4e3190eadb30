"""A real Alertmanager takes what we send: an alert begins and ends, is one with the rule's, and outlives a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from e2e.cluster.alertmanager import Alertmanager
from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.clock import SystemClock
from modelrollout.adapters.notify.dispatch import Dispatcher
from modelrollout.adapters.notify.post import Post
from modelrollout.api.targets import Notifications, Target, TargetKind
from tests.layout.documents import ROOT
from tests.unit.notify.counted import Counted, happening

# Alertmanager is built on first use.
pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "alertmanager" / "alertmanager.yml"


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager(EXAMPLE.read_text()) as running:
        yield running


@pytest.fixture
def count() -> Counted:
    return Counted()


@pytest.fixture
async def dispatcher(alertmanager: Alertmanager, count: Counted) -> AsyncIterator[Dispatcher]:
    post = Post(AddressPolicy(allow_loopback=True))
    made = Dispatcher(post, count, SystemClock())
    made.configure(Notifications((Target("am", TargetKind.ALERTMANAGER, alertmanager.url),)))
    yield made
    await made.close(within=1)
    await post.close()


async def of(alertmanager: Alertmanager, rollout: str, holds: Callable[[list[Any]], bool]) -> list[Any]:
    """The alerts of a rollout, once they are as wanted."""

    def mine(alerts: list[Any]) -> list[Any]:
        return [a for a in alerts if a["labels"].get("rollout") == rollout]

    found = await asyncio.to_thread(alertmanager.wait_for, lambda alerts: holds(mine(alerts)))
    return mine(found)


async def test_an_alert_begins_and_ends_with_its_happening(
    alertmanager: Alertmanager, dispatcher: Dispatcher, count: Counted
) -> None:
    told = happening(1, at=time.time() - 2)
    dispatcher.begun(told, new=True)
    (alert,) = await of(alertmanager, "m1", bool)
    assert alert["labels"]["alertname"] == "ModelRolloutRolledBack"
    assert alert["receivers"] == [{"name": "tickets"}]
    assert alert["annotations"]["description"].startswith("SliFailed at 25 %")
    dispatcher.ended(told, time.time())
    await of(alertmanager, "m1", lambda alerts: not alerts)
    assert count.results == {"sent": 1}
    assert set(count.answers) == {"ok"}


async def test_the_rule_s_alert_and_ours_are_one(alertmanager: Alertmanager, dispatcher: Dispatcher) -> None:
    rule = {
        "alertname": "ModelRolloutRolledBack",
        "severity": "ticket",
        "rollout_namespace": "serving",
        "rollout": "m2",
    }
    await asyncio.to_thread(alertmanager.post, [{"labels": rule}])
    dispatcher.begun(happening(2, at=time.time()), new=True)
    (alert,) = await of(alertmanager, "m2", lambda alerts: bool(alerts) and "revision" in alerts[0]["annotations"])
    assert alert["labels"] == rule


async def test_a_leader_s_alert_is_its_predecessor_s(alertmanager: Alertmanager, dispatcher: Dispatcher) -> None:
    told = happening(3, at=time.time() - 2)
    dispatcher.begun(told, new=True)
    (first,) = await of(alertmanager, "m3", bool)
    dispatcher.rest()
    dispatcher.begun(told, new=False)
    (second,) = await of(
        alertmanager, "m3", lambda alerts: bool(alerts) and alerts[0]["updatedAt"] != first["updatedAt"]
    )
    assert (second["fingerprint"], second["startsAt"]) == (first["fingerprint"], first["startsAt"])


async def test_what_stands_stands_again_after_alertmanager_was_away(
    alertmanager: Alertmanager, dispatcher: Dispatcher, count: Counted
) -> None:
    await asyncio.to_thread(alertmanager.stop)
    dispatcher.begun(happening(4, at=time.time()), new=True)
    async with asyncio.timeout(10):
        while not count.answers["Unreachable"]:
            await asyncio.sleep(0.02)
    # Not on a thread of the pool: the process ends with the thread that started it.
    alertmanager.start()
    assert await of(alertmanager, "m4", bool)


async def test_alerts_of_many_rollouts_go_in_one_request(
    alertmanager: Alertmanager, dispatcher: Dispatcher, count: Counted
) -> None:
    for number in range(100, 600):
        dispatcher.begun(replace(happening(number), at=time.time()), new=True)
    found = await asyncio.to_thread(
        alertmanager.wait_for, lambda alerts: sum(a["labels"].get("rollout", "")[1:] > "099" for a in alerts) >= 500
    )
    assert len(found) >= 500
    assert count.answers["ok"] <= 3
