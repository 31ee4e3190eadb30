"""A rollout in words for somebody who sees one for the first time: from its spec and status alone.

Pure: the decision rules are the operator's; here they are told with the numbers of the last status write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelrollout.core.inconclusive import longest_doubt
from modelrollout.core.model import BurnAction, Outcome, Phase, RolloutSpec, Sli, Step, Verdict
from modelrollout.core.observation import NoDataCause
from modelrollout.core.reasons import Reason
from modelrollout.core.status import RolloutStatus, SliStatus
from modelrollout.core.wording import duration, ledger, margin, odds, percent, share

COMMAND = "kubectl modelrollout"
UNDER_WAY = frozenset({Phase.PREFLIGHT, Phase.PROGRESSING, Phase.PAUSED})


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rollout does, waits for and would be reverted by. Each a list of sentences; empty: there is none."""

    standing: tuple[str, ...]
    waits: tuple[str, ...]
    numbers: tuple[str, ...]
    looks: tuple[str, ...]
    reverts: tuple[str, ...]
    orders: tuple[tuple[str, str], ...]
    """What people can do: what for, and the command."""


def explain(spec: RolloutSpec, status: RolloutStatus, now: float) -> Explanation:
    """The explanation of a rollout whose status is about this spec."""
    return Explanation(
        standing=tuple(_standing(spec, status, now)),
        waits=tuple(_waits(spec, status, now)),
        numbers=tuple(map(_told, status.slis)) if status.phase in UNDER_WAY else (),
        looks=tuple(_looks(spec, status, now)),
        reverts=tuple(_reverts(spec, status)),
        orders=tuple(_orders(spec, status)),
    )


def step_of(spec: RolloutSpec, status: RolloutStatus) -> Step | None:
    """The step it is at; None before the first one and when the spec has fewer by now."""
    if status.step is None or status.step.index >= len(spec.steps):
        return None
    return spec.steps[max(status.step.index, 0)]


