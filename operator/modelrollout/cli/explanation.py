"""A rollout in words for somebody who sees one for the first time: from its spec and status alone.

Pure: the decision rules are the operator's; here they are told with the numbers of the last status write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelrollout.cli.reverts import COMMAND, reverts
from modelrollout.cli.waits import NOBODY_ASKS, WAITS, missing, numbers_of
from modelrollout.core.inconclusive import longest_doubt
from modelrollout.core.model import BurnAction, Outcome, Phase, RolloutSpec, Segment, Step, Verdict
from modelrollout.core.observation import NoDataCause
from modelrollout.core.reasons import Reason
from modelrollout.core.status import RolloutStatus, SliStatus
from modelrollout.core.triggers import BLAMELESS
from modelrollout.core.wording import duration, percent

UNDER_WAY = frozenset({Phase.PREFLIGHT, Phase.PROGRESSING, Phase.PAUSED})


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rollout does, waits for and would be reverted by. Each a list of sentences; empty: there is none."""

    standing: tuple[str, ...]
    waits: tuple[str, ...]
    numbers: tuple[str, ...]
    counted: tuple[str, ...]
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
        counted=tuple(_counted(status)),
        looks=tuple(_looks(spec, status, now)),
        reverts=tuple(reverts(spec, status)) if status.phase in UNDER_WAY else (),
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
            if status.weight and spec.traffic.segments:
                yield f"{' or '.join(map(_asks, spec.traffic.segments))}: {candidate} has all of these requests."
    incident = status.incident
    if incident is not None and status.phase in (Phase.ROLLED_BACK, Phase.ROLLING_BACK):
        end = "" if incident.closed is None else f"; the route showed 0 {_after(incident.closed - incident.opened)}"
        yield (
            f"Why: {incident.reason}, at {percent(incident.weight)} %, {duration(max(0.0, now - incident.opened))} ago"
            f"{end}. {_sentence(incident.message)}"
        )


def _after(seconds: float) -> str:
    return "within a second" if seconds < 1 else f"after {duration(seconds)}"


def _asks(segment: Segment) -> str:
    return "Header " + " and ".join(f"{each.name}: {each.value}" for each in segment.headers)


