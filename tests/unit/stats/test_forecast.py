"""What a rollout will take: durations, what can't be proven and the ways out, detection and harm."""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf, log

import pytest

from modelrollout.core.model import Analysis, ErrorBudget, Hold, Labels, Margin, Outcome, RolloutSpec, Traffic
from modelrollout.core.outlook import Detection, Detector, Load, Proof, RolloutOutlook, step_margin
from modelrollout.stats.detection import detect
from modelrollout.stats.forecast import REGRESSIONS, forecast
from modelrollout.stats.guards import events_for_pass
from modelrollout.stats.planning import late, needed_for_pass
from tests.scene import make_spec, sli

AVAILABILITY = "availability"
TIGHT = Margin(1.25, 0.0)
STANDARD = ErrorBudget()


def planned(
    *weights: int,
    margin: Margin = TIGHT,
    tolerance: float = 1e-9,
    allowed: float = 0.001,
    interval: float = 5.0,
    min_duration: float = 60.0,
    budget: ErrorBudget = STANDARD,
) -> RolloutSpec:
    """A rollout with one SLI, whose tolerance does not widen the margin."""
    one = replace(sli(), allowed=allowed, margin=margin)
    return make_spec(
        *weights,
        slis=(one,),
        min_duration=min_duration,
        budget=budget,
        analysis=Analysis(interval=interval, tolerance=tolerance),
    )


def proof(outlook: RolloutOutlook, index: int) -> Proof:
    (found,) = outlook.steps[index].proofs
    return found


def outlook_of(spec: RolloutSpec, rate: float, share: float) -> RolloutOutlook:
    return forecast(spec, {AVAILABILITY: Load(rate, share)}, scrape=5.0, regressions=())


def test_a_step_takes_its_shortest_time_or_what_the_evidence_takes() -> None:
    spec = planned(5, 50, 100, margin=Margin(1.5, 0.0), min_duration=300.0)
    quick, slow = outlook_of(spec, 2000, 0.01), outlook_of(spec, 200, 0.01)
    assert [step.seconds for step in quick.steps] == [300.0, 300.0, 300.0]
    assert [step.decider for step in quick.steps] == [None, None, None]
    # Section 4.1 says 9.3 minutes; warm-up, one and a half ticks and the scrape come on top.
    assert slow.steps[0].seconds == pytest.approx(9.3 * 60 + 30 + 7.5 + 1, rel=0.01)
    assert slow.steps[0].decider == AVAILABILITY
    assert slow.steps[0].requests == pytest.approx(0.05 * 200 * slow.steps[0].seconds)
    assert slow.seconds == sum(step.seconds for step in slow.steps)


def test_a_pass_takes_two_ticks_however_many_requests_there_are() -> None:
    first, second = (proof(outlook_of(planned(5, 50, 100), 1e9, 0.01), index).seconds for index in (0, 1))
    assert second == pytest.approx(5 + 1.5 * 5 + 1 + 2 * 5)
    assert first == pytest.approx(second + 25), "warm-up is longer than settling"


def test_at_100_percent_the_absolute_rule_decides() -> None:
    spec = planned(5, 100)
    last = proof(outlook_of(spec, 20, 0.01), 1)
    assert last.margin is None
    assert last.needed == events_for_pass(0.001, spec.budget.tiers)
    assert last.provable


def test_the_margin_of_a_step_is_as_wide_as_the_next_weight_allows() -> None:
    spec = planned(1, 5, 50, 100, margin=Margin(1.25, 0.002), tolerance=0.0005)
    found = [step_margin(spec, spec.slis[0], index) for index in range(4)]
    assert found == [Margin(1.25, 0.0005 * 10_000 / 500), Margin(1.25, 0.002), Margin(1.25, 0.002), None]
    assert proof(outlook_of(spec, 20, 0.01), 0).margin == found[0]


def test_labels_that_come_late_make_the_step_later() -> None:
    spec = planned(5, 100, margin=Margin(1.5, 0.0))
    waiting = replace(spec, slis=(replace(spec.slis[0], labels=Labels(max_delay=1800.0)),))
    plain, delayed = (proof(outlook_of(each, 200, 0.01), 0).seconds for each in (spec, waiting))
    assert delayed - plain == pytest.approx(1800)


def test_labels_later_than_the_step_may_last_are_named() -> None:
    spec = planned(5, 100, margin=Margin(1.5, 0.0))
    spec = replace(spec, slis=(replace(spec.slis[0], labels=Labels(max_delay=86_400.0)),))
    [text] = outlook_of(spec, 200, 0.01).refusals
    assert text.endswith(
        "within 6h (step 1), with labels up to 24h late: it would take about 24h; provable: maxDuration and "
        "analysis.inconclusive.hold 25h"
    )


