"""What must hold of a run, checked on every version of every object that there has been, and against the reference.

Numbers are those of the reliability page: I1 sum, I2 cap, I3 no resurrection, I4 a revert in time, I5 fencing, I6 rest,
I7 the same end, I9 truthful status, I10 no data is no pass, I12 deletion, I13 budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.carriers import moves
from e2e.chaos.drive import MINUTE, Run
from e2e.chaos.exchanges import out_of_date, out_of_office
from e2e.chaos.faults import Blocked, Blurred, Edit, Edited, Fail, Parted, Poisoned, Slowed, Span, Unwell
from e2e.chaos.masks import BAD_ANSWERS, masked
from e2e.chaos.metrics import Trouble
from e2e.chaos.reverts import Violation, belated, down_by, in_time, led, lowered_after, zero_after
from e2e.chaos.scene import NAME, OPERATORS, TICK
from e2e.chaos.shared_service import SharedService
from modelrollout.adapters.kube.resources import ROLLOUTS, SLICES
from modelrollout.api.status_codec import decode
from modelrollout.core.model import FULL, ZERO, Phase, Verdict
from modelrollout.core.route_policy import MOMENT
from modelrollout.core.status import RolloutStatus

CONFIRM = 2 * TICK
"""Seconds more that evidence may take than it took in the reference run."""
JUMP = 30.0
WRITES_PER_FAULT = 12
WRITES_PER_STEP = 4
"""Of one who learns too late that the gateway has taken a change: that it has not, that it has, an Event, evidence."""
AT_ONCE = 0.05
"""Seconds in which nobody can read and write once more."""
MARGIN = 1e-6
WITH_SAMPLES = (Trouble.NAN, Trouble.TWICE)
"""Troubles in which Prometheus answers: what it says is for the evidence to judge."""


def check(run: Run, reference: Run | None) -> list[Violation]:
    """Everything that is wrong with a run; without a reference only what can be said of it alone."""
    found = [*_alone(run)]
    if reference is not None:
        found += _against(run, reference)
    return found


def _alone(run: Run) -> Iterator[Violation]:
    yield from (Violation("log", text) for text in run.errors)
    if run.rest is None:
        status = ((run.end["rollout"] or {}).get("status")) or {}
        yield Violation("I7", f"no end: {status.get('phase')} {status.get('reason')}: {status.get('message')}")
    if run.late and run.end["rollout"] is not None:
        yield Violation("I6", f"writes at rest: {', '.join(run.late)}")
    if run.rest is not None:
        yield from _shown(run)
    yield from _walk(run)
    yield from in_time(run)
    if not any(isinstance(f, Blurred) and SLICES.plural in f.kinds for f in run.plan.faults):
        hurt = run.workload.carrier.hurt(run.history)
        yield from (Violation(number, f"{_when(version)}: {text}") for version, number, text in hurt)
    yield from _fenced(run)
    edits = {f.edit for f in run.plan.faults if isinstance(f, Edited)}
    if not edits & {Edit.LEASE_DELETED, Edit.LEASE_STOLEN}:
        yield from (Violation("I5", text) for text in out_of_office(run.exchanges))
    yield from (Violation("I6", text) for text in out_of_date(run.exchanges))


def _shown(run: Run) -> Iterator[Violation]:
    """`/metrics` agrees with what is stored, two full lists after everything."""
    for place, phase in run.shown.items():
        stored = run.stored.get(place)
        if stored != phase:
            what = "is gone" if stored is None else f"is stored as {stored or 'without a status'}"
            yield Violation("I9", f"metrics show {'/'.join(place)} as {phase}, and it {what}")


@dataclass(slots=True)
class _Seen:
    """The objects as they are at one point of the history."""

    weight: float = 0.0
    foreign: bool = False
    """Whether somebody else set the weight last."""
    highest: float = 0.0
    """The most that the operator has given so far: coming back to it is no advance."""
    status: RolloutStatus | None = None


def _walk(run: Run) -> Iterator[Violation]:
    """What can be said of each version by what was there before it."""
    seen = _Seen()
    retried = False
    tracker = run.workload.carrier.tracker()
    for version in run.history:
        ours = version.agent.startswith(OPERATORS)
        weight = tracker.take(version)
        if weight is not None:
            yield from _route(run, version, seen, weight, ours=ours)
        elif version.resource is ROLLOUTS and version.place[1] == NAME:
            if version.body is None:
                # What becomes of a route that nobody owns is nobody's promise.
                yield from _gone(run, version, seen)
                return
            status = decode(version.body.get("status")) if ours else seen.status
            if ours and status is not None:
                yield from _status(run, version, seen, status, retried=retried)
                seen.status = status
        elif version.place[1].startswith(f"{NAME}-retry"):
            retried = True


def _route(run: Run, version: Version, seen: _Seen, weight: float, *, ours: bool) -> Iterator[Violation]:
    when = _when(version)
    if version.body is None:
        seen.weight, seen.foreign = weight, not ours
        return
    wrong = run.workload.carrier.wrong(version.body) if ours else ""
    if wrong:
        yield Violation("I1", f"{when}: {wrong}")
    beyond = run.workload.carrier.beyond(version, _cap(seen.status)) if ours else ""
    if beyond:
        yield Violation("I2", f"{when}: {beyond}")
    if weight == seen.weight:
        return
    before, seen.weight = seen.weight, weight
    if not ours:
        seen.foreign = True
        return
    status = seen.status
    if weight > before:
        allowed = max(_cap(status), _cap(belated(run, version)))
        if weight > allowed + MARGIN + run.workload.carrier.rounding:
            phase = status.phase if status else "no status"
            yield Violation("I2", f"{when}: raised to {weight:g} %, the record allows {allowed:g} % ({phase})")
        # The list itself is asked, not the operator's own reading of it.
        if status is not None and status.revision in {r.revision for r in status.rejected}:
            yield Violation("I3", f"{when}: raised the rejected revision {status.revision} to {weight:g} %")
        if weight > seen.highest:
            yield from _evidenced(run, version, weight)
            seen.highest = weight
    seen.foreign = False


def _cap(status: RolloutStatus | None) -> float:
    if status is None or status.phase in (Phase.IDLE, Phase.PREFLIGHT, Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        return 0.0
    if status.phase is Phase.PROMOTED:
        return 100.0
    return status.step.weight / 100.0 if status.step else 0.0


def _evidenced(run: Run, version: Version, weight: float) -> Iterator[Violation]:
    """No raise beyond the first step without an answer of Prometheus since the ticks of the step.

    A loop that stands still with a write in its hands sends it when it goes on.
    """
    still = sum(fault.seconds for fault in run.plan.faults if isinstance(fault, Blocked))
    for fault in run.plan.faults:
        if isinstance(fault, Unwell) and weight > 10.0 and fault.trouble not in WITH_SAMPLES:
            since = version.at - 3 * TICK - run.workload.carrier.slack - still
            recent = [t for t in run.answered if since <= t <= version.at]
            if not recent:
                yield Violation("I10", f"{_when(version)}: raised to {weight:g} % without an answer of Prometheus")


def _status(run: Run, version: Version, seen: _Seen, status: RolloutStatus, *, retried: bool) -> Iterator[Violation]:
    when, before = _when(version), seen.status
    claimed = (status.weight or ZERO) / 100.0
    less = claimed < seen.weight - MARGIN - run.workload.carrier.rounding
    if not seen.foreign and less and status.phase is not Phase.ROLLING_BACK:
        yield Violation("I9", f"{when}: status says {claimed:g} %, the route gives {seen.weight:g} %")
    if status.phase is Phase.PROMOTED and seen.weight != FULL / 100.0 and not seen.foreign:
        yield Violation("I9", f"{when}: Promoted while the route gives {seen.weight:g} %")
    failed = status.incident is not None and status.incident.reason in BAD_ANSWERS
    if failed and status.phase is Phase.ROLLED_BACK and not any(x.verdict is Verdict.FAIL for x in status.slis):
        yield Violation("I14", f"{when}: rolled back for bad answers, and shows no SLI that failed")
    if before is None:
        return
    if status.leader_epoch < before.leader_epoch:
        yield Violation("I5", f"{when}: epoch {status.leader_epoch} wrote after {before.leader_epoch}")
    lost = {r.revision for r in before.rejected} - {r.revision for r in status.rejected}
    if lost and not retried:
        yield Violation("I3", f"{when}: forgot that {', '.join(sorted(lost))} was rejected")
    if (before.revision, before.attempt) == (status.revision, status.attempt):
        peaks = {x.sli: x.peak for x in status.budget}
        for x in before.budget:
            if peaks.get(x.sli, 0.0) < x.peak - MARGIN:
                yield Violation("I13", f"{when}: spent budget of {x.sli} fell from {x.peak:g} to {peaks.get(x.sli)}")


def _gone(run: Run, version: Version, seen: _Seen) -> Iterator[Violation]:
    if seen.weight and not seen.foreign:
        yield Violation("I12", f"{_when(version)}: gone while the route gives the candidate {seen.weight:g} %")


def _fenced(run: Run) -> Iterator[Violation]:
    """I5: whoever wrote the status last is the only one who raises the route.

    But for a write that was on its way for long: it may still bring what the newest leader's record orders.
    """
    held = any(isinstance(fault, Parted) and fault.held for fault in run.plan.faults)
    author = ""
    record: object = None
    weight = 0.0
    tracker = run.workload.carrier.tracker()
    for version in run.history:
        now = tracker.take(version)
        if not version.agent.startswith(OPERATORS) or version.body is None:
            continue
        if version.resource is ROLLOUTS and version.place[1] == NAME:
            author, record = version.agent, version.body.get("status")
        elif now is not None:
            late = held and now <= _ordered(record)
            # The new leader may finish what the record of its predecessor orders; the old one may not.
            if now > weight and _order(version.agent) < _order(author) and not late:
                yield Violation("I5", f"{_when(version)}: {version.agent} raised after {author} had taken over")
            weight = now


def _ordered(record: object) -> float:
    status = decode(record)
    return (status.weight or 0) / 100 if status is not None else 0.0


def _order(agent: str) -> int:
    return int(agent.rpartition("#")[2] or 0)


def _against(run: Run, reference: Run) -> Iterator[Violation]:
    ours, theirs = masked(run), masked(reference)
    if run.rest is not None and not _other_end(run) and not _held_up(run):
        # A route without an owner may be steered by the next rollout, or by whoever edits it as it is released.
        free = Poisoned in map(type, run.plan.faults) or _edited_in_the_end(run)
        taken_over = run.end["rollout"] is None and free
        for key in sorted({*ours, *theirs} - ({"route", "plane"} if taken_over else set())):
            if ours.get(key) != theirs.get(key):
                yield Violation("I7", f"{key}: {ours.get(key)!r}, in the reference {theirs.get(key)!r}")
    carrier = run.workload.carrier
    each = WRITES_PER_FAULT + carrier.more_writes
    allowed = sum(reference.writes.values()) + each * max(1, len(run.plan.faults))
    # A raise that is refused for long begins its step anew, now and then.
    allowed += sum(round(MINUTE / MOMENT) for f in run.plan.faults if isinstance(f, Fail) and f.span is Span.KIND)
    if any(isinstance(f, Blurred) and carrier.resource.plural in f.kinds for f in run.plan.faults):
        allowed += WRITES_PER_STEP * sum(move.ours and move.now > move.before for move in moves(carrier, run.history))
    made = len(run.operators(run.history))
    if made > allowed:
        yield Violation("I6", f"{made} writes took effect, allowed {allowed}")
    for trigger, known in zip(run.triggers, reference.triggers, strict=False):
        if trigger.evidence and known.evidence and not _held_up(run):
            pods = isinstance(run.workload.carrier, SharedService)
            took = (lowered_after if pods else zero_after)(reference, known.at)
            usual = 0.0 if took is None else took - known.at
            calm = led(run, trigger.at)
            yield from down_by(run, trigger.what, trigger.at, calm + usual + CONFIRM + _jump(run))


def _edited_in_the_end(run: Run) -> bool:
    """Whether somebody else set the weight last, too short a time before the rollout was gone for anyone to see it."""
    gone = [v.at for v in run.history if v.resource is ROLLOUTS and v.body is None]
    moved = list(moves(run.workload.carrier, run.history))
    return bool(gone and moved) and not moved[-1].ours and moved[-1].version.at > gone[-1] - AT_ONCE


def _held_up(run: Run) -> bool:
    """Whether a fault kept the world from turning bad until the rollout was over: nobody judges it then.

    At a standstill what plays the world stands still too, and the step it had time for; in a cluster only the operator
    does. A slow API server can take as long for the route as a step lasts here: users come late, and the step counts
    from its record.
    """
    faults = {type(fault) for fault in run.plan.faults}
    if not faults & {Blocked, Slowed}:
        return False
    margin = CONFIRM if Slowed in faults else 0.0
    ours = (v for v in run.history if v.resource is ROLLOUTS and v.place[1] == NAME and v.body is not None)
    ends = [v.at for v in ours if (v.body or {}).get("status", {}).get("phase") == Phase.PROMOTED]
    return bool(ends) and any(t.evidence and t.at > ends[0] - margin for t in run.triggers)


def _jump(run: Run) -> float:
    """Seconds more for a leader whose clock jumps: ticks of the wrong time are behind it, or ahead."""
    return JUMP if any(isinstance(f, Parted) and f.skew for f in run.plan.faults) else 0.0


def _other_end(run: Run) -> bool:
    """Whether a fault of the plan is itself a reason for another end."""
    edits = {f.edit for f in run.plan.faults if isinstance(f, Edited)}
    # A candidate that loses its endpoints twice is rolled back.
    twice = Edit.SLICES_AWAY in edits and run.workload.name.endswith("candidate-away")
    return twice or bool(edits & {Edit.ABORT, Edit.STEPS})


def _when(version: Version) -> str:
    return f"{version.resource.plural} at {version.number} (+{version.at % 100_000:.2f} s, {version.agent})"
