"""Series of single rollouts: what a status becomes, what is left out, and what a thousand of them cost."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from modelrollout.core.model import Key, Margin, Phase, Verdict, Weight
from modelrollout.core.observation import ArmCounts, LedgerState, Odds
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from modelrollout.core.status import RolloutStatus, SliStatus
from modelrollout.runtime.series import RolloutSeries

FRAUD = Key("serving", "fraud")
ODDS = Odds(worse=-1.0, worse_limit=4.0, fine=1.5, fine_limit=3.0, margin=Margin())
SLI = SliStatus("errors", True, Verdict.PASS, ArmCounts(100, 1), ArmCounts(900, 4), 1.5, 100, 1.0, "", odds=ODDS)
STATUS = RolloutStatus(
    phase=Phase.PROGRESSING,
    weight=Weight(500),
    slis=(SLI,),
    budget=(LedgerState("errors", 8.0, spent=2.0), LedgerState("open", None)),
)


def lines(series: RolloutSeries) -> set[str]:
    registry = CollectorRegistry()
    registry.register(series)
    return {line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")}


def test_a_status_becomes_phase_weight_burn_events_and_budget() -> None:
    series = RolloutSeries()
    series.show(FRAUD, STATUS)
    shown = lines(series)
    run = 'rollout="fraud",rollout_namespace="serving"'
    assert {line for line in shown if line.endswith(" 1.0") and "phase" in line} == {
        f'modelrollout_rollout_phase{{phase="Progressing",{run}}} 1.0'
    }
    assert {line for line in shown if "rollout_phase" not in line} == {
        f"modelrollout_rollout_weight_ratio{{{run}}} 0.05",
        f'modelrollout_sli_burn_rate{{{run},sli="errors"}} 1.5',
        f'modelrollout_sli_events{{arm="legacy",kind="total",{run},sli="errors"}} 900.0',
        f'modelrollout_sli_events{{arm="legacy",kind="bad",{run},sli="errors"}} 4.0',
        f'modelrollout_sli_events{{arm="candidate",kind="total",{run},sli="errors"}} 100.0',
        f'modelrollout_sli_events{{arm="candidate",kind="bad",{run},sli="errors"}} 1.0',
        f'modelrollout_sli_evidence_ratio{{{run},sli="errors",verdict="FAIL"}} -0.25',
        f'modelrollout_sli_evidence_ratio{{{run},sli="errors",verdict="PASS"}} 0.5',
        f'modelrollout_budget_spent_ratio{{{run},sli="errors"}} 0.25',
    }


def test_events_without_a_total_have_no_series_of_one() -> None:
    rates = Rates(Exposure.REPLICAS, ArmEvents(7, 60.0), ArmEvents(1, 90.0), 10.5, 2.3, 4.6)
    alone = SliStatus("oom", True, Verdict.WAIT, None, None, None, 0, 1.0, "", rates=rates)
    series = RolloutSeries()
    series.show(FRAUD, replace(STATUS, slis=(alone,), budget=()))
    run = 'rollout="fraud",rollout_namespace="serving"'
    assert {line for line in lines(series) if "sli" in line} == {
        f'modelrollout_sli_events{{arm="legacy",kind="bad",{run},sli="oom"}} 1.0',
        f'modelrollout_sli_events{{arm="candidate",kind="bad",{run},sli="oom"}} 7.0',
        f'modelrollout_sli_evidence_ratio{{{run},sli="oom",verdict="FAIL"}} 0.5',
    }
    series.show(FRAUD, replace(STATUS, slis=(replace(alone, rates=None),), budget=()))
    assert not any("sli" in line for line in lines(series)), "nothing has been looked at yet"


def test_what_is_unknown_has_no_series_and_the_newest_status_counts() -> None:
    series = RolloutSeries()
    series.show(FRAUD, STATUS)
    series.show(FRAUD, replace(STATUS, weight=None, slis=(replace(SLI, burn=None, odds=None),), budget=()))
    assert not any(
        word in line for line in lines(series) for word in ("weight_ratio", "burn_rate", "spent_ratio", "evidence")
    )
    series.forget(FRAUD)
    series.forget(FRAUD)
    assert lines(series) == set()


def test_a_rollout_costs_half_a_kilobyte_while_nobody_scrapes() -> None:
    series = RolloutSeries()
    count = 500
    keys = [Key("serving", f"m{i}") for i in range(count)]
    tracemalloc.start()
    try:
        for key in keys:
            series.show(key, replace(STATUS, slis=()))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / count < 512
