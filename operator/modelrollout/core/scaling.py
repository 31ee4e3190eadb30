"""A weight that is a share of pods: one order of the rollout takes several writes, with pods to wait for between them.

The reason `Scaling` in the status marks an order of ours that is not carried out in full. While it stands, counts that
are not the ordered ones are our own unfinished work; without it they are somebody else's, and `route_policy.kept` has
the word. Evidence begins when all pods are there.
"""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.intents import Move, SetWeight
from modelrollout.core.model import ZERO, Phase, Replicas, RolloutSpec, Weight
from modelrollout.core.observation import NoDataCause, WorkloadAbsent
from modelrollout.core.pods import Pods, arrived, as_far_as_can_be, least_ready, pods_for, spelled
from modelrollout.core.reasons import Reason
from modelrollout.core.route_policy import MOMENT
from modelrollout.core.situation import Draft, Situation, anew, blank_slis, stay
from modelrollout.core.wording import duration, percent

LOOK = 5.0
"""Seconds between looks at pods that are awaited, although watches tell of them."""
PARTS = 4
"""A candidate that waits for legacy's pods may lose this part of its deadline: more often it is not written anew."""


def resumed(s: Situation) -> Situation:
    """`s` on its way to its share again, beginning now, when it was Invalid and is no more.

    Whether numbers were ours and unfinished was forgotten meanwhile, and pods came and went unseen: a candidate without
    ready ones may be starting. What a person disputes and what lost its endpoints before has policies of its own.
    """
    holds, status = s.status.holds, s.status
    absent = any(isinstance(seen, WorkloadAbsent) for seen in (s.obs.legacy, s.obs.candidate))
    if status.phase is not Phase.INVALID or s.pods is None or s.obs.problem or absent:
        return s
    if holds.unready is not None or holds.foreign is not None or not (s.under_way or status.weight):
        return s
    phase = Phase.PROGRESSING if s.under_way else Phase.PREFLIGHT
    return anew(replace(s, status=replace(status, phase=phase, reason=Reason.SCALING)))


def scaling(s: Situation) -> Draft | None:
    """The next write on the way to the ordered weight, or what it waits for, or the step's beginning."""
    pods, target = s.pods, s.ordered
    if pods is None or not s.scaling:
        return None
    if arrived(pods, target):
        if s.under_way:
            return _begun(s, target)
        return None if s.status.weight == target else Draft(replace(s.status, weight=target), wake_at=s.now)
    text = awaited(s, pods, target)
    phase = Phase.PROGRESSING if s.under_way else s.status.phase
    if as_far_as_can_be(pods, target):
        if _waits_for_legacy(s, pods) and s.now - _started(s) >= s.spec.candidate_deadline / PARTS:
            s = anew(s)
        return stay(s, phase, Reason.SCALING, text, wake_at=s.now + LOOK)
    told, holds = s.fresh and _told(s), s.status.holds
    judged = target and s.under_way and not s.status.skip
    if judged and not told and (pods.candidate == 0 or _late(s)):
        # No pods may be our own lowering, whose record was lost: what that was decided on is in the step's evidence.
        # And what a raise was decided on says nothing of the time that its pods took to start.
        text = f"the evidence is asked for before the candidate gets all of {_split(s, target)}"
        if s.fresh:
            holds = replace(holds, no_data=holds.no_data or s.now)
            text = f"no critical SLI tells of the candidate's pods yet: {text}"
        if not s.fresh or s.now - (holds.no_data or s.now) < s.spec.analysis.no_data.hold:
            return stay(s, phase, Reason.SCALING, text, wake_at=s.now + 1.0, holds=holds)
    move = Move.RAISE if target > (s.seen or ZERO) else Move.LOWER
    holds = replace(holds, no_data=None) if told else holds
    status = replace(s.status, phase=phase, message=awaited(s, pods, target), weight=s.claim(target), holds=holds)
    return Draft(status, SetWeight(target, segments=False, move=move), urgent=move is Move.LOWER)


def _late(s: Situation) -> bool:
    return s.now - _started(s) > MOMENT


