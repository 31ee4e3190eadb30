"""The notification file is followed: read again when it changes, and a bad one stops nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.notify.permitted import targets_of
from modelrollout.adapters.notify.post import Result
from modelrollout.adapters.notify.wording import Outgoing
from modelrollout.api.notify_file import BadNotifications
from modelrollout.core.model import Phase
from modelrollout.core.status import RolloutStatus
from modelrollout.runtime.store import Store
from modelrollout.shell.notify import PERIOD, Notify
from tests.engine.api import Api, FakeRollouts, LoopClock
from tests.engine.test_notices import GOING, lease, paused, stored
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)


def text(url: str = "https://one.example.com/SECRET", name: str = "bus") -> str:
    return json.dumps({"targets": [{"name": name, "cloudevents": {"url": url}}]})


def empty() -> Store:
    return Store(FakeRollouts(Api()))


class Follower:
    """A process that leads, with what it sent."""

    def __init__(self, file: Path | None) -> None:
        self.registry = CollectorRegistry()
        self.sent: list[str] = []
        self.notify = Notify(file, policy=AddressPolicy(), send=self, clock=LoopClock(), registry=self.registry)
        self.task = asyncio.get_running_loop().create_task(self.notify.run())

    async def __call__(self, outgoing: Outgoing, *, timeout: float) -> Result:
        self.sent.append(outgoing.url)
        return Result("ok")

    async def happen(self, at: float) -> None:
        self.notify.notices.look(stored(GOING))
        self.notify.notices.look(stored(paused(START + at, f"reason-{at}")))
        await asyncio.sleep(1)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.notify.close()


async def test_without_a_file_nobody_is_told() -> None:
    f = Follower(None)
    await f.happen(1)
    assert (f.sent, f.value("modelrollout_notify_file_valid")) == ([], 1)
    await f.stop()


async def test_the_file_is_read_again_when_the_mounted_secret_changes(tmp_path: Path) -> None:
    """kubelet swaps a link to a folder."""
    for number, url in enumerate(("https://one.example.com", "https://two.example.com")):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "targets.yaml").write_text(text(url))
    data = tmp_path / "data"
    data.symlink_to("v0")
    f = Follower(data / "targets.yaml")
    await asyncio.sleep(0)
    await f.happen(1)
    fresh = tmp_path / "fresh"
    fresh.symlink_to("v1")
    fresh.rename(data)
    await asyncio.sleep(PERIOD + 1)
    await f.happen(2)
    assert f.sent == ["https://one.example.com", "https://two.example.com"]
    await f.stop()


async def test_a_bad_file_leaves_the_last_good_one_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(text())
    f = Follower(file)
    await asyncio.sleep(0)
    for bad in (text("http://169.254.169.254/SECRET"), "targets: [", text(name="SECRET NAME")):
        file.write_text(bad)
        await asyncio.sleep(3 * PERIOD)
        assert f.value("modelrollout_notify_file_valid") == 0
    await f.happen(1)
    assert f.sent == ["https://one.example.com/SECRET"]
    file.write_text(text())
    await asyncio.sleep(PERIOD)
    assert f.value("modelrollout_notify_file_valid") == 1
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 3, "once for each problem, not at each look"
    assert "targets[0].cloudevents.url of bus: points to an address that is never a receiver" in told[0]
    assert "SECRET" not in caplog.text
    await f.stop()


async def test_a_start_with_a_missing_file_waits_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "targets.yaml"
    f = Follower(file)
    await asyncio.sleep(1)
    assert f.value("modelrollout_notify_file_valid") == 0
    assert "can't be read: FileNotFoundError" in caplog.text
    file.write_text(text())
    await asyncio.sleep(PERIOD)
    assert f.value("modelrollout_notify_file_valid") == 1
    await f.happen(1)
    assert len(f.sent) == 1
    await f.stop()


async def test_a_file_that_is_no_text_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "targets.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    f = Follower(file)
    await asyncio.sleep(1)
    assert "UnicodeDecodeError" in caplog.text
    assert not f.task.done()
    await f.stop()


async def test_series_of_a_target_go_with_it(tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(text())
    f = Follower(file)
    await asyncio.sleep(0)
    await f.happen(1)
    assert f.value("modelrollout_notifications_total", target="bus", kind="cloudevents", result="sent") == 1
    assert f.value("modelrollout_notifications_total", target="bus", kind="cloudevents", result="failed") == 0
    assert f.value("modelrollout_notification_attempts_total", target="bus", kind="cloudevents", answer="ok") == 1
    assert f.value("modelrollout_notification_queue_length", target="bus", kind="cloudevents") == 0
    file.write_text("targets: []")
    await asyncio.sleep(PERIOD + 1)
    assert 'target="bus"' not in generate_latest(f.registry).decode()
    await f.stop()


async def test_who_loses_the_lease_tells_what_was_written_last(tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(text())
    f = Follower(file)
    await asyncio.sleep(0)
    store = empty()
    store.put(stored(GOING))
    f.notify.lead(True, lease(""), store)
    f.notify.notices.look(stored(GOING))
    store.put(replace(stored(paused(START)), resource_version="2"))
    f.notify.lead(False, None, store)
    await asyncio.sleep(1)
    assert len(f.sent) == 1
    await f.stop()


async def test_a_new_leader_repeats_what_a_lost_one_may_not_have_told(tmp_path: Path) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(text())
    f = Follower(file)
    await asyncio.sleep(0)
    f.notify.lead(True, lease("lost"), empty())
    f.notify.notices.look(stored(paused(START - 30)))
    await asyncio.sleep(1)
    assert len(f.sent) == 1
    f.notify.lead(False, None, empty())
    f.notify.lead(True, lease("lost"), empty())
    f.notify.notices.look(stored(RolloutStatus(revision="r9", phase=Phase.PAUSED, reason="Old")))
    await asyncio.sleep(1)
    assert len(f.sent) == 1
    await f.stop()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9093", "http://localhost", "http://[::1]", "http://169.254.169.254"])
def test_no_target_may_point_at_the_operator_or_the_machine(url: str) -> None:
    with pytest.raises(BadNotifications, match="targets\\[0\\]") as raised:
        targets_of(text(url), AddressPolicy())
    assert url not in str(raised.value)


def test_a_query_is_allowed_and_a_password_is_not() -> None:
    assert targets_of(text("https://sink.example.com/in?key=SECRET"), AddressPolicy()).targets
    with pytest.raises(BadNotifications, match="use bearerToken"):
        targets_of(text("https://me:SECRET@sink.example.com"), AddressPolicy())
