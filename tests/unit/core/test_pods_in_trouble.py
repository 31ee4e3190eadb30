"""A rollout by pods that are late, lost or out of sight: who is given up, who is started again, and what waits."""

from __future__ import annotations

from modelrollout.core.model import Phase
from modelrollout.core.observation import EvidenceUnreachable
from modelrollout.core.reasons import EventReason, Reason
from tests.scene import reasons
from tests.unit.core.pods_world import at_half, phase, pods_world


def test_pods_that_do_not_come_up_are_given_up_after_the_deadline() -> None:
    world = pods_world(50, 100, broken=True)
    world.settle()
    world.until(599)
    assert (phase(world), world.counts) == (Phase.PROGRESSING, (10, 5)), "legacy keeps all its pods meanwhile"
    world.until(5)
    assert phase(world) is Phase.ROLLED_BACK
    assert world.state.incident is not None
    assert world.state.incident.reason == Reason.CANDIDATE_UNHEALTHY
    assert "had 0 of 5 pods ready after 10m: look at its pods; during a step there are up to 15" in (
        world.state.incident.message
    )
    assert world.counts == (10, 0)


def test_bug_a_candidate_that_waited_for_legacy_was_given_up_as_soon_as_it_got_its_pods() -> None:
    """Its deadline had gone by while legacy's own pods were starting."""
    world = pods_world(10, 100, counts=(4, 0))
    world.settle()
    world.up[0][4:] = [world.now + 1500] * 5
    world.until(1490, every=5)
    assert (world.state.reason, world.counts) == (Reason.SCALING, (9, 0))
    world.until(60)
    assert (phase(world), world.counts) == (Phase.PROGRESSING, (9, 1))


def test_while_a_candidate_waits_for_legacy_hardly_anything_is_written() -> None:
    world = pods_world(10, 100, counts=(4, 0))
    world.settle()
    world.up[0][4:] = [float("inf")] * 5
    writes = len(world.writes)
    world.until(1200, every=5)
    assert phase(world) is Phase.PROGRESSING
    assert 1 <= len(world.writes) - writes <= 10


def test_bug_a_candidate_without_pods_was_asked_for_again_when_the_record_of_its_end_was_lost() -> None:
    """Its numbers were taken back at the deadline, and no pods at all were no pods that are late."""
    world = pods_world(50, 100, broken=True)
    world.settle()
    world.until(595)
    assert world.counts == (10, 5)
    world.now += 10
    world.scale(10, 0)
    writes = len(world.writes)
    world.until(1)
    assert (phase(world), world.counts) == (Phase.ROLLED_BACK, (10, 0))
    assert not [write for write in world.writes[writes:] if write.startswith("pods")]
    assert world.state.incident is not None
    assert "had 0 of 5 pods ready after 10m" in world.state.incident.message


def test_a_candidate_that_loses_all_its_pods_is_withdrawn_started_once_more_and_then_given_up() -> None:
    world = at_half()
    world.crash()
    world.until(1)
    assert world.counts[0] == 10, "legacy gets all its pods back at once"
    world.until(40)
    assert world.counts == (5, 5)
    assert world.state.reason == Reason.PROGRESSING
    assert EventReason.ROUTE_CONFLICT not in reasons(world)
    world.crash()
    world.until(2)
    assert world.state.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    assert world.state.incident is not None
    assert "lost all its ready endpoints twice" in world.state.incident.message


def test_bug_a_service_that_was_away_while_pods_started_again_counted_as_their_second_loss() -> None:
    """Without the Service the reason Scaling gave way to RefNotFound, and pods that start looked like lost ones."""
    world = at_half()
    world.crash()
    world.start = 40.0
    world.until(3)
    assert (world.state.reason, world.counts) == (Reason.SCALING, (10, 5))
    world.lost = "the Service is gone"
    world.until(10)
    assert (phase(world), world.state.reason) == (Phase.INVALID, Reason.REF_NOT_FOUND)
    world.lost = ""
    world.until(1)
    assert (phase(world), world.state.reason) == (Phase.PROGRESSING, Reason.SCALING)
    world.until(60)
    assert (world.counts, world.state.reason, world.state.lapses) == ((5, 5), Reason.PROGRESSING, 1)


def test_bug_pods_that_were_ending_were_taken_for_those_that_were_started_again() -> None:
    """They left a moment after the evidence had begun, which counted as the second loss."""
    world = at_half()
    world.crash()
    while world.counts != (10, 0):
        world.carry_out(world.decide())
    world.lingering = 5
    writes = len(world.writes)
    world.until(3)
    assert (world.counts, phase(world), world.state.reason) == ((10, 0), Phase.PAUSED, Reason.CANDIDATE_UNREADY)
    assert world.state.message == "candidate deployment 'fraud-v8' is started again when its 5 pods have ended"
    assert [write for write in world.writes[writes:] if write.startswith("pods")] == []
    world.lingering = 0
    world.until(40)
    assert (world.counts, world.state.reason, world.state.lapses) == ((5, 5), Reason.PROGRESSING, 1)


