"""False rollbacks: this engine, its second family and other ways to decide, on the same streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2e.stats import peers
from e2e.stats.engine import NEVER, play, play_second_family
from e2e.stats.jobs import Job, Question, chunks
from e2e.stats.scenarios import SCENARIOS, SHARE, TICKS, stream
from e2e.stats.streams import TICK, Floats, Ints
from e2e.stats.tables import Table, percent
from modelrollout.core.model import Margin

ALPHAS = (0.01, 0.05)
STRICT = Margin(1.0, 0.0)
DEFAULT = Margin()
LIMIT = 1.5 * SHARE
"""Error share that fails a check of the others: one and a half times the usual one."""
RATES = (200.0, 20.0)
REGRESSION = 3.0
WAYS = ("engine, no margin", "engine, default margin", "Flagger", "3 in a row", "Argo Rollouts", "pooled z", "Kayenta")


def on_the_line(share: Floats) -> Floats:
    """A candidate that is exactly as bad as the default margin allows: the hardest null."""
    return DEFAULT.ratio * share + DEFAULT.difference


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


def families(seed: int, runs: int, name: str) -> list[int]:
    """Acceptance test 8: false FAILs at 0.01 and 0.05 on the edge of the null, of both families."""
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
    """All of it."""
    found: list[Job] = []
    for name in SCENARIOS:
        found += chunks(f"families/{name}", families, runs, name)
        for rps in RATES:
            found += chunks(f"healthy/{name}/{rps:g}", healthy, runs, name, rps)
    for rps in RATES:
        found += chunks(f"sick/{rps:g}", sick, max(200, runs // 5), rps)
    return found


def tables(results: Mapping[str, list[Any]], runs: int) -> Sequence[Table]:
    """Three tables."""
    kinds = Table(
        "type-1-families",
        f"Test 8: false FAILs at the edge of the null ({runs} rollouts of {TICKS} looks, 200 requests/s)",
        ("scenario", "null", "target at .01 / .05", "reached at .01", "at .05", "met"),
        "Rows with the default margin: the candidate is exactly as bad as 1.25 x legacy + 0.05 percentage points.",
    )
    nulls = ("equal, linear", "at the margin, linear", "equal, conditional", "ratio 1.25, conditional")
    for name in SCENARIOS:
        sums = np.sum(results[f"families/{name}"], axis=0) / runs
        for place, null in enumerate(nulls[: len(sums) // 2]):
            low, high = sums[2 * place : 2 * place + 2].tolist()
            within = high <= 0.05 and (low <= 0.01 or name == "dispersion 2.5")
            target = "– / 5 %" if name == "dispersion 2.5" else "1 % / 5 %"
            kinds.add(name, null, target, percent(low), percent(high), reached=within)
    false = Table(
        "type-1",
        f"False rollbacks of a candidate as good as legacy, at `falseRollback: 0.01` ({runs} rollouts of an hour each)",
        ("scenario", "requests/s", *WAYS, "met"),
        "Same streams in a row. The target (1 %) is for the engine. Others: a check a minute, errors above 1.5 % fail "
        "(usual: 1 %); Flagger: 5 failed checks in all; Argo Rollouts: more than 3; Kayenta: Mann-Whitney at 98 %, "
        "tolerance 0.25; pooled z: one-sided 5 % at every look. Sparse clusters: a third of an error per pod and look, "
        "in bursts; then tempering by a variance does not quite hold the risk on the very edge of the null.",
    )
    for name in SCENARIOS:
        for rps in RATES:
            shares = np.sum(results[f"healthy/{name}/{rps:g}"], axis=0) / runs
            within = bool(shares[:2].max() <= 0.01)
            excuse = "sparse clusters" if name == "dispersion 2.5" and shares[1] <= 0.01 else ""
            cells = (percent(share) for share in shares.tolist())
            false.add(name, f"{rps:g}", *cells, reached=within, known=excuse)
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
    return kinds, false, found


def question(runs: int) -> Question:
    """For that many rollouts per row."""
    return Question("type-1", jobs, lambda results: tables(results, runs))
