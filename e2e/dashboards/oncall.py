"""For who has been paged."""

from __future__ import annotations

from e2e.dashboards.grafana import EACH, ROUND, RUN, Dashboard, Panel, slowest
from e2e.dashboards.shared import BUDGET, WEIGHT

ONCALL = Dashboard(
    "oncall",
    "Model rollouts: on call",
    "now-1h",
    (
        Panel(
            "Phase of each rollout",
            "RollingBack for more than a minute needs a person: runbook rollback-blocked.",
            ((f"max by ({ROUND}, phase) (modelrollout_rollout_phase{{{RUN}}}) == 1", ""),),
            kind="table",
            width=14,
        ),
        Panel(
            "Leaders",
            "Replicas that hold the Lease, one for each shard. 0: nothing would be reverted; runbook operator-down.",
            (("sum(modelrollout_leader)", ""),),
            kind="stat",
            width=5,
        ),
        Panel(
            "Frozen by bugs",
            "Looks that failed by an error nobody foresaw. The rollout's name is in the log.",
            (("sum(modelrollout_bugs_total)", ""),),
            kind="stat",
            width=5,
            limit=1,
        ),
        WEIGHT,
        Panel(
            "Bad share of both versions",
            "Bad events of the present step in parts of all; both high means a shared cause, and nobody is blamed.",
            (
                (
                    f'max by ({ROUND}, sli, arm) (modelrollout_sli_events{{kind="bad", {RUN}}})'
                    f' / (max by ({ROUND}, sli, arm) (modelrollout_sli_events{{kind="total", {RUN}}}) > 0)',
                    f"{EACH} {{{{sli}}}} {{{{arm}}}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Burn rate of the candidate",
            "Bad share in multiples of what is allowed, shortest burn window. The standard preset reverts at 12 and 6.",
            ((f"max by ({ROUND}, sli) (modelrollout_sli_burn_rate{{{RUN}}})", f"{EACH} {{{{sli}}}}"),),
            limit=6,
        ),
        BUDGET,
        Panel(
            "Evidence, 1 decides",
            "Log of the odds against chance, in parts of what FAIL or PASS takes.",
            (
                (
                    f"max by ({ROUND}, sli, verdict) (modelrollout_sli_evidence_ratio{{{RUN}}})",
                    f"{EACH} {{{{sli}}}} {{{{verdict}}}}",
                ),
            ),
        ),
        Panel(
            "Decisions",
            "What was decided in five minutes, and why.",
            (("sum by (action, reason) (increase(modelrollout_decisions_total[5m]))", "{{action}} {{reason}}"),),
        ),
        Panel(
            "Evidence late by",
            "From the moment a tick could be read to its evidence, 99 % below. Reverts are late by as much.",
            ((slowest("modelrollout_evaluation_lateness_seconds"), "late"),),
            unit="s",
            limit=5,
        ),
        Panel(
            "Questions to Prometheus by result",
            "Anything but ok freezes weights: runbook no-data.",
            (
                (
                    "sum by (source, result) (rate(modelrollout_metric_read_duration_seconds_count[5m]))",
                    "{{source}} {{result}}",
                ),
            ),
            unit="reqps",
        ),
    ),
)
