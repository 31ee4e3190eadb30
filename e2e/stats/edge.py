"""Test 8: candidates on the edge of the null, where a false FAIL is most likely, for both families of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER, play, play_second_family
from e2e.stats.jobs import Job, Question, chunks
from e2e.stats.scenarios import SCENARIOS, TICKS, stream
from e2e.stats.streams import Floats
from e2e.stats.tables import Table, percent
from e2e.stats.type_one import DEFAULT, STRICT

ALPHAS = (0.01, 0.05)


def on_the_line(share: Floats) -> Floats:
    """A candidate that is exactly as bad as the default margin allows: the hardest null."""
    return DEFAULT.ratio * share + DEFAULT.difference


def families(seed: int, runs: int, name: str) -> list[int]:
    """False FAILs at 0.01 and at 0.05: the linear family twice, then the conditional one twice."""
    equal = stream(name, seed, runs, rps=200.0)
    counts = [*play(equal, STRICT, alphas=ALPHAS).failed]
    if name != "dispersion 2.5":
        edge = stream(name, seed, runs, rps=200.0, excess=on_the_line)
        counts += [*play(edge, DEFAULT, alphas=ALPHAS).failed]
        counts += [*play_second_family(equal, 1.0, alphas=ALPHAS)]
        beyond = stream(name, seed, runs, rps=200.0, excess=lambda share: 1.25 * share)
        counts += [*play_second_family(beyond, 1.25, alphas=ALPHAS)]
    return [int((ticks != NEVER).sum()) for ticks in counts]


def jobs(runs: int) -> list[Job]:
    """A piece per scenario and chunk."""
    return [job for name in SCENARIOS for job in chunks(name, families, runs, name)]


def tables(results: Mapping[str, list[Any]], runs: int) -> Sequence[Table]:
    """One table."""
    kinds = Table(
        "edge",
        f"Test 8: false FAILs at the edge of the null ({runs} rollouts of {TICKS} looks, 200 requests/s)",
        ("scenario", "null", "target at .01 / .05", "reached at .01", "at .05", "met"),
        "Rows with the default margin: the candidate is exactly as bad as 1.25 x legacy + 0.05 percentage points.",
    )
    nulls = ("equal, linear", "at the margin, linear", "equal, conditional", "ratio 1.25, conditional")
    for name in SCENARIOS:
        sums = np.sum(results[name], axis=0) / runs
        for place, null in enumerate(nulls[: len(sums) // 2]):
            low, high = sums[2 * place : 2 * place + 2].tolist()
            within = high <= 0.05 and (low <= 0.01 or name == "dispersion 2.5")
            target = "– / 5 %" if name == "dispersion 2.5" else "1 % / 5 %"
            kinds.add(name, null, target, percent(low), percent(high), reached=within)
    return (kinds,)


def question(runs: int) -> Question:
    """For that many rollouts per row."""
    return Question("edge", jobs, lambda results: tables(results, runs))
