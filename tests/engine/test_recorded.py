"""A rollout on recorded data takes the decisions that the engine took when the data were live."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from modelrollout.core.model import Counts, Margin, Phase, RolloutSpec, Selector, Sli, Step, Verdict, Weight
from modelrollout.core.observation import EvidenceSeen
from modelrollout.core.rates import Exposure
from modelrollout.ports import Answer, ArmsByPod, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import within
from modelrollout.sim.recorded import Replayed, replay
from modelrollout.sim.recording import Header, Recording
from tests.engine.metrics import Load
from tests.engine.world import World, build, spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)

QUICK = tuple(Step(Weight(w * 100), 20.0, 3600.0) for w in (5, 50, 100))
SOURCE = SourceSpec("default", ArmsByPod(), 1.0)
BEFORE, LENGTH = 60.0, 300.0


def counted() -> RolloutSpec:
    source = Counts(Selector("requests_total"), Selector("requests_total", equal=(("code", "500"),)))
    return spec_named("fraud", steps=QUICK, slis=(replace(sli(), source=source),))


async def recorded(world: World, spec: RolloutSpec) -> Recording:
    """What the world's Prometheus holds around the rollout."""
    made = Recording(Header(str(spec.key), START - BEFORE, START + LENGTH, 1.0))
    for end in range(int(START - BEFORE) + 60, int(START + LENGTH) + 1, 60):
        query = SeriesQuery(("requests_total",), 61.0)
        (answer,) = await world.metrics.read("default", [query], at=float(end))
        assert isinstance(answer, Answer)
        for stretch in within(answer.series, end - 60.0, float(end)):
            made.add(stretch)
    return made


async def both(spec: RolloutSpec, *, ends: Phase, turn: tuple[float, float] | None = None) -> tuple[World, Replayed]:
    """Live until the rollout is over; then replayed, begun at the same moment."""
    world = build()
    world.api.create(spec)
    world.metrics.serve(spec)
    if turn is not None:
        world.metrics.change("serving", "fraud-v8", START + turn[0], Load(errors=turn[1]))
    await world.start()
    await world.until(
        lambda: world.api.objects[spec.key].status is not None and world.api.status(spec.key).phase is ends
    )
    await world.stop()
    recording = await recorded(world, spec)
    # A replay has a loop of its own, as the command line has.
    return world, await asyncio.to_thread(replay, spec, recording, SOURCE, lead=BEFORE - 1.0)


@pytest.mark.parametrize(
    ("turn", "ends"), [(None, Phase.PROMOTED), ((31.0, 0.6), Phase.ROLLED_BACK)], ids=["good", "turns bad"]
)
async def test_a_replay_decides_as_the_engine_did(turn: tuple[float, float] | None, ends: Phase) -> None:
    spec = counted()
    world, result = await both(spec, ends=ends, turn=turn)
    assert result.status.phase is ends
    live = world.api.status(spec.key).decisions
    again = [record for moment in result.moments for record in moment.new]
    assert [(r.action, r.reason, r.weight) for r in again] == [(r.action, r.reason, r.weight) for r in live]
    assert len(again) >= 3
    for then, now in zip(live, again, strict=True):
        # The live engine polls every 0.25 s, and its first look was at START.
        assert abs(now.at - then.at) <= 6.0
    assert result.moments[-1].evidence is not None


async def test_a_replay_judges_events_without_a_total_per_replica_and_lets_those_by_weight_be() -> None:
    spec = counted()
    errors = Selector("requests_total", equal=(("code", "500"),))
    guards = tuple(Sli(per.value.lower(), Counts(None, errors, per), None, margin=Margin(2.0, 0.0)) for per in Exposure)
    steps = tuple(replace(step, min_duration=80.0) for step in QUICK)
    spec = replace(spec, slis=(*spec.slis, *guards), steps=steps)
    world = build()
    world.metrics.serve(spec, legacy=Load(errors=0.0005), candidate=Load(errors=0.005))
    result = await asyncio.to_thread(replay, spec, await recorded(world, spec), SOURCE)
    assert result.status.phase is Phase.ROLLED_BACK
    assert result.status.message.startswith("replicas: candidate ")
    assert [shares.sli for shares in result.shares] == ["availability"]
    found = [m.evidence.slis[-1] for m in result.moments if isinstance(m.evidence, EvidenceSeen)]
    assert {each.verdict for each in found} <= {Verdict.PASS, Verdict.WAIT}
    assert found[-1].rates is not None
    assert found[-1].rates.candidate.exposure == 0.0


async def test_what_waits_for_people_is_said() -> None:
    spec = counted()
    spec = replace(spec, steps=(replace(QUICK[0], approval=True), *QUICK[1:]))
    world = build()
    world.metrics.serve(spec)
    result = await asyncio.to_thread(replay, replace(spec, paused=True), await recorded(world, spec), SOURCE)
    assert result.notes == ("approvals are taken as given at once", "spec.paused is taken as false")
    assert result.status.phase is Phase.PROMOTED


async def test_the_recorded_split_is_not_held_against_the_weights() -> None:
    """Half of the requests were the candidate's, whatever weight each step would have ordered."""
    spec = spec_named("fraud", steps=QUICK, slis=(replace(sli(), margin=Margin(2.0, 0.1)),))
    world = build()
    world.metrics.serve(spec)
    result = await asyncio.to_thread(replay, spec, await recorded(world, spec), SOURCE)
    assert result.status.phase is Phase.PROMOTED
    assert Verdict.INVALID not in {
        found.verdict for m in result.moments if isinstance(m.evidence, EvidenceSeen) for found in m.evidence.slis
    }


async def test_data_of_another_rollout_are_said() -> None:
    spec = counted()
    world = build()
    world.metrics.serve(spec)
    result = await asyncio.to_thread(
        replay, replace(spec, key=replace(spec.key, name="other")), await recorded(world, spec), SOURCE
    )
    assert result.notes == ("the data were recorded for serving/fraud",)


async def test_data_that_end_too_early_leave_it_open() -> None:
    spec = replace(counted(), steps=(Step(Weight(500), 600.0, 3600.0), *QUICK[1:]))
    world = build()
    world.metrics.serve(spec)
    played: list[float] = []
    result = await asyncio.to_thread(replay, spec, await recorded(world, spec), SOURCE, progress=played.append)
    assert result.status.phase is Phase.PROGRESSING
    assert result.ended == START + LENGTH + 1.0
    assert played[0] < 0.1
    assert played == sorted(played)
    assert played[-1] == 1.0
    (shares,) = result.shares
    assert shares.legacy[0] == shares.candidate[0] == pytest.approx(100 * 359)
