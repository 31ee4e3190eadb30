"""The counters that the benchmark's ground truth rests on: bad in one scrape, and marked in that very scrape."""

from __future__ import annotations

import re
import time

import pytest

from e2e.scale.counters import SHARDS
from e2e.scale.exporter import Shard, shard_of
from e2e.scale.fleet import pod_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def counted(text: str, index: int, version: int, code: str) -> int:
    found = re.search(rf'requests_total{{[^}}]*pod="{pod_of(index, version)}"[^}}]*code="{code}"}} (\d+)', text)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("slis", [1, 4])
def test_the_scrape_after_a_turn_shows_it_fully_and_is_marked(clock: Clock, slis: int) -> None:
    shard = Shard(3, [60, 460], slis)
    clock.now += 5
    before = shard.text().decode()
    assert 'turned_total{shard="3"} 0' in before
    clock.now += 4.9
    shard.turn(60, 60)
    clock.now += 0.1
    after = shard.text().decode()
    assert 'turned_total{shard="3"} 1' in after
    assert counted(after, 60, 2, "200") == counted(before, 60, 2, "200"), "not one good answer since the last scrape"
    assert counted(after, 60, 2, "500") - counted(before, 60, 2, "500") >= 20, "and more bad ones than a guard needs"
    assert counted(after, 60, 1, "200") > counted(before, 60, 1, "200"), "legacy goes on"
    assert counted(after, 460, 2, "200") > counted(before, 460, 2, "200"), "and so do others"


def test_every_place_of_the_template_is_filled(clock: Clock) -> None:
    clock.now += 5
    assert "%d" not in Shard(0, [0], 4).text().decode()


def test_shards_and_namespaces_do_not_go_together() -> None:
    assert len({shard_of(index) for index in range(0, 5000, 20)}) == SHARDS
