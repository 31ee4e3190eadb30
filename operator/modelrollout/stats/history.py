"""What legacy did before the rollout: its usual bad share, and how its errors cluster.

Evidence is judged from the first stratum on, by what earlier strata have taught. Without a history the first ones would
be held against a guess, and the clustering of errors, the largest source of false alarms, would be learned too late;
with a single pod of legacy it could not be learned at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.core.model import Sli
from modelrollout.core.observation import ArmCounts, SliCheckpoint
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.stats.dispersion import by_pod, pearson
from modelrollout.stats.sequential import Comparison, Stratum, advance
from modelrollout.stats.ticks import STALE_SCRAPES, ArmReader, TickCounts, stratum_ticks

LENGTH = 900.0
"""Seconds looked back."""


def window(scrape: float) -> float:
    """Seconds of samples before its end that a history needs, at this scrape interval."""
    return LENGTH + STALE_SCRAPES * scrape


def learned(
    sli: Sli, plan: SliPlan, legacy: Sequence[Series], *, until: float, scrape: float, interval: float
) -> SliCheckpoint | None:
    """Evidence of an SLI that a rollout begins with; None when legacy has had no events to count.

    `legacy`: its samples of the `window` before `until` (epoch seconds, a tick boundary). `scrape`, `interval` (of the
    ticks) in seconds.
    """
    reader = ArmReader(plan, scrape=scrape, slack=STALE_SCRAPES * scrape)
    arm = reader.prepare(legacy)
    # As long as the strata of the rollout: bursts shorter than a stratum look less like bursts in a longer one.
    length = stratum_ticks(scrape, interval) * interval
    comparison = Comparison(sli.margin)
    taught = False
    for back in range(max(1, int(LENGTH // length)), 0, -1):
        end = until - (back - 1) * length
        tick = reader.read(
            arm, end - length, end, known=arm.known, judged=lambda target: True, lazy=sli.arms is not None
        )
        if not isinstance(tick, TickCounts) or not tick.n:
            continue
        taught = True
        pods = by_pod([tick.pods])
        chi, degrees = pearson(pods)
        stratum = Stratum(
            ArmCounts(0, 0),
            ArmCounts(tick.n, tick.e),
            end=end,
            seconds=length,
            judged=False,
            chi=chi,
            degrees=degrees,
            pods=(1, max(1, len(pods))),
        )
        advance([comparison], [stratum])
    return SliCheckpoint(sli.name, until, comparison.carried()) if taught else None
