"""Plays streams through the product's sequential comparison: one `advance` per tick moves all runs on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from e2e.stats.streams import Floats, Ints, Stream
from modelrollout.core.model import Margin
from modelrollout.core.observation import DOUBT, ArmCounts
from modelrollout.stats import conditional, sequential
from modelrollout.stats.conditional import Side
from modelrollout.stats.dispersion import pearson
from modelrollout.stats.judge import LEAST_STRATA
from modelrollout.stats.mixture import value
from modelrollout.stats.sequential import Comparison, Stratum, advance

NEVER = -1


@dataclass(frozen=True, slots=True)
class Played:
    """First tick of each run at which something was so, or `NEVER`."""

    failed: tuple[Ints, ...]
    """One per limit."""
    passed: Ints


def strata(stream: Stream, tick: int, rows: Sequence[int], *, judged: bool) -> list[Stratum]:
    """Counts of one tick, of some runs, as the product takes them. Those of the history are not judged."""
    counts = (each[rows, tick].tolist() for each in (stream.n_c, stream.e_c, stream.n_l, stream.e_l))
    before = stream.history.ticks if stream.history else 0
    end, pods = (before + tick + 1) * stream.seconds, stream.pods
    if pods is None:
        return [
            Stratum(ArmCounts(n_c, e_c), ArmCounts(n_l, e_l), end, stream.seconds, judged=judged)
            for n_c, e_c, n_l, e_l in zip(*counts, strict=True)
        ]
    each, bad = pods.requests[rows, tick].tolist(), pods.bad[rows, tick].tolist()
    found = []
    for n_c, e_c, n_l, e_l, n, e in zip(*counts, each, bad, strict=True):
        chi, degrees = pearson(list(zip(n, e, strict=True)))
        arms = ArmCounts(n_c, e_c), ArmCounts(n_l, e_l)
        numbers = (pods.candidate, pods.legacy)
        found.append(Stratum(*arms, end, stream.seconds, judged=judged, chi=chi, degrees=degrees, pods=numbers))
    return found


def play(
    stream: Stream,
    margin: Margin,
    *,
    alphas: Sequence[float],
    step: Margin | None = None,
    fine: float = 0.05,
    skip: int = 0,
    stop: bool = False,
) -> Played:
    """First FAIL of each run at each risk in `alphas`, and first PASS (against `step`, by default `margin`).

    The first `skip` ticks of each step only teach legacy's usual share, as while pods warm up. `stop`: runs that have
    failed at all limits are not played on.
    """
    limits = [log(1.0 / alpha) for alpha in alphas]
    failed = [np.full(stream.runs, NEVER) for _ in limits]
    passed = np.full(stream.runs, NEVER)
    comparisons = [Comparison(margin) for _ in range(stream.runs)]
    alive = list(range(stream.runs))
    for tick in range(stream.history.ticks if stream.history else 0):
        assert stream.history
        advance(comparisons, strata(stream.history, tick, alive, judged=False))
    began = 0
    for tick in range(stream.ticks):
        if tick in stream.starts:
            began = tick
            for one in comparisons:
                one.begin(step or margin)
        advance([comparisons[row] for row in alive], strata(stream, tick, alive, judged=tick - began >= skip))
        for row in _near(comparisons, alive, min(limits), log(1.0 / fine)):
            found = comparisons[row].findings()
            for limit, first in zip(limits, failed, strict=True):
                if first[row] == NEVER and found.fails(limit):
                    first[row] = tick
            sure = found.fine >= log(1.0 / fine) and found.worse < DOUBT and found.strata >= LEAST_STRATA
            if sure and passed[row] == NEVER:
                passed[row] = tick
        if stop:
            alive = [row for row in alive if any(first[row] == NEVER for first in failed)]
            if not alive:
                break
    return Played(tuple(failed), passed)


def _near(comparisons: Sequence[Comparison], alive: Sequence[int], worse: float, fine: float) -> Iterator[int]:
    """Runs of which a verdict may have to be told; a look at all of them one by one takes longer than the update."""
    state = np.stack([comparisons[row].values for row in alive])
    odds = value(state[:, sequential._WORSE], state[:, sequential._CASH])
    good = value(state[:, sequential._FINE], np.zeros(len(alive)))
    return (alive[place] for place in np.flatnonzero((odds >= worse - 1e-6) | (good >= fine - 1e-6)).tolist())


def play_second_family(stream: Stream, ratio: float, *, alphas: Sequence[float]) -> tuple[Ints, ...]:
    """First tick at which the conditional binomial (no restarts) rejects "not worse than `ratio`", per risk."""
    runs = stream.runs
    null = np.full(runs, ratio)
    ratios = conditional.alternatives(null, Side.WORSE)
    grown: Floats = np.zeros(ratios.shape)
    failed = [np.full(runs, NEVER) for _ in alphas]
    for tick in range(stream.ticks):
        own, other = stream.n_c[:, tick], stream.n_l[:, tick]
        share = own / np.maximum(own + other, 1)
        bad = (stream.e_c[:, tick], stream.e_l[:, tick])
        grown += conditional.log_increments(*bad, share, null=null, ratios=ratios)
        odds = conditional.log_mixture(grown)
        for alpha, first in zip(alphas, failed, strict=True):
            first[(first == NEVER) & (odds >= conditional.limit(alpha))] = tick
    return tuple(failed)
