"""What `/metrics` shows: bounded labels, nothing of rollouts that are gone, nothing on a standby."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from modelrollout.core.model import Phase
from modelrollout.runtime.telemetry import Telemetry
from tests.engine.world import QUICK, World, phase, running, spec_named

pytestmark = pytest.mark.looptime(start=0)


def text(world: World) -> str:
    return generate_latest(world.telemetry.registry).decode()


def series(world: World) -> int:
    return sum(not line.startswith("#") for line in text(world).splitlines())


async def test_a_rollout_is_shown_with_phase_weight_and_counts() -> None:
    spec = spec_named("fraud", steps=QUICK)
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await asyncio.sleep(15)
    shown = text(world)
    labels = 'rollout="fraud",rollout_namespace="serving"'
    assert f'modelrollout_rollout_phase{{phase="Progressing",{labels}}} 1.0' in shown
    assert f"modelrollout_rollout_weight_ratio{{{labels}}} 0.5" in shown
    assert 'modelrollout_sli_events{arm="candidate",kind="total"' in shown
    assert 'modelrollout_decisions_total{action="Raise",reason="Progressing"} 2.0' in shown
    assert "modelrollout_leader 1.0" in shown
    await world.stop()


async def test_series_do_not_grow_with_rollouts_that_come_and_go() -> None:
    world = await running()
    counts = []
    for i in range(6):
        spec = spec_named(f"m{i}", steps=QUICK)
        world.metrics.serve(spec)
        key = world.api.create(spec)
        world.api.store(world.api.objects[key])
        await world.until(lambda key=key: phase(world, key) is Phase.PROGRESSING)  # type: ignore[misc]  # bound now
        await asyncio.sleep(15)
        world.api.edit(key, deleting=True)
        await world.until(lambda key=key: key not in world.api.objects)  # type: ignore[misc]  # bound now
        await asyncio.sleep(1)
        counts.append(series(world))
    assert counts[1:] == [counts[1]] * 5
    assert 'rollout="' not in text(world)
    await world.stop()


async def test_a_standby_shows_no_rollouts() -> None:
    spec = spec_named("fraud", steps=QUICK)
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    world.epoch = None
    world.engine.lead(False)
    assert 'rollout="' not in text(world)
    assert "modelrollout_leader 0.0" in text(world)
    await world.stop()


async def test_free_text_of_users_never_becomes_a_label() -> None:
    marker = "s3cret-marker"
    base = spec_named("fraud", steps=QUICK)
    spec = replace(base, candidate=replace(base.candidate, model_name=marker, model_version=marker))
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 500)
    assert marker not in text(world)
    await world.stop()


def test_the_process_tells_its_memory_time_and_files() -> None:
    shown = generate_latest(Telemetry().registry).decode()
    for metric in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        (line,) = (line for line in shown.splitlines() if line.startswith(metric))
        assert float(line.split()[1]) > 0
