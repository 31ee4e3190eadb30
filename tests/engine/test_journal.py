"""What the engine writes into its journal is enough to decide every one of its decisions again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from modelrollout.adapters.journal import FileJournal
from modelrollout.core.model import ActionVerb, Counts, Margin, Phase, RolloutSpec, Selector, Step, Weight
from modelrollout.core.observation import ActionRequest
from modelrollout.runtime.queue import Priority
from modelrollout.sim.journal import Entry, entries
from modelrollout.sim.redecide import Again, again
from tests.engine.metrics import Load
from tests.engine.world import World, build, spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)

QUICK = tuple(Step(Weight(w * 100), 20.0, 3600.0) for w in (5, 50, 100))


def journal_of(world: World, path: Path) -> list[Entry]:
    journal = FileJournal(path)
    for line in world.journal.entries:
        journal.append(line)
    assert journal.lost == 0
    with path.open("rb") as file:
        found = list(entries(file))
    assert all(isinstance(line, Entry) for line in found), found
    return [line for line in found if isinstance(line, Entry)]


def quick(name: str) -> RolloutSpec:
    """Short steps, on counts that say nothing of how requests are split, with a margin that a minute proves."""
    bad = Selector("requests_total", equal=(("code", "500"),))
    counted = replace(sli(), source=Counts(Selector("requests_total"), bad), margin=Margin(2.0, 0.1))
    return spec_named(name, steps=QUICK, slis=(counted,))


async def running(*specs: RolloutSpec) -> World:
    world = build()
    for spec in specs:
        world.api.create(spec)
        world.metrics.serve(spec)
    await world.start()
    return world


async def test_a_whole_engine_run_is_decided_again_as_it_was(tmp_path: Path) -> None:
    good, bad = quick("good"), quick("bad")
    world = await running(good, bad)
    await world.until(lambda: world.api.weight(bad.key) == 5000)
    world.api.actions[good.key].append(
        ActionRequest("a", "uid-a", ActionVerb.PAUSE, START + asyncio.get_running_loop().time(), None, "lunch")
    )
    world.engine.enqueue(good.key, Priority.NORMAL)
    await asyncio.sleep(7)
    world.metrics.change("serving", "bad-v8", START + asyncio.get_running_loop().time(), Load(errors=0.6))
    await world.until(lambda: world.api.status(bad.key).phase is Phase.ROLLED_BACK)
    await world.stop()
    found = journal_of(world, tmp_path / "journal.jsonl")
    phases = {(line.key, line.decision.status.phase) for line in found}
    assert {("serving/bad", Phase.ROLLED_BACK), ("serving/good", Phase.PAUSED)} <= phases
    results = [again(line) for line in found]
    assert [r for r in results if not isinstance(r, Again) or r.differences] == []
    assert [(line.unknown, line.missing) for line in found if line.unknown or line.missing] == []


async def test_a_tampered_line_is_found(tmp_path: Path) -> None:
    spec = quick("fraud")
    world = await running(spec)
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    await world.stop()
    path = tmp_path / "journal.jsonl"
    whole = journal_of(world, path)
    raised = [line.line for line in whole if line.decision.status.weight == 5000]
    lines = path.read_text().splitlines()
    lines[raised[0] - 1] = lines[raised[0] - 1].replace('"verdict":"PASS"', '"verdict":"WAIT"')
    path.write_text("\n".join(lines))
    with path.open("rb") as file:
        results = [again(line) for line in entries(file) if isinstance(line, Entry)]
    differ = [r for r in results if isinstance(r, Again) and r.differences]
    assert [r.entry.line for r in differ] == [raised[0]]
    fields = {each.field: each for each in differ[0].differences}
    assert (fields["status.weight"].taken, fields["status.weight"].now) == (5000, 500)
    assert fields["intent"].acts
