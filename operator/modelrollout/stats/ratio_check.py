"""Sample ratio mismatch: do the arms get the requests that the weights promise?

A router that sends the candidate half or twice its share compares other requests than it should (a cache in front, a
client that retries, a header that pins), and no test of bad shares can see that. So the counts are held against the
weights, with a test that may be looked at on every tick. Meshes round weights and connections stick, hence an alarm
counts as a mismatch only if the deviation is large as well; a small one is worth a warning.

Source: Lindon and Malek, NeurIPS 2022 (multinomial case): Dirichlet prior around the promised shares. Arrays have one
row per rollout; a row does not depend on the others.
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

__all__ = ["ALPHA", "CONCENTRATION", "DEVIATION", "alarm", "deviation", "log_bayes_factor", "mismatch"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

CONCENTRATION = 1000.0
"""Weight of the prior, in requests: deviations of about 1 / sqrt(1000) of the share are found soonest."""
ALPHA = 0.001
DEVIATION = 0.10
"""Relative deviation of the smaller arm from which on an alarm makes verdicts worthless."""


def _shares(theta0: npt.ArrayLike) -> Floats:
    """[N] candidate's shares or [N, A] shares of all arms -> [N, A]."""
    given = np.asarray(theta0, dtype=np.float64)
    shares: Floats = np.stack([given, 1.0 - given], axis=-1) if given.ndim == 1 else given
    return shares


def log_bayes_factor(
    counts: npt.ArrayLike, theta0: npt.ArrayLike, k: float = CONCENTRATION, *, prior: npt.ArrayLike | None = None
) -> Floats:
    """Log Bayes factor against "each request goes by the promised shares": [N].

    `counts`: [N, 2] requests of (candidate, legacy) at one weight. `theta0`: [N], the candidate's promised share then.
    An alarm when it passes ln(1 / `ALPHA`), at any look. Where the weights change, add up the factors of the steps,
    each of its own counts and share. With more than two arms: [N, A] counts and shares. `prior`: Dirichlet parameters
    [A] or [N, A] instead of `k * theta0`. A share of 0 or 1 promises nothing to compare: 0.
    """
    seen, shares = np.asarray(counts, dtype=np.float64), _shares(theta0)
    usable: Flags = np.asarray((shares > 0.0).all(axis=-1))
    shares = np.where(usable[:, None], shares, 1.0 / shares.shape[-1])
    base = k * shares if prior is None else np.broadcast_to(np.asarray(prior, dtype=np.float64), shares.shape)
    grown = (gammaln(base + seen) - gammaln(base) - xlogy(seen, shares)).sum(axis=-1)
    factor: Floats = grown + gammaln(base.sum(axis=-1)) - gammaln((base + seen).sum(axis=-1))
    return np.where(usable, factor, 0.0)


def deviation(counts: npt.ArrayLike, expected: npt.ArrayLike) -> Floats:
    """How far the arm that is off most is from its expected requests, relative to these: [N]; 0 where none are.

    `counts`, `expected`: [N, 2], sums over all steps; expected are each step's requests times its shares.
    """
    seen, due = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    off: Floats = np.where(due > 0.0, np.abs(seen - due) / np.where(due > 0.0, due, 1.0), 0.0).max(axis=-1)
    return off


def alarm(log_factor: npt.ArrayLike) -> Flags:
    """Whether chance is ruled out, with a risk of one in a thousand over all looks: [N]. Worth a warning."""
    certain: Flags = np.asarray(log_factor, dtype=np.float64) >= log(1.0 / ALPHA)
    return certain


def mismatch(log_factor: npt.ArrayLike, counts: npt.ArrayLike, expected: npt.ArrayLike) -> Flags:
    """Whether the arms can't be compared: chance is ruled out and an arm is off by more than `DEVIATION`: [N]."""
    found: Flags = alarm(log_factor) & (deviation(counts, expected) > DEVIATION)
    return found