def _told(s: Situation) -> bool:
    """Whether evidence has something of the candidate's pods, where they are: an answer without data is no pass.

    Nobody knows without requests, and nothing comes of pods that are not ready.
    """
    if s.pods is None or not s.pods.candidate_ready:
        return True
    for x in s.critical:
        if x.no_data is NoDataCause.NO_TRAFFIC or (x.sample_age is not None and x.sample_age <= s.recent):
            return True
    return False


def _begun(s: Situation, target: Weight) -> Draft:
    text = f"{_split(s, target)}: the evidence begins"
    status = replace(anew(s).status, phase=Phase.PROGRESSING, reason=Reason.PROGRESSING, message=text)
    status = replace(status, holds=replace(status.holds, no_data=None))
    return Draft(replace(status, slis=blank_slis(s.spec)), wake_at=s.now)


def awaited(s: Situation, pods: Pods, target: Weight) -> str:
    """What stands between the pods there are and this share, for people."""
    legacy, candidate = s.spec.legacy.deployment, s.spec.candidate.deployment
    wanted = pods_for(target, pods.total)
    there = f"candidate deployment {candidate!r} has {pods.candidate_ready} of {pods.candidate} pods ready"
    kept = f"legacy deployment {legacy!r} has {pods.legacy_ready} of {pods.legacy}"
    if pods.candidate > wanted:
        needed = least_ready(pods.total)
        return f"{kept} pods ready: the candidate keeps {pods.candidate} until legacy has {needed}"
    if pods.candidate < wanted:
        return f"{kept} pods ready: the candidate gets {wanted} when legacy has {pods.total - wanted}"
    if not wanted:
        return f"the candidate's last {pods.candidate_ready} pods still serve"
    limit = duration(s.spec.candidate_deadline)
    return f"on the way to {_split(s, target)}: {there}, {kept}; rolled back after {limit}"


def overdue(s: Situation) -> str | None:
    """What to say of a candidate whose pods did not come up within `candidateDeadline`; None for any other.

    Pods that are not even wanted were taken back at this deadline, and the answer to that was lost.
    """
    pods = s.pods
    if pods is None or not s.scaling or s.now - _started(s) < s.spec.candidate_deadline:
        return None
    wanted = pods_for(s.ordered, pods.total)
    if pods.candidate_ready >= wanted or _waits_for_legacy(s, pods):
        return None
    return (
        f"candidate deployment {s.spec.candidate.deployment!r} had {pods.candidate_ready} of {wanted} pods ready after"
        f" {duration(s.spec.candidate_deadline)}: look at its pods; during a step there are up to"
        f" {pods.legacy + wanted}"
    )


def _waits_for_legacy(s: Situation, pods: Pods) -> bool:
    """Whether the candidate gets no more pods before legacy has its part: its deadline has not begun."""
    wanted = pods_for(s.ordered, pods.total)
    return pods.candidate < wanted and pods.legacy_ready < pods.total - wanted


def _started(s: Situation) -> float:
    return s.now if s.status.step is None else s.status.step.started


def draining(s: Situation) -> str | None:
    """What a way back to 0 waits for before more of it can be written; None when it can."""
    if s.pods is None or not as_far_as_can_be(s.pods, ZERO):
        return None
    return awaited(s, s.pods, ZERO)


def spread(spec: RolloutSpec) -> tuple[str, ...]:
    """The steps whose share pods can't make, each with the share that is reached."""
    router = spec.traffic.router
    if not isinstance(router, Replicas):
        return ()
    return tuple(
        f"step {index}: {percent(Weight(asked))} % is {spelled(pods_for(step.weight, router.total), router.total)},"
        f" {percent(step.weight)} %"
        for index, (asked, step) in enumerate(zip(router.asked, spec.steps, strict=False), 1)
        if asked != step.weight
    )


def _split(s: Situation, weight: Weight) -> str:
    total = s.pods.total if s.pods is not None else 0
    return f"{spelled(pods_for(weight, total), total)} ({percent(weight)} %)"
