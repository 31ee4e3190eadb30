"""A rollout whose weight is a share of pods: what it writes, what it waits for, and when it gives up."""

from __future__ import annotations

from modelrollout.core.model import ActionVerb, Phase, Verdict
from modelrollout.core.observation import EvidenceUnreachable
from modelrollout.core.pods import least_ready
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import reasons
from tests.unit.core.pods_world import at_half, phase, pods_world


def test_a_good_candidate_is_promoted_and_users_always_have_all_pods() -> None:
    world = pods_world(5, 25, 50, 100)
    world.settle()
    assert world.counts == (10, 1), "the rollout starts the pods that it needs: preflight does not wait for them"
    ready = world.until(600)
    assert phase(world) is Phase.PROMOTED
    assert world.counts == (0, 10)
    assert min(legacy + candidate for legacy, candidate in ready) == 10
    assert max(legacy + candidate for legacy, candidate in ready) <= 10 + 5
    assert [h.outcome for h in world.state.history] == ["Promoted"]
    assert EventReason.ROUTE_CONFLICT not in reasons(world)
    assert reasons(world).count(EventReason.STEP_STARTED) == 4


def test_the_share_that_is_reached_is_told() -> None:
    world = pods_world(5, 25, 50, 100)
    world.settle()
    assert world.state.notes == ("step 1: 5 % is 1 of 10 pods, 10 %", "step 2: 25 % is 3 of 10 pods, 30 %")
    accepted = world.state.condition("Accepted")
    assert accepted is not None
    assert "step 2: 25 % is 3 of 10 pods, 30 %" in accepted.message
    assert "candidate 0 % -> 10 % (1 of 10 pods)" in world.told[0].message
    assert world.state.message == (
        "on the way to 1 of 10 pods (10 %): candidate deployment 'fraud-v8' has 0 of 1 pods ready, legacy deployment"
        " 'fraud-v7' has 10 of 10; rolled back after 10m"
    )
    world.until(20)
    assert world.state.step is not None
    assert world.state.step.weight == 1000


def test_evidence_begins_when_all_pods_are_there() -> None:
    world = pods_world(50, 100)
    world.settle()
    begun = world.step_started
    world.until(14)
    assert (world.state.reason, world.step_started) == (Reason.SCALING, begun)
    world.until(3)
    assert world.state.reason == Reason.PROGRESSING
    assert 14 <= world.step_started - begun <= 17
    assert world.counts == (5, 5)


def test_a_bad_candidate_with_a_quarter_or_less_is_gone_in_one_write() -> None:
    world = pods_world(20, 100)
    world.settle()
    world.until(30)
    assert world.counts == (8, 2)
    world.verdict = Verdict.FAIL
    writes = len(world.writes)
    world.until(1)
    assert world.writes[writes] == "pods 10 0", "before anything is written to the status"
    assert phase(world) is Phase.ROLLED_BACK
    assert world.weight == 0


def test_a_bad_candidate_at_half_goes_as_far_as_three_quarters_of_the_pods_stay() -> None:
    world = at_half()
    world.until(12)
    world.verdict = Verdict.FAIL
    world.until(1)
    assert world.counts == (10, 3), "two go at once; eight of ten must stay"
    assert phase(world) is Phase.ROLLING_BACK
    assert world.state.message == (
        "legacy deployment 'fraud-v7' has 5 of 10 pods ready: the candidate keeps 3 until legacy has 8"
    )
    assert world.state.weight == world.route_weight == 2308
    writes = len(world.writes)
    world.until(10)
    assert len(world.writes) == writes, "while pods start nothing is written"
    ready = world.until(10)
    assert world.counts == (10, 0)
    assert phase(world) is Phase.ROLLED_BACK
    assert min(map(sum, ready)) >= least_ready(10)


def test_a_revert_of_everything_ends_without_room_for_a_second_set_of_pods() -> None:
    world = pods_world(50, 100, room=15)
    world.settle()
    while world.counts != (0, 10):
        world.until(5)
    world.until(15)
    assert phase(world) is Phase.PROGRESSING
    world.room = 10
    world.verdict = Verdict.FAIL
    ready = world.until(200)
    assert phase(world) is Phase.ROLLED_BACK
    assert world.counts == (10, 0)
    assert min(map(sum, ready)) >= least_ready(10)


