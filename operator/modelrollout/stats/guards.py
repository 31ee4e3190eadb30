"""Guards on counts: burn tiers per version (G1), whose fault they are (G2), the hard guard, and sample sizes.

All of it works on sums of tick counts. Probabilities are Jeffreys posteriors (Beta(k + 1/2, n - k + 1/2)) or exact
binomial tails; functions marked "elementwise" take numbers or arrays alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, log
from typing import Any

import numpy as np
from scipy.special import betainc, betaincc

from modelrollout.core.model import BurnAction, BurnTier
from modelrollout.core.observation import ArmCounts, Attribution, HardGuardFinding, TierFinding
from modelrollout.stats.ticks import Tick, TickCounts

CONFIDENCE = 0.99
LEAST_BAD = 3
HARD_SHARE = 0.5
HARD_EVENTS = 20
FALSE_ALARM = 1e-3
ATTRIBUTION_LEVEL = 0.01
INCIDENT_LEVEL = 0.002
"""While legacy is out of its objective too. In an incident of 5 minutes that hits both alike, a look at every 5 s at
0.01 blames the candidate in 1 to 4 % of cases, at 0.002 in 0.1 to 1 % (3000 runs each, weights 5 to 50 %).
"""
EDGE_STRATA = 2
"""An incident begins and ends between two scrapes, which see the arms at different moments: up to two strata show one
arm bad and the other one good. While legacy is bad too, so many strata that speak most against the candidate are left
out (`docs/explanation/decisions`, 12).
"""
COMPARABLE = 0.05
"""Legacy requests per request of the candidate below which legacy's troubles say nothing: its last pods drain."""
COLUMNS = (2.0, 3.0, 6.0, 14.4)
"""Burn factors for which the smallest legacy sample is laid down; a tier takes the next one up."""


def burn_limit(allowed: float, factor: float) -> float:
    """The bad share at which a tier's factor is reached: never above one half (or above `allowed`, if that is more)."""
    return min(factor * allowed, max(0.5, allowed))


def exceeds(bad: Any, total: Any, limit: Any) -> Any:
    """P(true bad share > limit), given `bad` of `total` events; elementwise."""
    return betaincc(np.asarray(bad) + 0.5, np.asarray(total) - bad + 0.5, limit)


def burning(bad: Any, total: Any, short_bad: Any, short_total: Any, limit: float, *, least: int = LEAST_BAD) -> Any:
    """Whether a tier is true: certain on its long window, still so on its short one, at least `least` bad; elementwise.

    A short window without events is not over the limit.
    """
    recent = np.asarray(short_bad) > limit * np.asarray(short_total)
    return (np.asarray(bad) >= least) & recent & (exceeds(bad, total, limit) >= CONFIDENCE)