def test_the_example_of_the_page_is_refused_with_its_numbers() -> None:
    """Margin 1.25 at 0.1 % errors and 20 requests a second takes 11 h even at 50/50."""
    spec = planned(5, 50, 100)
    outlook = outlook_of(spec, 20, 0.001)
    found = proof(outlook, 1)
    assert not found.provable
    assert found.seconds == pytest.approx(11.2 * 3600, rel=0.01)
    assert found.needed == pytest.approx(float(needed_for_pass(0.001, 0.5, 1.25, 1e-9, 0.05)), rel=1e-3)
    [text] = outlook.refusals
    assert text == (
        "availability: margin 1.25 + 0.000000002 is not provable at 5 % of 20 requests/s with 0.100 % bad within "
        "6h (step 1, also step 2): it would take about 55h; provable: margin.ratio 1.89, or margin.difference 0.00062, "
        "or maxDuration and analysis.inconclusive.hold 55h"
    )


def test_each_way_out_is_one() -> None:
    spec = planned(1, 5, 50, 100)
    [text] = outlook_of(spec, 20, 0.001).refusals
    ratio, difference, hours = (
        float(found)
        for found in re.findall(r"provable: margin.ratio ([\d.]+), or margin.difference ([\d.]+), or .* (\d+)h$", text)[
            0
        ]
    )
    longer = replace(spec.analysis, inconclusive=Hold(hours * 3600, Outcome.PAUSE))
    one = spec.slis[0]
    for mended in (
        replace(spec, slis=(replace(one, margin=Margin(ratio, 0.0)),)),
        replace(spec, slis=(replace(one, margin=Margin(1.25, difference)),)),
        replace(spec, analysis=longer, steps=tuple(replace(step, max_duration=hours * 3600) for step in spec.steps)),
    ):
        assert outlook_of(mended, 20, 0.001).refusals == ()
    for short in (Margin(ratio * 0.98, 0.0), Margin(1.25, difference * 0.9)):
        assert outlook_of(replace(spec, slis=(replace(one, margin=short),)), 20, 0.001).refusals


def test_a_longest_time_alone_does_not_help_while_the_hold_is_shorter() -> None:
    spec = planned(50, 100)
    longer = replace(spec, steps=tuple(replace(step, max_duration=86_400.0) for step in spec.steps))
    assert outlook_of(longer, 20, 0.001).refusals
    held = replace(longer, analysis=replace(longer.analysis, inconclusive=Hold(86_400.0, Outcome.PAUSE)))
    assert outlook_of(held, 20, 0.001).refusals == ()


def test_without_bad_events_only_a_difference_is_offered() -> None:
    [text] = outlook_of(planned(5, 100), 1, 0.0).refusals
    assert "margin.ratio" not in text
    assert "it would take more than a year" in text
    assert re.search(r"provable: margin.difference 0\.\d+$", text)


def test_with_no_more_than_a_few_requests_nothing_is_provable() -> None:
    [text] = outlook_of(planned(5, 100), 1e-4, 0.01).refusals
    assert text.endswith("provable: nothing, with so few requests")


def test_slis_that_decide_nothing_or_have_no_load_are_left_out() -> None:
    spec = planned(5, 100)
    shown = replace(spec.slis[0], name="shown", critical=False)
    idle = replace(spec.slis[0], name="idle")
    spec = replace(spec, slis=(shown, idle, *spec.slis))
    loads = {"shown": Load(1, 0.01), "idle": Load(0, 0.0), AVAILABILITY: Load(1, 0.01)}
    assert [[p.sli for p in step.proofs] for step in forecast(spec, loads, scrape=5.0).steps] == [[AVAILABILITY]] * 2
    empty = forecast(spec, {}, scrape=5.0)
    assert [step.seconds for step in empty.steps] == [60.0, 60.0]
    assert (empty.refusals, [step.decider for step in empty.steps]) == ((), [None, None])


def measured(ratio: float | None, weight: int, share: float, *, rate: float, tick: float, settle: float) -> Detection:
    # So much is allowed that burn tiers stay out of it.
    spec = planned(weight, 100, margin=Margin(1.0, 0.0), interval=tick, allowed=0.2)
    spec = replace(spec, traffic=Traffic(spec.traffic.router, settle=settle))
    return detect(
        spec, spec.slis[0], Load(rate, share), weight=spec.steps[0].weight, ratio=ratio, scrape=min(tick, 1.0)
    )


@pytest.mark.parametrize(
    ("share", "ratio", "ticks", "p90"),
    [(0.01, 2, 12.2, 21), (0.01, 3, 4.2, 7), (0.01, 5, 1.8, 3), (0.001, 3, 35.3, 65), (0.001, 10, 4.2, 7)],
)
def test_detection_takes_the_ticks_that_were_simulated(share: float, ratio: float, ticks: float, p90: float) -> None:
    """Section 2.3: 5 % weight, 200 requests a second, 15 s ticks. Reading (1 s) is not in the simulated figures."""
    found = measured(ratio, 5, share, rate=200, tick=15.0, settle=0.0)
    assert found.by is Detector.COMPARISON
    assert found.seconds is not None
    assert found.late is not None
    assert (found.seconds - 1) / 15 == pytest.approx(ticks, rel=0.15)
    assert (found.late - 1) / 15 == pytest.approx(p90, rel=0.2)


