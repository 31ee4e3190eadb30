"""A new leader sees who is dead now before it has read what was."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from modelrollout.core.model import Labels, Verdict, Weight
from modelrollout.core.observation import Attribution, EvidencePending, EvidenceSeen, HardGuardFinding
from modelrollout.core.status import RolloutStatus
from modelrollout.runtime.glance import WARMUP, glance
from modelrollout.runtime.queue import Priority
from tests.engine.api import SCRAPE
from tests.engine.bench import PLAN, Bench, at_step
from tests.engine.metrics import Load
from tests.engine.world import spec_named
from tests.scene import START, sli

pytestmark = pytest.mark.looptime(start=0)

HOURS = 20 * 3600.0


async def behind(*, candidate: Load | None = None, legacy: Load | None = None) -> Bench:
    """A new leader, twenty hours after the step began; for half a minute the arms have had these loads."""
    bench = Bench()
    bench.metrics.serve(spec_named("m"))
    for deployment, load in (("m-v8", candidate), ("m-v7", legacy)):
        if load:
            bench.metrics.change("serving", deployment, START + HOURS - 30, load)
    await asyncio.sleep(HOURS)
    bench.rounds.follow(spec_named("m"), at_step(), bench.metrics.source("default"), (PLAN,), SCRAPE)  # type: ignore[arg-type]  # it is there
    return bench


async def test_a_dead_candidate_of_a_long_step_is_seen_before_its_past_is_read() -> None:
    bench = await behind(candidate=Load(errors=1.0))
    await bench.run(1)
    found = bench.rounds.evidence(spec_named("m").key)
    assert isinstance(found, EvidenceSeen)
    (only,) = found.slis
    assert (only.name, only.verdict) == ("availability", Verdict.FAIL)
    assert isinstance(only.hard_guard, HardGuardFinding)
    assert only.hard_guard.attribution is Attribution.CANDIDATE
    assert START + HOURS - 10 < found.tick <= START + HOURS
    assert (found.ledgers, found.checkpoints) == (at_step().budget, at_step().checkpoints), "nothing of it is known yet"
    assert [priority for _, _, priority in bench.news][-1] is Priority.URGENT


async def test_of_one_that_is_well_nothing_is_said_until_its_past_is_read() -> None:
    bench = await behind()
    await bench.run(1)
    assert bench.rounds.evidence(spec_named("m").key) == EvidencePending()
    assert {priority for _, _, priority in bench.news} == {Priority.NORMAL}
    await bench.run(60)
    found = bench.rounds.evidence(spec_named("m").key)
    assert isinstance(found, EvidenceSeen)
    assert [one.verdict for one in found.slis] == [Verdict.PASS]
    (watch,) = bench.rounds._watches.values()
    assert watch.glance is None, "it has caught up"


async def test_an_outage_of_both_arms_is_nobodys_death() -> None:
    bench = await behind(candidate=Load(errors=1.0), legacy=Load(errors=1.0))
    await bench.run(1)
    assert bench.rounds.evidence(spec_named("m").key) == EvidencePending()


async def test_what_a_glance_found_gives_way_to_the_whole_evidence() -> None:
    bench = await behind(candidate=Load(errors=1.0))
    await bench.run(60)
    found = bench.rounds.evidence(spec_named("m").key)
    assert isinstance(found, EvidenceSeen)
    (only,) = found.slis
    assert only.verdict is Verdict.FAIL
    assert only.odds is not None, "the arms were compared"
    (watch,) = bench.rounds._watches.values()
    assert watch.evidence == found
    assert watch.glance is None, "nothing is left that could be taken for news later"


async def test_bug_after_a_long_outage_a_glance_asked_for_all_of_it_on_behalf_of_everybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It had begun when Prometheus went away, and its question is the one that all share."""
    bench = Bench()
    bench.follow(spec_named("m"))
    await bench.run(30)
    bench.metrics.fail["default"] = "Unreachable"
    await bench.run(1500)
    bench.metrics.fail.clear()
    before = len(bench.metrics.asked)
    await bench.run(30)
    shared = [query for _, query, _ in bench.metrics.asked[before:] if not query.pods]
    assert shared
    assert max(query.window for query in shared) <= 120
    assert isinstance(bench.rounds.evidence(spec_named("m").key), EvidenceSeen)
    assert caplog.messages == []


def test_there_is_none_where_a_glance_tells_nothing() -> None:
    spec = spec_named("m")

    def begun(**changes: object) -> bool:
        status: RolloutStatus = at_step()
        changed = replace(spec, **changes)  # type: ignore[arg-type]  # its own fields
        begin = partial(glance, spec=changed, plans=(PLAN,), status=status, since=START, scrape=SCRAPE)
        return begin(START + HOURS, weight=Weight(500)) is not None

    assert begun()
    assert not begun(slis=(replace(sli(), labels=Labels(600.0)),)), "labels come when they come"
    assert not begun(slis=(replace(sli(), critical=False),))
    assert not begun(analysis=replace(spec.analysis, warmup=WARMUP + 1)), "it would reach far back for all"
