"""A simulated rollout is played by the operator's own code: it climbs, reverts, waits, and can be repeated."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from modelrollout.core.model import ActionVerb, Outcome, Phase, RolloutSpec, Step, Weight
from modelrollout.core.observation import EvidenceSeen, EvidenceUnreachable
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.drive import Course, simulate
from modelrollout.sim.scenario import Act, ArmName, Change, Crashes, Onset, Outage, OutageKind, Scenario
from modelrollout.sim.traffic import Constant
from tests.scene import make_spec, own
from tests.unit.sim.test_streams import ERRORS

SOURCE = SourceSpec("default", ArmsByPod(), 5.0)
SPEC = make_spec(slis=(ERRORS,))
BUSY = Scenario(traffic=Constant(1000.0), duration=3600.0, base=(("errors", 0.001),))


def played(scenario: Scenario, spec: RolloutSpec = SPEC, *, seed: int = 1) -> Course:
    return simulate(spec, scenario, seed=seed, source=SOURCE, film=True)


def weights(course: Course) -> list[int]:
    """The weights of the decisions that moved traffic, in percent."""
    return [d.weight // 100 for d in course.status.decisions if d.action in ("Raise", "Rollback", "Promote")]


def test_a_healthy_candidate_climbs_to_the_end() -> None:
    course = played(BUSY)
    assert course.status.phase is Phase.PROMOTED
    assert weights(course) == [5, 25, 100, 100]
    starts = [d.at for d in course.status.decisions if d.action == "Raise"]
    assert all(b - a >= 60 for a, b in itertools.pairwise(starts)), "each step lasts its minDuration"
    assert course.truth[ArmName.CANDIDATE, "errors"].total > 1000


def test_a_sick_one_goes_back() -> None:
    sick = replace(BUSY, changes=(Change("errors", (ArmName.CANDIDATE,), Onset(weight=Weight(2500)), difference=0.2),))
    course = played(sick)
    assert course.status.phase is Phase.ROLLED_BACK
    assert [d.action for d in course.status.decisions] == ["Raise", "Raise", "Rollback"]
    raised, reverted = [d.at for d in course.status.decisions if d.action in ("Raise", "Rollback")][-2:]
    assert reverted - raised < 60


def test_the_data_plane_is_seen_to_follow() -> None:
    course = played(BUSY)
    climbed = [look.weight for look in course.looks]
    assert list(dict.fromkeys(climbed)) == [0, 500, 2500, 10_000]


def test_the_same_seed_gives_the_same_journal() -> None:
    odd = replace(
        BUSY,
        traffic=Constant(30.0),
        dispersion=2.0,
        crashes=(Crashes(ArmName.CANDIDATE, Onset(100.0, lasts=60.0), 50.0, 4.0),),
        changes=(Change("errors", (ArmName.CANDIDATE,), Onset(200.0), ratio=20.0),),
    )
    first, second, other = played(odd), played(odd), played(odd, seed=2)
    assert len(first.journal) > 5
    assert first.journal == second.journal
    assert first.journal != other.journal


def test_filming_changes_nothing() -> None:
    course = simulate(SPEC, BUSY, seed=1, source=SOURCE)
    assert course.status == played(BUSY).status
    assert (course.looks, course.journal, course.told) == ([], [], [])


def test_an_outage_of_prometheus_freezes_the_weight() -> None:
    course = played(replace(BUSY, outages=(Outage(OutageKind.DOWN, 90.0, 300.0),)))
    assert any(isinstance(look.evidence, EvidenceUnreachable) for look in course.looks if 100 < look.at < 300)
    assert not [d for d in course.status.decisions if d.action == "Raise" and 95 < d.at - 1.8e9 < 300]
    assert course.status.phase is Phase.PROMOTED


def test_a_restart_of_the_operator_changes_no_outcome() -> None:
    undisturbed = played(BUSY)
    course = played(replace(BUSY, restarts=(33.0, 92.0, 150.0)))
    assert course.status.phase is Phase.PROMOTED
    assert weights(course) == weights(undisturbed)


def test_restarts_in_an_incident_change_nothing() -> None:
    """What the operator knows after a restart is what it would have known: the same decisions at the same times."""
    both = Change("errors", (ArmName.LEGACY, ArmName.CANDIDATE), Onset(70.0, lasts=120.0), difference=0.2)
    scenario = replace(BUSY, changes=(both,))
    undisturbed = played(scenario)
    assert [d.action for d in undisturbed.status.decisions].count("Pause") >= 1
    course = played(replace(scenario, restarts=tuple(float(t) for t in range(67, 400, 31))))
    assert [(d.at, d.action, d.message) for d in course.status.decisions] == [
        (d.at, d.action, d.message) for d in undisturbed.status.decisions
    ]


def test_people_act() -> None:
    gated = make_spec(approval=1, slis=(ERRORS,))
    waiting = played(replace(BUSY, duration=900.0), gated)
    assert (waiting.status.phase, waiting.status.reason) == (Phase.PAUSED, "Approval")
    acted = played(replace(BUSY, actions=(Act(400.0, ActionVerb.APPROVE), Act(500.0, ActionVerb.ABORT))), gated)
    assert acted.status.phase is Phase.ROLLED_BACK
    assert acted.status.decisions[-1].reason == "Aborted"
    raised = [d.at - 1.8e9 for d in acted.status.decisions if d.action == "Raise"]
    assert 400 <= raised[1] <= 406


def test_low_traffic_waits_and_says_how_much_it_needs() -> None:
    course = played(Scenario(traffic=Constant(0.2), duration=1800.0, base=(("errors", 0.0),)))
    assert course.status.phase is Phase.PROGRESSING
    assert "waiting" in course.status.message
    (look,) = course.looks[-1:]
    assert isinstance(look.evidence, EvidenceSeen)
    assert own(look.evidence.slis[0]).total < look.evidence.slis[0].needed


def test_a_candidate_that_cannot_stay_up_is_taken_off() -> None:
    loop = Crashes(ArmName.CANDIDATE, Onset(60.0), every=20.0, downtime=120.0)
    course = played(replace(BUSY, crashes=(loop,)))
    assert course.status.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("then", [Outcome.PAUSE, Outcome.ROLLBACK])
def test_no_data_holds_run_out(then: Outcome) -> None:
    analysis = replace(SPEC.analysis, no_data=replace(SPEC.analysis.no_data, hold=60.0, then=then))
    gone = Outage(OutageKind.EMPTY, 80.0, 900.0, (ArmName.CANDIDATE,))
    course = played(replace(BUSY, outages=(gone,), duration=600.0), replace(SPEC, analysis=analysis))
    assert course.status.phase is (Phase.PAUSED if then is Outcome.PAUSE else Phase.ROLLED_BACK)


def test_a_step_ends_with_the_scenario() -> None:
    slow = make_spec(slis=(ERRORS,), steps=(Step(Weight(500), 7200.0, 21_600.0),))
    course = played(replace(BUSY, duration=120.0), slow)
    assert (course.ended, course.status.phase) == (120.0, Phase.PROGRESSING)
