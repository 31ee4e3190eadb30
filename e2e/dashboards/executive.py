"""For who wants to know how releases go."""

from __future__ import annotations

from dataclasses import replace

from e2e.dashboards.grafana import ROUND, RUN, Dashboard, Panel
from e2e.dashboards.shared import BUDGET, WEIGHT


def phases(*names: str) -> str:
    """How many rollouts are in one of these phases; 0 when there are rollouts, but none in these."""
    wanted = "|".join(names)
    return f'sum(max by ({ROUND}, phase) (modelrollout_rollout_phase{{phase=~"{wanted}", {RUN}}}))'


def made(action: str, window: str) -> str:
    """How often something was decided; nothing where no operator is scraped."""
    return (
        f'sum(increase(modelrollout_decisions_total{{action="{action}"}}[{window}]))'
        " or 0 * count(modelrollout_build_info)"
    )


EXECUTIVE = Dashboard(
    "executive",
    "Model rollouts: overview",
    "now-7d",
    (
        Panel(
            "Under way",
            "Rollouts with a candidate that gets traffic, or is about to.",
            ((phases("Preflight", "Progressing", "Paused"), ""),),
            kind="stat",
            width=6,
            height=4,
        ),
        Panel(
            "Waiting for somebody",
            "Paused rollouts: an approval, a person's pause, or evidence that is not enough.",
            ((phases("Paused"), ""),),
            kind="stat",
            width=6,
            height=4,
        ),
        Panel(
            "Rolled back, not yet replaced",
            "Rollouts whose candidate was rejected and that wait for a new one. Users are on legacy.",
            ((phases("RollingBack", "RolledBack"), ""),),
            kind="stat",
            width=6,
            height=4,
            limit=1,
        ),
        Panel(
            "Promoted",
            "Rollouts whose candidate serves everybody.",
            ((phases("Promoted"), ""),),
            kind="stat",
            width=6,
            height=4,
        ),
        Panel(
            "Promotions and rollbacks, a day",
            "How many candidates went all the way, and how many were taken back.",
            ((made("Promote", "1d"), "promoted"), (made("Rollback", "1d"), "rolled back")),
        ),
        Panel(
            "Why candidates were taken back, in the time shown",
            "Rollbacks by reason; the reasons are in the reference.",
            (
                (
                    'sum by (reason) (increase(modelrollout_decisions_total{action="Rollback"}[$__range]))'
                    ' or label_replace(0 * count(modelrollout_build_info), "reason", "none", "", "")',
                    "{{reason}}",
                ),
            ),
            kind="barchart",
        ),
        replace(
            BUDGET,
            title="Cost of rollouts, part of what each may cost",
            about="Error budget that a rollout has spent, of the share that it may spend. At 100 % it is rolled back.",
        ),
        replace(WEIGHT, title="How far each rollout is", about="The candidate's share of the traffic."),
    ),
)
