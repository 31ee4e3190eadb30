"""What each piece of evidence makes of a rollout at 25 %: revert, pause, freeze or go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.decide import decide
from modelrollout.core.model import STANDARD_TIERS, ActionVerb, Analysis, Hold, Outcome, Phase, Verdict
from modelrollout.core.observation import (
    Attribution,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    HardGuardFinding,
    LedgerState,
    NoDataCause,
    SliAssessment,
    SpecProblem,
    TierFinding,
)
from modelrollout.core.reasons import Reason
from modelrollout.core.status import significant
from tests.scene import World, assessed, make_spec

CRITICAL, HIGH, ELEVATED = STANDARD_TIERS


def at_25() -> World:
    world = World(spec=make_spec(5, 25, 100))
    world.settle()
    world.run(60)
    assert world.weight == 25
    world.now += 15
    return world


def with_evidence(world: World, *slis: SliAssessment, ledgers: tuple[LedgerState, ...] = ()) -> World:
    step = world.state.step
    assert step is not None
    world.evidence = EvidenceSeen(step.started + 5, world.now, slis, ledgers)
    return world


def finding(tier_index: int, attribution: Attribution) -> TierFinding:
    return TierFinding(STANDARD_TIERS[tier_index], 60, 400, 0.9999, attribution)


def test_hard_guard_reverts_and_gives_its_numbers() -> None:
    bad = assessed(Verdict.FAIL, hard_guard=HardGuardFinding(14, 22), bad=14, total=900)
    world = with_evidence(at_25(), bad)
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)
    incident = world.state.incident
    assert incident is not None
    assert incident.reason == Reason.HARD_GUARD
    assert "14 of the last 22 candidate requests" in incident.message
    assert "legacy 0.500 % of 10,000" in incident.message
    assert incident.closed is not None


@pytest.mark.parametrize(
    ("tier_index", "attribution", "weight", "phase", "reason"),
    [
        (0, Attribution.CANDIDATE, 0, Phase.ROLLED_BACK, Reason.BUDGET_BURN),
        (1, Attribution.CANDIDATE, 0, Phase.ROLLED_BACK, Reason.BUDGET_BURN),
        (0, Attribution.UNAVAILABLE, 0, Phase.ROLLED_BACK, Reason.BUDGET_BURN),
        (0, Attribution.SHARED, 25, Phase.PAUSED, Reason.SHARED_DEGRADATION),
        (0, Attribution.AWAITING, 25, Phase.PROGRESSING, Reason.AWAITING_ATTRIBUTION),
        (2, Attribution.CANDIDATE, 25, Phase.PAUSED, Reason.ELEVATED_BURN),
        (2, Attribution.SHARED, 25, Phase.PAUSED, Reason.SHARED_DEGRADATION),
    ],
)
def test_burn_tiers(tier_index: int, attribution: Attribution, weight: int, phase: Phase, reason: Reason) -> None:
    verdict = Verdict.WAIT if phase is not Phase.ROLLED_BACK else Verdict.FAIL
    world = with_evidence(at_25(), assessed(verdict, tiers=(finding(tier_index, attribution),)))
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (weight, phase, reason)


def test_rollback_by_a_tier_says_its_numbers_once() -> None:
    """The incident repeated the sentence on the tier, and on several tiers named two."""
    tiers = (finding(2, Attribution.CANDIDATE), finding(0, Attribution.CANDIDATE))
    world = with_evidence(at_25(), assessed(Verdict.FAIL, tiers=tiers))
    world.settle()
    incident = world.state.incident
    assert incident is not None
    assert incident.message.count("burns over") == 1
    assert "availability: burns over 12x" in incident.message
    assert "legacy 0.500 % of 10,000" in incident.message


@pytest.mark.parametrize(("tier_index", "attribution"), [(0, Attribution.AWAITING), (2, Attribution.CANDIDATE)])
def test_a_tier_still_true_after_one_more_short_window_reverts(tier_index: int, attribution: Attribution) -> None:
    world = with_evidence(at_25(), assessed(Verdict.WAIT, tiers=(finding(tier_index, attribution),)))
    world.settle()
    short = STANDARD_TIERS[tier_index].short
    world.now += short - 1
    world.settle()
    assert world.weight == 25
    world.now += 1
    world.settle()
    assert (world.weight, world.state.reason) == (0, Reason.BUDGET_BURN)


def test_shared_degradation_is_never_a_revert_and_goes_on_by_itself() -> None:
    world = with_evidence(at_25(), assessed(Verdict.WAIT, tiers=(finding(0, Attribution.SHARED),)))
    for _ in range(50):
        world.now += 60
        world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PAUSED)
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert world.weight == 100


HELD = [
    (assessed(Verdict.WAIT, tiers=(finding(0, Attribution.SHARED),)), Reason.SHARED_DEGRADATION),
    (assessed(Verdict.WAIT, tiers=(finding(2, Attribution.CANDIDATE),)), Reason.ELEVATED_BURN),
    (assessed(Verdict.WAIT, tiers=(finding(0, Attribution.AWAITING),)), Reason.AWAITING_ATTRIBUTION),
    (assessed(Verdict.NO_DATA, no_data=NoDataCause.STALE), Reason.NO_DATA),
]


@pytest.mark.parametrize(("sli", "reason"), HELD, ids=[reason.value for _, reason in HELD])
def test_bug_a_new_leader_called_what_held_over_before_it_had_looked(sli: SliAssessment, reason: Reason) -> None:
    """It announced Resumed, and started the clock of the hold anew: a restart in time put a revert off for ever."""
    world = with_evidence(at_25(), sli)
    world.settle()
    before = world.state
    assert before.reason == reason
    told = len(world.told)
    world.evidence = EvidencePending()
    world.run(20)
    assert (world.state.phase, world.state.reason, world.state.holds) == (before.phase, reason, before.holds)
    assert world.told[told:] == []
    world.now += 60
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert world.weight == 100


def test_a_promotion_by_a_person_does_not_wait_for_what_held() -> None:
    world = with_evidence(at_25(), HELD[0][0])
    world.settle()
    world.evidence = EvidencePending()
    world.act(ActionVerb.PROMOTE)
    world.settle()
    assert world.weight == 100


INVALID = assessed(Verdict.INVALID, note="requests are not split as the weights say")


@pytest.mark.parametrize("sli", [INVALID, *(sli for sli, _ in HELD)], ids=lambda sli: str(sli.verdict))
def test_bug_a_promotion_by_a_person_waited_for_evidence_that_it_does_without(sli: SliAssessment) -> None:
    """Only without any evidence did it go on: a split that was not as promised held it for ever."""
    world = with_evidence(at_25(), sli)
    world.settle()
    assert world.weight == 25
    world.act(ActionVerb.PROMOTE)
    world.settle()
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


def test_bug_a_promotion_by_a_person_waited_for_prometheus() -> None:
    world = at_25()
    world.evidence = EvidenceUnreachable("Timeout", world.now)
    world.run(30)
    assert (world.weight, world.state.reason) == (25, Reason.METRICS_UNREACHABLE)
    world.act(ActionVerb.PROMOTE)
    world.settle()
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


def test_a_promotion_by_a_person_does_not_keep_a_bad_candidate() -> None:
    world = with_evidence(at_25(), assessed(Verdict.FAIL, bad=300))
    world.act(ActionVerb.PROMOTE)
    world.settle()
    assert (world.weight, world.state.phase) == (0, Phase.ROLLED_BACK)


def test_a_total_outage_of_both_arms_pauses_and_goes_on_by_itself() -> None:
    both = assessed(Verdict.WAIT, hard_guard=HardGuardFinding(30, 30, Attribution.SHARED))
    world = with_evidence(at_25(), both)
    for _ in range(50):
        world.now += 60
        world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (25, Phase.PAUSED, Reason.SHARED_DEGRADATION)
    assert "30 of the last 30 candidate requests were bad" in world.state.message
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert world.weight == 100


def test_elevated_burn_that_ends_goes_on_and_its_clock_starts_anew() -> None:
    world = with_evidence(at_25(), assessed(Verdict.WAIT, tiers=(finding(2, Attribution.CANDIDATE),)))
    world.settle()
    with_evidence(world, assessed(Verdict.WAIT))
    world.now += 5
    world.settle()
    assert (world.state.phase, world.state.holds.elevated) == (Phase.PROGRESSING, None)


@pytest.mark.parametrize(
    ("ledger", "weight", "reason"),
    [
        (LedgerState("availability", 100.0, spent=160.0, peak=160.0, lower=120.0), 0, Reason.BUDGET_SHARE_SPENT),
        (LedgerState("availability", 100.0, spent=90.0, peak=90.0, gross_over=True), 0, Reason.BUDGET_SHARE_SPENT),
        (LedgerState("availability", 100.0, spent=60.0, peak=60.0, lower=10.0), 25, Reason.ELEVATED_BURN),
        (LedgerState("availability", 100.0, spent=60.0, peak=60.0, lower=-10.0), 25, Reason.PROGRESSING),
        (LedgerState("availability", None, spent=1e6, peak=1e6, lower=1e6), 25, Reason.PROGRESSING),
    ],
)
def test_ledger(ledger: LedgerState, weight: int, reason: Reason) -> None:
    world = with_evidence(at_25(), assessed(Verdict.WAIT), ledgers=(ledger,))
    world.settle()
    assert (world.weight, world.state.reason) == (weight, reason)


@pytest.mark.parametrize("cause", [NoDataCause.STALE, NoDataCause.MISSING, NoDataCause.REJECTED])
@pytest.mark.parametrize(("then", "end"), [(Outcome.ROLLBACK, 0), (Outcome.PAUSE, 25)])
def test_no_data_holds_then_does_what_the_policy_says(cause: NoDataCause, then: Outcome, end: int) -> None:
    world = at_25()
    world.spec = replace(world.spec, analysis=Analysis(interval=5.0, no_data=Hold(600.0, then)))
    with_evidence(world, assessed(Verdict.NO_DATA, no_data=cause))
    world.settle()
    assert (world.weight, world.state.reason) == (25, Reason.NO_DATA)
    world.now += 599
    world.settle()
    assert world.weight == 25
    world.now += 1
    world.settle()
    assert world.weight == end
    if then is Outcome.PAUSE:
        assert world.state.phase is Phase.PAUSED


def test_silence_of_both_arms_pauses_whatever_the_policy_says_and_ends_by_itself() -> None:
    world = with_evidence(at_25(), assessed(Verdict.NO_DATA, no_data=NoDataCause.BOTH_ARMS))
    world.settle()
    assert (world.weight, world.state.reason) == (25, Reason.NO_DATA)
    assert "nor from legacy" in world.state.message
    assert "Pause after 10m" in world.state.message
    world.now += 600
    world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PAUSED)
    world.now += 30_000
    world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PAUSED)
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert (world.weight, world.state.phase) == (100, Phase.PROGRESSING)


def test_no_traffic_is_doubt_and_never_a_revert_by_the_no_data_policy() -> None:
    world = with_evidence(at_25(), assessed(Verdict.NO_DATA, no_data=NoDataCause.NO_TRAFFIC))
    for _ in range(20):
        world.now += 60
        world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PROGRESSING)
    world.now += 30_000
    world.settle()
    assert (world.weight, world.state.phase) == (25, Phase.PAUSED)


def test_one_no_data_sample_between_good_ones_costs_nothing() -> None:
    world = with_evidence(at_25(), assessed(Verdict.NO_DATA, no_data=NoDataCause.STALE))
    world.settle()
    world.now += 60
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert world.weight == 100


def test_an_sli_that_is_not_critical_never_decides() -> None:
    world = at_25()
    shown = assessed(Verdict.FAIL, name="cost", critical=False, hard_guard=HardGuardFinding(40, 40))
    with_evidence(world, assessed(Verdict.PASS), shown)
    world.now += 60
    with_evidence(world, assessed(Verdict.PASS), shown)
    world.settle()
    assert world.weight == 100


def test_a_missing_assessment_is_not_a_pass() -> None:
    world = at_25()
    world.spec = replace(world.spec, slis=(*world.spec.slis, replace(world.spec.slis[0], name="latency")))
    world.settle()
    with_evidence(world, assessed(Verdict.PASS))
    for _ in range(20):
        world.now += 60
        step = world.state.step
        assert step is not None
        world.evidence = EvidenceSeen(step.started + 5, world.now, (assessed(Verdict.PASS),))
        world.settle()
    assert world.weight == 25


def test_an_object_that_cannot_be_read_is_invalid_and_keeps_its_weight() -> None:
    world = at_25()
    obs = replace(world.observe(), problem=SpecProblem("InvalidSpec", "spec.steps[0].weight: 5 is not rising"))
    decision = decide(None, world.status, obs, world.now)
    assert decision.intent is None
    assert decision.status.phase is Phase.INVALID
    assert decision.status.weight == 2500
    accepted = decision.status.condition("Accepted")
    assert accepted is not None
    assert (accepted.status, accepted.message) == ("False", "spec.steps[0].weight: 5 is not rising")
    assert not significant(decision.status, decide(None, decision.status, obs, world.now + 60).status)


def test_counts_that_move_are_not_worth_a_write() -> None:
    world = with_evidence(at_25(), assessed(Verdict.WAIT, total=100))
    world.settle()
    before = world.state
    with_evidence(world, assessed(Verdict.WAIT, total=250, bad=2))
    assert not significant(before, world.decide().status)
    with_evidence(world, assessed(Verdict.NO_DATA, no_data=NoDataCause.STALE))
    assert significant(before, world.decide().status)


def test_a_pass_that_has_grown_old_does_not_advance() -> None:
    """Prometheus hangs: the last answer was good, but nobody knows about now."""
    world = with_evidence(at_25(), assessed(Verdict.PASS))
    world.now += 60
    world.settle()
    assert world.weight == 25
    with_evidence(world, assessed(Verdict.PASS))
    world.settle()
    assert world.weight == 100
