"""Arithmetic of guard G0: what is left of the SLO window's error budget, and what this rollout may cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelrollout.core.model import ErrorBudget, Selector, Sli
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series


def counted(plan: SliPlan, series: Sequence[Series]) -> tuple[float, float]:
    """Total and bad events in series whose single sample is an increase over a window."""
    return _sum(plan.total, series), max(0.0, _sum(plan.bad, series))


def outlook(sli: Sli, budget: ErrorBudget, *, total: float, bad: float) -> tuple[str, float, float] | None:
    """Name, remaining share of the window's budget (negative when overspent), bad events this rollout may cost.

    None without events: nothing can be said about a service that had no requests.
    """
    allowed = sli.allowed * total
    if allowed <= 0:
        return None
    return sli.name, 1.0 - bad / allowed, budget.rollout_share * allowed


def _sum(terms: Sequence[Term], series: Sequence[Series]) -> float:
    return sum(t.sign * one.samples[-1][1] for t in terms for one in series if one.samples and _matches(t, one))


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
