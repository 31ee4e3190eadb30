"""What people read of a step is never older than half of it, and is written rarely."""

from __future__ import annotations

import itertools
from dataclasses import replace

from modelrollout.core.counted import FIRST
from modelrollout.core.decide import decide
from modelrollout.core.model import Epoch, Verdict
from modelrollout.core.observation import ArmCounts, EvidencePending, EvidenceSeen
from tests.scene import START, World, assessed, started

HOUR = 3600.0


def waiting() -> World:
    """A candidate with three requests a second at 1 %, which takes hours for a verdict."""
    return started(1, 100, min_duration=6 * HOUR)


def counting(world: World, seconds: float) -> list[float]:
    """Let ticks pass; the step's ages, s, at which the status was written."""
    written, begun = [], world.step_started
    for _ in range(int(seconds / 5)):
        world.now += 5
        age = world.now - begun
        found = replace(assessed(Verdict.WAIT), candidate=ArmCounts(int(age * 0.03), 0), needed=310)
        world.evidence = EvidenceSeen(begun + 5, world.now, (found,))
        before = len(world.writes)
        world.settle()
        written += [age] * (len(world.writes) - before)
    return written


def test_a_step_of_minutes_has_no_write_of_its_own_for_its_numbers() -> None:
    assert counting(waiting(), FIRST - 5) == []


def test_numbers_are_written_when_the_step_is_twice_as_old_as_it_was() -> None:
    world = waiting()
    ages = counting(world, 2 * HOUR)
    assert FIRST <= ages[0] <= 2 * FIRST + 5
    assert all(2 * a <= b <= 2 * a + 5 for a, b in itertools.pairwise(ages)), ages
    assert 5 <= len(ages) <= 7
    found = world.state.slis[0]
    assert found.candidate is not None
    assert found.candidate.total == int(ages[-1] * 0.03)
    assert f"{found.candidate.total} of 310 candidate requests" in found.message
    assert world.state.step is not None
    assert world.state.step.counted == world.step_started + ages[-1]


def test_any_other_write_brings_the_numbers_too_and_counts() -> None:
    world = waiting()
    begun = world.step_started
    counting(world, 60)
    world.now += 5
    world.spec = replace(world.spec, paused=True)
    world.settle()
    assert world.state.step is not None
    assert world.state.step.counted == world.now
    assert world.now < begun + FIRST


def test_without_evidence_there_are_no_numbers_to_write() -> None:
    world = waiting()
    world.evidence = EvidencePending()
    before = len(world.writes)
    world.run(HOUR)
    assert len(world.writes) == before
    assert world.state.step is not None
    assert world.state.step.counted == 0


def test_a_new_step_begins_without_numbers() -> None:
    world = started(1, 50, 100)
    world.run(70)
    assert world.weight == 50
    assert world.state.step is not None
    assert world.state.step.counted == 0


def test_a_new_leader_alone_is_worth_no_write_of_numbers() -> None:
    world = waiting()
    counting(world, HOUR)
    known = world.state
    assert known.step is not None
    decision = world.decide()
    led = replace(world.observe(), epoch=Epoch(5))
    again = decide(world.spec, known, led, world.now)
    assert again.status.step == decision.status.step == known.step


def test_rollouts_that_were_started_together_do_not_write_in_one_tick() -> None:
    first = set()
    for number in range(40):
        world = World(spec=replace(waiting().spec, uid=f"uid-{number}"), now=START)
        world.settle()
        first.add(counting(world, 2 * FIRST + 5)[0])
    assert len(first) > 10
