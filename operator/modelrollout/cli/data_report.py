"""What a replay of recorded data says, as text or JSON."""

from __future__ import annotations

import json
from typing import Any

from modelrollout.cli.journal_report import moment
from modelrollout.core import wording
from modelrollout.core.model import ZERO, Phase, Weight
from modelrollout.core.observation import ArmCounts, Evidence, EvidenceSeen, SliAssessment
from modelrollout.core.rates import ArmEvents
from modelrollout.sim.recorded import Moment, Replayed, Shares

SPLIT = "The traffic split is the recorded one: the weights below are what the operator would have ordered."


def as_text(result: Replayed) -> str:
    """The decisions in order, each with the counts it was made from, and how it ended."""
    lines = [
        f"{result.spec.key}: would have begun {moment(result.began)}; the data end {moment(result.ended)}"
        if result.status.phase not in (Phase.PROMOTED, Phase.ROLLED_BACK)
        else f"{result.spec.key}: would have begun {moment(result.began)} and ended {moment(result.ended)}",
        SPLIT,
        *(f"  {_share(shares)}" for shares in result.shares),
        *(f"Note: {note}." for note in result.notes),
        "",
    ]
    for each in result.moments:
        lines += _moment(each, result.began)
    lines += ["", outcome(result)]
    if result.status.phase not in (Phase.PROMOTED, Phase.ROLLED_BACK):
        lines += [f"  {wording.assessment(sli)}" for sli in _slis(result.evidence)]
    return "\n".join(lines) + "\n"


def as_json(result: Replayed) -> str:
    """The same as one object."""
    found = {
        "rollout": str(result.spec.key),
        "began": moment(result.began),
        "ended": moment(result.ended),
        "outcome": result.status.phase.value,
        "reason": result.status.reason,
        "message": result.status.message,
        "notes": list(result.notes),
        "recorded": [
            {"sli": s.sli, "legacy": _counts(*s.legacy), "candidate": _counts(*s.candidate)} for s in result.shares
        ],
        "decisions": [
            {
                "at": moment(each.at),
                "seconds": round(each.at - result.began, 3),
                "phase": each.status.phase.value,
                "reason": each.status.reason,
                "message": each.status.message,
                "weight": wording.percent(each.status.weight or ZERO),
                "actions": [{"action": r.action, "reason": r.reason, "message": r.message} for r in each.new],
                "slis": [_sli(sli) for sli in _slis(each.evidence)],
            }
            for each in result.moments
        ],
    }
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def outcome(result: Replayed) -> str:
    """One sentence."""
    status, after = result.status, wording.duration(result.ended - result.began)
    match status.phase:
        case Phase.PROMOTED:
            return f"Outcome: Promoted after {after}."
        case Phase.ROLLED_BACK:
            return f"Outcome: RolledBack after {after}: {status.message}"
    return f"Outcome: none, the data end after {after} in phase {status.phase}: {status.message}"


def _moment(each: Moment, began: float) -> list[str]:
    status = each.status
    weight = wording.percent(status.weight or Weight(0))
    told = "; ".join(f"{r.action}: {r.message}" for r in each.new) or f"{status.phase}: {status.message}"
    head = f"{moment(each.at)}  +{wording.duration(each.at - began)}  {weight} %  {told}"
    sentences = [wording.assessment(sli) for sli in _slis(each.evidence)]
    return [head, *(f"    {sentence}" for sentence in sentences if sentence not in told)]


def _slis(evidence: Evidence) -> tuple[SliAssessment, ...]:
    return evidence.slis if isinstance(evidence, EvidenceSeen) else ()


def _share(shares: Shares) -> str:
    total = shares.legacy[0] + shares.candidate[0]
    part = wording.share(shares.candidate[0] / total) if total else "-"
    bad = ", ".join(
        f"{name} {wording.share(bad / count) if count else '-'} of {count:.0f} bad"
        for name, (count, bad) in (("candidate", shares.candidate), ("legacy", shares.legacy))
    )
    return f"{shares.sli}: {part} of {total:.0f} events were the candidate's; {bad}"


def _counts(total: float, bad: float) -> dict[str, float]:
    return {"total": round(total), "bad": round(bad)}


def _arm(counts: ArmCounts | None, events: ArmEvents | None) -> dict[str, float] | None:
    if events is not None:
        return {"events": events.events, "exposureSeconds": round(events.exposure)}
    return None if counts is None else _counts(counts.total, counts.bad)


def _sli(sli: SliAssessment) -> dict[str, Any]:
    return {
        "name": sli.name,
        "verdict": sli.verdict.value,
        "candidate": _arm(sli.candidate, sli.rates.candidate if sli.rates else None),
        "legacy": _arm(sli.legacy, sli.rates.legacy if sli.rates else None),
        "text": wording.assessment(sli),
    }
