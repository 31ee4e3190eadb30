"""How much more errors cluster than independent requests would: legacy's pods tell (an A/A comparison that is free).

In each stratum Pearson's X2 of the bad shares of legacy's pods, given equal shares, is about its degrees of freedom
when requests are independent. What exceeds that is a correlation within pods, and every log e-value is divided by the
variance inflation that follows from it (exact in the Gaussian limit, approximate else).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelrollout.stats.linear import Floats

PRIOR = 30.0
"""Degrees of freedom of "no clustering" that the estimate begins with."""


def pearson(pods: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """X2 and its degrees of freedom, of (events, bad) of pods in one stratum; (0, 0) where they can't differ."""
    counts = [(n, e) for n, e in pods if n > 0]
    total, bad = sum(n for n, _ in counts), sum(e for _, e in counts)
    if len(counts) < 2 or not 0 < bad < total:
        return 0.0, 0
    share = bad / total
    return sum((e - n * share) ** 2 / n for n, e in counts) / (share * (total - bad) / total), len(counts) - 1


def inflation(chi: Floats, degrees: Floats) -> Floats:
    """Variance of a pod's errors over that of independent requests, at least 1, from sums over strata."""
    return np.maximum(1.0, (chi + PRIOR) / (degrees + PRIOR))


def effective(inflated: Floats, usual: Floats, *, n_c: Floats, n_l: Floats, pods_c: Floats, pods_l: Floats) -> Floats:
    """Variance inflation of the comparison of the arms in a stratum, at least 1.

    `inflated`: of a pod with `usual` requests in a stratum; from it the correlation within a pod, and with that the
    inflation at these numbers of requests and pods. Each arm weighs with the other's share of the requests.
    """
    correlation = np.clip((inflated - 1.0) / np.maximum(usual - 1.0, 1.0), 0.0, 1.0)
    share = n_c / np.maximum(n_c + n_l, 1.0)
    own = 1.0 + np.maximum(n_c / np.maximum(pods_c, 1.0) - 1.0, 0.0) * correlation
    other = 1.0 + np.maximum(n_l / np.maximum(pods_l, 1.0) - 1.0, 0.0) * correlation
    return (1.0 - share) * own + share * other
