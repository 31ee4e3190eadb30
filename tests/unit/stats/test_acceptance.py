"""Acceptance targets of the error-budget page, and a healthy ramp through the whole path from samples to verdicts."""

from collections.abc import Sequence
from math import log

import numpy as np
import numpy.typing as npt
import pytest

from modelrollout.core.model import STANDARD_TIERS, BurnAction, BurnTier, Verdict
from modelrollout.core.observation import ArmCounts, Attribution, EvidenceSeen
from modelrollout.stats.guards import burn_limit, burning
from modelrollout.stats.judge import Judge, Limits, Reading
from modelrollout.stats.ticks import TickCounts, TickGrid, TickPair
from tests.unit.stats.fleet import ORIGIN, Fleet, again, sli, spec, step, tracker

REVERTING = STANDARD_TIERS[:2]
TRIPLE = BurnTier("triple", 3.0, 1800.0, 300.0, BurnAction.PAUSE)
"""The table of the page was measured with a third tier of 3x, looked at once a minute."""

Row = tuple[int, float]
TABLE: dict[Row, tuple[float, float | None]] = {
    (60, 0.001): (0.005, None),
    (60, 0.005): (0.38, 11),
    (60, 0.01): (0.97, 7),
    (60, 0.05): (1.0, 1),
    (600, 0.001): (0.0, None),
    (600, 0.005): (0.988, 7),
    (600, 0.01): (1.0, 1),
    (600, 0.05): (1.0, 1),
}


def aborted(
    row: Row, tiers: Sequence[BurnTier], *, least: int, looks: int = 1, runs: int = 3000, seed: int = 11
) -> tuple[float, float | None]:
    """Share of 30-minute steps at 99.9 % in which a tier comes true, and the median minute; `looks` a minute."""
    rng = np.random.default_rng(seed)
    rate, share = row
    total = rng.poisson(rate / looks, (runs, 30 * looks))
    bad = rng.binomial(total, share)

    def sums(counts: npt.NDArray[np.int64], window: float) -> npt.NDArray[np.int64]:
        grown = np.concatenate([np.zeros((runs, 1), dtype=np.int64), counts.cumsum(axis=1)], axis=1)
        ends = np.arange(1, 30 * looks + 1)
        found: npt.NDArray[np.int64] = grown[:, ends] - grown[:, np.maximum(ends - int(window * looks / 60), 0)]
        return found

    fired = np.zeros(total.shape, dtype=bool)
    for tier in tiers:
        long, short = [(sums(bad, w), sums(total, w)) for w in (tier.long, tier.short)]
        limit = burn_limit(0.001, tier.factor)
        # No tier is certain of a limit that the window itself does not exceed: saves most of the posteriors.
        over = long[0] > limit * long[1]
        fired[over] |= burning(long[0][over], long[1][over], short[0][over], short[1][over], limit, least=least)
    hit = fired.any(axis=1)
    minutes = (fired.argmax(axis=1)[hit] + 1) / looks
    return float(hit.mean()), float(np.median(minutes)) if hit.any() else None


@pytest.mark.parametrize("row", TABLE)
def test_burn_tiers_stop_as_many_as_the_table_says(row: Row) -> None:
    """Target 1: within 3 points without the event minimum; with it healthy rows <= 0.2 %, others <= 5 points lower."""
    share, minute = TABLE[row]
    plain, median = aborted(row, (*REVERTING, TRIPLE), least=1)
    assert plain == pytest.approx(share, abs=0.03)
    if minute is not None:
        assert median == pytest.approx(minute, abs=1)
    guarded, _ = aborted(row, (*REVERTING, TRIPLE), least=3)
    assert guarded <= plain
    if row[1] == 0.001:
        assert guarded <= 0.002
    else:
        assert guarded >= share - 0.05


@pytest.mark.parametrize("rate", [60, 600])
def test_the_default_tiers_at_every_tick_leave_the_healthy_alone(rate: int) -> None:
    """Looked at every 5 s: reverting tiers in less than 0.1 %, the pausing one in less than 1 %."""
    assert aborted((rate, 0.001), REVERTING, least=3, looks=12)[0] < 0.001
    assert aborted((rate, 0.001), STANDARD_TIERS, least=3, looks=12)[0] < 0.01


@pytest.mark.parametrize(("weight", "rps"), [(0.05, 200), (0.25, 100), (0.5, 20)])
def test_a_shared_incident_is_shared(weight: float, rps: int) -> None:
    """Target 3: both arms 1x -> 20x for 5 min at 99 %: SharedDegradation, reverted in at most 1.5 % of runs."""
    rng = np.random.default_rng(5)
    judge = Judge(
        sli(allowed=0.01),
        STANDARD_TIERS,
        TickGrid(ORIGIN, 15.0),
        stratum=1,
        late=False,
        limits=Limits(log(100), log(20)),
        step=None,
    )
    share = np.repeat([0.01, 0.2, 0.01], [20, 20, 20])
    runs, reverted, shared = 100, 0, 0
    for _ in range(runs):
        n_c, n_l = rng.poisson(rps * 15 * weight, 60), rng.poisson(rps * 15 * (1 - weight), 60)
        e_c, e_l = rng.binomial(n_c, share), rng.binomial(n_l, share)
        ticks: list[TickPair] = []
        fail = seen = False
        for i in range(60):
            pair = TickPair(i + 1, TickCounts(int(n_c[i]), int(e_c[i])), TickCounts(int(n_l[i]), int(e_l[i])))
            ticks.append(pair)
            if 20 <= i < 44 and not fail:
                found = judge.assess(Reading(ticks, ArmCounts(0, 0), ArmCounts(0, 0), None), ORIGIN)
                fail = found.verdict is Verdict.FAIL
                seen = seen or any(tier.attribution is Attribution.SHARED for tier in found.tiers)
        reverted += fail
        shared += seen
    assert shared == runs
    assert reverted <= 0.015 * runs


