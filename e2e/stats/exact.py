"""Tests 1, 2, 4, 5 and 13: enumeration, recursion, published numbers, the hash of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb, log, sqrt
from typing import Any

import numpy as np
from scipy.special import chdtrc, ndtr

from e2e.stats.jobs import Job, Question
from e2e.stats.streams import Floats
from e2e.stats.tables import Table, percent
from modelrollout.core.assignment import PLACES, place
from modelrollout.stats import conditional, linear, mixture, ratio_check
from modelrollout.stats.conditional import Side

SIZES = ((5, 7), (1, 30), (20, 20), (3, 60))
RATIOS = (0.8, 1.0, 1.5, 3.0)
MARGINS = ((1.0, 0.0), (1.0, 0.05), (1.5, 0.0), (1.0, -0.05))
LOOKS = {2: 0.0831, 5: 0.1417, 10: 0.1934, 20: 0.2479, 50: 0.3205}
SSRM = (-2.950560785, -3.681900877, -3.860658431, -4.183813982)
SSRM_TICKS = ((20, 17, 9), (18, 21, 8), (4, 6, 4), (18, 19, 11))
SAFE_PRIOR = 0.18


def outcomes(size: int, share: float) -> Floats:
    """Binomial probabilities."""
    return np.array([comb(size, k) * share**k * (1.0 - share) ** (size - k) for k in range(size + 1)])


def largest_expectation(sizes: tuple[int, int], margin: tuple[float, float], family: str) -> float:
    """The largest E[f] over alternatives, both sides and shares of the null on a grid, by all outcomes."""
    n_c, n_l = sizes
    e_c, e_l = (grid.ravel().astype(float) for grid in np.meshgrid(range(n_c + 1), range(n_l + 1), indexing="ij"))
    ones = np.ones(len(e_c))
    ratio, difference = margin
    most = 0.0
    for usual in (0.001, 0.02, 0.1, 0.4) if family == "linear" else (0.1,):
        for side in Side:
            worse = side is Side.WORSE
            if family == "linear":
                bound = ratio * usual * ones + difference
                if bound[0] <= 0:
                    continue
                logs = linear.increments(
                    *(e_c, n_c * ones, e_l, n_l * ones),
                    theta_c=mixture.alternatives(bound, worse=worse),
                    theta_l=usual * ones,
                    ratio=ratio * ones,
                    difference=difference * ones,
                    worse=worse,
                )
            else:
                null = ratio * ones
                logs = conditional.log_increments(
                    *(e_c, e_l, n_c / (n_c + n_l) * ones), null=null, ratios=conditional.alternatives(null, side)
                )
            factor = np.exp(logs)
            for share_l in np.concatenate([np.geomspace(1e-6, 0.3, 30), np.linspace(0.3, 1.0, 36)]):
                share_c = ratio * share_l + difference
                if 0.0 <= share_c <= 1.0:
                    chance = np.outer(outcomes(n_c, share_c), outcomes(n_l, share_l)).ravel()
                    most = max(most, float((chance @ factor).max()))
    return most


def peeking(looks: int, *, level: float = 1.959963984540054, points: int = 4001) -> float:
    """How often a two-sided 5 % z test rejects at one of so many equally informative looks (Armitage's recursion)."""
    passed = 0.0
    density: Floats | None = None
    grid = np.zeros(1)
    for look in range(1, looks + 1):
        edge = level * sqrt(look)
        fresh = np.linspace(-edge, edge, points)
        step = fresh[1] - fresh[0]
        if density is None:
            grown = np.exp(-0.5 * fresh**2) / sqrt(2 * np.pi)
            passed = 2 * float(ndtr(-level))
        else:
            passed += float((density * (ndtr(-edge - grid) + ndtr(grid - edge))).sum())
            grown = np.exp(-0.5 * (fresh[:, None] - grid[None, :]) ** 2) @ density / sqrt(2 * np.pi)
        grid = fresh
        density = grown * step
        density[[0, -1]] *= 0.5
    return passed


def notebook() -> tuple[int, int, float]:
    """The published case: control's visitors, those before p first falls to 0.05, fixed p at the end."""
    visitors = 1_637_070
    control = np.random.RandomState(1).binomial(1, 0.502, visitors).cumsum()
    counts = np.stack([control, np.arange(1, visitors + 1) - control], axis=1)
    odds = ratio_check.log_bayes_factor(counts, np.full(visitors, 0.5), k=1e4)
    found = int((odds >= log(20)).argmax())
    square = ((counts[-1] - visitors / 2) ** 2 / (visitors / 2)).sum()
    return int(control[-1]), found, float(chdtrc(1, square))


def blocks(share: Floats, apart: float, runs: int, seed: int, *, most: int = 400) -> Floats:
    """Blocks of one request each until a two-sided test at 5 % rejects equality, `share.size` x `runs`; else `most`.

    Alternatives are the means of Beta(.18, .18) posteriors of the blocks before, as in the published design.
    """
    rng = np.random.default_rng(seed)
    legacy = np.repeat(share, runs)
    size = len(legacy)
    ones = np.ones(size)
    bad_c, bad_l, odds = np.zeros(size), np.zeros(size), np.zeros(size)
    stopped = np.full(size, float(most))
    for block in range(most):
        theta_c = (SAFE_PRIOR + bad_c) / (2 * SAFE_PRIOR + block)
        theta_l = (SAFE_PRIOR + bad_l) / (2 * SAFE_PRIOR + block)
        e_c = (rng.random(size) < legacy + apart).astype(float)
        e_l = (rng.random(size) < legacy).astype(float)
        for worse in (True, False):
            odds += linear.increments(
                *(e_c, ones, e_l, ones),
                theta_c=theta_c[:, None],
                theta_l=theta_l,
                ratio=ones,
                difference=0.0 * ones,
                worse=worse,
            )[:, 0]
        stopped = np.where((stopped == most) & (odds >= log(20)), block + 1.0, stopped)
        bad_c, bad_l = bad_c + e_c, bad_l + e_l
        if (stopped < most).all():
            break
    return stopped.reshape(len(share), runs)


def safe(runs: int) -> tuple[float, float, float]:
    """Worst 80 % quantile of the blocks at a difference of .3, mean blocks there, and false rejections by block 95."""
    times = blocks(np.linspace(0.05, 0.65, 13), 0.3, runs, 4)
    plans = np.quantile(times, 0.8, axis=1)
    worst = int(plans.argmax())
    false = blocks(np.linspace(0.1, 0.9, 9), 0.0, runs, 5, most=95)
    return float(plans[worst]), float(np.minimum(times[worst], plans[worst]).mean()), float((false < 95).mean())


def places(keys: int, units: int = 100_000) -> tuple[float, float, float]:
    """Least and largest chi-square of users over a hundred buckets (99 degrees of freedom), and the largest correlation
    between the places of the same users under different keys.
    """
    each = np.array(
        [[place(f"user-{n}", f"serving/fraud/rev-{key}") / PLACES for n in range(units)] for key in range(keys)]
    )
    counts = np.array([np.bincount((row * 100).astype(int), minlength=100) for row in each])
    chi = ((counts - units / 100) ** 2 / (units / 100)).sum(axis=1)
    apart = np.corrcoef(each) - np.eye(keys)
    return float(chi.min()), float(chi.max()), float(np.abs(apart).max())


def jobs(_: int) -> list[Job]:
    """Seconds each; their size is that of what they are compared with."""
    found = [Job("safe", safe, (2000,)), Job("notebook", notebook), Job("places", places, (10,))]
    found += [
        Job("enumeration", largest_expectation, (sizes, margin, "linear")) for sizes in SIZES for margin in MARGINS
    ]
    found += [
        Job("enumeration", largest_expectation, (sizes, (ratio, 0.0), "conditional"))
        for sizes in SIZES
        for ratio in RATIOS
    ]
    return found + [Job("peeking", peeking, (looks,)) for looks in LOOKS]


def tables(results: Mapping[str, list[Any]]) -> Sequence[Table]:
    """One table."""
    found = Table(
        "exact", "Tests 1, 2, 4, 5, 13: against exact and published values", ("test", "target", "reached", "met")
    )
    half = len(SIZES) * len(MARGINS)
    for family, values in (("linear", results["enumeration"][:half]), ("conditional", results["enumeration"][half:])):
        met = max(values) <= 1 + 1e-9
        found.add(f"1: largest E[f], {family}, 16 cases", "<= 1 + 1e-9", f"{max(values):.10f}", reached=met)
    for (looks, target), reached in zip(LOOKS.items(), results["peeking"], strict=True):
        met = abs(reached - target) <= 0.0005
        found.add(f"2: type I of a peeked z test, {looks} looks", f"{target:.4f}", f"{reached:.4f}", reached=met)
    odds = ratio_check.log_bayes_factor(
        np.cumsum(SSRM_TICKS, axis=0), np.tile([0.4, 0.4, 0.2], (4, 1)), prior=np.ones(3)
    )
    for target, reached in zip(SSRM, odds.tolist(), strict=True):
        found.add("4: SSRM vector", f"{target:.9f}", f"{reached:.9f}", reached=abs(reached - target) <= 1e-9)
    control, visitor, fixed = results["notebook"][0]
    found.add("4: SSRM notebook, visitors of control", 821_935, control, reached=control == 821_935)
    found.add("4: SSRM notebook, visitors before p <= .05", 598_208, visitor, reached=visitor == 598_208)
    found.add("4: SSRM notebook, fixed p at the end", "1.06e-7", f"{fixed:.3g}", reached=abs(fixed - 1.06e-7) < 1e-9)
    plan, mean, false = results["safe"][0]
    found.add("5: safestats, 80 % plan at difference .3, blocks", "95 +- 5", plan, reached=90 <= plan <= 100)
    found.add("5: safestats, expected blocks", "56.03 (ours before: 55.9)", round(mean, 1), reached=abs(mean - 56) <= 3)
    found.add("5: safestats, type I by block 95", "<= 5 %", percent(false), reached=false <= 0.05)
    least, most, correlation = results["places"][0]
    found.add(
        "13: users over 100 buckets, 10 keys: chi-square of 99 degrees",
        "60 to 150",
        f"{least:.0f} to {most:.0f}",
        reached=least >= 60 and most <= 150,
    )
    found.add(
        "13: correlation between keys, 100,000 users",
        "0 +- 0.02",
        f"at most {correlation:.4f}",
        reached=correlation <= 0.02,
    )
    return (found,)


QUESTION = Question("exact", jobs, tables)
