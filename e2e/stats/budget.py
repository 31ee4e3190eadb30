"""Targets of the error-budget page on counts: burn tiers, the whole policy, a shared incident; and test 16 (ledger)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2e.stats.engine import NEVER
from e2e.stats.jobs import Job, Question, chunks, seeded
from e2e.stats.policy import Reverted, fired, whole
from e2e.stats.streams import MINUTE, TICK, Stream, drawn, per_tick
from e2e.stats.tables import Table, percent
from modelrollout.core.model import STANDARD_TIERS, BurnAction, BurnTier

REVERTING = (*STANDARD_TIERS[:2], BurnTier("triple", 3.0, 1800.0, 300.0, BurnAction.PAUSE))
"""The page's table was measured with a third tier of 3x, looked at once a minute."""
RATES = (60, 600)
TABLE = {
    (60, 0.001): 0.005,
    (60, 0.005): 0.38,
    (60, 0.01): 0.97,
    (60, 0.05): 1.0,
    (600, 0.001): 0.0,
    (600, 0.005): 0.988,
    (600, 0.01): 1.0,
    (600, 0.05): 1.0,
}
STEPS = (0.05, 0.1, 0.25, 0.5)
STEPS_PLAYED = 30_000
DEAD_RUNS = 500
QUARTER = 60
"""Ticks of a quarter of an hour."""


def tiers(seed: int, runs: int, rate: int, share: float) -> tuple[int, int, float]:
    """Steps of half an hour stopped by a tier, without and with the event minimum, and the median minute without."""
    rng = seeded(seed, "tiers", rate, share)
    n_c = rng.poisson(rate, (runs, 30))
    nothing = np.zeros_like(n_c)
    stream = Stream(n_c, rng.binomial(n_c, share), nothing, nothing, seconds=60.0)
    plain, guarded = (
        np.any([fired(stream, tier, 0.001, least=least) for tier in REVERTING], axis=0) for least in (1, 3)
    )
    hit = plain.any(axis=1)
    minute = float(np.median(plain.argmax(axis=1)[hit] + 1)) if hit.any() else float("nan")
    return int(hit.sum()), int(guarded.any(axis=1).sum()), minute


def healthy(seed: int, runs: int, rate: int) -> tuple[list[int], list[int]]:
    """Rollouts of four quarters with a candidate on target: reverted by what; and test 16's counts."""
    rng = seeded(seed, "policy", rate)
    weight = per_tick(STEPS, len(STEPS) * QUARTER)
    # The candidate has `rate` requests a minute in every step, legacy the rest.
    stream = drawn(rng, runs, rps=rate / 60 / weight, weight=weight, share_c=0.001, share_l=0.001)
    found = whole(stream, STANDARD_TIERS, allowed=0.001)
    return told(found), booked(found)


def incident(seed: int, runs: int, weight: float, rps: float) -> tuple[list[int], int, list[float]]:
    """Both arms at 20 times their errors for five minutes: reverted by what; shared; what the ledger holds."""
    rng = seeded(seed, "incident", weight, rps)
    bad = np.repeat([0.01, 0.2, 0.01], 5 * MINUTE)
    stream = drawn(rng, runs, rps=rps, weight=np.full(len(bad), weight), share_c=bad, share_l=bad)
    found = whole(stream, STANDARD_TIERS, allowed=0.01)
    return told(found), int(found.shared.sum()), (found.ends[:, 0] / np.sqrt(found.ends[:, 1])).tolist()


def dead(seed: int, runs: int) -> tuple[list[int], list[int]]:
    """A candidate of which every request fails, 600 a minute at 5 %, objective 99.9 %: by what, and after how many
    ticks.
    """
    rng = seeded(seed, "dead")
    stream = drawn(rng, runs, rps=600 / 60 / 0.05, weight=np.full(20, 0.05), share_c=1.0, share_l=0.001)
    found = whole(stream, STANDARD_TIERS, allowed=0.001)
    return told(found), (found.first + 1).tolist()


def told(found: Reverted) -> list[int]:
    """How many runs each rule reverts, and all together."""
    each = (found.fail, found.tier, found.ledger, found.hard)
    return [*(int((ticks != NEVER).sum()) for ticks in each), int(found.any.sum())]


def booked(found: Reverted) -> list[int]:
    """Test 16: ledgers within three standard deviations at the end, and ledgers that tripped."""
    spent, variance = found.ends[:, 0], found.ends[:, 1]
    return [int((np.abs(spent) <= 3 * np.sqrt(variance)).sum()), int((found.ledger != NEVER).sum())]


INCIDENTS = ((0.05, 200.0), (0.25, 100.0), (0.5, 20.0))


