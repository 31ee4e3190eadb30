"""Which evidence is likely to take traffic off: it overtakes other work and stops a raise under way."""

from __future__ import annotations

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
