"""How much evidence a verdict takes, before any is there: information, requests, times, provable margins.

`share`, `candidate`, `legacy` are bad shares (fractions of 1), `exposure` is the candidate's part of all requests, the
margin is `candidate <= ratio * legacy + difference`, `alpha` the risk of the verdict, information is in nats. All
functions work elementwise on numbers or arrays that broadcast, and give the same bits alone or in a batch. Formulas:
design page "statistics", sections 3.2 (time to rollback), 3.3 (harm) and 4.1 (dwell). Played through `sequential`, a
PASS takes 0.74 to 0.91 of what is said here on average, a FAIL 0.98 to 1.27.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
from scipy.special import rel_entr

from modelrollout.stats.linear import closest_between

OVERSHOOT = 2.0
"""Nats on top of ln(1/alpha) that a mixture over unknown effects costs on average."""
P90 = 1.28
MOST = 1e15
"""Requests that stand for "never": the information is nothing."""
LEAST_EXPOSURE = 1e-6
NEWTON, EQUALS = 32, 12
"""Steps until the information is exact even for a candidate that is all bad, with a millionth of the requests; and for
equal arms, which are asked about at every tick.
"""
SEARCHES = 24
"""Halvings of a search for a margin: to one part in a million."""
FINEST_DIFFERENCE = 1e-6
WIDEST_RATIO, WIDEST_DIFFERENCE = 10.0, 0.5
"""The largest that are looked for: the API takes no larger ones."""


def information(
    candidate: Any, legacy: Any, exposure: Any, ratio: Any, difference: Any, *, newton: int = NEWTON
) -> Any:
    """Nats one request of all traffic tells of which side of the margin the candidate is on; elementwise.

    `min_x exposure * KL(candidate || ratio * x + difference) + (1 - exposure) * KL(legacy || x)`. 0 on the margin.
    Infinite when no bad share can be beyond the margin.
    """
    pc, pl, w, a, b = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (candidate, legacy, exposure, ratio, difference))
    )
    w = np.clip(w, LEAST_EXPOSURE, 1 - LEAST_EXPOSURE)
    highest = np.clip((1 - b) / a, 0.0, 1.0)
    x = closest_between(0.0, highest, pc, pl, w, 1 - w, a, b, newton=newton)
    y = np.clip(a * x + b, 0.0, 1.0)
    return np.maximum(0.0, w * _divergence(pc, y) + (1 - w) * _divergence(pl, x))


def requests_for(nats: Any, alpha: Any) -> Any:
    """Requests until a verdict of risk `alpha`, on average, at `nats` per request; at most `MOST`."""
    with np.errstate(divide="ignore"):
        return np.minimum(MOST, (np.log(1 / np.asarray(alpha)) + OVERSHOOT) / np.asarray(nats, dtype=float))


def needed_for_pass(share: Any, exposure: Any, ratio: Any, difference: Any, alpha: Any) -> Any:
    """Candidate requests until PASS, on average, if the candidate is as good as legacy; elementwise.

    About `ln(1/alpha) / difference` and a half more when nothing is ever bad. Falls when the margin grows. `MOST` when
    equals are not within the margin.
    """
    share, exposure = np.asarray(share, dtype=float), np.asarray(exposure, dtype=float)
    nats = information(share, share, exposure, ratio, difference, newton=EQUALS)
    within = share < np.asarray(ratio) * share + np.asarray(difference)
    return requests_for(np.where(within, nats, 0.0) / np.maximum(exposure, LEAST_EXPOSURE), alpha)


def needed_for_fail(candidate: Any, legacy: Any, exposure: Any, ratio: Any, difference: Any, alpha: float) -> Any:
    """Candidate requests until FAIL, on average; elementwise. `MOST` when the candidate is within the margin."""
    candidate, exposure = np.asarray(candidate, dtype=float), np.asarray(exposure, dtype=float)
    nats = information(candidate, legacy, exposure, ratio, difference)
    beyond = candidate > np.asarray(ratio) * np.asarray(legacy) + np.asarray(difference)
    return requests_for(np.where(beyond, nats, 0.0) / np.maximum(exposure, LEAST_EXPOSURE), alpha)


def late(alpha: float) -> float:
    """What the mean time to a verdict is multiplied with to get the time within which 9 of 10 are there."""
    return 1 + P90 * sqrt(2 / (log(1 / alpha) + OVERSHOOT))


def provable_ratio(requests: Any, share: Any, exposure: Any, difference: Any, alpha: float) -> Any:
    """The smallest ratio that `requests` of the candidate prove, on average; infinite when there is none."""
    return _smallest(
        lambda tried: needed_for_pass(share, exposure, np.exp(tried), difference, alpha) <= requests,
        np.broadcast_shapes(*(np.shape(v) for v in (requests, share, exposure, difference))),
        (0.0, log(WIDEST_RATIO)),
        np.exp,
    )


def provable_difference(requests: Any, share: Any, exposure: Any, ratio: Any, alpha: float) -> Any:
    """The smallest difference that `requests` of the candidate prove, on average; infinite when there is none."""
    return _smallest(
        lambda tried: needed_for_pass(share, exposure, ratio, np.exp(tried), alpha) <= requests,
        np.broadcast_shapes(*(np.shape(v) for v in (requests, share, exposure, ratio))),
        (log(FINEST_DIFFERENCE), log(WIDEST_DIFFERENCE)),
        np.exp,
    )


def _smallest(proves: Any, shape: tuple[int, ...], between: tuple[float, float], scale: Any) -> Any:
    low, high = (np.full(shape, end) for end in between)
    possible = proves(high)
    high = np.where(proves(low), low, high)
    for _ in range(SEARCHES):
        tried = 0.5 * (low + high)
        enough = proves(tried)
        low, high = np.where(enough, low, tried), np.where(enough, tried, high)
    return np.where(possible, scale(high), np.inf)


def _divergence(p: Any, q: Any) -> Any:
    return rel_entr(p, q) + rel_entr(1 - p, 1 - q)
