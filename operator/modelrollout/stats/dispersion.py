"""How much more errors cluster than independent requests would: legacy's pods tell (an A/A comparison that is free).

In each stratum Pearson's X2 of the bad shares of legacy's pods, given equal shares, is about its degrees of freedom
when requests are independent. What exceeds that is a correlation within pods, and every log e-value is divided by the
variance inflation that follows from it (exact in the Gaussian limit, approximate else).

Strata weigh by their bad events. X2 is held against the stratum's own share: one bad event gives X2 equal to its
degrees of freedom wherever it falls, and few say little more. Strata that weigh alike would bring the estimate the
nearer to "independent" the fewer bad events they hold (0.9 each: to 1.7 where the truth is 2.5). Weighed by them, both
sums have the expectations whose quotient is the inflation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from modelrollout.stats.increments import Target
from modelrollout.stats.linear import Floats

PodCounts = tuple[Target, float, float]
"""A pod with its events and bad events."""

PRIOR = 30.0
"""Degrees of freedom of "no clustering" that the estimate begins with."""
LEAST_USUAL = 1.0
"""Bad events that a stratum is weighed by where fewer are usual: the first ones ever seen do not outweigh the prior."""


def by_pod(parts: Iterable[Sequence[PodCounts]]) -> list[tuple[float, float]]:
    """(events, bad) of each pod with events, over all ticks of a stratum: pods are scraped in different ones.

    In the order of the pods' names, whatever the order they were read in.
    """
    sums: dict[Target, tuple[float, float]] = {}
    for pods in parts:
        for target, n, e in pods:
            known_n, known_e = sums.get(target, (0.0, 0.0))
            sums[target] = (known_n + n, known_e + e)
    return [(n, min(max(e, 0.0), n)) for _, (n, e) in sorted(sums.items()) if n > 0]


def pearson(pods: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """X2 and its degrees of freedom, of (events, bad) of pods in one stratum; (0, 0) where they can't differ."""
    counts = [(n, e) for n, e in pods if n > 0]
    total, bad = sum(n for n, _ in counts), sum(e for _, e in counts)
    if len(counts) < 2 or not 0 < bad < total:
        return 0.0, 0
    share = bad / total
    return sum((e - n * share) ** 2 / n for n, e in counts) / (share * (total - bad) / total), len(counts) - 1


def weight(total: Floats, bad: Floats, usual: Floats) -> Floats:
    """What X2 and degrees of freedom of a stratum count for: its bad events' variance over the usual one (about 1).

    `total`, `bad`: events of all pods. `usual`: share from earlier strata, in (0, 1).
    """
    found = bad * (1.0 - bad / np.maximum(total, 1.0))
    weighed: Floats = found / np.maximum(usual * (1.0 - usual) * total, LEAST_USUAL)
    return weighed


def inflation(chi: Floats, degrees: Floats) -> Floats:
    """Variance of a pod's errors over that of independent requests, at least 1, from weighted sums over strata."""
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