def binomial_tail(successes: int, of: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(of, share)."""
    if successes <= 0:
        return 1.0
    return float(betainc(successes, of - successes + 1, share)) if successes <= of else 0.0


def least_sample(allowed: float, factor: float) -> int:
    """The fewest events on which "bad share > factor * allowed" is a false alarm in fewer than 1 of 1000 cases.

    Exact binomial, for a version that is just on target. The probability is a saw over n (it jumps down where one more
    bad event is needed), so it must hold for the next 60 sizes too: a tooth alone is luck of rounding.
    """
    limit = burn_limit(allowed, factor)
    if limit <= allowed:
        return HARD_EVENTS

    def first(bad: int) -> int:
        """The smallest n of which `bad` events are no more than the limit."""
        return max(1, ceil(bad / limit - 1e-9))

    def holds(bad: int, until: int) -> bool:
        while first(bad) <= until:
            last = min(first(bad + 1) - 1, until)
            if binomial_tail(bad + 1, last, allowed) >= FALSE_ALARM:
                return False
            bad += 1
        return True

    bad = 0
    while not holds(bad, first(bad) + 60):
        bad += 1
    return first(bad)


def least_legacy(allowed: float, factor: float) -> int:
    """Legacy events below which a tier of this factor can't be attributed."""
    return least_sample(allowed, next((column for column in COLUMNS if column >= factor), factor))


def events_for_pass(allowed: float, tiers: Sequence[BurnTier]) -> int:
    """Candidate events a PASS takes: at the highest reverting tier one bad event would have shown with 99 %."""
    reverting = [tier.factor for tier in tiers if tier.action is BurnAction.ROLLBACK]
    factor = max(reverting or [tier.factor for tier in tiers] or [1.0])
    return max(HARD_EVENTS, ceil(log(1 - CONFIDENCE) / log(1 - burn_limit(allowed, factor)) - 1e-9))


def counts_of(tick: Tick) -> ArmCounts:
    """Events of one tick."""
    return ArmCounts(tick.n, tick.e) if isinstance(tick, TickCounts) else ArmCounts(0, 0)


def sum_counts(ticks: Iterable[Tick]) -> ArmCounts:
    """Events of some ticks of one arm; ticks without data add nothing."""
    total = bad = 0
    for tick in ticks:  # called for every window of every tick: one plain loop is twice as fast as sums
        if isinstance(tick, TickCounts):
            total += tick.n
            bad += tick.e
    return ArmCounts(total, bad)


def candidate_tail(strata: Iterable[tuple[ArmCounts, ArmCounts]]) -> float:
    """How likely the candidate's share of all bad events is, or a larger one, if both versions are equally bad.

    `strata`: candidate and legacy counts of the same time. Given its bad events, each stratum expects the candidate to
    have its realised share of requests among them; the tail is that of the binomial with the mean of these shares,
    which bounds the exact one (Hoeffding 1956). 1 without evidence.
    """
    bad = own = 0
    expected = 0.0
    for candidate, legacy in strata:
        both = candidate.bad + legacy.bad
        if candidate.total and legacy.total and both:
            bad += both
            own += candidate.bad
            expected += both * candidate.total / (candidate.total + legacy.total)
    return binomial_tail(own, bad, expected / bad) if bad else 1.0


def comparable(strata: Sequence[tuple[ArmCounts, ArmCounts]]) -> bool:
    """Whether legacy has had enough requests, in themselves and beside the candidate's, to be held up to it."""
    candidate, legacy = _sum(c for c, _ in strata), _sum(g for _, g in strata)
    return legacy.total >= max(HARD_EVENTS, COMPARABLE * candidate.total)


def _sum(counts: Iterable[ArmCounts]) -> ArmCounts:
    each = tuple(counts)
    return ArmCounts(sum(one.total for one in each), sum(one.bad for one in each))


def without_edges(strata: Sequence[tuple[ArmCounts, ArmCounts]]) -> list[tuple[ArmCounts, ArmCounts]]:
    """The strata but for those `EDGE_STRATA` in which the candidate's bad events exceed its share of them most."""

    def excess(pair: tuple[ArmCounts, ArmCounts]) -> float:
        candidate, legacy = pair
        events = candidate.total + legacy.total
        return candidate.bad - (candidate.bad + legacy.bad) * candidate.total / events if events else 0.0

    return sorted(strata, key=excess)[:-EDGE_STRATA]


def attribute(
    strata: Sequence[tuple[ArmCounts, ArmCounts]], allowed: float, least: int, *, worse: bool = False
) -> Attribution:
    """Whose fault a burn tier is, from its long window cut into strata (candidate, legacy).

    `least`: legacy requests from which on it counts as healthy when nothing is seen. Certain trouble needs fewer.
    `worse`: the evidence of the whole rollout says that the candidate is worse than its margin, 10 : 1. The window
    may say so too: margins may be wider than what a tier allows.
    """
    legacy = _sum(legacy for _, legacy in strata)
    shared = bool(exceeds(legacy.bad, legacy.total, allowed) >= CONFIDENCE)
    if legacy.total < least and not (shared and legacy.bad >= LEAST_BAD and comparable(strata)):
        return Attribution.UNAVAILABLE
    if shared:
        blamed = candidate_tail(without_edges(strata)) <= INCIDENT_LEVEL
        return Attribution.CANDIDATE if blamed else Attribution.SHARED
    blamed = worse or candidate_tail(strata) <= ATTRIBUTION_LEVEL
    return Attribution.CANDIDATE if blamed else Attribution.AWAITING


def find_tier(
    tier: BurnTier, *, long: ArmCounts, short: ArmCounts, allowed: float, blame: Callable[[], Attribution]
) -> TierFinding | None:
    """The tier with its numbers when it is true, else None; `blame` is asked only then."""
    limit = burn_limit(allowed, tier.factor)
    # Nearly always one of the plain conditions says no; certainty costs ten times as much to work out.
    if long.bad < LEAST_BAD or short.bad <= limit * short.total:
        return None
    if not burning(long.bad, long.total, short.bad, short.total, limit):
        return None
    return TierFinding(tier, long.bad, long.total, float(exceeds(long.bad, long.total, limit)), blame())


def newest_ticks(ticks: Sequence[Tick]) -> Sequence[Tick]:
    """The fewest most recent ticks with at least 20 events; none when all of them have fewer."""
    total = 0
    for place in range(len(ticks) - 1, -1, -1):
        tick = ticks[place]
        total += tick.n if isinstance(tick, TickCounts) else 0
        if total >= HARD_EVENTS:
            return ticks[place:]
    return ()


def hard_guard(ticks: Sequence[Tick], allowed: float) -> HardGuardFinding | None:
    """Whether at least half of the candidate's last requests were bad.

    Looks at `newest_ticks`, and must be sure that `allowed` is exceeded (an SLI may allow a large bad share). Whose
    fault it is, is for `attribute_outage` to say.
    """
    last = sum_counts(newest_ticks(ticks))
    if not last.total or last.bad < HARD_SHARE * last.total or exceeds(last.bad, last.total, allowed) < CONFIDENCE:
        return None
    return HardGuardFinding(last.bad, last.total)


def attribute_outage(strata: Sequence[tuple[ArmCounts, ArmCounts]], legacy: ArmCounts, allowed: float) -> Attribution:
    """Whose fault it is that the hard guard is true: the candidate's, unless legacy is in it too.

    `legacy`: its events of the time the guard looked at. Without any, or without certain trouble in them, nothing
    speaks for the candidate and nothing is waited for. `strata`: the last minute or so (candidate, legacy).
    """
    certain = legacy.bad >= LEAST_BAD and exceeds(legacy.bad, legacy.total, allowed) >= CONFIDENCE
    if not (certain and comparable(strata)):
        return Attribution.CANDIDATE
    blamed = candidate_tail(without_edges(strata)) <= INCIDENT_LEVEL
    return Attribution.CANDIDATE if blamed else Attribution.SHARED
