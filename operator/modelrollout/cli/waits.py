"""What a rollout waits for and why: what the message of its status does not say to a newcomer."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.core.model import RolloutSpec, Step, Verdict
from modelrollout.core.observation import NoDataCause
from modelrollout.core.reasons import Reason
from modelrollout.core.status import RolloutStatus, SliStatus
from modelrollout.core.wording import NEVER, about, duration, odds

FEW = 10
"""Requests below which their rate says nothing about how long the rest takes."""


def missing(spec: RolloutSpec, status: RolloutStatus, step: Step, now: float) -> Iterator[str]:
    """What an ordinary step waits for: its shortest time, and each SLI that has no PASS."""
    assert status.step is not None
    left = status.step.started + step.min_duration - now
    if left > 0:
        yield f"The shortest time of this step ({duration(step.min_duration)}) is over in {duration(left)}."
    written, late = numbers_of(status), {sli.name for sli in spec.slis if sli.labels is not None}
    for each in status.slis:
        if each.critical and each.verdict is not Verdict.PASS:
            began = status.step.started if written is not None else None
            if each.name in late and each.verdict is Verdict.WAIT and each.message:
                # Requests are there; what lacks is labels, and the message says of whose predictions.
                yield each.message if each.message.endswith(".") else f"{each.message}."
                continue
            yield f"{each.name}: {_lacking(each)}{_ahead(each, began, written, now)}"
    if all(each.verdict is Verdict.PASS for each in status.slis if each.critical) and left <= 0:
        yield "Nothing more that the status tells of: the next look may go on."


def numbers_of(status: RolloutStatus) -> float | None:
    """When the numbers of the status were true, epoch seconds; None when that is not known."""
    times = [state.tick for state in status.budget if state.tick > 0]
    times += [status.step.started, status.step.counted] if status.step is not None else []
    return max(times, default=None)


def _lacking(sli: SliStatus) -> str:
    seen = sli.candidate.total if sli.candidate else None
    if sli.verdict is Verdict.NO_DATA:
        return "data of the candidate" + (f" ({NO_DATA[sli.no_data]})." if sli.no_data else ".")
    if sli.verdict is not Verdict.WAIT:
        return f"its verdict is {sli.verdict}."
    if sli.rates is not None:
        return "an answer to a doubt: its events are more frequent than legacy's, not surely so yet."
    if not seen:
        return "enough requests to tell that it is as good as legacy; none were counted when this was written."
    if 0 < sli.needed < NEVER and seen < sli.needed:
        return (
            f"waiting, {seen:,} of about {about(sli.needed)} candidate requests needed to tell that it is as good as "
            "legacy."
        )
    if sli.odds is not None and sli.odds.fine < sli.odds.fine_limit:
        return (
            f"waiting, {seen:,} candidate requests are not enough: the odds that it is as good as legacy are "
            f"{odds(sli.odds.fine)}, {odds(sli.odds.fine_limit)} needed."
        )
    return f"waiting, {seen:,} candidate requests were counted; it is not told that it is as good as legacy."


def _ahead(sli: SliStatus, began: float | None, written: float | None, now: float) -> str:
    """How long the requests that are missing take, when they come as those of this step did."""
    seen = sli.candidate.total if sli.candidate else 0
    if began is None or written is None or seen < FEW or written <= began or not seen < sli.needed < NEVER:
        return ""
    left = (sli.needed - seen) * (written - began) / seen - (now - written)
    return f" At that rate, {duration(left)} more." if left > 0 else " At that rate they have come by now."


NOBODY_ASKS = "Its pods are scraped, but nobody asks them: is there traffic, and is the share large enough to get some?"

NO_DATA = {
    NoDataCause.STALE: "its newest sample is too old",
    NoDataCause.NO_TRAFFIC: "no requests were counted",
    NoDataCause.MISSING: "its series are gone",
    NoDataCause.REJECTED: "its samples are no numbers",
    NoDataCause.BOTH_ARMS: "nor of legacy: the metrics are at fault, nobody is blamed",
}

WAITS: dict[str, str] = {
    Reason.PREFLIGHT: "Before the first request is at stake it looks at pods, gateway, metrics and error budget.",
    Reason.CANDIDATE_NOT_READY: "Users are sent only to pods that are ready; look at the candidate's.",
    Reason.LEGACY_NOT_READY: "Without legacy's pods there would be nothing to go back to.",
    Reason.ROUTE_PENDING: "The gateway's controller has not taken the route, so nobody knows where requests go.",
    Reason.SCALING: "The share is made of pods: it is reached, and counted, when all of them are there.",
    Reason.METRICS_PENDING: "Nothing begins before every SLI is known to have its metrics.",
    Reason.BUDGET_EXHAUSTED: "The service has had so many errors lately that no risk is left to take.",
    Reason.LEGACY_CHANGED: "Legacy is another one now: what was counted against the old one does not count.",
    Reason.SPEC_CHANGED: "The rules have changed, so counting begins anew; the weight stays.",
    Reason.SUPERSEDED: "A newer revision waits until the users of the old one are back on legacy.",
    Reason.NO_DATA: "Silence is not health: the weight is not raised without data.",
    Reason.AWAITING_ATTRIBUTION: "Errors are high; whether they are the candidate's doing is being found out.",
    Reason.APPROVAL: "A person must look before it goes on; this was asked for in the step.",
    Reason.PAUSED_BY_SPEC: "The manifest says so.",
    Reason.PAUSED_BY_ACTION: "Somebody ordered it. A bad candidate is still taken back.",
    Reason.INCONCLUSIVE: "What was counted proves neither that it is good nor that it is bad.",
    Reason.SHARED_DEGRADATION: "Both versions are bad at once, so nobody is blamed: find what they share."
    " It goes on by itself.",
    Reason.ELEVATED_BURN: "The candidate makes more errors than allowed, not enough yet to take it back.",
    Reason.METRICS_UNREACHABLE: "Without Prometheus nobody knows how users fare: nothing is raised or taken back.",
    Reason.CANDIDATE_UNREADY: "Its users are back on legacy until its pods are ready again.",
    Reason.ROUTE_CONFLICT: "Somebody else writes the route's weights; two writers would fight for ever.",
    Reason.ROLLBACK_BLOCKED: "Users can't go back while legacy has no ready pod.",
}
"""Why one waits for that: what the message of the status does not say to a newcomer."""
