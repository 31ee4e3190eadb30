"""Sentences for people. Every verdict text carries the SLI, value, bound and counts; nothing else words them."""

from __future__ import annotations

import math

from modelrollout.core.model import Phase, Verdict, Weight
from modelrollout.core.observation import (
    ArmCounts,
    Attribution,
    HardGuardFinding,
    LedgerState,
    NoDataCause,
    SliAssessment,
    TierFinding,
)

LONG = 365 * 86400.0
"""Seconds beyond which nobody asks when a budget is gone."""

_CAUSES = {
    NoDataCause.STALE: "its newest sample is too old",
    NoDataCause.NO_TRAFFIC: "no requests were counted",
    NoDataCause.MISSING: "its series are gone",
    NoDataCause.REJECTED: "its samples are not numbers (NaN or infinite)",
}


def percent(weight: Weight) -> str:
    """A weight as people write it: `25`, `0.25`."""
    whole, rest = divmod(weight, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else str(whole)


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
    """`2.1 % of 1840`, or `no requests`."""
    return f"{share(arm.ratio)} of {arm.total}" if arm.total else "no requests"


def arms(sli: SliAssessment) -> str:
    """Both arms' counts beside what is allowed."""
    return f"candidate {counts(sli.candidate)} bad, legacy {counts(sli.legacy)}, allowed {share(sli.allowed)}"


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
    if sli.verdict is Verdict.INVALID:
        return f"{sli.name}: {sli.note}"
    if sli.verdict is Verdict.WAIT:
        return f"{sli.name}: waiting, {sli.candidate.total} of {sli.needed} candidate requests; {both}"
    return f"{sli.name}: {both}"


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
