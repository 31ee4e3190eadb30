"""Panels that more than one kind of reader looks at; each view says in its own words what they are for."""

from __future__ import annotations

from e2e.dashboards.grafana import EACH, ROUND, RUN, Panel

WEIGHT = Panel(
    "Candidate's share of the traffic",
    "Each step up is a decision with evidence; a fall to 0 is a revert.",
    ((f"max by ({ROUND}) (modelrollout_rollout_weight_ratio{{{RUN}}})", EACH),),
    unit="percentunit",
    high=1,
    steps=True,
)
BUDGET = Panel(
    "Budget that is spent",
    "Part of what this rollout may cost. At 100 % it is rolled back.",
    ((f"max by ({ROUND}, sli) (modelrollout_budget_spent_ratio{{{RUN}}})", f"{EACH} {{{{sli}}}}"),),
    unit="percentunit",
    limit=1,
)