def _standing(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    legacy, candidate = spec.legacy.deployment, spec.candidate.deployment
    weight = "an unknown share" if status.weight is None else f"{percent(status.weight)} %"
    match status.phase:
        case Phase.PROMOTED:
            yield f"Done: {candidate} has all traffic, and its last step is over."
        case Phase.ROLLED_BACK:
            yield f"Taken back: {legacy} has all traffic. Revision {status.revision} of {candidate} is rejected."
        case Phase.ROLLING_BACK:
            yield f"Going back: {candidate} has {weight}, on its way to 0; {legacy} gets all."
        case Phase.IDLE:
            yield "At rest: there is nothing to do."
        case Phase.INVALID:
            yield f"It can't run as it is written. {candidate} keeps {weight}; it is never raised so."
        case _:
            place = "before its first step"
            if status.step is not None:
                place = f"at step {status.step.index + 1} of {status.step.count}"
            yield f"{candidate} is {place} and has {weight} of the traffic, {legacy} has the rest."
    incident = status.incident
    if incident is not None and status.phase in (Phase.ROLLED_BACK, Phase.ROLLING_BACK):
        end = (
            ""
            if incident.closed is None
            else f"; the route showed 0 after {duration(incident.closed - incident.opened)}"
        )
        yield (
            f"Why: {incident.reason}, at {percent(incident.weight)} %, {duration(max(0.0, now - incident.opened))} ago"
            f"{end}. {_sentence(incident.message)}"
        )


def _waits(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    if status.phase not in (*UNDER_WAY, Phase.ROLLING_BACK, Phase.INVALID):
        return
    if status.reason != Reason.PROGRESSING:
        yield _sentence(status.message)
        if told := WAITS.get(status.reason):
            yield told
        return
    step = step_of(spec, status)
    if step is None or status.step is None:
        yield _sentence(status.message)
        return
    left = status.step.started + step.min_duration - now
    if left > 0:
        yield f"The shortest time of this step ({duration(step.min_duration)}) is over in {duration(left)}."
    for each in status.slis:
        if each.critical and each.verdict is not Verdict.PASS:
            yield f"{each.name}: {_missing(each)}"
    if all(each.verdict is Verdict.PASS for each in status.slis if each.critical) and left <= 0:
        yield "Nothing more that the status tells of: the next look may go on."


def _missing(sli: SliStatus) -> str:
    seen = sli.candidate.total if sli.candidate else None
    if sli.verdict is Verdict.WAIT and seen is not None and 0 < sli.needed < 10**9:
        return f"enough requests to tell that it is as good as legacy: {seen:,} of about {sli.needed:,} are counted."
    if sli.verdict is Verdict.WAIT:
        return "enough requests to tell that it is as good as legacy; none were counted when this was written."
    if sli.verdict is Verdict.NO_DATA:
        return "data of the candidate" + (f" ({NO_DATA[sli.no_data]})." if sli.no_data else ".")
    return f"its verdict is {sli.verdict}."


def _told(sli: SliStatus) -> str:
    message = sli.message or "nothing is known yet"
    return message if message.startswith(f"{sli.name}: ") else f"{sli.name}: {message}"


def _looks(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    if status.phase not in UNDER_WAY:
        return
    yield f"The operator looks every {duration(spec.analysis.interval)}. Numbers are written when something changes."
    at, step = status.step, step_of(spec, status)
    if at is not None and step is not None and status.phase is Phase.PROGRESSING:
        ahead = at.index + 1
        if ahead < len(spec.steps):
            approval = ", after an approval" if spec.steps[ahead].approval else ""
            yield f"The next step gives {percent(spec.steps[ahead].weight)} % to the candidate{approval}."
        else:
            yield "After this step it is promoted."
        end = at.started + step.min_duration + longest_doubt(spec, step) - now
        then = {Outcome.PAUSE: "pauses", Outcome.ROLLBACK: "goes back", Outcome.PROMOTE: "goes on"}
        if end > 0:
            yield f"Still undecided in {duration(end)}, it {then[spec.analysis.inconclusive.then]}."
    holds = status.holds
    if holds.no_data is not None:
        end = holds.no_data + spec.analysis.no_data.hold - now
        yield f"Without data for {duration(max(0.0, end))} more, {_then(spec.analysis.no_data.then)}."
    if holds.unready is not None:
        end = holds.unready + spec.candidate_deadline - now
        yield f"If the candidate's pods are not ready within {duration(max(0.0, end))}, it goes back."


def _then(outcome: Outcome) -> str:
    return {Outcome.PAUSE: "it pauses", Outcome.ROLLBACK: "it goes back", Outcome.PROMOTE: "it goes on"}[outcome]


def _reverts(spec: RolloutSpec, status: RolloutStatus) -> Iterator[str]:
    if status.phase not in UNDER_WAY:
        return
    critical = [sli for sli in spec.slis if sli.critical]
    names = ", ".join(sli.name for sli in critical)
    yield f"At once: half of the candidate's newest requests (at least 20) are bad, of {names}; and legacy's are not."
    tiers = [tier for tier in spec.budget.tiers if tier.action is BurnAction.ROLLBACK]
    limits = " or ".join(f"{t.factor:g}x over {duration(t.long)} and {duration(t.short)}" for t in tiers)
    for sli in critical:
        if sli.allowed is not None:
            yield f"{sli.name}: more bad requests than {share(sli.allowed)}, by {limits}, while legacy does better."
    found = {each.name: each for each in status.slis}
    for sli in critical:
        yield _compared(sli, found.get(sli.name))
    for state in status.budget:
        if state.allowed is not None:
            yield f"Its share of the error budget is spent. {_sentence(ledger(state))}"
    analysis = spec.analysis
    if analysis.no_data.then is Outcome.ROLLBACK:
        yield f"Prometheus answers, but has no data of the candidate for {duration(analysis.no_data.hold)}."
    if analysis.inconclusive.then is Outcome.ROLLBACK:
        yield "A step runs out of time without a verdict."
    yield f"The candidate's pods are not ready within {duration(spec.candidate_deadline)}, or are lost twice in a step."
    yield f"Somebody orders it:\n{COMMAND} abort {spec.key.name} -n {spec.key.namespace}"


def _compared(sli: Sli, seen: SliStatus | None) -> str:
    told = (
        f"{sli.name}: the comparison with legacy says that the candidate is worse than {margin(sli.margin)} of legacy's"
    )
    if seen is None or seen.odds is None:
        return f"{told}."
    return f"{told}: odds {odds(seen.odds.worse)} now, {odds(seen.odds.worse_limit)} do it."


def _orders(spec: RolloutSpec, status: RolloutStatus) -> Iterator[tuple[str, str]]:
    def command(verb: str) -> str:
        return f"{COMMAND} {verb} {spec.key.name} -n {spec.key.namespace}"

    if status.phase is Phase.ROLLED_BACK:
        yield "try the same revision again", command("retry")
        return
    if status.phase not in UNDER_WAY:
        return
    if status.reason in (Reason.APPROVAL, Reason.BUDGET_EXHAUSTED):
        yield "let it go on", command("approve")
    elif status.reason == Reason.PAUSED_BY_SPEC:
        yield (
            "let it go on: set spec.paused to false, where the manifest is kept",
            f"kubectl -n {spec.key.namespace} edit mr {spec.key.name}",
        )
    elif status.phase is Phase.PAUSED:
        yield "look again, with deadlines from now on", command("resume")
    else:
        yield "hold the weight", command("pause")
    yield "send all traffic back to legacy", command("abort")
    yield "go to 100 % without further evidence", command("promote")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def lines(found: Explanation) -> Sequence[tuple[str, Sequence[str]]]:
    """Headings with their sentences, without those that are empty. A command has a line of its own."""
    orders = [f"{what}:\n{command}" for what, command in found.orders]
    parts = (
        ("WHERE IT STANDS", found.standing),
        ("WHAT IT WAITS FOR", found.waits),
        ("THE NUMBERS, as last written", found.numbers),
        ("WHAT COMES NEXT", found.looks),
        ("WHAT WOULD REVERT IT", found.reverts),
        ("WHAT YOU CAN DO", orders),
    )
    return [(title, told) for title, told in parts if told]


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
