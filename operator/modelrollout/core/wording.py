"""Sentences for people. Every verdict text carries the SLI, value, bound and counts; nothing else words them."""

from __future__ import annotations

import math

from modelrollout.core.model import AdoptRoute, IngressNginx, ManagedRoute, Margin, Phase, RolloutSpec, Verdict, Weight
from modelrollout.core.observation import (
    DOUBT,
    ArmCounts,
    Attribution,
    Effect,
    HardGuardFinding,
    LedgerState,
    NoDataCause,
    RouteSeen,
    SliAssessment,
    TierFinding,
)
from modelrollout.core.rates import Exposure, Rates
from modelrollout.core.split import Split

NEVER = 10**9
"""Requests beyond which a number says no more than "never"."""
MANY = math.log(1e6)
LONG = 365 * 86400.0
"""Seconds beyond which nobody asks when a budget is gone."""

_CAUSES = {
    NoDataCause.STALE: "its newest sample is too old",
    NoDataCause.NO_TRAFFIC: "no requests were counted",
    NoDataCause.MISSING: "its series are gone",
    NoDataCause.REJECTED: "its samples are not numbers (NaN or infinite)",
    NoDataCause.BOTH_ARMS: "nor from legacy: scraping or storing metrics has failed, nobody is blamed",
}


