"""Three requests a second and one error a day: what can be said, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER, play
from e2e.stats.jobs import Job, Question, chunks, seeded
from e2e.stats.streams import TICK, drawn
from e2e.stats.tables import Table, percent
from modelrollout.core.model import Margin
from modelrollout.stats.planning import needed_for_pass

RPS, WEIGHT = 3.0, 0.25
DAY = int(86400 / TICK)
USUAL = 1 / (RPS * 86400)
EDGE = Margin().ratio * USUAL + Margin().difference
CASES = {"as good as legacy": USUAL, "20 errors a day": 20 * USUAL, "exactly at the margin": EDGE, "1 %": 0.01}
STEP = 15 * 60
"""Seconds of a step in which nothing can be proven yet."""


def verdicts(seed: int, runs: int, case: str) -> list[tuple[int, int]]:
    """First FAIL and first PASS of each run in one day at one weight, in ticks."""
    rng = seeded(seed, "quiet", case)
    stream = drawn(rng, runs, rps=RPS, weight=np.full(DAY, WEIGHT), share_c=CASES[case], share_l=USUAL)
    played = play(stream, Margin(), alphas=(0.01,), skip=1, stop=case == "1 %")
    return list(zip(played.failed[0].tolist(), played.passed.tolist(), strict=True))


def jobs(runs: int) -> list[Job]:
    """A day is 5760 looks: few runs."""
    return [job for case in CASES for job in chunks(case, verdicts, max(60, runs // 25), case, size=30)]


def tables(results: Mapping[str, list[Any]]) -> Sequence[Table]:
    """One table."""
    needed = float(needed_for_pass(USUAL, WEIGHT, Margin().ratio, Margin().difference, 0.05))
    found = Table(
        "quiet",
        "3 requests/s, 1 error a day, weight 25 %, default margin: verdicts within a day",
        ("candidate", "target", "FAIL", "PASS", "requests at PASS (median)", "said to be needed", "met"),
        f"A step of 15 minutes has {RPS * WEIGHT * STEP:.0f} candidate requests: it says WAIT and the number needed.",
    )
    for case in CASES:
        ticks = np.array([one for part in results[case] for one in part])
        failed, passed = ticks[:, 0] != NEVER, ticks[:, 1] != NEVER
        fails = failed & (~passed | (ticks[:, 0] <= ticks[:, 1]))
        passes = passed & ~fails
        median = float(np.median(ticks[passes, 1] + 1)) * TICK * RPS * WEIGHT if passes.any() else None
        early = bool((ticks[passes, 1] * TICK < STEP).any())
        target, met = {
            "as good as legacy": ("no FAIL, no PASS in 15 min", not fails.any() and not early),
            "20 errors a day": ("no FAIL, no PASS in 15 min", not fails.any() and not early),
            "exactly at the margin": ("FAIL <= 1 %, PASS <= 5 %", fails.mean() <= 0.01 and passes.mean() <= 0.05),
            "1 %": ("FAIL", bool(fails.all())),
        }[case]
        share = percent(float(fails.mean())), percent(float(passes.mean()))
        cells = (*share, None if median is None else round(median), round(needed))
        found.add(case, target, *cells, reached=bool(met))
    return (found,)


QUESTION = Question("quiet", jobs, tables)
