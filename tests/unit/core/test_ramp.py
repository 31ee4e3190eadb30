"""Between two weights of a ramp: as far as the tolerance bears a candidate that is not proven."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest

from modelrollout.core.model import AdoptRoute, Analysis, Counts, Istio, Margin, Router, Selector, Sli, Traefik, Verdict
from modelrollout.core.observation import Effect, EvidenceSeen, Interval, Odds, SliAssessment
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from tests.scene import READY, World, assessed, make_spec

SPEC = replace(make_spec(2, 6, 20, 100, analysis=Analysis(interval=5.0, tolerance=0.0005)), ramp=True)
HALF = Interval(0.008, -0.001, 0.0125)
"""Excess of 0.8 points, 1.25 at most: at 4 % of the traffic it costs 0.05 %."""
NOT_SURE = Odds(worse=0.0, worse_limit=log(100), fine=1.0, fine_limit=log(20), margin=Margin(1.25, 0.0083))


def undecided(excess: Interval = HALF, **changes: object) -> SliAssessment:
    effect = Effect(Interval(None, None, None), excess)
    one = assessed(Verdict.WAIT, total=800, bad=14, effect=effect, odds=NOT_SURE, margin=Margin(1.0, 0.0))
    return replace(one, **changes)  # type: ignore[arg-type]  # its fields


def at_first_step(*slis: SliAssessment, spec: object = SPEC) -> World:
    """A world in its first step for a minute and a half, with this evidence."""
    world = World(spec=spec)  # type: ignore[arg-type]  # a RolloutSpec
    world.settle()
    assert world.weight == 2
    world.now += 90
    world.evidence = EvidenceSeen(world.step_started + 5, world.now, slis)
    world.step()
    return world


def test_an_undecided_step_of_a_ramp_goes_as_far_as_the_tolerance_bears() -> None:
    world = at_first_step(undecided())
    assert world.route_weight == 400
    assert world.state.step is not None
    assert (world.state.step.index, world.state.step.started) == (0, world.now)
    assert world.state.message == (
        "step 1/4: candidate 2 % -> 4 %; the most that costs all traffic no more than 0.0500 %, as far as is known; "
        "availability: waiting: 800 candidate requests, about 380 do when it is as good as legacy; odds 2.7 : 1 that "
        "it is within margin 1.25x + 0.83 %, 20 : 1 needed; candidate 1.75 % of 800 bad, legacy 0.500 % of 10,000, "
        "difference 0.800 % (-0.100 % to 1.25 %), allowed 1.00 %"
    )


def test_the_rest_of_the_way_takes_a_pass_of_the_same_step() -> None:
    world = at_first_step(undecided())
    world.evidence = None
    world.run(75)
    assert world.weight == 6
    assert [d.weight for d in world.state.decisions if d.action == "Raise"] == [200, 400, 600]


@pytest.mark.parametrize(
    ("excess", "weight"),
    [
        (Interval(0.01, 0.0, 0.0208), 240),
        (Interval(0.02, 0.0, 0.0215), 200),
        (Interval(0.02, 0.0, 0.5), 200),
        (Interval(0.0, 0.0, 0.00834), 599),
        (Interval(0.0, -0.1, 0.0083), 200),
        (Interval(-0.1, -0.2, -0.01), 200),
        (Interval(None, None, None), 200),
    ],
    ids=["some", "not worth it", "far too uncertain", "nearly all", "all: a PASS says that", "better", "not known"],
)
def test_how_far(excess: Interval, weight: int) -> None:
    assert at_first_step(undecided(excess)).route_weight == weight


@pytest.mark.parametrize(
    ("ratio", "weight"),
    # Legacy: 50 of 10,000, give or take 14: a ratio of 3 allows 0.72 points, one of 0.5 forbids 0.32.
    [(3.0, 938), (0.5, 318)],
)
def test_what_the_ratio_allows_is_no_excess(ratio: float, weight: int) -> None:
    spec = replace(SPEC, steps=(*SPEC.steps[:1], *SPEC.steps[2:]))
    assert at_first_step(undecided(margin=Margin(ratio, 0.0)), spec=spec).route_weight == weight


@pytest.mark.parametrize(
    "sli",
    [
        undecided(candidate=assessed(total=765).candidate),
        undecided(odds=replace(NOT_SURE, worse=log(10.1))),
        undecided(odds=replace(NOT_SURE, fine=1.5)),
        undecided(note="labels are missing"),
        undecided(odds=None),
        undecided(legacy=assessed(total=0, bad=0).candidate),
        replace(undecided(), verdict=Verdict.INVALID, note="no bucket"),
    ],
    ids=[
        "may still pass in time",
        "looks bad",
        "half way to a PASS",
        "labels",
        "nothing compared",
        "no legacy",
        "invalid",
    ],
)
def test_what_keeps_it_where_it_is(sli: SliAssessment) -> None:
    assert at_first_step(sli).weight == 2


GUARD = Sli("restarts", Counts(None, Selector("restarts_total"), Exposure.REPLICAS), None, margin=Margin(1.25, 0.0))


@pytest.mark.parametrize(("verdict", "weight"), [(Verdict.PASS, 400), (Verdict.WAIT, 200), (Verdict.NO_DATA, 200)])
def test_a_guard_bounds_no_excess_but_holds_when_it_does_not_pass(verdict: Verdict, weight: int) -> None:
    rates = Rates(Exposure.REPLICAS, ArmEvents(0, 90.0), ArmEvents(0, 270.0), None, 0.0, log(200))
    guard = SliAssessment("restarts", True, verdict, None, None, None, rates=rates)
    spec = replace(SPEC, slis=(*SPEC.slis, GUARD))
    assert at_first_step(undecided(), guard, spec=spec).route_weight == weight


def test_the_worst_sli_says_how_far_and_one_that_has_passed_has_a_say() -> None:
    spec = replace(SPEC, slis=(SPEC.slis[0], replace(SPEC.slis[0], name="latency")))
    passed = replace(undecided(Interval(0.0, 0.0, 0.0167)), name="latency", verdict=Verdict.PASS)
    assert at_first_step(undecided(), passed, spec=spec).route_weight == 299
    assert at_first_step(undecided(), spec=spec).route_weight == 200, "without evidence of one nobody knows"


@pytest.mark.parametrize("router", [AdoptRoute("r"), Istio("r"), Traefik("r")])
def test_written_steps_are_kept_to_and_so_is_a_route_that_others_made(router: Router) -> None:
    assert at_first_step(undecided(), spec=replace(SPEC, ramp=False)).weight == 2
    adopted = replace(SPEC, traffic=replace(SPEC.traffic, router=router))
    world = World(spec=adopted)
    world.edit_route(0)
    world.settle()
    world.now += 90
    world.evidence = EvidenceSeen(world.step_started + 5, world.now, (undecided(),))
    world.step()
    assert world.weight == 2


def test_it_waits_for_the_shortest_time_and_for_a_ready_candidate() -> None:
    world = World(spec=SPEC)
    world.settle()
    world.now += 50
    world.evidence = EvidenceSeen(world.step_started + 5, world.now, (undecided(),))
    world.step()
    assert world.weight == 2
    world.candidate = replace(READY, endpoints=1)
    world.now += 20
    world.evidence = EvidenceSeen(world.step_started + 5, world.now, (undecided(),))
    world.step()
    assert world.weight == 2


def test_old_evidence_raises_nothing() -> None:
    world = World(spec=SPEC)
    world.settle()
    world.now += 90
    world.evidence = EvidenceSeen(world.step_started + 5, world.now - 30, (undecided(),))
    world.step()
    assert world.weight == 2
