"""What would take a rollout back, in the order in which the operator asks, with how far each of it is."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.core.model import FULL, BurnAction, BurnTier, Margin, Outcome, RolloutSpec, Sli
from modelrollout.core.observation import LedgerState
from modelrollout.core.status import RolloutStatus, SliStatus
from modelrollout.core.wording import duration, exhausted_in, odds, share

COMMAND = "kubectl modelrollout"


def reverts(spec: RolloutSpec, status: RolloutStatus) -> Iterator[str]:
    """A sentence for each thing that takes a rollout back which is under way."""
    critical = [sli for sli in spec.slis if sli.critical]
    alone = status.step is not None and status.step.weight == FULL
    guarded = " or ".join(sli.name for sli in critical if sli.allowed is not None)
    if guarded:
        yield (
            f"At once: half or more of the candidate's newest requests (20 at least) are bad by {guarded}"
            f"{'' if alone else ', and those of legacy are not'}."
        )
    for sli in critical:
        if sli.allowed is not None:
            yield _burning(sli, spec.budget.tiers, alone=alone)
    found = {each.name: each for each in status.slis}
    for sli in critical:
        # Without requests to legacy there is nothing to compare with.
        if not alone:
            yield _compared(sli, found.get(sli.name))
    for state in status.budget:
        if state.allowed is not None:
            yield _spent(state)
    analysis = spec.analysis
    if analysis.no_data.then is Outcome.ROLLBACK:
        yield f"Prometheus answers, but has no samples of the candidate for {duration(analysis.no_data.hold)}."
    if analysis.inconclusive.then is Outcome.ROLLBACK:
        yield "A step runs out of time without a verdict."
    yield f"The candidate's pods are not ready within {duration(spec.candidate_deadline)}, or are lost twice in a step."
    yield f"Somebody orders it:\n{COMMAND} abort {spec.key.name} -n {spec.key.namespace}"


def _burning(sli: Sli, tiers: tuple[BurnTier, ...], *, alone: bool) -> str:
    assert sli.allowed is not None
    limits = " or ".join(_tier(tier) for tier in tiers if tier.action is BurnAction.ROLLBACK)
    told = f"{sli.name}: {share(sli.allowed)} may be bad, and the candidate has {limits}"
    told += "." if alone else ", while legacy does better."
    for tier in tiers:
        if tier.action is BurnAction.PAUSE:
            told += f" At {_tier(tier)} it pauses, and goes back if that is still so {duration(tier.short)} later."
    return told


def _tier(tier: BurnTier) -> str:
    return f"{tier.factor:g} times that over the last {duration(tier.long)} and {duration(tier.short)}"


def _compared(sli: Sli, seen: SliStatus | None) -> str:
    if seen is not None and seen.rates is not None:
        told = f"{sli.name}: it is sure that its events are more frequent than {_margin(Margin(sli.margin.ratio, 0.0))}"
        return f"{told}; the odds are {odds(seen.rates.worse)} now, {odds(seen.rates.worse_limit)} take it back."
    told = f"{sli.name}: it is sure that the candidate's bad share is above {_margin(sli.margin)}"
    if seen is None or seen.odds is None:
        return f"{told}."
    return f"{told}; the odds are {odds(seen.odds.worse)} now, {odds(seen.odds.worse_limit)} take it back."


def _margin(margin: Margin) -> str:
    more = f" + {100 * margin.difference:.3g} %" if margin.difference else ""
    return f"{margin.ratio:g} times legacy's{more}"


def _spent(state: LedgerState) -> str:
    assert state.allowed is not None
    left = exhausted_in(state)
    return (
        f"{state.sli}: the rollout costs more bad events than its share of the error budget, {state.allowed:,.0f}; it "
        f"has cost {max(0.0, state.peak):,.0f}{'' if left is None else f', at this rate all in {duration(left)}'}."
    )
