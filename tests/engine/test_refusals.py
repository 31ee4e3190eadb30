"""A write that the API server refuses is told in the status, costs no other rollout anything, and is made later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from modelrollout.core.model import ActionVerb, Key, Phase
from modelrollout.core.observation import ActionRequest
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.status import Condition
from modelrollout.errors import Denied, RolloutError, SpecError
from modelrollout.runtime.queue import Priority
from tests.engine.api import Write
from tests.engine.world import World, build, quick, running
from tests.scene import START

pytestmark = pytest.mark.looptime(start=0)

WORDS = "cannot patch resource httproutes"


def condition(world: World, key: Key, kind: ConditionType = ConditionType.READY) -> Condition:
    found = world.api.status(key).condition(kind)
    assert found is not None
    return found


def refusing(key: Key, error: RolloutError, *whats: str) -> Callable[[str, Key, bool], None]:
    def fault(what: str, about: Key, after: bool) -> None:
        if about == key and what in whats and not after:
            raise type(error)(error.message)  # each answer makes a new one

    return fault


def mine(world: World, key: Key) -> list[Write]:
    return [write for write in world.api.writes if write.key == key]


@pytest.mark.parametrize(
    ("error", "reason"), [(Denied(WORDS), Reason.DENIED), (SpecError(WORDS, field="x"), Reason.INVALID_SPEC)]
)
async def test_bug_a_refused_write_was_told_in_the_log_only(
    error: RolloutError, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    spec, other = quick("fraud"), quick("other")
    world = await running(spec, other)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.fault = refusing(spec.key, error, "route")
    await world.until(lambda: condition(world, spec.key).reason == reason, limit=60)
    ready, stalled = condition(world, spec.key), condition(world, spec.key, ConditionType.STALLED)
    assert (ready.status, ready.message) == ("False", WORDS)
    assert (stalled.status, stalled.reason, stalled.message) == ("True", reason, WORDS)
    assert world.api.weight(spec.key) == 5000

    # Tried again and again; each try says its raise and unsays it, and nobody is blamed for it.
    before = world.api.status(spec.key)
    writes = len(mine(world, spec.key))
    events = [told.reason for _, told in world.announcer.told]
    await asyncio.sleep(600)
    assert 16 <= len(mine(world, spec.key)) - writes <= 20, "ten tries in ten minutes, two writes each"
    assert len([line for line in caplog.messages if WORDS in line]) <= 12
    status = world.api.status(spec.key)
    assert (status.phase, status.reason, status.weight) == (Phase.PROGRESSING, Reason.PROGRESSING, 5000)
    assert (status.step, status.decisions) == (before.step, before.decisions)
    assert (condition(world, spec.key), world.api.weight(spec.key)) == (ready, 5000)
    assert world.api.weight(other.key) == 10_000
    assert condition(world, other.key).status == "True"
    more = [told.reason for _, told in world.announcer.told][len(events) :]
    assert more.count("StepStarted") <= 1, "the other rollout's last step, and not a refused one's again and again"

    world.api.fault = None
    await world.until(lambda: world.api.weight(spec.key) == 10_000, limit=61)
    await world.until(lambda: condition(world, spec.key).status == "True", limit=5)
    assert condition(world, spec.key, ConditionType.STALLED).status == "False"
    await world.stop()


async def test_bug_a_refused_write_of_a_blocking_rollout_was_reconciling_beside_stalled() -> None:
    spec = replace(quick("fraud"), blocking=True)
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    assert condition(world, spec.key, ConditionType.RECONCILING).status == "True"
    world.api.fault = refusing(spec.key, Denied(WORDS), "route")
    await world.until(lambda: condition(world, spec.key, ConditionType.STALLED).status == "True", limit=60)
    told = condition(world, spec.key, ConditionType.RECONCILING)
    assert (told.status, told.reason) == ("False", Reason.DENIED)
    world.api.fault = None
    await world.until(lambda: condition(world, spec.key, ConditionType.READY).status == "True", limit=90)
    assert condition(world, spec.key, ConditionType.RECONCILING).status == "False"
    await world.stop()


async def test_bug_a_rollout_whose_very_first_write_is_refused_had_no_status_for_ever() -> None:
    spec = quick("fraud")
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec)
    world.api.fault = refusing(spec.key, Denied(WORDS), "finalizer")
    await world.start()
    await world.until(lambda: world.api.objects[spec.key].status is not None, limit=60)
    kinds = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    assert [condition(world, spec.key, kind).status for kind in kinds] == ["False", "False", "True"]
    told = world.api.status(spec.key)
    assert (told.phase, told.reason, told.message) == (Phase.INVALID, Reason.DENIED, WORDS)
    assert condition(world, spec.key).message == WORDS
    await asyncio.sleep(600)
    assert [write.what for write in mine(world, spec.key)] == ["status"], "told once"
    world.api.fault = None
    await world.until(lambda: world.api.weight(spec.key) == 10_000, limit=200)
    assert [write.what for write in mine(world, spec.key)][1:3] == ["finalizer", "status"]
    assert condition(world, spec.key, ConditionType.STALLED).status == "False"
    await world.stop()


async def test_a_refused_revert_is_told_and_made_soon_after_the_right_is_given() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.fault = refusing(spec.key, Denied(WORDS), "route")
    world.api.actions[spec.key].append(ActionRequest("stop", "uid-a", ActionVerb.ABORT, START))
    world.engine.enqueue(spec.key, Priority.URGENT)
    await asyncio.sleep(90)
    assert world.api.weight(spec.key) == 5000
    assert condition(world, spec.key).reason == Reason.DENIED
    assert world.api.status(spec.key).weight == 5000
    world.api.fault = None
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=6)
    await world.until(lambda: condition(world, spec.key).reason == Reason.ROLLED_BACK, limit=5)
    await world.stop()


async def test_a_status_that_may_not_be_written_either_stays_as_it_is() -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    world.api.fault = refusing(spec.key, Denied(WORDS), "route", "status")
    before = world.api.status(spec.key)
    await asyncio.sleep(200)
    assert world.api.status(spec.key) == before
    world.api.fault = None
    await world.until(lambda: world.api.weight(spec.key) == 10_000, limit=130)
    await world.stop()
