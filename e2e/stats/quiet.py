"""Three requests a second and one error a day: what can be said, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER, play, strata
from e2e.stats.jobs import Job, Question, chunks, seeded
from e2e.stats.streams import TICK, drawn
from e2e.stats.tables import Table, percent
from modelrollout.core.model import Margin, ProfileRef, Sli
from modelrollout.core.observation import ArmCounts
from modelrollout.core.wording import assessment
from modelrollout.stats.judge import Judge, Limits, Reading
from modelrollout.stats.planning import needed_for_pass
from modelrollout.stats.sequential import Comparison, advance, foresee
from modelrollout.stats.ticks import TickCounts, TickGrid, TickPair

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


def said() -> str:
    """What the product says of a candidate as good as legacy at the end of a step of 15 minutes."""
    ticks = int(STEP / TICK)
    stream = drawn(seeded(1, "said"), 1, rps=RPS, weight=np.full(ticks, WEIGHT), share_c=USUAL, share_l=USUAL)
    assert stream.history
    comparison = Comparison(Margin())
    for tick in range(stream.history.ticks):
        advance([comparison], strata(stream.history, tick, [0], judged=False))
    comparison.begin(Margin())
    pairs = []
    for tick in range(ticks):
        (counts,) = strata(stream, tick, [0], judged=True)
        advance([comparison], [counts])
        arms = (TickCounts(arm.total, arm.bad) for arm in (counts.candidate, counts.legacy))
        pairs.append(TickPair(tick + 1, *arms))
    foresee([comparison], [0.05])
    sli = Sli("errors", ProfileRef("istio", "errors"), allowed=0.001)
    limits = Limits(worse=log(1 / 0.01), fine=log(1 / 0.05))
    judge = Judge(sli, (), TickGrid(0.0, TICK), stratum=1, late=False, limits=limits, step=Margin())
    candidate, legacy = (
        ArmCounts(int(every.sum()), int(bad.sum()))
        for every, bad in ((stream.n_c, stream.e_c), (stream.n_l, stream.e_l))
    )
    reading = Reading(pairs, candidate, legacy, newest=STEP, findings=comparison.findings())
    return assessment(judge.assess(reading, STEP))


def jobs(runs: int) -> list[Job]:
    """A day is 5760 looks: few runs."""
    played = [job for case in CASES for job in chunks(case, verdicts, max(60, runs // 25), case, size=30)]
    return [*played, Job("said", said)]


def tables(results: Mapping[str, list[Any]]) -> Sequence[Table]:
    """One table."""
    needed = float(needed_for_pass(USUAL, WEIGHT, Margin().ratio, Margin().difference, 0.05))
    found = Table(
        "quiet",
        "3 requests/s, 1 error a day, weight 25 %, default margin: verdicts within a day",
        ("candidate", "target", "FAIL", "PASS", "requests at PASS (median)", "said to be needed", "met"),
        f"After 15 minutes it says: `{results['said'][0]}`.",
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
