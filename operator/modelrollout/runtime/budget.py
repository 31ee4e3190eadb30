"""Arithmetic of guard G0: what is left of the SLO window's error budget, and what this rollout may cost.

The same events tell legacy's load, from which follows what the rollout can prove.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelrollout.core.model import ErrorBudget, Selector, Sli
from modelrollout.core.outlook import Load
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series


def counted(plan: SliPlan, series: Sequence[Series]) -> tuple[float, float]:
    """Total and bad events in series whose single sample is an increase over a window."""
    return _sum(plan.total, series), max(0.0, _sum(plan.bad, series))


@dataclass(frozen=True, slots=True)
class History:
    """What legacy's events of the SLO window say about one SLI.

    `remaining`: share of the window's budget that is left (negative when overspent). `allowance`: bad events that this
    rollout may cost. `load`: its requests a second and bad share.
    """

    sli: str
    remaining: float
    allowance: float
    load: Load


def history(sli: Sli, budget: ErrorBudget, *, total: float, bad: float, lately: float) -> History | None:
    """`total` and `bad` events of the whole window; `lately`: requests a second of its newest part (see `known_for`).

    A young service is held to have had its present rate all the time. None without events: nothing can be said about a
    service that had no requests. None without an objective: there is no budget.
    """
    if sli.allowed is None:
        return None
    rate = max(total / budget.window, lately)
    allowed = sli.allowed * rate * budget.window
    if allowed <= 0:
        return None
    load = Load(rate, min(1.0, bad / total) if total > 0 else 0.0)
    return History(sli.name, 1.0 - bad / allowed, budget.rollout_share * allowed, load)


def known_for(legacy: Sequence[Series], *, at: float, looked: float, window: float) -> float:
    """Seconds of the `window` before `at` in which legacy could be counted. `legacy`: its series of the last `looked`
    seconds.

    Its first sample tells where it comes after the look's beginning; a service of half a minute has not had its
    requests in an hour. Older ones are held to be as old as the window: that makes their rate, and what a rollout may
    cost, too small rather than too large.
    """
    first = min((one.times[0] for one in legacy if one.times), default=at - window)
    between = max((b - a for one in legacy for a, b in pairwise(one.times)), default=0.0)
    if first - between <= at - looked:
        return window
    return min(window, at - first)


def _sum(terms: Sequence[Term], series: Sequence[Series]) -> float:
    return sum(t.sign * one.values[-1] for t in terms for one in series if one.values and _matches(t, one))


def _matches(term: Term, one: Series) -> bool:
    if term.boundary is not None:
        le = one.labels.get("le")
        if le is None or float(le) != term.boundary:
            return False
    return selects(term.selector, one)


def selects(selector: Selector, one: Series) -> bool:
    """Whether the series is one of the selector's."""
    labels = one.labels
    return (
        labels.get("__name__") == selector.metric
        and all(labels.get(name, "") == value for name, value in selector.equal)
        and all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in selector.regex)
    )
