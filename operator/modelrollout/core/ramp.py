"""Part of the way to the next weight of a ramp: as far as the tolerance bears, where the whole way is not proven.

The next weight is `min(growth * weight, tolerance / upper bound of the excess)`, where the excess is what goes beyond
`margin.ratio` times legacy. The first of the two is a step's PASS. The second is for a candidate that stays undecided
because it is a little worse than that: it gets the weight at which it costs all traffic no more than the tolerance.
"""

from __future__ import annotations

from math import inf, sqrt

from modelrollout.core.model import FULL, Adopting, Verdict, Weight
from modelrollout.core.observation import DOUBT, SliAssessment
from modelrollout.core.situation import Situation

LONGER = 2.0
"""Times the requests that a PASS takes of a candidate as good as legacy. Until then staying is the faster way up, for
evidence for a PASS begins anew at each weight."""
WORTH = 1.2
"""The least factor between two weights: a smaller raise would cost a restart of the evidence for nothing."""

SPREADS = 2.0
"""Standard deviations by which legacy's own count may be off."""


def part_way(s: Situation) -> Weight | None:
    """The weight up to which the present evidence bears the candidate, between this step's and the next one's.

    None outside ramps, while the step may still pass in time, and where nothing is gained or known.
    """
    step = s.status.step
    if not s.spec.ramp or step is None or isinstance(s.spec.traffic.router, Adopting) or not s.fresh:
        return None
    if not 0 <= step.index < len(s.spec.steps) - 1 or not s.critical or not all(map(_stuck, s.critical)):
        return None
    if {x.name for x in s.critical} != {x.name for x in s.spec.slis if x.critical}:
        return None
    # Events without a total bear a candidate or not, whatever its weight.
    worst = max((_most(x) for x in s.critical if x.rates is None), default=inf)
    if worst <= 0:
        return None
    bearable = Weight(int(min(FULL * s.spec.analysis.tolerance / worst, FULL)))  # rounded down to 0.01 %
    return bearable if WORTH * step.weight <= bearable < s.spec.steps[step.index + 1].weight else None


def _most(sli: SliAssessment) -> float:
    """The upper bound of the candidate's bad share beyond `margin.ratio` times legacy's; infinite if not known."""
    high = None if sli.effect is None else sli.effect.difference.high
    if high is None or sli.legacy is None or not sli.legacy.total:
        return inf
    # The end of legacy's share that allows less.
    unsure = -SPREADS if sli.margin.ratio > 1 else SPREADS
    bad = max(0.0, sli.legacy.bad + unsure * sqrt(sli.legacy.bad))
    return high - (sli.margin.ratio - 1.0) * bad / sli.legacy.total


def _stuck(sli: SliAssessment) -> bool:
    """Whether an SLI has passed, or has had its requests, is not half way to a PASS and does not look bad."""
    if sli.verdict is Verdict.PASS:
        return True
    return (
        sli.verdict is Verdict.WAIT
        and not (sli.note or sli.tiers or sli.hard_guard)
        and sli.odds is not None
        and sli.odds.worse < DOUBT
        and sli.odds.fine < sli.odds.fine_limit / 2
        and sli.candidate is not None
        and sli.candidate.total >= LONGER * sli.needed
    )