def outage(rng: np.random.Generator, *, rps: float, weight: float, pods: int, dead: bool) -> float | None:
    """Both arms fail altogether for a minute (`dead`: the candidate only, for good); pods scraped when they like.

    Returns how many seconds later the candidate is blamed, None for never.
    """
    begin = 60 + float(rng.uniform(0, 5))
    counted = []
    for arm, share in enumerate((weight, 1 - weight)):
        total, bad = np.zeros(36, dtype=np.int64), np.zeros(36, dtype=np.int64)
        end = np.inf if dead else begin + 60
        for phase in rng.uniform(0, 5, pods).tolist():
            for tick in range(36):
                until = phase + 5 * tick
                out = 0.0 if dead and arm else max(0.0, min(until, end) - max(until - 5, begin))
                fine, failed = rng.poisson(rps * share / pods * np.array([5 - out, out]))
                total[tick] += fine + failed
                bad[tick] += rng.binomial(fine, 0.01) + failed
        counted.append([TickCounts(int(n), int(e)) for n, e in zip(total, bad, strict=True)])
    judge = Judge(
        sli(allowed=0.01),
        STANDARD_TIERS,
        TickGrid(ORIGIN, 5.0),
        stratum=1,
        late=False,
        limits=Limits(log(100), log(20)),
        step=None,
    )
    ticks = [TickPair(n + 1, c, g) for n, (c, g) in enumerate(zip(*counted, strict=True))]
    for n in range(11, 36):
        reading = Reading(ticks[: n + 1], ArmCounts(0, 0), ArmCounts(0, 0), None)
        if judge.assess(reading, ORIGIN).verdict is Verdict.FAIL:
            return 5 * (n + 1) - begin
    return None


@pytest.mark.parametrize(("weight", "rps", "pods"), [(0.05, 200, 2), (0.25, 20, 2), (0.5, 20, 3)])
def test_a_total_outage_of_both_arms_reverts_hardly_ever_and_one_of_the_candidate_at_once(
    weight: float, rps: float, pods: int
) -> None:
    rng = np.random.default_rng(3)
    runs = 60
    blamed = [outage(rng, rps=rps, weight=weight, pods=pods, dead=False) for _ in range(runs)]
    assert sum(each is not None for each in blamed) <= 0.015 * runs
    found = [outage(rng, rps=rps, weight=weight, pods=pods, dead=True) for _ in range(runs)]
    assert all(each is not None and each <= 15 for each in found)


def ramp(seed: int) -> list[Verdict]:
    """Verdicts of a 3-minute ramp: 20 requests a second, 1 % errors in both arms, two pods each, scraped every 5 s."""
    rng = np.random.default_rng(seed)
    fleet = Fleet()
    rollout = spec(sli("errors", 0.01), sli("lenient", 0.02))
    tracked = tracker(rollout, since=ORIGIN)
    counts: dict[tuple[str, int], list[int]] = {(arm, pod): [0, 0] for arm in ("legacy", "candidate") for pod in (0, 1)}
    verdicts: list[Verdict] = []

    def scrape(at: float, weight: float) -> None:
        for (arm, pod), (good, bad) in counts.items():
            rate = 20 * 5 * (weight if arm == "candidate" else 1 - weight) / 2
            n = int(rng.poisson(rate))
            failed = int(rng.binomial(n, 0.01))
            counts[arm, pod] = [good + n - failed, bad + failed]
            values = {"200": counts[arm, pod][0]} | ({"500": counts[arm, pod][1]} if bad + failed else {})
            fleet.scrape(arm, f"{arm}-{pod}", at + 0.7 * pod + (2.1 if arm == "legacy" else 0.2), values)

    for n in range(-12, 0):
        scrape(ORIGIN + 5 * n, 0.0)
    for index, weight in enumerate((0.01, 0.05, 0.25, 0.5, 1.0)):
        begin = ORIGIN + 36 * index
        tracked = again(tracked, rollout, since=begin)
        for n in range(8):
            at = ORIGIN + 5 * (-(-36 * index // 5) + n)
            if at >= begin + 36:
                break
            scrape(at, weight)
            step(tracked, fleet, at + 6, names=("errors", "lenient"))
            found = tracked.assess(at + 6)
            if isinstance(found, EvidenceSeen):
                verdicts += [one.verdict for one in found.slis]
    assert all(not ledger.gross_over for ledger in tracked.ledgers)
    return verdicts


def test_a_healthy_candidate_is_not_reverted_in_twenty_ramps() -> None:
    """Objectives 99 and 98, weights 1, 5, 25, 50, 100."""
    for seed in range(20):
        verdicts = ramp(seed)
        assert len(verdicts) > 60
        assert Verdict.FAIL not in verdicts
        assert verdicts[-2:] == [Verdict.PASS, Verdict.PASS]