def test_after_the_service_was_away_the_step_begins_anew_with_the_numbers_it_had() -> None:
    world = at_half()
    world.lost = "the Service is gone"
    world.until(10)
    world.lost = ""
    world.until(2)
    assert (world.counts, world.state.reason) == ((5, 5), Reason.PROGRESSING)
    assert world.step_started >= world.now - 3


def test_numbers_of_an_unfinished_raise_are_our_own_after_the_service_was_away() -> None:
    world = pods_world(50, 100)
    world.settle()
    world.until(2)
    world.lost = "the Service is gone"
    world.until(100, every=5)
    assert world.counts == (10, 5)
    world.lost = ""
    world.until(30)
    assert world.counts == (5, 5)
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_numbers_that_a_person_disputes_are_left_alone_after_the_service_was_away() -> None:
    world = at_half()
    world.scale(7, 5)
    world.until(20)
    world.scale(7, 5)
    world.until(20)
    assert world.state.reason == Reason.ROUTE_CONFLICT
    world.lost = "the Service is gone"
    world.until(10)
    world.lost = ""
    world.until(20)
    assert (world.counts, world.state.reason) == ((7, 5), Reason.ROUTE_CONFLICT)


def test_one_pod_that_restarts_changes_nothing() -> None:
    world = at_half()
    writes = list(world.writes)
    started = world.step_started
    world.up[1][0] = world.now + 10
    world.until(12)
    assert [w for w in world.writes[len(writes) :] if w.startswith("pods")] == []
    assert world.step_started == started


def test_a_raise_whose_writes_were_lost_is_finished_by_the_next_leader() -> None:
    world = pods_world(50, 100)
    for _ in range(20):
        decision = world.decide()
        if decision.status.reason == Reason.SCALING:
            break
        world.carry_out(decision)
    world.carry_out(decision, upto=1)
    assert world.counts == (10, 0)
    world.until(30)
    assert world.counts == (5, 5)
    assert EventReason.ROUTE_CONFLICT not in reasons(world)


def test_pods_that_a_lost_lowering_took_away_come_back_only_on_evidence() -> None:
    world = pods_world(50, 100)
    world.settle()
    world.until(1)
    world.scale(10, 0)
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.until(3)
    assert world.counts == (10, 0), "also a moment after the step began"
    world.until(30)
    assert world.counts == (10, 0)
    world.evidence = None
    world.until(30)
    assert world.counts == (5, 5)


def test_a_raise_whose_pods_took_long_is_finished_on_an_answer_of_prometheus() -> None:
    world = pods_world(50, 100)
    world.settle()
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.until(60)
    assert world.counts == (10, 5), "legacy keeps its pods: nobody knows how users of the candidate fare"
    assert world.state.message == "the evidence is asked for before the candidate gets all of 5 of 10 pods (50 %)"
    world.evidence = None
    world.until(30)
    assert world.counts == (5, 5)


def test_bug_legacy_gave_up_its_pods_while_prometheus_told_nothing_of_the_candidate() -> None:
    """An answer without new samples was taken for evidence: no data is no pass."""
    world = pods_world(50, 100, silent=True)
    world.settle()
    world.until(60)
    assert world.counts == (10, 5)
    assert world.state.message == (
        "no critical SLI tells of the candidate's pods yet: the evidence is asked for before the candidate gets all of"
        " 5 of 10 pods (50 %)"
    )
    world.silent = False
    world.until(30)
    assert world.counts == (5, 5)


def test_pods_do_not_wait_for_ever_for_an_sli_that_tells_late() -> None:
    world = pods_world(50, 100, silent=True)
    world.settle()
    world.until(590, every=5)
    assert world.counts == (10, 5)
    world.until(60, every=5)
    assert world.counts == (5, 5), "after noData.hold"


def test_bug_a_rollout_that_was_deleted_while_its_service_was_away_left_its_pods() -> None:
    """They got users as soon as the Service was back, and nobody judged them any more."""
    world = at_half()
    world.deleting, world.lost = True, "the Service is gone"
    world.until(15)
    assert (world.gone, world.counts) == (False, (5, 5))
    world.lost = ""
    world.until(30)
    assert (world.gone, world.counts) == (True, (10, 0))


def test_a_deletion_does_not_wait_for_ever_for_a_service() -> None:
    world = at_half()
    world.deleting, world.lost = True, "the Service is gone"
    world.until(25)
    assert world.gone
    assert world.told[-1].message == "deleted; the Service is gone, the route is left with the candidate at 50 %"


def test_a_deletion_does_not_wait_for_ever_for_pods_of_legacy() -> None:
    world = at_half()
    world.deleting = True
    world.start = 1e9
    world.until(590, every=10)
    before = world.gone
    world.until(60, every=10)
    assert (before, world.gone) == (False, True)
    assert "legacy deployment 'fraud-v7' has 5 of 10 pods ready" in world.told[-1].message
