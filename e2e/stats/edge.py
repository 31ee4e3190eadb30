"""Test 8: candidates on the edge of the null, where a false FAIL is most likely, for both families of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER, play, play_second_family
from e2e.stats.jobs import Job, Question, chunks, seeded
from e2e.stats.scenarios import SCENARIOS, TICKS, stream
from e2e.stats.streams import Floats, drawn
from e2e.stats.tables import Table, percent
from e2e.stats.type_one import DEFAULT, STRICT
from modelrollout.stats.guards import binomial_tail

ALPHAS = (0.01, 0.05)
SHARES = (1e-4, 0.001, 0.01, 0.1, 0.5, 0.7)
SETTINGS = tuple(product((0.01, 0.5, 0.99), (2.0, 20.0, 200.0), (STRICT, DEFAULT)))
SWEEP_TICKS = 160


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


def swept(seed: int, runs: int, share: float) -> list[tuple[int, int, int]]:
    """False FAILs at 0.01 and 0.05 and false PASSes at 0.05, per setting of weight, requests and margin."""
    found = []
    for weight, rps, margin in SETTINGS:
        rng = seeded(seed, "sweep", share, weight, rps, margin.ratio)
        own = margin.ratio * share + margin.difference
        equal = drawn(rng, runs, rps=rps, weight=np.full(SWEEP_TICKS, weight), share_c=own, share_l=share)
        played = play(equal, margin, alphas=ALPHAS, skip=1)
        low, high, passed = (int((ticks != NEVER).sum()) for ticks in (*played.failed, played.passed))
        found.append((low, high, passed))
    return found


def jobs(runs: int) -> list[Job]:
    """A piece per scenario and chunk, and per bad share of the sweep."""
    found = [job for name in SCENARIOS for job in chunks(name, families, runs, name)]
    found += [job for share in SHARES for job in chunks(f"sweep/{share:g}", swept, sweep_runs(runs), share, size=250)]
    # The first runs of every row come first: fewer runs then need none of the later ones.
    return sorted(found, key=lambda job: job.args[0])


def sweep_runs(runs: int) -> int:
    """Rollouts of one setting."""
    return max(100, runs // 10)


def tables(results: Mapping[str, list[Any]], runs: int) -> Sequence[Table]:
    """Two tables."""
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
            # One of a few runs says nothing.
            within = high <= max(0.05, 1 / runs) and (low <= max(0.01, 1 / runs) or name == "dispersion 2.5")
            target = "– / 5 %" if name == "dispersion 2.5" else "1 % / 5 %"
            kinds.add(name, null, target, percent(low), percent(high), reached=within)
    each = sweep_runs(runs)
    sweep = Table(
        "sweep",
        f"Test 8, swept: on the edge of the null at any share, weight and traffic ({each} rollouts a setting)",
        ("legacy's errors", "settings", "FAIL at .01", "at .05", "PASS at .05", "worst setting", "met"),
        f"Weights 1, 50 and 99 %, 2, 20 and 200 requests/s, with and without the default margin; {SWEEP_TICKS} looks. "
        "Met: within the risk over all settings, and no single one beyond what chance explains (1 in 10,000).",
    )
    for share in SHARES:
        counts = np.sum(results[f"sweep/{share:g}"], axis=0)
        mean, worst = counts.mean(axis=0) / each, counts.max(axis=0)
        risks = np.array([*ALPHAS, ALPHAS[1]])
        # P(X >= worst) for a binomial of exactly the risk.
        chance = np.array([binomial_tail(int(one), each, float(risk)) for one, risk in zip(worst, risks, strict=True)])
        met = bool((mean <= risks).all() and (chance >= 1e-4).all())
        cells = [percent(float(one)) for one in mean]
        sweep.add(
            percent(share), len(counts), *cells, " / ".join(percent(float(one) / each) for one in worst), reached=met
        )
    return kinds, sweep


def question(runs: int) -> Question:
    """For that many rollouts per row."""
    return Question("edge", jobs, lambda results: tables(results, runs))
