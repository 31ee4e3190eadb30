"""Which evidence is likely to take traffic off: it overtakes other work, stops a raise under way, and lasts."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import BurnAction, Verdict
from modelrollout.core.observation import Attribution, Evidence, EvidenceSeen, SliAssessment


def alarming(evidence: Evidence) -> bool:
    """Whether the evidence is likely to take traffic off: it then overtakes other work."""
    if not isinstance(evidence, EvidenceSeen):
        return False
    over = any(x.gross_over or (x.lower or 0.0) > x.allowed for x in evidence.ledgers if x.allowed is not None)
    return over or any(_bad(sli) for sli in evidence.slis if sli.critical)


def _bad(sli: SliAssessment) -> bool:
    reverts = any(
        t.tier.action is BurnAction.ROLLBACK and t.attribution in (Attribution.CANDIDATE, Attribution.UNAVAILABLE)
        for t in sli.tiers
    )
    # Also when it is shared: no raise is finished in the middle of an outage.
    return sli.verdict is Verdict.FAIL or sli.hard_guard is not None or reverts


def lasting(before: Evidence, now: Evidence) -> Evidence:
    """`now`, with the critical SLIs that have failed before as they were then: a FAIL ends its step.

    Who has lowered the weight for one may not be able to record that, and what is counted meanwhile comes from a
    candidate without requests.
    """
    slis = before.slis if isinstance(before, EvidenceSeen) else ()
    failed = {sli.name: sli for sli in slis if sli.critical and sli.verdict is Verdict.FAIL}
    if not failed:
        return now
    if not isinstance(now, EvidenceSeen):
        return before
    return replace(
        now, slis=tuple(sli if sli.verdict is Verdict.FAIL else failed.get(sli.name, sli) for sli in now.slis)
    )