def _waits(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    if status.phase not in (*UNDER_WAY, Phase.ROLLING_BACK, Phase.INVALID):
        return
    if status.reason != Reason.PROGRESSING:
        yield _sentence(status.message)
        if told := WAITS.get(status.reason):
            yield NOBODY_ASKS if _unasked(status) else told
        yield from map(_sentence, status.notes if status.phase in UNDER_WAY else ())
        return
    step = step_of(spec, status)
    if step is None or status.step is None:
        yield _sentence(status.message)
        return
    yield from missing(spec, status, step, now)
    yield from map(_sentence, status.notes)


def _unasked(status: RolloutStatus) -> bool:
    """Whether it waits for requests that do not come."""
    silent = any(each.no_data is NoDataCause.NO_TRAFFIC for each in status.slis if each.critical)
    return status.reason == Reason.INCONCLUSIVE and silent


def _told(sli: SliStatus) -> str:
    return sli.message or f"{sli.name}: nothing is known yet"


def _counted(status: RolloutStatus) -> Iterator[str]:
    """What discovery has found, and what it had to change, such as a threshold that is no boundary."""
    if status.phase not in UNDER_WAY:
        return
    for each in status.slis:
        if each.counted:
            yield f"{each.name}: {each.counted}."
    yield from (_sentence(note) for note in status.notes)


def _looks(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    candidate, legacy = spec.candidate.deployment, spec.legacy.deployment
    anew = f"A changed pod template of {candidate} is a new revision"
    if status.phase is Phase.ROLLED_BACK:
        yield f"Nothing by itself: this revision stays rejected. {anew}, and starts from the first step."
    if status.phase is Phase.PROMOTED:
        yield f"The next release: name {candidate} as legacy, another Deployment as candidate. No traffic moves by it."
        yield f"{anew} here too: its users go back to {legacy} before it starts."
    if status.phase not in UNDER_WAY:
        return
    young = f" Pods younger than {duration(spec.analysis.warmup)} are not judged." if spec.analysis.warmup else ""
    yield f"The operator looks every {duration(spec.analysis.interval)}.{young}"
    written = numbers_of(status)
    old = "" if written is None else f"; these are {duration(max(0.0, now - written))} old"
    yield f"Numbers are written when something changes, or the step is twice as old{old}."
    if status.phase is Phase.PROGRESSING:
        yield from _ahead(spec, status, now)
    yield from _deadlines(spec, status, now)


def _ahead(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    at, step = status.step, step_of(spec, status)
    if at is None or step is None:
        return
    ahead = at.index + 1
    if ahead < len(spec.steps):
        approval = ", after an approval" if spec.steps[ahead].approval else ""
        yield f"The next step gives {percent(spec.steps[ahead].weight)} % to the candidate{approval}."
    else:
        yield "After this step it is promoted."
    end = at.started + step.min_duration + longest_doubt(spec, step) - now
    # Without evidence a step is not undecided: nobody has looked at it.
    if end > 0 and status.holds.unreachable is None:
        yield f"Still undecided in {duration(end)}, {_then(spec.analysis.inconclusive.then)}."


def _deadlines(spec: RolloutSpec, status: RolloutStatus, now: float) -> Iterator[str]:
    def left(since: float, limit: float) -> str:
        return duration(max(0.0, since + limit - now))

    holds, no_data = status.holds, spec.analysis.no_data
    if holds.no_data is not None:
        silent = [each for each in status.slis if each.critical and each.verdict is Verdict.NO_DATA]
        blameless = all(each.no_data in BLAMELESS for each in silent)
        then = Outcome.PAUSE if blameless else no_data.then
        yield f"Without data for {left(holds.no_data, no_data.hold)} more, {_then(then)}."
    if holds.unreachable is not None and status.phase is Phase.PROGRESSING:
        yield f"Without an answer for {left(holds.unreachable, no_data.hold)} more, it pauses, until there is one."
    pausing = [tier.short for tier in spec.budget.tiers if tier.action is BurnAction.PAUSE]
    if holds.elevated is not None and pausing:
        yield f"If it burns as much in {left(holds.elevated, min(pausing))}, it goes back."
    if holds.unready is not None:
        end = left(holds.unready, spec.candidate_deadline)
        yield f"If the candidate's pods are not ready within {end}, it goes back."


def _then(outcome: Outcome) -> str:
    return {Outcome.PAUSE: "it pauses", Outcome.ROLLBACK: "it goes back", Outcome.PROMOTE: "it goes on"}[outcome]


def _orders(spec: RolloutSpec, status: RolloutStatus) -> Iterator[tuple[str, str]]:
    def command(verb: str) -> str:
        return f"{COMMAND} {verb} {spec.key.name} -n {spec.key.namespace}"

    if status.phase is Phase.ROLLED_BACK:
        yield "try the same revision again", command("retry")
    if status.phase in (Phase.ROLLED_BACK, Phase.PROMOTED):
        yield "keep what has happened, as a file with charts", f"{command('report')} --html {spec.key.name}.html"
    if status.phase not in UNDER_WAY:
        return
    if status.reason in (Reason.METRICS_UNREACHABLE, Reason.METRICS_PENDING):
        yield "see what is known of the metric source", f"kubectl describe metricsource {spec.analysis.metric_source}"
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
        ("WHAT IS COUNTED, AND NOTES", found.counted),
        ("WHAT COMES NEXT", found.looks),
        ("WHAT WOULD REVERT IT", found.reverts),
        ("WHAT YOU CAN DO", orders),
    )
    return [(title, told) for title, told in parts if told]
