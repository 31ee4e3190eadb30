"""Counts of many simulated rollouts at once: requests and bad events of both arms, per tick.

Arrays are [runs, ticks]. The candidate gets its weight's share of Poisson traffic; each request is bad by itself
(`drawn`), or errors cluster in pods (`clustered`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TICK = 15.0
"""Seconds; that of the design page's figures."""
MINUTE = 4
"""Ticks."""
HISTORY = 60
"""Ticks of legacy alone that the product reads before the first step: a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Errors of single pods: number in the candidate and in legacy, legacy's requests and bad events per pod."""

    candidate: int
    legacy: int
    requests: Ints
    """[runs, ticks, pods]"""
    bad: Ints


@dataclass(frozen=True, slots=True)
class Stream:
    """Counts of `runs` rollouts. `starts`: first tick of each step. `pods`: None when each arm is one pod.

    `history`: legacy alone, before the rollout.
    """

    n_c: Ints
    e_c: Ints
    n_l: Ints
    e_l: Ints
    starts: tuple[int, ...] = (0,)
    seconds: float = TICK
    pods: Pods | None = None
    history: Stream | None = None

    @property
    def runs(self) -> int:
        """How many rollouts."""
        return len(self.n_c)

    @property
    def ticks(self) -> int:
        """How long each is."""
        return int(self.n_c.shape[1])


def per_tick(values: Sequence[float], ticks: int) -> Floats:
    """Equal parts of `ticks`, one value each."""
    return np.repeat(np.asarray(values, dtype=np.float64), -(-ticks // len(values)))[:ticks]


def starts_of(weight: Floats) -> tuple[int, ...]:
    """Ticks at which the weight changes, 0 included."""
    return (0, *(np.flatnonzero(np.diff(weight)) + 1).tolist())


def arrivals(
    rng: np.random.Generator, runs: int, *, rps: Floats | float, weight: Floats, seconds: float
) -> tuple[Ints, Ints]:
    """Requests of candidate and legacy."""
    every = rng.poisson(np.broadcast_to(np.asarray(rps) * seconds, weight.shape), (runs, len(weight)))
    own = rng.binomial(every, weight)
    return own, every - own


def drawn(
    rng: np.random.Generator,
    runs: int,
    *,
    rps: Floats | float,
    weight: Floats,
    share_c: Floats | float,
    share_l: Floats | float,
    seconds: float = TICK,
) -> Stream:
    """Independent requests; `rps`, shares: constants or one value per tick of `weight`."""
    n_c, n_l = arrivals(rng, runs, rps=rps, weight=weight, seconds=seconds)
    e_c, e_l = rng.binomial(n_c, share_c), rng.binomial(n_l, share_l)
    usual, rate = (float(np.asarray(each).flat[0]) for each in (share_l, rps))
    nothing = np.zeros((runs, HISTORY), dtype=np.int64)
    before = rng.poisson(rate * seconds, nothing.shape)
    history = Stream(nothing, nothing, before, rng.binomial(before, usual), seconds=seconds)
    return Stream(n_c, e_c, n_l, e_l, starts_of(weight), seconds, history=history)


def clustered(
    rng: np.random.Generator,
    runs: int,
    *,
    rps: float,
    weight: Floats,
    share: float,
    dispersion: float,
    pods: tuple[int, int] = (3, 9),
) -> Stream:
    """Equal arms whose pods have a bad share of their own in each tick (beta binomial).

    The correlation within a pod is such that the variance of a legacy pod's errors is `dispersion` times that of
    independent requests when it has all of the traffic to share.
    """
    icc = (dispersion - 1.0) / (rps * TICK / pods[1] - 1.0)
    weight = np.concatenate([np.zeros(HISTORY), weight])
    n_c, n_l = arrivals(rng, runs, rps=rps, weight=weight, seconds=TICK)

    def arm(requests: Ints, count: int) -> tuple[Ints, Ints]:
        each = rng.multinomial(requests, np.full(count, 1.0 / count))
        own = rng.beta(share * (1.0 / icc - 1.0), (1.0 - share) * (1.0 / icc - 1.0), each.shape)
        return each, rng.binomial(each, own)

    _, bad_c = arm(n_c, pods[0])
    each, bad_l = arm(n_l, pods[1])
    counts = (n_c, bad_c.sum(axis=-1), n_l, bad_l.sum(axis=-1))

    def part(ticks: slice, history: Stream | None) -> Stream:
        known = Pods(pods[0], pods[1], each[:, ticks], bad_l[:, ticks])
        own, own_bad, other, other_bad = (one[:, ticks] for one in counts)
        return Stream(own, own_bad, other, other_bad, starts_of(weight[ticks]), TICK, known, history)

    return part(slice(HISTORY, None), part(slice(HISTORY), None))
