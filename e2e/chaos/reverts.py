"""Whether a revert came in time and lasts (I4, I12): from a trigger to weight 0, and none of it taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.carriers import Carrier, moves
from e2e.chaos.drive import BELATED, Run
from e2e.chaos.faults import Edit, Edited, Fail, Failure
from e2e.chaos.pod_oracles import behind
from e2e.chaos.process import RESYNC
from e2e.chaos.scene import CANDIDATE, NAME, OPERATORS
from e2e.chaos.shared_service import SharedService
from modelrollout.adapters.kube.resources import ACTIONS, DEPLOYMENTS, LEASES, ROLLOUTS, Body
from modelrollout.api.status_codec import decode
from modelrollout.core.status import RolloutStatus

REVERT = 2.0
"""Seconds from a trigger that the API itself shows to weight 0."""
DELETION = 30.0
LISTED = 1.1 * RESYNC + 1.0
"""Seconds until everything has been listed, whatever the views show."""
AT_ONCE = 0.5
"""Seconds that a new leader's list takes here."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: its number and a sentence."""

    oracle: str
    text: str


def in_time(run: Run) -> Iterator[Violation]:
    """I4 and I12 for triggers that the API shows; evidence is compared with the reference."""
    for trigger in run.triggers:
        due = max(trigger.at, led(run, trigger.at)) + REVERT + run.patience
        yield from _stays_down(run, trigger.at)
        if not trigger.evidence:
            yield from down_by(run, trigger.what, trigger.at, due)
        if trigger.what == "delete":
            gone = next(
                (v.at for v in run.history if v.resource is ROLLOUTS and v.place[1] == NAME and v.body is None), None
            )
            if gone is None or gone > due - REVERT + DELETION + run.workload.carrier.way_back:
                yield Violation("I12", f"deletion took {'for ever' if gone is None else f'{gone - trigger.at:.1f} s'}")


def led(run: Run, since: float) -> float:
    """When, after `since`, faults were over and somebody led who could act."""
    calm = max(since, run.disturbed, _listed(run, since))
    leases = [v for v in run.history if v.resource is LEASES]
    # Whoever renews the Lease first after the last fault is in office; if nothing was wrong, somebody was all the time.
    if calm <= since:
        return since
    return next((v.at for v in leases if v.at >= calm), calm)


def _listed(run: Run, since: float) -> float:
    """When what came up at `since` has been listed, if views were silent: at the next change of leader, or in turn."""
    end = max((end for begin, end in run.silences if begin <= since < end), default=since)
    taken = (v.at for v in run.history if v.resource is LEASES and v.at >= since and holder(v.body) != holder(v.before))
    return min(end, since + LISTED, next(taken, end) + AT_ONCE)


def holder(lease: Body | None) -> str:
    """Who holds it; empty when nobody does."""
    return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")


def down_by(run: Run, what: str, since: float, due: float) -> Iterator[Violation]:
    """Down to 0 at `due`; pods as far as those that are ready permit, and further as others become ready."""
    carrier = run.workload.carrier
    if isinstance(carrier, SharedService):
        begin = due - REVERT - run.patience

        def following(at: float) -> float:
            return max(at, led(run, at)) + REVERT + run.patience

        late = behind(run.history, carrier.total, begin, following, Over(since).take)
        yield from (Violation("I4", f"{what}, {begin - since:.2f} s: {text}") for text in late)
        return
    down = zero_after(run, since)
    if down is None or down > due:
        took = "never" if down is None else f"after {down - since:.2f} s"
        yield Violation("I4", f"{what}: weight 0 {took}, allowed {due - since:.2f} s")


def belated(run: Run, version: Version) -> RolloutStatus | None:
    """The record under which a raise was sent that the API server kept to itself for long, if it was put back at once.

    Its sender has given it up and can't call it back. None for any other raise. That it meets the object as it was
    takes two faults.
    """
    if not any(isinstance(f, Fail) and f.failure is Failure.LATE for f in run.plan.faults):
        return None
    sent = version.at - BELATED
    if any(sent < v.at and v.place == version.place and v.resource is version.resource for v in _before(run, version)):
        return None
    lowered = (m.version.at for m in moves(run.workload.carrier, run.history) if m.ours and m.now < m.before)
    if not any(version.at <= at <= version.at + REVERT + run.patience for at in lowered):
        return None
    records = [v.body for v in _before(run, version) if v.resource is ROLLOUTS and v.place[1] == NAME and v.at <= sent]
    return decode((records[-1] or {}).get("status")) if records else None


def _before(run: Run, version: Version) -> Iterator[Version]:
    return (known for known in run.history if known.number < version.number)


def lowered_after(run: Run, since: float) -> float | None:
    """When the operator began to lower the weight, at `since` or later; None if it never did."""
    found = moves(run.workload.carrier, run.history)
    return next((m.version.at for m in found if m.ours and m.now < m.before and m.version.at >= since), None)


def zero_after(run: Run, since: float) -> float | None:
    """When the route gave the candidate nothing for good, at `since` or later; None if it never did.

    For good: the operator did not raise it again. What others do to the route is not held against it.
    """
    found = since
    down = True
    for at, before, now, ours in _weights(run.workload.carrier, run.history, since):
        if at <= since:
            down = now == 0.0
        elif now == 0.0 and not down:
            found, down = at, True
        elif now > before and ours:
            down = False
    return found if down else None


def _stays_down(run: Run, since: float) -> Iterator[Violation]:
    """What the operator took to 0 for a reason that lasts, it does not raise again, whoever had died meanwhile.

    A weight that others set before it had raised any is put back, and the rollout begins: that was no revert.
    """
    if any(isinstance(f, Edited) and f.edit is Edit.SLICES_AWAY for f in run.plan.faults):
        return
    down: float | None = None
    raised = False
    for at, before, now, ours in _weights(run.workload.carrier, run.history, since):
        raised = raised or (ours and now > before)
        if at > since and ours and now == 0.0 < before:
            down = at if raised else None
        elif down is not None and ours and now > before:
            yield Violation("I4", f"raised again to {now:g} %, {at - down:.2f} s after the operator had taken it to 0")


def _weights(carrier: Carrier, history: Sequence[Version], since: float) -> Iterator[tuple[float, float, float, bool]]:
    """When the candidate's weight changed, from what to what, whether by the operator.

    Ends where the candidate gets a new chance after `since`, by a Retry or by another revision, and with the rollout:
    its route may be another one's then.
    """
    weight, tracker, over = 0.0, carrier.tracker(), Over(since)
    for version in history:
        if over.take(version):
            return
        now = tracker.take(version)
        if now is not None and now != weight:
            last, weight = weight, now
            yield version.at, last, now, version.agent.startswith(OPERATORS)


@dataclass(slots=True)
class Over:
    """Whether the candidate has got a new chance after `since`, or the rollout is gone."""

    since: float
    template: object = None

    def take(self, version: Version) -> bool:
        """True with the version from which on."""
        body = version.body
        if version.resource is DEPLOYMENTS and version.place[1] == CANDIDATE and body is not None:
            before, self.template = self.template, body["spec"]["template"]
            # Also in the same moment: whoever aborts what is over already may deploy at once.
            return before is not None and before != self.template and version.at >= self.since
        if version.resource is ACTIONS and body is not None and version.at > self.since:
            return bool(body["spec"]["action"] == "Retry")
        return version.resource is ROLLOUTS and version.place[1] == NAME and body is None
