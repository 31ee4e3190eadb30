"""How soon a regression is found, against the least that any test of the same risk needs; and three-way verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import log
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER, play, play_second_family
from e2e.stats.jobs import Job, Question, chunks, seeded
from e2e.stats.streams import TICK, drawn
from e2e.stats.tables import Table, percent
from modelrollout.core.model import Margin
from modelrollout.stats.planning import information

ALPHA = 0.01
RPS = 200.0
GRID = tuple(product((0.001, 0.01), (2.0, 3.0, 5.0, 10.0), (0.05, 0.25)))
NO_MARGIN = Margin(1.0, 0.0)
PLAIN, RESTARTS = 1.5, 1.7
ONSET = 180
LATE = 3.0
LEAST_LOOKS = 2.01
"""A FAIL waits for a second stratum, so a mean of two looks can't be beaten, whatever the limit."""
LOOKS = 960


def wald(share: float, ratio: float, weight: float) -> float:
    """Ticks that any test of this risk needs on average: ln(1/alpha) / information."""
    nats = float(information(ratio * share, share, weight, 1.0, 0.0))
    return log(1 / ALPHA) / (nats * RPS * TICK)


def detection(seed: int, runs: int, share: float, ratio: float, weight: float) -> tuple[list[int], list[int]]:
    """Ticks until FAIL of each run: linear family with restarts, conditional family without. Misses: the end."""
    ticks = int(5 * wald(share, ratio, weight)) + 25
    rng = seeded(seed, "power", share, ratio, weight)
    stream = drawn(rng, runs, rps=RPS, weight=np.full(ticks, weight), share_c=ratio * share, share_l=share)
    main = play(stream, NO_MARGIN, alphas=(ALPHA,), stop=True).failed[0]
    second = play_second_family(stream, 1.0, alphas=(ALPHA,))[0]
    return [np.where(first == NEVER, ticks, first + 1).tolist() for first in (main, second)]  # type: ignore[return-value]  # two


def late(seed: int, runs: int, ratio: float) -> list[int]:
    """Ticks from the onset to FAIL; runs that failed before it are left out, misses count to the end."""
    ticks = ONSET + 60
    rng = seeded(seed, "late", ratio)
    bad = np.full(ticks, 0.01)
    own = np.where(np.arange(ticks) < ONSET, bad, ratio * bad)
    stream = drawn(rng, runs, rps=RPS, weight=np.full(ticks, 0.25), share_c=own, share_l=bad)
    first = play(stream, NO_MARGIN, alphas=(ALPHA,), stop=True).failed[0]
    first = np.where(first == NEVER, ticks, first)
    return [int(tick) - ONSET + 1 for tick in first[first >= ONSET]]


def verdicts(seed: int, runs: int, kind: str) -> tuple[int, int]:
    """FAILs and PASSes of some runs at the default margin, whichever came first."""
    margin = Margin()
    share = 0.01
    own = {"equal": share, "tripled": 3 * share, "at the margin": margin.ratio * share + margin.difference}[kind]
    rng = seeded(seed, "verdicts", kind)
    stream = drawn(rng, runs, rps=RPS, weight=np.full(LOOKS, 0.25), share_c=own, share_l=share)
    played = play(stream, margin, alphas=(ALPHA,))
    failed, passed = played.failed[0], played.passed
    fails = (failed != NEVER) & ((passed == NEVER) | (failed <= passed))
    return int(fails.sum()), int(((passed != NEVER) & ~fails).sum())


def jobs(runs: int) -> list[Job]:
    """A tenth of the runs where few tell enough."""
    found: list[Job] = []
    few = max(100, runs // 10)
    for kind in ("equal", "tripled", "at the margin"):
        found += chunks(f"verdicts/{kind}", verdicts, few, kind, size=100)
    for cell in GRID:
        found += chunks("/".join(f"{each:g}" for each in cell), detection, max(300, runs // 10), *cell)
    for ratio in (2.0, 3.0):
        found += chunks(f"late/{ratio:g}", late, max(300, runs // 10), ratio)
    return found


def tables(results: Mapping[str, list[Any]]) -> Sequence[Table]:
    """Three tables."""
    speed = Table(
        "power",
        "Test 9: mean ticks to FAIL, as multiples of (Wald + 1 tick), risk 0.01, 200 requests/s, ticks of 15 s",
        (
            *("errors", "ratio", "weight", "Wald ticks", "linear with restarts", "multiple (<= 1.7)"),
            *("conditional, plain", "multiple (<= 1.5)", "met"),
        ),
    )
    for cell in GRID:
        share, ratio, weight = cell
        least = wald(*cell)
        main, second = (
            float(np.mean(np.concatenate([part[side] for part in results["/".join(f"{each:g}" for each in cell)]])))
            for side in (0, 1)
        )
        multiples = main / (least + 1), second / (least + 1)
        met = multiples[0] <= RESTARTS and multiples[1] <= PLAIN
        speed.add(
            *(percent(share), f"{ratio:g}", percent(weight), round(least, 2)),
            *(round(main, 2), round(multiples[0], 2), round(second, 2), round(multiples[1], 2)),
            reached=met,
            known="a FAIL takes two looks" if round(main, 2) <= LEAST_LOOKS and multiples[1] <= PLAIN else "",
        )
    onset = Table(
        "late-onset",
        f"Test 10: onset at tick {ONSET}, weight 25 %, 1 % errors: ticks from the onset to FAIL",
        ("ratio", "target", "mean", "9 of 10 within", "runs", "met"),
    )
    for ratio in (2.0, 3.0):
        ticks = np.concatenate(results[f"late/{ratio:g}"])
        target = "<= 3" if ratio == LATE else "– (page: 5.5)"
        mean = float(ticks.mean())
        cells = (f"{ratio:g}", target, round(mean, 2), float(np.quantile(ticks, 0.9)), len(ticks))
        if ratio == LATE:
            onset.add(*cells, reached=mean <= LATE)
        else:
            onset.add(*cells, "")
    three = Table(
        "three-way",
        f"Test 11: verdicts within {LOOKS} looks at the default margin (1 % errors, 200 requests/s, weight 25 %)",
        ("candidate", "target", "FAIL", "PASS", "WAIT", "met"),
    )
    for kind, target in (("equal", "PASS 100 %"), ("tripled", "FAIL 100 %"), ("at the margin", "WAIT >= 95 %")):
        parts = results[f"verdicts/{kind}"]
        failed, passed = np.sum(parts, axis=0).tolist()
        every = len(parts) * 100
        waiting = every - failed - passed
        met = {"equal": passed == every, "tripled": failed == every, "at the margin": waiting >= 0.95 * every}[kind]
        three.add(kind, target, *(percent(each / every) for each in (failed, passed, waiting)), reached=met)
    return speed, onset, three


QUESTION = Question("power", jobs, tables)
