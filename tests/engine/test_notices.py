"""What is told, when and how often: by the record, once, and never on the way of a decision. In virtual time.

Aspects: transitions of whole rollouts; a write that failed; restarts, a lost leader and one that gave its Lease back;
repeats; things that must last; a notifier that is broken; receivers that never answer while a rollout reverts.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

import pytest

from modelrollout.adapters.notify.dispatch import Dispatcher
from modelrollout.adapters.notify.post import Result
from modelrollout.adapters.notify.wording import Outgoing
from modelrollout.api.targets import Notifications, Target, TargetKind
from modelrollout.core.happenings import SETTLE, Happened, Happening
from modelrollout.core.model import Epoch, Phase, Step, Weight
from modelrollout.core.observation import WorkloadAbsent
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import ApiUnavailable
from modelrollout.ports import LeaseRecord, RolloutObject
from modelrollout.runtime.notices import HANDED_OVER, LOST, QUIET, Notices, new_since
from tests.engine.api import Api, LoopClock
from tests.engine.metrics import FakeMetrics, Load
from tests.engine.world import World, build, phase, quick, spec_named
from tests.scene import LEGACY, START
from tests.unit.notify.counted import Counted

pytestmark = pytest.mark.looptime(start=0)

BAD = Load(errors=0.3)
MANY = 6
HOUR = 3600.0


@dataclass
class Heard:
    """A notifier that remembers: what began, whether it was new, and what ended."""

    began: list[tuple[Happening, bool]] = field(default_factory=list)
    over: list[Happened] = field(default_factory=list)

    def begun(self, happening: Happening, *, new: bool) -> None:
        self.began.append((happening, new))

    def ended(self, happening: Happening, at: float) -> None:
        self.over.append(happening.kind)

    def rest(self) -> None:
        self.began.clear()

    @property
    def news(self) -> list[Happened]:
        return [h.kind for h, new in self.began if new]


async def a_bad_one(heard: Heard, api: Api | None = None) -> World:
    world = build(api, FakeMetrics(), notifier=heard)
    spec = quick("fraud")
    if spec.key not in world.api.objects:
        world.api.create(spec)
    world.metrics.serve(spec, candidate=BAD)
    await world.start()
    return world


KEY = quick("fraud").key


async def test_a_revert_is_told_once_with_its_numbers_when_the_record_of_it_is_stored() -> None:
    heard = Heard()
    world = await a_bad_one(heard)
    await world.until(lambda: bool(heard.news))
    ((told, _),) = heard.began
    incident = world.api.status(KEY).incident
    assert incident is not None
    assert (told.kind, told.at, told.reason) == (Happened.ROLLED_BACK, incident.opened, incident.reason)
    assert incident.message in told.text
    assert world.api.weight(KEY) == 0
    await asyncio.sleep(1000)
    assert heard.news == [Happened.ROLLED_BACK]
    assert heard.over == []
    await world.stop()


async def test_what_was_decided_but_not_stored_is_not_told() -> None:
    heard = Heard()
    world = await a_bad_one(heard)

    def fault(what: str, key: object, done: bool) -> None:
        status = world.api.objects[KEY].status
        if what == "status" and not done and status is not None and status.phase is Phase.PROGRESSING:
            raise ApiUnavailable("no")

    await world.until(lambda: phase(world, KEY) is Phase.PROGRESSING)
    world.api.fault = fault
    await world.until(lambda: world.api.weight(KEY) == 0)
    await asyncio.sleep(30)
    assert heard.news == []
    world.api.fault = None
    await world.until(lambda: phase(world, KEY) is Phase.ROLLED_BACK)
    await asyncio.sleep(1)
    assert heard.news == [Happened.ROLLED_BACK]
    await world.stop()


async def test_approval_and_promotion_and_what_ends() -> None:
    heard = Heard()
    world = build(notifier=heard)
    steps = (Step(Weight(500), 20.0, 3600.0), Step(Weight(10_000), 20.0, 3600.0, approval=True))
    spec = spec_named("fraud", steps=steps)
    world.api.create(spec)
    world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: heard.news == [Happened.APPROVAL_WANTED])
    status = world.api.status(KEY)
    world.api.edit(KEY, status=replace(status, approved=1))
    await world.until(lambda: phase(world, KEY) is Phase.PROMOTED)
    await asyncio.sleep(1)
    assert heard.news == [Happened.APPROVAL_WANTED, Happened.PROMOTED]
    assert heard.over == [Happened.APPROVAL_WANTED]
    await world.stop()


async def test_a_rollout_that_is_deleted_ends_what_stands() -> None:
    heard = Heard()
    world = await a_bad_one(heard)
    await world.until(lambda: phase(world, KEY) is Phase.ROLLED_BACK)
    await asyncio.sleep(1)
    world.api.edit(KEY, deleting=True)
    await world.until(lambda: KEY not in world.api.objects)
    await asyncio.sleep(1)
    assert heard.over == [Happened.ROLLED_BACK]
    await world.stop()


async def test_invalid_is_told_only_when_it_lasts() -> None:
    heard = Heard()
    world = build(notifier=heard)
    spec = quick("fraud")
    world.api.create(spec)
    world.metrics.serve(spec)
    missing = WorkloadAbsent("Deployment 'fraud-v8' not found")
    world.api.workloads[KEY] = (LEGACY, missing)
    await world.start()
    await world.until(lambda: phase(world, KEY) is Phase.INVALID)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(SETTLE - 2)
    assert heard.began == []
    await world.until(lambda: bool(heard.news))
    assert asyncio.get_running_loop().time() - began == pytest.approx(SETTLE, abs=1)
    await world.stop()


async def test_invalid_for_the_seconds_of_an_apply_is_not_told() -> None:
    heard = Heard()
    world = build(notifier=heard)
    spec = quick("fraud")
    world.api.create(spec)
    world.metrics.serve(spec)
    there = world.api.workloads[KEY]
    world.api.workloads[KEY] = (LEGACY, WorkloadAbsent("Deployment 'fraud-v8' not found"))
    await world.start()
    await world.until(lambda: phase(world, KEY) is Phase.INVALID)
    world.api.workloads[KEY] = there
    await world.until(lambda: phase(world, KEY) is Phase.PROGRESSING)
    await asyncio.sleep(SETTLE)
    assert (heard.began, heard.over) == ([], [])
    await world.stop()


def paused(at: float, reason: str = "ElevatedBurn") -> RolloutStatus:
    from tests.unit.core.test_happenings import record

    return RolloutStatus(revision="r1", phase=Phase.PAUSED, reason=reason, decisions=(record("Pause", reason, at),))


def stored(status: RolloutStatus | None) -> RolloutObject:
    return RolloutObject(KEY, "u1", "1", 1, START, False, True, None, None, status)


GOING = RolloutStatus(revision="r1", phase=Phase.PROGRESSING, reason="Progressing")


async def test_what_comes_and_goes_is_told_once_in_a_while() -> None:
    heard = Heard()
    notices = Notices(heard, LoopClock())
    notices.look(stored(GOING))
    for turn in range(8):
        notices.look(stored(paused(START + 200 * turn)))
        await asyncio.sleep(100)
        notices.look(stored(GOING))
        await asyncio.sleep(100)
    assert len(heard.began) == 8
    assert len(heard.news) == 8 * 200 // QUIET + 1
    assert len(heard.over) == 8


async def test_what_stands_is_not_told_again_when_its_numbers_move() -> None:
    heard = Heard()
    notices = Notices(heard, LoopClock())
    notices.look(stored(GOING))
    for turn in range(3):
        notices.look(stored(replace(paused(START), message=f"burn {turn}x")))
    assert len(heard.began) == 1


@pytest.mark.parametrize(("since", "news"), [(START - 10, 1), (START + 10, 0), (None, 0)])
async def test_a_new_leader_tells_what_its_predecessor_may_not_have_told(since: float | None, news: int) -> None:
    heard = Heard()
    notices = Notices(heard, LoopClock())
    notices.lead(since)
    notices.look(stored(paused(START)))
    assert (len(heard.began), len(heard.news)) == (1, news)


async def test_who_leads_again_does_not_repeat_itself() -> None:
    heard = Heard()
    notices = Notices(heard, LoopClock())
    notices.lead(START - 10)
    notices.look(stored(paused(START)))
    assert len(heard.news) == 1
    notices.lead(None)
    notices.lead(START - 10)
    notices.look(stored(paused(START)))
    assert (len(heard.began), len(heard.news)) == (1, 0)


async def test_nothing_is_told_later_by_who_leads_no_longer() -> None:
    heard = Heard()
    notices = Notices(heard, LoopClock())
    notices.look(stored(GOING))
    notices.look(stored(RolloutStatus(revision="r1", phase=Phase.INVALID, reason="RefNotFound")))
    notices.lead(None)
    await asyncio.sleep(2 * SETTLE)
    assert heard.began == []


def lease(holder: str, renewed: str = "2023-11-14T22:13:20.000000Z") -> LeaseRecord:
    return LeaseRecord(holder, Epoch(3), 15.0, renewed, "7")


@pytest.mark.parametrize(
    ("before", "since"),
    [
        (None, START + 500),
        (lease("other"), START - LOST),
        (lease(""), START - HANDED_OVER),
        (lease("other", "nonsense"), START + 500 - LOST),
    ],
    ids=["nobody", "lost", "given back", "unreadable"],
)
def test_from_when_on_a_new_leader_tells(before: LeaseRecord | None, since: float) -> None:
    assert new_since(before, START + 500) == since


async def test_a_restart_after_the_write_and_before_the_telling_loses_nothing() -> None:
    api, first = Api(), Heard()
    world = await a_bad_one(first, api)
    world.notices.look = lambda obj: None  # type: ignore[method-assign]  # the process dies before it gets round to it
    await world.until(lambda: phase(world, KEY) is Phase.ROLLED_BACK)
    await world.stop()
    second = Heard()
    restarted = build(api, world.metrics, notifier=second)
    restarted.notices.lead(START + asyncio.get_running_loop().time() - LOST)
    await restarted.start()
    await asyncio.sleep(5)
    assert (first.news, second.news) == ([], [Happened.ROLLED_BACK])
    await restarted.stop()


async def test_a_broken_notifier_breaks_no_rollout(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Heard):
        def begun(self, happening: Happening, *, new: bool) -> None:
            raise ZeroDivisionError

    world = await a_bad_one(Broken())
    await world.until(lambda: phase(world, KEY) is Phase.ROLLED_BACK)
    assert not world.telemetry.registry.get_sample_value("modelrollout_bugs_total")
    assert "can't be told" in caplog.text
    await world.stop()


async def reverted(notifier: Dispatcher | None) -> list[tuple[float, str]]:
    """Every write with its time since the start, which is on the grid of the ticks."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(HOUR - loop.time() % HOUR)
    begun = loop.time()
    world = build(notifier=notifier)
    for number in range(MANY):
        spec = quick(f"m{number}")
        world.api.create(spec)
        world.metrics.serve(spec, candidate=BAD)
    await world.start()
    keys = [quick(f"m{number}").key for number in range(MANY)]
    await world.until(lambda: all(phase(world, key) is Phase.ROLLED_BACK for key in keys))
    await asyncio.sleep(10)
    await world.stop()
    return [(round(write.at - begun, 6), write.what) for write in world.api.writes]


@pytest.fixture
def deaf() -> Dispatcher:
    """Targets of every kind that take a request and never answer."""

    async def never(outgoing: Outgoing, *, timeout: float) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    return Dispatcher(never, Counted(), LoopClock(), rng=random.Random(1))


async def test_receivers_that_never_answer_delay_no_revert(deaf: Dispatcher) -> None:
    """Reverts at once beside three receivers that hang: every write at the very moment that it has without them."""
    without = await reverted(None)
    targets = tuple(Target(kind.value, kind, "http://sink.example.com") for kind in TargetKind)
    deaf.configure(Notifications(targets))
    assert await reverted(deaf) == without
    assert [what for _, what in without].count("route") == 2 * MANY
    await deaf.close(within=1.0)