@pytest.mark.parametrize(
    ("weight", "harm"),
    [(1, (12, 5, 6, 40)), (5, (12, 6, 20, 198)), (20, (15, 12, 79, 800))],
)
def test_harm_is_that_of_the_table(weight: int, harm: tuple[float, ...]) -> None:
    """Section 3.3: 0.1 % errors, 200 requests a second, reaction 15 s; on average, so within 15 % and one event."""
    found = [measured(ratio, weight, 0.001, rate=200, tick=5.0, settle=11.5).harm for ratio in (3.0, 10.0, 100.0, None)]
    assert found == pytest.approx(harm, rel=0.15, abs=1.0)


def test_below_one_tick_the_tick_dominates() -> None:
    found = measured(None, 50, 0.001, rate=10_000, tick=15.0, settle=0.0)
    assert found.seconds == pytest.approx(15 + 7.5 + 1)


def test_at_100_percent_gross_regressions_are_left_to_the_guards() -> None:
    spec = planned(5, 100)
    times = {
        ratio: detect(spec, spec.slis[0], Load(20, 0.001), weight=spec.steps[1].weight, ratio=ratio, scrape=5.0)
        for ratio in (1.0, 3.0, 20.0, None)
    }
    assert times[3.0].by is Detector.BUDGET
    assert times[1.0] == Detection(1.0, 0.001, Detector.NOTHING)
    assert times[20.0].by is Detector.BURN
    assert (times[20.0].seconds or 0.0) > (times[None].seconds or inf)


def test_a_slow_leak_ends_at_the_rollouts_share_of_the_budget() -> None:
    spec = planned(5, 100, allowed=0.01)
    load = Load(200, 0.0095)
    limit = 0.02 * 0.01 * 200 * 30 * 86_400
    for step in spec.steps:
        found = detect(spec, spec.slis[0], load, weight=step.weight, ratio=1.2, scrape=5.0)
        assert found.by is Detector.BUDGET
        assert found.harm is not None
        assert found.late_harm is not None
        # Legacy is better than allowed: at 100 % that much is not charged.
        charged = 1.0 if step.weight < 10_000 else (1.2 * 0.0095 - 0.01) / (0.2 * 0.0095)
        assert limit < found.harm * charged < found.late_harm * charged < 1.2 * limit


def test_a_dead_candidate_is_found_by_twenty_requests_where_every_second_one_may_be_bad() -> None:
    spec = planned(5, 100, margin=Margin(2.0, 0.0), allowed=0.45, budget=ErrorBudget(tiers=()))
    found = detect(spec, spec.slis[0], Load(0.5, 0.4), weight=spec.steps[0].weight, ratio=None, scrape=5.0)
    assert found.by is Detector.HARD_GUARD
    assert found.seconds == pytest.approx(20 / 0.025 + 2.5 + 1 + 5)


def test_what_is_within_the_margin_is_left_to_the_budget() -> None:
    spec = planned(5, 100, margin=Margin(2.0, 0.0), allowed=0.1)
    loads = {AVAILABILITY: Load(20, 0.001)}
    found = forecast(spec, loads, scrape=5.0).steps[0].proofs[0].detections
    assert [one.ratio for one in found] == list(REGRESSIONS)
    assert [one.by for one in found[:3]] == [Detector.BUDGET, Detector.BUDGET, Detector.COMPARISON]
    last = detect(spec, spec.slis[0], loads[AVAILABILITY], weight=spec.steps[1].weight, ratio=2.0, scrape=5.0)
    assert last == Detection(2.0, 0.002, Detector.NOTHING), "less than is allowed, and nothing to compare with"


def test_more_slis_share_the_risk_of_a_false_rollback() -> None:
    spec = planned(5, 100, margin=Margin(1.0, 0.0))
    several = replace(spec, slis=(*spec.slis, *(replace(spec.slis[0], name=f"s{n}") for n in range(3))))
    one, four = (
        detect(each, each.slis[0], Load(20, 0.001), weight=spec.steps[0].weight, ratio=3.0, scrape=5.0).seconds
        for each in (spec, several)
    )
    assert one is not None
    assert four is not None
    assert four / one == pytest.approx((log(400) + 2) / (log(100) + 2), rel=0.01)


def test_nine_of_ten_are_there_by_the_later_time() -> None:
    found = measured(3.0, 5, 0.001, rate=20, tick=5.0, settle=0.0)
    assert found.seconds is not None
    assert found.late is not None
    assert found.late / found.seconds == pytest.approx(late(0.01), rel=0.01)
    assert found.late < inf
