"""Mixtures of e-processes over effects, and over the moments at which an effect may begin.

A mixture with weights fixed in advance is an e-process again. Effects are laid out relative to the boundary share
`bound = ratio * p_legacy + difference`. A restart adds fresh capital to every effect, so that a regression that begins
late is found as fast as one from the start: A <- (A + w) f, and the capital not yet spent counts as cash.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from modelrollout.stats.linear import Floats

WORSE = np.geomspace(0.05, 30.0, 20)
"""Candidate's share beyond the boundary, in parts of it: FAIL side."""
FINE = np.array([0.03, 0.06, 0.1, 0.17, 0.25, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97])
"""Candidate's share below the boundary, in parts of it: PASS side."""
FLOOR, CEILING = 1e-7, 0.97
"""Shares of alternatives are kept in here."""

START = 0.5
"""Capital that is at work from the beginning; the other half is for restarts."""
RESTART_EVERY = 300.0
"""Seconds between restarts; a new step is one too."""
FIRST_BLOCK = 12


def alternatives(bound: Floats, *, worse: bool) -> Floats:
    """Candidate shares of all effects, [N, K], for boundary shares `bound` [N]."""
    factors = 1.0 + WORSE if worse else 1.0 - FINE
    return np.clip(bound[:, None] * factors, FLOOR, CEILING)


def restart_capital(number: int) -> float:
    """What the restart of this number (from 1) is given; all of them together get less than 1 - START.

    An hour's worth of restarts gets a quarter of the capital in equal parts, the next two hours an eighth, the next
    four a sixteenth: a restart costs about as much evidence in the third hour as in a plan made for three hours.
    """
    block, size, first = 0, FIRST_BLOCK, 1
    while number >= first + size:
        first += size
        block, size = block + 1, 2 * size
    return (1.0 - START) * 0.5 ** (block + 1) / size


@dataclass(frozen=True, slots=True)
class Purse:
    """Columns of a state that keep account of restarts: how many there were, when the last one was (epoch seconds, 0
    before the first stratum), the capital left, and whether a step waits for its own. `effects`: those that are funded.
    """

    count: int
    last: int
    cash: int
    due: int
    effects: tuple[slice, ...]


def restart(state: Floats, told: Floats, end: Floats, purse: Purse) -> None:
    """Fresh capital for rows [N] of `state` whose time it is: a new step, or `RESTART_EVERY` since the last one.

    `told`: rows with a stratum that counts; `end`: of the stratum, epoch seconds.
    """
    fresh = state[:, purse.last] == 0.0
    due = told & ~fresh & ((state[:, purse.due] > 0) | (end - state[:, purse.last] >= RESTART_EVERY))
    for row in np.flatnonzero(due):
        state[row, purse.count] += 1.0
        capital = restart_capital(int(state[row, purse.count]))
        for effects in purse.effects:
            state[row, effects] = np.logaddexp(state[row, effects], log(capital))
        state[row, purse.cash] -= capital
    state[:, purse.last] = np.where(due | (told & fresh), end, state[:, purse.last])
    state[:, purse.due] = np.where(told, 0.0, state[:, purse.due])


def value(logs: Floats, cash: Floats) -> Floats:
    """ln of the e-value [N]: mean over effects `logs` [N, K] plus unspent capital `cash` [N]."""
    top = np.maximum(logs.max(axis=1), -700.0)
    mean = top + np.log(np.exp(logs - top[:, None]).sum(axis=1)) - log(logs.shape[1])
    with np.errstate(divide="ignore"):
        total: Floats = np.logaddexp(mean, np.log(cash))
    return total