def jobs(runs: int) -> list[Job]:
    """The whole policy takes longest."""
    found: list[Job] = []
    for rate in RATES:
        found += chunks(f"healthy/{rate}", healthy, runs, rate)
    for weight, rps in INCIDENTS:
        found += chunks(f"incident/{weight:g}", incident, runs, weight, rps)
    found.append(Job("dead", dead, (1, DEAD_RUNS)))
    for (rate, share), _ in TABLE.items():
        found.append(Job(f"tiers/{rate}/{share:g}", tiers, (1, STEPS_PLAYED, rate, share)))
    return found


def tables(results: Mapping[str, list[Any]], runs: int) -> Sequence[Table]:
    """Three tables."""
    burn = Table(
        "burn-tiers",
        f"Error budget 1: half-hour steps at 99.9 % stopped by a burn tier ({STEPS_PLAYED} each)",
        ("requests/min, errors", "page", "without event minimum", "median min", "with", "met"),
        "Met: within 3 points without the minimum; with it healthy rows <= 0.2 %, others at most 5 points lower.",
    )
    for (rate, share), target in TABLE.items():
        plain, guarded, minute = results[f"tiers/{rate}/{share:g}"][0]
        met = abs(plain / STEPS_PLAYED - target) <= 0.03
        met &= guarded / STEPS_PLAYED <= 0.002 if share == 0.001 else guarded / STEPS_PLAYED >= target - 0.05
        reached = (percent(plain / STEPS_PLAYED), None if np.isnan(minute) else minute, percent(guarded / STEPS_PLAYED))
        burn.add(f"{rate}, {100 * share:g} %", percent(target), *reached, reached=met)
    policy = Table(
        "policy",
        f"Error budget 2 to 4: whole policy, reverted ({runs} rollouts a row; looks every {TICK:g} s)",
        ("case", "FAIL", "burn tier", "ledger", "hard guard", "any", "target", "met"),
        "Healthy: on target at 99.9 %, four steps of 15 min at 5/10/25/50 %, the candidate has so many requests a "
        "minute in each. Incident: both arms from 1 % to 20 % for 5 min at 99 %.",
    )
    for rate in RATES:
        shares = (np.sum([part[0] for part in results[f"healthy/{rate}"]], axis=0) / runs).tolist()
        cells = [percent(share) for share in shares]
        policy.add(f"healthy, {rate}/min", *cells, "<= 1.5 %", reached=shares[-1] <= 0.015)
    for weight, rps in INCIDENTS:
        parts = results[f"incident/{weight:g}"]
        shares = (np.sum([part[0] for part in parts], axis=0) / runs).tolist()
        shared = sum(part[1] for part in parts) / runs
        cells = [percent(share) for share in shares]
        case = f"incident, weight {percent(weight)}, {rps:g}/s (shared in {percent(shared)})"
        policy.add(case, *cells, "<= 1.5 %, all shared", reached=shares[-1] <= 0.015 and shared == 1)
    failing = (np.sum([part[0] for part in results["dead"]], axis=0) / DEAD_RUNS).tolist()
    looks = np.concatenate([part[1] for part in results["dead"]])
    cells = [percent(share) for share in failing]
    case = f"dead, 600/min at 5 %: {percent(float((looks <= 2).mean()))} within 2 looks, all within {looks.max()}"
    # Legacy is above its objective by chance in one case of a hundred; then the edges of an incident are left out.
    excuse = "decision 12" if (looks <= 2).mean() >= 0.98 and looks.max() <= 3 else ""
    quick = failing[-1] == 1 and bool(looks.max() <= 2)
    policy.add(case, *cells, "all in 2 looks", reached=quick, known=excuse)
    ledger = Table(
        "ledger",
        "Test 16: the ledger of a healthy candidate and in a shared incident",
        ("case", "target", "reached", "met"),
    )
    for rate in RATES:
        within, tripped = (np.sum([part[1] for part in results[f"healthy/{rate}"]], axis=0) / runs).tolist()
        case = f"{rate}/min: spent at tick 240 within 3 sqrt(V)"
        ledger.add(case, ">= 99 %", percent(within), reached=within >= 0.99)
        ledger.add(f"{rate}/min: noise trips the guard", "never", percent(tripped), reached=tripped == 0)
    for weight, _ in INCIDENTS:
        sizes = np.concatenate([part[2] for part in results[f"incident/{weight:g}"]])
        mean = float(sizes.mean())
        case = f"incident, weight {percent(weight)}: mean of spent / sqrt(V)"
        ledger.add(case, "0 +- 0.1", round(mean, 3), reached=abs(mean) <= 0.1 + 4 / np.sqrt(len(sizes)))
    return burn, policy, ledger


def question(runs: int) -> Question:
    """For that many rollouts per row."""
    return Question("budget", jobs, lambda results: tables(results, runs))
