"""What people read: each fact once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from modelrollout.core.model import STANDARD_TIERS, BurnTier, Margin, Phase, Verdict
from modelrollout.core.observation import Attribution, EvidenceSeen, Odds, TierFinding
from modelrollout.core.reasons import Reason
from tests.scene import World, assessed, make_spec

CRITICAL, HIGH, ELEVATED = STANDARD_TIERS


def burned(*findings: tuple[BurnTier, Attribution]) -> World:
    """A world whose candidate was seen to burn so, one decision later."""
    world = World(spec=make_spec(5, 100))
    world.settle()
    world.now += 15
    tiers = tuple(TierFinding(tier, 4, 4, 0.9987, whose) for tier, whose in findings)
    sli = assessed(Verdict.FAIL, bad=4, total=4, tiers=tiers)
    world.evidence = EvidenceSeen(world.now - 10, world.now, (sli,))
    world.step()
    return world


def incident(world: World) -> str:
    assert world.state.incident is not None
    return world.state.incident.message


def test_a_rollback_for_a_burn_says_its_numbers_once() -> None:
    world = burned((CRITICAL, Attribution.CANDIDATE))
    assert world.state.phase is Phase.ROLLING_BACK
    assert incident(world) == (
        "availability: burns over 12x its budget in 5m and 60s (4 of 4 bad, probability 0.9987; the candidate's doing)"
        "; candidate 100 % of 4 bad, legacy 0.500 % of 10,000, allowed 1.00 %"
    )


@pytest.mark.parametrize("other", [Attribution.SHARED, Attribution.AWAITING])
def test_the_tier_that_acts_is_the_one_that_is_named(other: Attribution) -> None:
    world = burned((CRITICAL, other), (HIGH, Attribution.CANDIDATE), (ELEVATED, other))
    assert world.state.reason == Reason.BUDGET_BURN
    assert incident(world).startswith("availability: burns over 6x its budget in 15m and 3m (")
    assert incident(world).count("burns") == 1


def test_bug_a_revert_for_the_comparison_was_told_as_one_for_a_burn() -> None:
    """Its reason is SliFailed: a burn tier that only pauses was named instead of the comparison that decided."""
    world = World(spec=make_spec(5, 100))
    world.settle()
    world.now += 15
    pausing = (TierFinding(ELEVATED, 97, 523, 0.9999, Attribution.CANDIDATE),)
    margin = Margin(1.25, 0.0005)
    sli = replace(
        assessed(Verdict.FAIL, bad=97, total=523, tiers=pausing),
        odds=Odds(worse=math.log(310), worse_limit=math.log(200), fine=-9.0, fine_limit=math.log(20), margin=margin),
        margin=margin,
    )
    world.evidence = EvidenceSeen(world.now - 10, world.now, (sli,))
    world.step()
    assert world.state.reason == Reason.SLI_FAILED
    assert incident(world) == (
        "availability: candidate 18.5 % of 523 bad, legacy 0.500 % of 10,000, allowed 1.00 %, fails margin "
        "1.25x + 0.05 %; odds against chance 310 : 1"
    )
