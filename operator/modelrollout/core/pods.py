"""Shares of traffic as numbers of pods behind one Service, and the order in which pods come and go. Pure.

A Service spreads connections over all ready pods, so that a share is a number of pods. On the way up the candidate's
pods come first and legacy gives up one for each that is ready: the ready pods are never fewer than `total`, and the
candidate's share never more than the step's. On the way down legacy's pods are asked for first, and the candidate goes
at once as far as `MISSING` of `total` may be away, as in any update of a Deployment; the rest follows pod by pod, which
needs no room for two whole sets of pods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelrollout.core.model import FULL, ZERO, Weight

MISSING = 4
"""One pod in so many may be away during a revert: 25 %, the default of a Deployment's own `maxUnavailable`."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of both arms behind the Service: wanted by their Deployments, and ready. `total`: both, as the spec asks."""

    total: int
    legacy: int
    candidate: int
    legacy_ready: int
    candidate_ready: int

    @property
    def counts(self) -> tuple[int, int]:
        """What the two Deployments want, legacy first."""
        return self.legacy, self.candidate


def pods_for(weight: Weight, total: int) -> int:
    """The candidate's pods for this share: the nearest number, half a pod up; none only for 0, all only for 100 %."""
    if weight in (ZERO, FULL):
        return total if weight else 0
    return min(max((2 * weight * total + FULL) // (2 * FULL), 1), total - 1)


def share_of(pods: int, total: int) -> Weight:
    """The share of so many pods, in hundredths of a percent, rounded; 0 and 100 % only where they are exact."""
    if pods in (0, total):
        return Weight(FULL if pods else ZERO)
    return Weight(min(max((2 * pods * FULL + total) // (2 * total), 1), FULL - 1))


def reached(weight: Weight, total: int) -> Weight:
    """The share that a wanted one becomes."""
    return share_of(pods_for(weight, total), total)


def weight_of(pods: Pods) -> Weight:
    """The candidate's share as the Deployments want it; with pods that still serve although none is wanted any more."""
    if pods.candidate:
        return share_of(pods.candidate, pods.legacy + pods.candidate)
    if pods.candidate_ready:
        return share_of(pods.candidate_ready, pods.legacy_ready + pods.candidate_ready)
    return ZERO


def least_ready(total: int) -> int:
    """Ready pods that a revert leaves users at any moment, where there are as many."""
    return total - max(1, total // MISSING)


def towards(pods: Pods, weight: Weight) -> tuple[int, int]:
    """What legacy and candidate may want now on the way to this share; as they are while pods must be waited for."""
    target = pods_for(weight, pods.total)
    if pods.candidate > target or not target:
        return _down(pods, target)
    rest = pods.total - target
    if pods.legacy < rest:
        return rest, pods.candidate
    if pods.candidate < target:
        # Not before legacy has its part: else the candidate would have more than its share.
        return pods.legacy, target if pods.legacy_ready >= rest else pods.candidate
    left = max(rest, pods.total - pods.candidate_ready)
    return min(pods.legacy, left), target


def _down(pods: Pods, target: int) -> tuple[int, int]:
    legacy = max(pods.legacy, pods.total - target)
    needed = max(0, least_ready(pods.total) - pods.legacy_ready) if pods.candidate_ready else 0
    return legacy, min(pods.candidate, max(target, needed))


def as_far_as_can_be(pods: Pods, weight: Weight) -> bool:
    """Whether nothing can be written now on the way to this share."""
    return towards(pods, weight) == pods.counts


def arrived(pods: Pods, weight: Weight) -> bool:
    """Whether users are split as this share wants: nothing to write, nothing to wait for."""
    surplus = pods.legacy_ready > pods.legacy or pods.candidate_ready > pods.candidate
    missing = pods.candidate_ready < pods.candidate
    return (
        as_far_as_can_be(pods, weight) and pods.candidate == pods_for(weight, pods.total) and not (surplus or missing)
    )


def ahead(pods: Pods, weight: Weight) -> Pods:
    """`pods` with every count written that may be written now."""
    while not as_far_as_can_be(pods, weight):
        legacy, candidate = towards(pods, weight)
        pods = replace(pods, legacy=legacy, candidate=candidate)
    return pods


def spelled(pods: int, total: int) -> str:
    """For people: 3 of 10 pods."""
    return f"{pods} of {total} pods"
