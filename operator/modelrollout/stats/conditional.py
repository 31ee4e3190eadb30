"""Sequential test of a ratio of event rates that needs no denominators (second family).

Given that an event happened, it is the candidate's with a chance that depends only on the ratio of the two rates and
on the candidate's share of exposure. Exposure may be requests, replica-seconds or traffic weight: for OOM kills,
restarts or fallbacks there is nothing better. For Bernoulli events of any rate the test stays valid (it is only less
sharp than the linear family, by about the bad share), for counts of a Poisson kind it is exact.

Source: Lindon and Malek, NeurIPS 2022 (Poisson case), with the realised share of each stratum instead of a configured
one, and a mixture over a grid. Arrays have one row per SLI (N) and one column per alternative (K); what comes out for a
row does not depend on the other rows.
"""

from __future__ import annotations

from enum import Enum
from math import log

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

__all__ = ["ALTERNATIVES", "LOG_PRIOR", "Side", "alternatives", "blend", "limit", "log_increments", "log_mixture"]

Floats = npt.NDArray[np.float64]

POINTS = 32
"""Alternatives of each of the two kinds."""
NEAR_SPREAD = 0.5


def blend(points: int) -> tuple[Floats, Floats]:
    """Ratios of the alternatives in multiples of the null, and the logs of their weights, which sum to 1.

    Half of the weight is flat in the logarithm over `points` ratios beyond the null: regressions of any size. The other
    half is a half normal of `NEAR_SPREAD` over as many ratios close to it: the slight ones need the most evidence.
    """
    wide, near = np.geomspace(1.1, 32.0, points), np.exp(np.linspace(0.02, 1.2, points))
    bell = np.exp(-0.5 * (np.log(near) / NEAR_SPREAD) ** 2)
    prior = np.concatenate([np.full(points, 0.5 / points), 0.5 * bell / bell.sum()])
    found = np.concatenate([wide, near]), np.log(prior)
    for each in found:
        each.flags.writeable = False
    return found


FACTORS, LOG_PRIOR = blend(POINTS)
"""The "blend" prior of the page."""
ALTERNATIVES = len(FACTORS)


class Side(Enum):
    """Which way the alternatives lie: WORSE tests "ratio <= null", FINE tests "ratio >= null"."""

    WORSE = 1
    FINE = -1


def alternatives(null: Floats, side: Side) -> Floats:
    """[N] ratios of the null -> [N, K] ratios beyond it; on the FINE side as far below as above on the other."""
    factors = FACTORS if side is Side.WORSE else 1.0 / FACTORS
    beyond: Floats = np.asarray(null, dtype=np.float64)[:, None] * factors
    return beyond


def log_increments(
    events_c: npt.ArrayLike, events_l: npt.ArrayLike, share: npt.ArrayLike, *, null: Floats, ratios: Floats
) -> Floats:
    """Log e-value of one stratum against "the ratio of rates is `null`", per alternative: [N, K].

    `events_c`, `events_l`: [N] events of candidate and legacy. `share`: [N] candidate's part of the exposure of this
    stratum, known without looking at its events. `null`: [N]; `ratios`: [N, K] of `alternatives`. A stratum in which
    one arm has no exposure, or with no events, says nothing: its row is 0.
    """
    own, other, part = (np.asarray(each, dtype=np.float64)[:, None] for each in (events_c, events_l, share))
    usable = (part > 0.0) & (part < 1.0)
    part = np.where(usable, part, 0.5)
    against, each = np.asarray(null, dtype=np.float64)[:, None], np.asarray(ratios, dtype=np.float64)
    # ln q(t) - ln q(t0) = ln t - ln t0 - rest, ln(1 - q(t)) - ln(1 - q(t0)) = -rest: no cancellation at tiny shares.
    rest = np.log1p(part * (each - 1.0)) - np.log1p(part * (against - 1.0))
    found: Floats = np.where(usable, xlogy(own, each / against) - (own + other) * rest, 0.0)
    return found


def log_mixture(log_likelihoods: Floats) -> Floats:
    """[N, K] sums of increments -> [N] log e-values under the blend prior, without restarts."""
    weighted = log_likelihoods + LOG_PRIOR
    top = weighted.max(axis=-1)
    mixed: Floats = top + np.log(np.exp(weighted - top[:, None]).sum(axis=-1))
    return mixed


def limit(alpha: float) -> float:
    """The log e-value at which a null is rejected with a risk of `alpha` over all looks together."""
    return log(1.0 / alpha)
