"""Single detectors of the planner, each held against the rule that it stands for."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log, sqrt

import pytest

from modelrollout.core.model import STANDARD_TIERS, BurnAction, Labels, Margin, RolloutSpec
from modelrollout.core.observation import ArmCounts, Attribution, LedgerState
from modelrollout.core.outlook import Load
from modelrollout.stats.detection import Exposed, budget_share, burn, comparison, detect, hard_guard, reaction
from modelrollout.stats.guards import attribute, burning
from modelrollout.stats.ledger import book
from modelrollout.stats.planning import needed_for_fail
from tests.scene import make_spec, sli

CRITICAL = STANDARD_TIERS[0]


def spec_of(margin: Margin, allowed: float = 0.01) -> RolloutSpec:
    return make_spec(5, 100, slis=(replace(sli(), allowed=allowed, margin=margin),))


def test_a_fail_takes_five_bad_events_or_overwhelming_evidence() -> None:
    spec = spec_of(Margin(1.0, 0.0))
    rare, frequent = Exposed(Load(20, 1e-5), 0.001, 0.05), Exposed(Load(20, 0.01), 0.03, 0.05)
    few = float(needed_for_fail(0.001, 1e-5, 0.05, 1.0, 0.0, 0.01))
    assert few < 5 / 0.001
    strong = few * (log(100) + 5) / (log(100) + 2)
    assert comparison(spec, spec.slis[0], rare)[0] == pytest.approx(min(strong, 5 / 0.001) / 1.0)
    many = float(needed_for_fail(0.03, 0.01, 0.05, 1.0, 0.0, 0.01))
    assert comparison(spec, spec.slis[0], frequent)[0] == pytest.approx(many)


def test_at_100_percent_nothing_is_compared() -> None:
    spec = spec_of(Margin(1.0, 0.0))
    assert comparison(spec, spec.slis[0], Exposed(Load(20, 0.01), 1.0, 1.0)) == (inf, inf)


def test_a_burn_tier_is_true_then_and_not_before() -> None:
    seen = Exposed(Load(200, 0.001), 0.3, 0.05)
    seconds, late = burn(CRITICAL, 0.01, seen)
    requests = seconds * seen.rate

    def at(total: float) -> bool:
        return bool(burning(0.3 * total, total, 0.3 * total, total, 12 * 0.01))

    assert at(requests * 1.01)
    assert not at(requests * 0.99)
    assert late > seconds


def test_a_burn_tier_waits_until_the_candidate_is_blamed() -> None:
    """Legacy is bad too: the tier is true at once, whose fault it is takes longer."""
    load, share, weight, allowed = Load(200, 0.1), 0.3, 0.25, 0.01
    seen = Exposed(load, share, weight)
    seconds, _ = burn(CRITICAL, allowed, seen)
    own = seconds * seen.rate
    assert burning(share * own / 2, own / 2, share * own / 2, own / 2, 12 * allowed)
    others = own * (1 - weight) / weight

    def whose(part: float) -> Attribution:
        arms = [
            (
                ArmCounts(round(own * part / 6), round(share * own * part / 6)),
                ArmCounts(round(others * part / 6), round(load.share * others * part / 6)),
            )
        ] * 8  # the two that speak most against the candidate are left out
        return attribute(arms, allowed, 10)

    assert whose(2.0) is Attribution.CANDIDATE
    assert whose(0.5) is Attribution.SHARED


def test_tiers_that_only_pause_and_windows_that_are_too_short_detect_nothing() -> None:
    seen = Exposed(Load(20, 0.001), 0.3, 0.05)
    assert burn(CRITICAL, 0.01, seen)[0] < inf
    assert burn(replace(CRITICAL, action=BurnAction.PAUSE), 0.01, seen) == (inf, inf)
    assert burn(replace(CRITICAL, long=5.0), 0.01, seen) == (inf, inf)
    assert burn(CRITICAL, 0.01, replace(seen, share=0.11)) == (inf, inf), "below 12 times what is allowed"


def test_the_hard_guard_takes_half_of_twenty_requests() -> None:
    assert hard_guard(0.01, Exposed(Load(10, 0.001), 1.0, 0.2)) == (10.0, 10.0)
    assert hard_guard(0.01, Exposed(Load(10, 0.001), 0.49, 0.2)) == (inf, inf)
    assert hard_guard(0.6, Exposed(Load(10, 0.5), 0.6, 0.2)) == (inf, inf), "so much is allowed"


def test_the_budget_ends_it_where_the_ledger_does() -> None:
    allowed, limit = 0.01, 200.0
    seen = Exposed(Load(100, 0.005), 0.009, 0.5)
    seconds, late = budget_share(allowed, limit, seen)

    def over(requests: float) -> bool:
        total = round(requests)
        counts = [ArmCounts(total, round(total * share)) for share in (0.009, 0.005)]
        state = book(LedgerState("s", limit), counts[0], counts[1], recent=counts[1], allowed=allowed)
        return state.gross_over or (state.lower or 0.0) > limit

    assert over(1.02 * seconds * 50)
    assert not over(0.98 * seconds * 50)
    assert late > seconds
    alone = budget_share(allowed, limit, Exposed(Load(100, 0.005), 0.02, 1.0))[0] * 100
    assert limit < alone * 0.01 < limit + 5 * sqrt(alone * 0.01)
    assert budget_share(allowed, limit, Exposed(Load(100, 0.005), 0.01, 1.0)) == (inf, inf), "as much as is allowed"


def test_late_labels_make_everything_late() -> None:
    spec = spec_of(Margin(1.0, 0.0))
    late = replace(spec.slis[0], labels=Labels(max_delay=600.0))
    assert reaction(spec, late, 5.0) - reaction(spec, spec.slis[0], 5.0) == 600
    assert reaction(spec, spec.slis[0], 5.0) == 2.5 + 1 + 5


def test_no_more_than_everything_can_be_bad() -> None:
    spec = spec_of(Margin(1.0, 0.0), allowed=0.1)
    found = detect(spec, spec.slis[0], Load(20, 0.2), weight=spec.steps[0].weight, ratio=10.0, scrape=5.0)
    assert found.share == 1.0
