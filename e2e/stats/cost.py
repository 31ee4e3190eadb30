"""What a tick of 4,000 SLIs costs the processor: 1,000 rollouts with 4 SLIs each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from e2e.stats.engine import strata
from e2e.stats.jobs import Job, Question
from e2e.stats.scenarios import stream
from e2e.stats.streams import Floats
from e2e.stats.tables import Table
from modelrollout.core.model import Margin
from modelrollout.stats import conditional, effect, ratio_check
from modelrollout.stats.sequential import Comparison, advance

SLIS = 4000
TICKS = 6
TICK = 5.0
AIM = 0.3
"""Cores that the whole evidence of a thousand moving rollouts may take; this is the part of the statistics."""


def measured() -> dict[str, float]:
    """Seconds of processor time a tick, per piece: medians."""
    counts = stream("constant", 1, SLIS, rps=20.0)
    comparisons = [Comparison(Margin()) for _ in range(SLIS)]
    rows, null = list(range(SLIS)), np.ones(SLIS)
    ratios = conditional.alternatives(null, conditional.Side.WORSE)
    total: Floats = np.zeros((SLIS, effect.COLUMNS))
    took: dict[str, list[float]] = {}

    @contextmanager
    def timed(piece: str) -> Iterator[None]:
        began = time.process_time()
        yield
        took.setdefault(piece, []).append(time.process_time() - began)

    for tick in range(TICKS):
        given = strata(counts, tick, rows, judged=True)
        n_c, e_c, n_l, e_l = (each[:, tick] for each in (counts.n_c, counts.e_c, counts.n_l, counts.e_l))
        with timed("both sides of the comparison, moved on"):
            advance(comparisons, given)
        with timed("what it says, read one by one"):
            assert len([one.findings() for one in comparisons]) == SLIS
        with timed("effects, sums moved on"):
            total += effect.sums(n_c, e_c, n_l, e_l)
        with timed("effects with intervals"):
            effect.effects(total)
        with timed("conditional family (where there is no denominator)"):
            conditional.log_increments(e_c, e_l, n_c / np.maximum(n_c + n_l, 1), null=null, ratios=ratios)
        with timed("sample ratio"):
            ratio_check.log_bayes_factor(np.stack([n_c, n_l], axis=1), np.full(SLIS, 0.25))
    return {piece: float(np.median(seconds)) for piece, seconds in took.items()}


def tables(results: Mapping[str, list[Any]]) -> Sequence[Table]:
    """One table."""
    found = Table(
        "cost",
        f"Processor time of one tick of {SLIS} SLIs (1000 rollouts with 4 each), ms",
        ("piece", "ms", "of a core at a tick in 5 s", "met"),
        f"Aim: {AIM} of a core for all evidence of a thousand rollouts that move, of which this is the statistics.",
    )
    pieces = results["cost"][0]
    for piece, seconds in (*pieces.items(), ("all", sum(pieces.values()))):
        cells = (piece, f"{1000 * seconds:.1f}", f"{seconds / TICK:.4f}")
        found.add(*cells, reached=seconds / TICK <= AIM)
    return (found,)


QUESTION = Question("cost", lambda _: [Job("cost", measured, seeded=False)], tables)
