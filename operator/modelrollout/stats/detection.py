"""How soon a regression of a given size is noticed, by whichever detector is first, and what it costs until then.

Estimates at expected counts: the comparison by `planning`; the burn tiers, the hard guard and the budget's share by
running the rules of `guards` and `ledger` on the events to be expected. Never below one tick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt

from scipy.special import betainc

from modelrollout.core.model import FULL, BurnAction, BurnTier, RolloutSpec, Sli, Weight
from modelrollout.core.outlook import Detection, Detector, Load, objective
from modelrollout.stats.guards import (
    ATTRIBUTION_LEVEL,
    CONFIDENCE,
    HARD_EVENTS,
    HARD_SHARE,
    INCIDENT_LEVEL,
    LEAST_BAD,
    burn_limit,
    exceeds,
    least_legacy,
)
from modelrollout.stats.ledger import LEAST_VARIANCE, NOISE
from modelrollout.stats.planning import MOST, OVERSHOOT, P90, late, needed_for_fail
from modelrollout.stats.ticks import read_offset

FAIL_EVENTS = 5
"""Bad events of the candidate that a FAIL takes, unless its evidence is `STRONG` nats beyond the limit."""
STRONG = 5.0
HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Exposed:
    """A candidate at one step. `share`: its bad share; `weight`: its part of the requests, fraction of 1."""

    load: Load
    share: float
    weight: float

    @property
    def rate(self) -> float:
        """The candidate's requests a second."""
        return self.load.rate * self.weight

    def blamed(self, bad: float, total: float, *, allowed: float, least: int) -> bool:
        """Whether so many bad events of so many of its requests are held to be its own doing (guard G2)."""
        others = total * (1 - self.weight) / self.weight
        if others < least:
            return True
        both = bad + others * self.load.share
        shared = exceeds(others * self.load.share, others, allowed) >= CONFIDENCE
        return bool(betainc(bad, both - bad + 1, self.weight) <= (INCIDENT_LEVEL if shared else ATTRIBUTION_LEVEL))


def detect(spec: RolloutSpec, sli: Sli, load: Load, *, weight: Weight, ratio: float | None, scrape: float) -> Detection:
    """When a candidate with `ratio` times legacy's bad share (None: always bad) is reverted at this weight."""
    share = 1.0 if ratio is None else min(1.0, ratio * load.share)
    seen, allowed = Exposed(load, share, weight / FULL), objective(sli)
    found = [(Detector.COMPARISON, *comparison(spec, sli, seen))]
    found += [(Detector.BURN, *burn(tier, allowed, seen)) for tier in spec.budget.tiers]
    found.append((Detector.HARD_GUARD, *hard_guard(allowed, seen)))
    found.append((Detector.BUDGET, *budget_share(allowed, allowance(spec, sli, load), seen)))
    by, mean, _ = min(found, key=lambda one: one[1])
    if mean == inf or share <= load.share:
        return Detection(ratio, share, Detector.NOTHING)
    tick, react = spec.analysis.interval, reaction(spec, sli, scrape)
    seconds = max(mean, tick) + react
    # The detector that is slower on average may still be there earlier in a bad case.
    latest = max(min(slow for _, _, slow in found), tick) + react
    cost = seen.rate * (share - load.share)
    return Detection(ratio, share, by, seconds, latest, cost * seconds, cost * latest)


def reaction(spec: RolloutSpec, sli: Sli, scrape: float) -> float:
    """Seconds between the evidence for a rollback and legacy having all traffic.

    Half a tick, the wait for the scrape, the data plane; labels are taken to come as late as they may.
    """
    labels = sli.labels.max_delay if sli.labels else 0.0
    return 0.5 * spec.analysis.interval + read_offset(scrape) + spec.traffic.settle + labels


def comparison(spec: RolloutSpec, sli: Sli, seen: Exposed) -> tuple[float, float]:
    """Seconds until FAIL against the SLI's own margin, on average and for 9 of 10; infinite at 100 %."""
    if seen.weight >= 1:
        return inf, inf
    alpha = spec.analysis.false_rollback / max(1, sum(one.critical for one in spec.slis))
    margin = sli.margin
    needed = float(needed_for_fail(seen.share, seen.load.share, seen.weight, margin.ratio, margin.difference, alpha))
    if needed >= MOST:
        return inf, inf
    strong = needed * (log(1 / alpha) + STRONG) / (log(1 / alpha) + OVERSHOOT)
    mean = max(needed, min(FAIL_EVENTS / seen.share, strong)) / seen.rate
    return mean, mean * late(alpha)


def burn(tier: BurnTier, allowed: float, seen: Exposed) -> tuple[float, float]:
    """Seconds until a reverting burn tier is true and blamed on the candidate; infinite when its window is too short
    for that.
    """
    limit = burn_limit(allowed, tier.factor)
    if tier.action is not BurnAction.ROLLBACK or seen.share <= limit:
        return inf, inf
    least = least_legacy(allowed, tier.factor)

    def fires(total: float, short_by: float) -> bool:
        bad = total * seen.share - short_by * sqrt(total * seen.share * (1 - seen.share))
        certain = bad >= LEAST_BAD and bool(exceeds(bad, total, limit) >= CONFIDENCE)
        return certain and seen.blamed(bad, total, allowed=allowed, least=least)

    most = tier.long * seen.rate
    mean = _first(lambda total: fires(total, 0.0), most)
    return mean / seen.rate, _first(lambda total: fires(total, P90), most) / seen.rate


def hard_guard(allowed: float, seen: Exposed) -> tuple[float, float]:
    """Seconds until half of at least 20 requests were bad; infinite when fewer than half are."""
    if seen.share < HARD_SHARE or exceeds(HARD_EVENTS * seen.share, HARD_EVENTS, allowed) < CONFIDENCE:
        return inf, inf
    seconds = HARD_EVENTS / seen.rate
    return seconds, seconds


def allowance(spec: RolloutSpec, sli: Sli, load: Load) -> float:
    """Bad events that the rollout may cost, if the SLO window had this load throughout."""
    return spec.budget.rollout_share * objective(sli) * load.rate * spec.budget.window


def budget_share(allowed: float, limit: float, seen: Exposed) -> tuple[float, float]:
    """Seconds until the rollout's share of the budget is spent for certain (guard G3), in requests of this step alone.

    At 100 % the candidate is charged with what exceeds `allowed`.
    """
    alone = seen.weight >= 1
    usual = allowed if alone else seen.load.share
    noise = usual * (1 - usual) * (1 if alone else 1 / (1 - seen.weight))

    def fires(total: float, short_by: float) -> bool:
        spent = total * (seen.share - usual) - short_by * sqrt(total * seen.share * (1 - seen.share))
        # The lower bound of the ledger is wider than this at any variance, so it is never the first of the two.
        return spent > limit + NOISE * sqrt(total * noise + LEAST_VARIANCE)

    if seen.share <= usual:
        return inf, inf
    mean = _first(lambda total: fires(total, 0.0), MOST)
    return mean / seen.rate, _first(lambda total: fires(total, P90), MOST) / seen.rate


def _first(fires: Callable[[float], bool], most: float) -> float:
    """The smallest count up to `most` that fires, infinite when none does."""
    if most < 1 or not fires(most):
        return inf
    low, high = 1.0, most
    for _ in range(HALVINGS):
        middle = sqrt(low * high)
        low, high = (low, middle) if fires(middle) else (middle, high)
    return high
