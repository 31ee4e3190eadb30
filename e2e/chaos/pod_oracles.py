"""What must hold of pods, over and above what holds of any weight: users keep enough of them (I1), and a way back is
never behind what the ready ones permit (I4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.pod_counts import PodTracker
from e2e.chaos.scene import CANDIDATE, OPERATORS
from modelrollout.adapters.kube.resources import DEPLOYMENTS
from modelrollout.core.pods import Pods

LATELY = 1.0
"""Seconds of which a write may know no more: watches and requests take some milliseconds, looks are taken in turn."""
MISSING = 4
"""One pod in so many may be away during a revert."""


@dataclass(frozen=True, slots=True)
class State:
    """The pods from `at` (epoch seconds) on."""

    at: float
    pods: Pods


def least(total: int) -> int:
    """Ready pods that a revert must leave: three quarters, and one less than all where a quarter is no whole pod."""
    return total - max(1, total // MISSING)


def needed(pods: Pods) -> int:
    """Pods of the candidate that a revert may keep: those that users need until legacy's are ready."""
    return max(0, least(pods.total) - pods.legacy_ready) if pods.candidate_ready else 0


def hurt(history: Sequence[Version], total: int) -> Iterator[tuple[Version, str, str]]:
    """Own writes that take more pods from users than they may (I1), or give the candidate pods before legacy has its
    part (I2), by all that was known within the last second: the version, the promise, a sentence.
    """
    tracker, recent = PodTracker(total), [State(0.0, Pods(total, 0, 0, 0, 0))]
    for version in history:
        before = tracker.pods
        tracker.take(version)
        after = tracker.pods
        ours = version.agent.startswith(OPERATORS) and version.resource is DEPLOYMENTS
        # The last state that is older than that was still so at the beginning of that second.
        newer = [s for s in recent if s.at > version.at - LATELY]
        recent = [*recent[: len(recent) - len(newer)][-1:], *newer]
        known = [s.pods for s in recent]
        fewer = ours and sum(after.counts) < sum(before.counts)
        if fewer and not any(_enough(before, after, p) for p in (after, *known)):
            yield version, "I1", f"{after.legacy} and {after.candidate} pods are wanted, fewer than {total}"
        if ours and after.legacy < before.legacy and not any(after.legacy + p.candidate_ready >= total for p in known):
            ready = before.candidate_ready
            yield (
                version,
                "I1",
                f"legacy gives up pods for {total - after.legacy} of the candidate, of which {ready} are ready",
            )
        if ours and after.candidate < before.candidate and not any(_bears(p, after.candidate) for p in known):
            left = before.legacy_ready + min(before.candidate_ready, after.candidate)
            yield version, "I1", f"leaves users {left} ready pods, {least(total)} are promised"
        rest = total - after.candidate
        if ours and after.candidate > before.candidate and not any(p.legacy_ready >= rest for p in known):
            yield version, "I2", f"the candidate got {after.candidate} pods, legacy has {before.legacy_ready} of {rest}"
        if after != before:
            recent.append(State(version.at, after))


def _enough(before: Pods, after: Pods, known: Pods) -> bool:
    """Whether the write leaves enough numbers where the other Deployment is still as it was `known`."""
    legacy = after.legacy if after.legacy != before.legacy else known.legacy
    candidate = after.candidate if after.candidate != before.candidate else known.candidate
    return legacy + candidate >= after.total


def _bears(pods: Pods, candidate: int) -> bool:
    left = pods.legacy_ready + min(pods.candidate_ready, candidate)
    return left >= min(least(pods.total), pods.legacy_ready + pods.candidate_ready)


def behind(
    history: Sequence[Version], total: int, since: float, due: Callable[[float], float], over: Callable[[Version], bool]
) -> Iterator[str]:
    """I4: moments from `since` on at which more could have been written than was, `due(t)` being when what came up at
    `t` must be. Ends when the candidate wants no pods, and with the version that `over` tells.
    """
    states = list(_states(history, total, since, over))
    for index, state in enumerate(states):
        if state.pods.candidate == 0:
            return
        limit = due(state.at)
        until = [s.pods for s in states[index:] if s.at <= limit]
        kept, may = min(p.candidate for p in until), max(map(needed, until))
        if kept > may:
            yield f"{limit - state.at:.2f} s later the candidate still wants {kept} pods, {may} are needed"
            return
        if kept and max(p.legacy for p in until) < total:
            yield f"{limit - state.at:.2f} s later legacy wants {until[-1].legacy} of {total} pods"
            return


def _states(history: Sequence[Version], total: int, since: float, over: Callable[[Version], bool]) -> Iterator[State]:
    tracker = PodTracker(total)
    told = False
    for version in history:
        if version.at >= since and not told:
            told = True
            yield State(since, tracker.pods)
        if over(version):
            return
        before = tracker.pods
        tracker.take(version)
        if told and tracker.pods != before:
            yield State(version.at, tracker.pods)


def beyond(version: Version, total: int, allowed: float) -> str:
    """I2: a candidate that got more pods than this share (percent) makes, rounded up."""
    if version.resource is not DEPLOYMENTS or version.place[1] != CANDIDATE or version.body is None:
        return ""
    before, now = [(body or {"spec": {}})["spec"].get("replicas", 0) for body in (version.before, version.body)]
    most = -(-round(allowed * 100) * total // 10_000)
    return f"the candidate got {now} pods, {allowed:g} % of {total} are {most}" if now > max(before, most) else ""