def percent(weight: Weight) -> str:
    """A weight as people write it: `25`, `0.25`."""
    whole, rest = divmod(weight, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else str(whole)


def refused(route: RouteSeen) -> str:
    """Why a weight is not followed."""
    if route.unfit or route.pods is not None:
        return route.unfit or route.detail
    return f"the gateway refuses the route: {route.detail}"


def by_way_of_legacy(spec: RolloutSpec) -> str:
    """What legacy's pods are still for when the candidate has everything."""
    return f"keep legacy's pods until {_handed_over(spec)}: ingress-nginx gives 503 where its own Service has none"


def cut_off(spec: RolloutSpec) -> str:
    """Why nobody may be served although the candidate has everything, and the two ways out."""
    return (
        f"users reach the candidate by way of legacy's Service {spec.legacy.service!r}, which has no ready endpoint,"
        f" and ingress-nginx then gives 503 to everybody: bring back a pod of Deployment {spec.legacy.deployment!r}, or"
        f" see to it that {_handed_over(spec)}"
    )


def _handed_over(spec: RolloutSpec) -> str:
    router = spec.traffic.router
    what = f"Ingress {router.ingress!r}" if isinstance(router, IngressNginx) else "the route"
    return f"{what} sends to Service {spec.candidate.service!r}"


def unanswered(spec: RolloutSpec) -> str:
    """Who has not answered for the route, by which field that is so, and what to look at."""
    router, space = spec.traffic.router, spec.key.namespace
    whose, field = "the gateway has", "the route names the right one"
    if isinstance(router, ManagedRoute):
        names = [f"Gateway {each.namespace or space}/{each.name}" for each in router.parent_refs]
        whose = f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'}"
        field = "spec.traffic.managedRoute.parentRefs names the right one"
    elif isinstance(router, AdoptRoute):
        whose, field = f"a Gateway of HTTPRoute {space}/{router.name} has", "the route's parentRefs name the right one"
    return (
        f"{whose} not answered for the route yet: check that {field}, that it is there and its controller runs, and "
        f"that a listener of it takes routes from namespace {space}"
    )


def share(ratio: float | None) -> str:
    """A ratio in percent with three significant digits, or a dash when there is none."""
    if ratio is None:
        return "-"
    if ratio == 0:
        return "0 %"
    digits = max(0, 2 - math.floor(math.log10(abs(ratio) * 100)))
    return f"{ratio * 100:.{min(digits, 4)}f} %"


def duration(seconds: float) -> str:
    """A time span in Go style, rounded to what matters: `45s`, `8m`, `1h30m`, `12d`."""
    total = round(seconds)
    if total < 120:
        return f"{total}s"
    if total < 7200:
        return f"{round(total / 60)}m"
    if total < 172_800:
        hours, minutes = divmod(round(total / 60), 60)
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{round(total / 86400)}d"


def burn(value: float | None) -> str:
    """A burn rate for a column: `0.4x`, `12x`, or a dash."""
    if value is None:
        return "-"
    return f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def counts(arm: ArmCounts) -> str:
    """`2.1 % of 1,840`, or `no requests`."""
    return f"{share(arm.ratio)} of {arm.total:,}" if arm.total else "no requests"


def arms(sli: SliAssessment) -> str:
    """Both arms' counts, how they compare, and what is allowed."""
    if sli.rates is not None:
        return rates(sli.rates)
    if sli.candidate is None or sli.legacy is None:
        return "nothing counted"
    compared = f", {effect(sli.effect)}" if sli.effect and effect(sli.effect) else ""
    return f"candidate {counts(sli.candidate)} bad, legacy {counts(sli.legacy)}{compared}, allowed {share(sli.allowed)}"


def rates(found: Rates) -> str:
    """`candidate 7 in 3.2 replica-hours, legacy 1 in 12.6, rate ratio 27`; short times in minutes."""
    own, other = found.candidate, found.legacy
    if not own.exposure or not other.exposure:
        return "the candidate and legacy were not compared yet"
    unit, seconds = ("hours", 3600.0) if max(own.exposure, other.exposure) >= 7200 else ("minutes", 60.0)
    per = {Exposure.REPLICAS: "replica", Exposure.WEIGHT: "traffic"}[found.per]
    ratio = "" if found.ratio is None else f", rate ratio {times(found.ratio)}"
    return (
        f"candidate {own.events:,} in {_span(own.exposure / seconds)} {per}-{unit}, "
        f"legacy {other.events:,} in {_span(other.exposure / seconds)}{ratio}"
    )


def _span(number: float) -> str:
    return about(number) if number >= 1 else f"{number:.2g}"


def effect(found: Effect) -> str:
    """`ratio 2.1 (1.4 to 3.2)`, `ratio over 4.8` where legacy's few bad events leave the upper end open; the difference
    where a ratio says nothing (no bad events); empty without either.
    """
    ratio, difference = found.ratio, found.difference
    if ratio.low is not None and ratio.low > 1 and ratio.high is None:
        return f"ratio over {times(ratio.low)}"
    if ratio.value is not None and ratio.low is not None and ratio.high is not None:
        return f"ratio {times(ratio.value)} ({times(ratio.low)} to {times(ratio.high)})"
    if difference.value is not None and difference.low is not None and difference.high is not None:
        return f"difference {share(difference.value)} ({share(difference.low)} to {share(difference.high)})"
    return ""


def times(ratio: float) -> str:
    """A ratio with two significant digits: `0.83`, `2.1`, `14`."""
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"


def margin(value: Margin) -> str:
    """`1.25x + 0.05 %`; the parts that say nothing are left out."""
    if not value.difference:
        return f"{value.ratio:g}x"
    return f"{value.ratio:g}x + {100 * value.difference:.3g} %"


def odds(log_value: float) -> str:
    """An e-value as odds: `3,100 : 1`. Below even there are none."""
    if log_value >= MANY:
        return "more than a million : 1"
    return f"{about(math.exp(log_value))} : 1" if log_value > 0 else "none"


def about(number: float) -> str:
    """A number with two significant digits: `3.1`, `310`, `3,100`."""
    if number < 10:
        return f"{number:.1f}".removesuffix(".0")
    step = 10 ** (math.floor(math.log10(number)) - 1)
    return f"{round(number / step) * step:,}"


def assessment(sli: SliAssessment) -> str:
    """One sentence on what the evidence says about an SLI, with its numbers."""
    both = arms(sli)
    if sli.verdict is Verdict.FAIL and sli.hard_guard:
        return f"{sli.name}: {hard_guard(sli.hard_guard)}; {both}"
    if sli.tiers:
        return f"{sli.name}: {tier(sli.tiers[0])}; {both}"
    if sli.verdict is Verdict.NO_DATA:
        cause = _CAUSES[sli.no_data] if sli.no_data else "no data"
        return f"{sli.name}: no data from the candidate, {cause}"
    aside = split(sli.split) if sli.split else ""
    if sli.verdict is Verdict.INVALID:
        return f"{sli.name}: {sli.note or aside}"
    told = f"waiting: {needed(sli)}; {both}" if sli.verdict is Verdict.WAIT else f"{both}{_told(sli)}"
    if sli.rates is not None and sli.verdict is Verdict.PASS:
        told = f"no evidence of harm: {both}"
    return f"{sli.name}: {told}" + (f"; {aside}" if aside else "")


def comparison(sli: SliAssessment) -> str:
    """The comparison behind a FAIL, whatever else is true of the SLI: burn tiers may be on the way, too."""
    return f"{sli.name}: {arms(sli)}{_told(sli)}"


def split(found: Split) -> str:
    """That the arms do not get the requests that the weights promise, and where to look."""
    how = "not quite split" if found.slight else "not split"
    return (
        f"requests are {how} as the route says: the candidate has {found.candidate:,} of {found.total:,} "
        f"({share(found.candidate / found.total)}), its weight promises {share(found.due)}; look for requests that "
        "bypass the route, caches, retries, pinned connections (analysis.sampleRatio)"
    )


def needed(sli: SliAssessment) -> str:
    """What a WAIT is for."""
    if sli.note:
        return sli.note
    if sli.rates is not None and sli.rates.worse >= DOUBT:
        return _doubt(sli.rates.worse, sli.rates.worse_limit)
    if sli.candidate is None or sli.legacy is None:
        return "a tick with data is missing"
    found, seen = sli.odds, sli.candidate.total
    if found is None:
        return f"{seen:,} of {sli.needed:,} candidate requests needed"
    if found.worse >= DOUBT:
        return _doubt(found.worse, found.worse_limit)
    if seen and not sli.legacy.total:
        return "legacy has no requests to compare with"
    if sli.needed >= NEVER:
        return f"a candidate as good as legacy is not within margin {margin(found.margin)}"
    if seen < sli.needed:
        return f"{seen:,} of about {about(sli.needed)} candidate requests needed"
    if found.fine < found.fine_limit:
        return (
            f"{seen:,} candidate requests, about {about(sli.needed)} do when it is as good as legacy; "
            f"odds {odds(found.fine)} that it is within margin {margin(found.margin)}, {odds(found.fine_limit)} needed"
        )
    return "enough evidence, waiting for a tick with data"


def _doubt(worse: float, limit: float) -> str:
    return f"odds {odds(worse)} that the candidate is worse, {odds(limit)} take it off"


def _told(sli: SliAssessment) -> str:
    """The comparison behind a FAIL or PASS."""
    if sli.rates is not None:
        return f", fails margin {margin(sli.margin)}; odds against chance {odds(sli.rates.worse)}"
    if sli.odds is None:
        return ""
    if sli.verdict is Verdict.FAIL:
        return f", fails margin {margin(sli.margin)}; odds against chance {odds(sli.odds.worse)}"
    return f", within margin {margin(sli.odds.margin)}; odds against chance {odds(sli.odds.fine)}"


def hard_guard(finding: HardGuardFinding) -> str:
    """The hard guard in numbers."""
    return f"{finding.bad} of the last {finding.total} candidate requests were bad (limit: half of at least 20)"


def tier(finding: TierFinding) -> str:
    """A burn tier in numbers."""
    whose = {
        Attribution.CANDIDATE: "the candidate's doing",
        Attribution.SHARED: "legacy is out of its objective too",
        Attribution.UNAVAILABLE: "legacy has too little traffic to compare",
        Attribution.AWAITING: "awaiting attribution",
    }[finding.attribution]
    return (
        f"burns over {finding.tier.factor:g}x its budget in {duration(finding.tier.long)} and "
        f"{duration(finding.tier.short)} ({finding.bad} of {finding.total} bad, probability "
        f"{min(finding.probability, 0.9999):.4g}; {whose})"
    )


def ledger(state: LedgerState) -> str:
    """What the rollout has cost of its share, and when it would be gone."""
    if state.allowed is None:
        return f"{state.sli}: budget not known yet"
    text = f"{state.sli}: {max(0.0, state.peak):.0f} of {state.allowed:.0f} bad events of the rollout's share spent"
    left = exhausted_in(state)
    return f"{text}, at this rate gone in {duration(left)}" if left is not None else text


def exhausted_in(state: LedgerState) -> float | None:
    """Seconds until the rollout's share is gone at the present rate; None when it does not shrink or lasts a year."""
    if state.allowed is None or not state.rate or state.rate <= 0:
        return None
    left = max(0.0, (state.allowed - state.spent) / state.rate)
    return left if left <= LONG else None


def phase_step(phase: Phase, index: int, count: int) -> str:
    """The STEP column."""
    if phase is Phase.PROMOTED:
        return f"{count}/{count}"
    return f"{index + 1}/{count}"
