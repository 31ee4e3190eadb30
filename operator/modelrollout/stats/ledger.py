"""Guard G3: what the rollout has cost, in bad events that are the candidate's own fault.

In each stratum (one tick, or as many ticks as a scrape interval takes) the candidate is charged with its bad events
beyond legacy's share of the same time, so that shared incidents cancel. The sum is signed: clipping it would book
noise as cost.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

from modelrollout.core.observation import ArmCounts, LedgerState

ALPHA = 0.01
NOISE = 3.0
LEAST_VARIANCE = 1.0
"""Events come whole: below a variance of one event the normal bounds would trip on a single one."""


def attributed(candidate: ArmCounts, legacy: ArmCounts, *, recent: ArmCounts, allowed: float) -> tuple[float, float]:
    """Bad events of one stratum that are the candidate's fault (signed), and the variance of that number.

    `recent`: legacy over the last minute, this stratum included. A legacy without requests in the stratum is stood in
    for by `recent`, and by `allowed` when that has none either (all traffic is on the candidate).
    """
    for reference in (legacy, recent):
        if reference.total:
            expected, noise = reference.bad / reference.total, 1.0 + candidate.total / reference.total
            break
    else:
        expected, noise = allowed, 1.0
    usual = (recent.bad + 0.5) / (recent.total + 1) if recent.total else allowed
    return candidate.bad - candidate.total * expected, candidate.total * usual * (1 - usual) * noise


def book(
    state: LedgerState,
    candidate: ArmCounts,
    legacy: ArmCounts,
    *,
    recent: ArmCounts,
    allowed: float,
    dispersion: float = 1.0,
) -> LedgerState:
    """The ledger with one more stratum; `allowed` is the SLI's bad share. `tick` and `rate` are left to the caller."""
    cost, variance = attributed(candidate, legacy, recent=recent, allowed=allowed)
    spent, total_variance = state.spent + cost, state.variance + dispersion * variance
    limit = state.allowed
    # Attributed = bad - expected, so "bad > allowed + expected + noise" is a condition on what is spent.
    gross = limit is not None and spent > limit + NOISE * sqrt(total_variance + LEAST_VARIANCE)
    return replace(
        state,
        spent=spent,
        peak=max(state.peak, spent),
        variance=total_variance,
        candidate_bad=state.candidate_bad + candidate.bad,
        candidate_total=state.candidate_total + candidate.total,
        lower=lower_bound(spent, total_variance, prior=prior_variance(limit, allowed)),
        gross_over=gross,
    )


def prior_variance(limit: float | None, allowed: float) -> float:
    """The variance at which the bound is tightest: that of as many requests as bad events may be spent.

    That is where a dead candidate is decided on; it is fixed in advance, as the bound demands.
    """
    return max(LEAST_VARIANCE, (limit or 0.0) * allowed * (1 - allowed))


def lower_bound(spent: float, variance: float, *, prior: float) -> float:
    """A lower bound of the true cost that holds at all times at once with 99 % (Robbins' normal mixture)."""
    ratio = (variance + prior) / prior
    return spent - sqrt((variance + prior) * (log(ratio) + 2 * log(1 / ALPHA)))
