"""What `make soak` makes of what it saw: a leak is told from noise, and nothing that got lost or stuck passes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from e2e.scale.census import Census
from e2e.scale.counters import ERRORS
from e2e.scale.exporter import REQUESTS, Order, Shard
from e2e.scale.fleet import namespace_of, pod_of
from e2e.scale.process import broken
from e2e.scale.town import Town, share_of
from e2e.scale.trend import second_half, trend
from e2e.scale.verdict import MEMORY, Lag, Sample, Soaked, more, table
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import HTTPROUTES, Body, Resource

HOURS = 2.0
EVERY = 15.0


def noisy(hourly: float, *, seed: int = 1, start: float = 140.0) -> list[tuple[float, float]]:
    """Two hours of memory: jumps of a MiB, a saw of five minutes as watches begin anew, and what leaks."""
    rng = random.Random(seed)
    times = [EVERY * n for n in range(int(HOURS * 3600 / EVERY))]
    return [(at, start + hourly * at / 3600 + (at % 300) / 300 + rng.gauss(0.0, 1.0)) for at in times]


def soaked(memory: list[tuple[float, float]], **changes: object) -> Soaked:
    samples = [Sample(at, rss, 40, 7, at / 20, 500, 200, 60, 60) for at, rss in memory]
    found = Soaked(HOURS * 3600, samples, lags={"spec not read": (15.0, "team-1/model-1")})
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_flat_noisy_series_passes(seed: int) -> None:
    assert table(soaked(noisy(0.0, seed=seed))).missed == []


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        found = trend(second_half(noisy(1.5, seed=seed)))
        assert found is not None
        held += found.low <= 1.5 <= found.high
    assert 180 <= held <= 199


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_fails(seed: int) -> None:
    (missed,) = table(soaked(noisy(2 * MEMORY, seed=seed))).missed
    assert missed.startswith("resident memory, MiB, growth an hour")


def test_growth_of_the_first_half_is_that_of_a_start() -> None:
    grown = [(at, value + min(at, 3000.0) / 100) for at, value in noisy(0.0)]
    assert table(soaked(grown)).missed == []


def test_of_a_short_run_nothing_is_said() -> None:
    short = [(at, value) for at, value in noisy(50.0) if at < 1800]
    shown = table(soaked(short))
    assert shown.missed == []
    assert "too short to tell" in shown.markdown()


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"stuck": ["team-1/model-1, plain: Promoted: not within 300 s"]}, "rollouts stuck 1"),
        ({"restarts": 1}, "restarts of the process 1"),
        ({"broken": ["Traceback"]}, "errors in the log 1"),
        ({"bugs": 1.0}, "looks that failed by a bug 1.0"),
        ({"lags": {"gone, but on /metrics": (75.0, "team-1/a")}}, "gone, but on /metrics, longest, s 75 (team-1/a)"),
    ],
)
def test_whatever_is_stuck_lost_or_broken_fails(changes: dict[str, object], missed: str) -> None:
    assert table(soaked(noisy(0.0), **changes)).missed == [missed]


@pytest.mark.parametrize("figure", ["files", "threads"])
def test_files_and_threads_may_not_grow_either(figure: str) -> None:
    found = soaked(noisy(0.0))
    for number, sample in enumerate(found.samples):
        object.__setattr__(sample, figure, 40 + number // 4)  # one a minute
    assert len(table(found).missed) == 1


def test_series_of_no_rollout_are_bounded_by_their_number() -> None:
    """A few words that are first used after hours are no growth; one for each life of a rollout is."""
    found = soaked(noisy(0.0))
    object.__setattr__(found.samples[-1], "others", 430)
    assert table(found).missed == []
    object.__setattr__(found.samples[-1], "others", 700)
    assert table(found).missed == ["most series of no rollout 700"]


def test_what_grew_is_told_by_what_the_memory_held() -> None:
    counts = [(600.0 * n, Census(1000 * n, 1.5 * n, 0.5, 0.0, {"a": 5, "b": 7 * n})) for n in range(12)]
    shown = more(soaked(noisy(0.0), censuses=counts)).markdown()
    assert "| b | 42 | 77 |" in shown
    assert "| a |" not in shown
    assert "| heap of the C library, used, MiB | 9 | 16.5 |" in shown


def test_an_operator_tells_what_its_memory_holds_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "census.json"
    assert Census.read(out) is None
    asked = (
        "import os, signal, sys; from e2e.scale import census\n"
        "census.operator_main = lambda: os.kill(os.getpid(), signal.SIGUSR2)\n"
        f"sys.argv = ['census', {str(out)!r}, 'run']\n"
        "census.main(); assert sys.argv == ['census', 'run']"
    )
    subprocess.run([sys.executable, "-c", asked], check=True, timeout=60)
    found = Census.read(out)
    assert found is not None
    assert found.blocks > 10_000
    assert found.types["builtins.dict"] > 100


def test_a_lag_is_as_long_as_the_same_thing_is_wrong_without_a_break() -> None:
    lag = Lag()
    for now, wrong in ((0.0, ["a", "b"]), (15.0, ["a"]), (30.0, ["b"]), (45.0, ["b", "a"]), (60.0, ["b"])):
        lag.look(now, wrong)
    assert lag.longest == (30.0, "b")


def test_the_log_of_an_operator_in_order_has_nothing_broken() -> None:
    lines = [
        json.dumps({"level": "info", "message": "leader: yes"}),
        json.dumps({"level": "error", "message": "watch ended"}),
        json.dumps({"level": "error", "message": "failed", "exception": "Traceback ..."}),
        json.dumps({"level": "critical", "message": "no rights"}),
        "Task exception was never retrieved",
    ]
    assert broken("\n".join(lines[:2])) == []
    assert broken("\n".join(lines)) == ["failed Traceback ...", "no rights", "Task exception was never retrieved"]


def test_the_share_of_a_route_is_that_of_the_candidate() -> None:
    refs = [{"name": "model-1-v1", "weight": 7500}, {"name": "model-1-v2", "weight": 2500}]
    assert share_of({"spec": {"rules": [{"backendRefs": refs}]}}) == 0.25
    assert share_of(None) == 0.0


def test_an_order_moves_requests_breaks_the_candidate_and_gives_pods_new_series(
    moment: Callable[[float], None],
) -> None:
    shard = Shard(0, [0, 400], 1)
    moment(100.0)
    shard.order(0, Order(share=0.5, bad=True, lives=(0, 3)))
    moment(100.0)
    text = shard.text().decode()
    assert pod_of(0, 2) not in text
    assert pod_of(0, 2, 3) in text
    good, wrong = (_count(text, pod_of(0, 2, 3), code) for code in ("200", "500"))
    assert (good, 0.8 < wrong / (0.5 * REQUESTS * 100) < 1.2) == (0, True), "a new pod begins at 0, and is bad"
    other = _count(text, pod_of(400, 2), "500")
    assert other < 10 * ERRORS * REQUESTS * 200, "the other rollout is as it was"


def _count(text: str, pod: str, code: str) -> int:
    return next(int(line.split()[-1]) for line in text.splitlines() if pod in line and f'code="{code}"' in line)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = 0.0

    def pass_(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    return pass_


class _Slots(Town):
    """Two routes of slot 3, and what its pods are told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.patched: list[str] = []
        self._followed = {}
        self.mirror = SimpleNamespace(objects={})  # type: ignore[assignment]

    async def order(self, index: int, **changes: Any) -> None:
        self.told.append(changes["share"])

    async def patch(self, resource: Resource, index: int, name: str, patch: Body, *, part: str = "") -> None:
        self.patched.append(name)


async def test_bug_an_earlier_route_of_a_slot_took_the_users_of_the_present_one_away() -> None:
    """Its deletion was told late, after an outage of the API server: a candidate at 10 % waited for users for ever."""
    town, space = _Slots(), namespace_of(3)
    old, new = (route_name(f"model-3{tail}") for tail in ("", "-g2"))
    town.mirror.objects[HTTPROUTES, space, new] = split(90, 10)
    await town.follow(3, new)
    await town._obey((HTTPROUTES, space, old), None)
    await town._obey((HTTPROUTES, space, old), split(0, 100))
    await town._obey((HTTPROUTES, space, new), split(75, 25))
    await town._obey((HTTPROUTES, space, new), None)
    assert town.told == [0.1, 0.25, 0.0]
    assert town.patched == [old, new], "the gateway answers for every route that there is"


def split(legacy: int, candidate: int) -> Body:
    weights = [{"name": f"model-3-v{n}", "weight": w} for n, w in ((1, legacy), (2, candidate))]
    return {
        "metadata": {"generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": weights}]},
    }
