"""False rollbacks: this engine and other ways to decide, on the same streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2e.stats import peers
from e2e.stats.engine import NEVER, play
from e2e.stats.jobs import Job, Question, chunks
from e2e.stats.scenarios import SCENARIOS, SHARE, stream
from e2e.stats.streams import TICK, Floats, Ints
from e2e.stats.tables import Table, percent
from modelrollout.core.model import Margin

STRICT = Margin(1.0, 0.0)
DEFAULT = Margin()
LIMIT = 1.5 * SHARE
"""Error share that fails a check of the others: one and a half times the usual one."""
RATES = (200.0, 20.0)
REGRESSION = 3.0
WAYS = ("engine, no margin", "engine, default margin", "Flagger", "3 in a row", "Argo Rollouts", "pooled z", "Kayenta")


def tripled(share: Floats) -> Floats:
    """A regression."""
    return REGRESSION * share


def ways(seed: int, runs: int, name: str, rps: float, *, regression: bool) -> list[Ints]:
    """Tick of the rollback per way to decide."""
    played = stream(name, seed, runs, rps=rps, excess=tripled if regression else None)
    return [
        play(played, STRICT, alphas=(0.01,), skip=1, stop=True).failed[0],
        play(played, DEFAULT, alphas=(0.01,), skip=1, stop=True).failed[0],
        peers.flagger(played, LIMIT),
        peers.in_a_row(played, LIMIT),
        peers.argo(played, LIMIT),
        peers.pooled_z(played),
        peers.kayenta(played),
    ]


def healthy(seed: int, runs: int, name: str, rps: float) -> list[int]:
    """How many equal candidates each way reverts."""
    return [int((ticks != NEVER).sum()) for ticks in ways(seed, runs, name, rps, regression=False)]


def sick(seed: int, runs: int, rps: float) -> list[tuple[int, int]]:
    """How many of three times the errors each way finds during the ramp, and ticks until then, summed."""
    return [
        (int((ticks != NEVER).sum()), int((ticks[ticks != NEVER] + 1).sum()))
        for ticks in ways(seed, runs, "ramping", rps, regression=True)
    ]


def jobs(runs: int) -> list[Job]:
    """All of it."""
    found: list[Job] = []
    for name in SCENARIOS:
        for rps in RATES:
            found += chunks(f"healthy/{name}/{rps:g}", healthy, runs, name, rps)
    for rps in RATES:
        found += chunks(f"sick/{rps:g}", sick, max(200, runs // 5), rps)
    return found


def tables(results: Mapping[str, list[Any]], runs: int) -> Sequence[Table]:
    """Two tables."""
    false = Table(
        "type-1",
        f"False rollbacks of a candidate as good as legacy, at `falseRollback: 0.01` ({runs} rollouts of an hour each)",
        ("scenario", "requests/s", *WAYS, "met"),
        "Same streams in a row. The target (1 %) is for the engine. Others: a check a minute, errors above 1.5 % fail "
        "(usual: 1 %); Flagger: 5 failed checks in all; Argo Rollouts: more than 3; Kayenta: Mann-Whitney at 98 %, "
        "tolerance 0.25; pooled z: one-sided 5 % at every look.",
    )
    for name in SCENARIOS:
        for rps in RATES:
            shares = np.sum(results[f"healthy/{name}/{rps:g}"], axis=0) / runs
            within = bool(shares[:2].max() <= 0.01)
            cells = (percent(share) for share in shares.tolist())
            false.add(name, f"{rps:g}", *cells, reached=within)
    found = Table(
        "found",
        "The same ways with three times the errors from the start of a ramp 5/25/50 %: found, minutes",
        ("requests/s", *WAYS),
        "A way that reverts healthy candidates as well finds sick ones at once: read with the table above.",
    )
    for rps in RATES:
        rows = np.sum(results[f"sick/{rps:g}"], axis=0)
        each = max(200, runs // 5)
        found.add(
            f"{rps:g}",
            *(
                f"{percent(hits / each)}, {ticks / hits * TICK / 60:.1f}" if hits else "never"
                for hits, ticks in rows.tolist()
            ),
        )
    return false, found


def question(runs: int) -> Question:
    """For that many rollouts per row."""
    return Question("type-1", jobs, lambda results: tables(results, runs))