def test_counts_of_others_are_put_back_once_and_then_left_to_a_person() -> None:
    world = at_half()
    world.scale(7, 5)
    world.until(20)
    assert world.counts == (5, 5)
    told = [a.message for a in world.told if a.reason == EventReason.ROUTE_CONFLICT]
    assert told == [
        "somebody scaled the Deployments from 50 % to 41.67 % (7 pods of legacy and 5 of the candidate): put back once"
    ]
    world.scale(7, 5)
    world.until(20)
    assert world.counts == (7, 5)
    assert world.state.reason == Reason.ROUTE_CONFLICT
    assert phase(world) is Phase.PAUSED


def test_after_the_end_the_number_of_pods_is_its_owners_business() -> None:
    world = pods_world(100)
    world.settle()
    world.until(120)
    assert phase(world) is Phase.PROMOTED
    world.scale(0, 25)
    writes = len(world.writes)
    world.until(60)
    assert len(world.writes) == writes


def test_legacy_gets_its_part_before_the_candidate_gets_any() -> None:
    world = pods_world(10, 100, counts=(4, 0))
    world.settle()
    assert world.counts == (9, 0)
    assert "has 4 of 9 pods ready: the candidate gets 1 when legacy has 9" in world.state.message
    ready = world.until(60)
    assert world.counts == (9, 1)
    assert max(candidate / (legacy + candidate) for legacy, candidate in ready) <= 0.1
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_a_candidate_that_has_pods_already_gives_them_back_first() -> None:
    world = pods_world(20, 100, counts=(10, 3))
    world.settle()
    assert world.state.revision == "rev-a"
    assert "pods 10 0" in world.writes
    world.until(40)
    assert world.counts == (8, 2)
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_a_new_revision_at_half_waits_until_users_are_back() -> None:
    world = at_half()
    world.revision = "rev-b"
    world.until(1)
    assert world.counts == (10, 3)
    assert (world.state.phase, world.state.reason) == (Phase.PREFLIGHT, Reason.SCALING)
    world.until(16)
    assert world.state.revision == "rev-b"
    assert world.counts == (10, 1), "the first step of the new one"
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_bug_a_new_revision_claimed_0_while_pods_of_the_old_one_served() -> None:
    """`status.weight` never claims less than users have (decision 1): it follows the pods on their way down."""
    world = at_half()
    world.revision = "rev-b"
    world.until(1)
    assert world.state.weight == world.route_weight == 2308
    for _ in range(16):
        world.until(1)
        assert world.state.weight is not None
        assert world.state.weight >= world.route_weight
    assert world.state.weight == 1000, "the first step of the new one"


def test_bug_a_number_that_was_put_back_was_claimed_while_pods_still_served() -> None:
    world = at_half()
    world.scale(0, 10)
    world.until(1)
    assert world.counts == (5, 8)
    assert world.state.weight == world.route_weight == 6154
    world.until(20)
    assert world.counts == (5, 5)
    assert world.state.weight == 5000


def test_an_abort_in_the_middle_of_a_move_wins() -> None:
    world = pods_world(50, 100)
    world.settle()
    world.until(5)
    assert world.state.reason == Reason.SCALING
    world.act(ActionVerb.ABORT)
    world.until(2)
    assert phase(world) is Phase.ROLLED_BACK
    assert world.counts == (10, 0)


def test_deleted_in_mid_rollout_users_go_back_and_the_object_is_let_go() -> None:
    world = at_half()
    world.deleting = True
    world.until(30)
    assert world.counts == (10, 0)
    assert world.gone


def test_what_stands_against_pods_stops_the_start_and_names_it() -> None:
    world = pods_world(50, 100, problem_of_pods="an autoscaler")
    world.settle()
    assert (world.state.phase, world.state.reason) == (Phase.INVALID, Reason.ROUTE_NOT_ACCEPTED)
    assert world.state.message == "an autoscaler"
    accepted = world.state.condition("Accepted")
    assert accepted is not None
    assert accepted.status == "False"
    assert world.counts == (10, 0)


def test_a_promotion_by_a_person_waits_for_pods_and_not_for_prometheus() -> None:
    world = at_half()
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.act(ActionVerb.PROMOTE)
    world.until(120)
    assert (world.counts, phase(world)) == ((0, 10), Phase.PROMOTED)
