"""Which series of an answer belong to which arm of which rollout.

One answer serves every rollout of a source, so it is indexed once and then looked up per rollout. Arms are told apart
by pod name, `<deployment>-<hash>-<id>`, or by the value of a label.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from modelrollout.core.model import ArmLabels, RolloutSpec, Sli
from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByLabel, ArmsByPod, SourceSpec
from modelrollout.runtime.scraped_twice import counted_once
from modelrollout.stats.increments import UP

NAMESPACE = "namespace"
POD = "pod"
LONGEST_POD = 63
"""Names that the API server generates are cut to this, which may eat the dash before the last part."""

Pair = tuple[tuple[Series, ...], tuple[Series, ...]]


def owners(pod: str) -> Iterator[str]:
    """Deployment names that a pod of this name may belong to; none for names that no Deployment makes."""
    parts = pod.rsplit("-", 2)
    if len(parts) == 3:
        yield parts[0]
    if len(pod) >= LONGEST_POD and len(parts) > 1:
        yield pod.rsplit("-", 1)[0]


class Split:
    """An answer, looked up by arm."""

    @classmethod
    def once(cls, series: Sequence[Series]) -> Split:
        """What counts, without what a second scrape job delivers as well."""
        return cls(counted_once(series))

    @classmethod
    def in_two(cls, series: Iterable[Series]) -> tuple[Split, Split]:
        """What counts, and the targets' `up`."""
        counters: list[Series] = []
        health: list[Series] = []
        for one in series:
            (health if one.labels.get("__name__") == UP else counters).append(one)
        return cls(counted_once(counters)), cls(health)

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = series
        self._pods: dict[tuple[str, str], list[Series]] | None = None
        self._labels: dict[str, dict[tuple[str, str], list[Series]]] = {}

    def arms(self, spec: RolloutSpec, sli: Sli, source: SourceSpec) -> Pair:
        """Legacy's and the candidate's series, in that order."""
        by = sli.arms or source.arms
        if isinstance(by, ArmsByPod):
            return self._pod(spec.key.namespace, spec.legacy.deployment), self._pod(
                spec.key.namespace, spec.candidate.deployment
            )
        return self._label(spec.key.namespace, by.label, by.legacy), self._label(
            spec.key.namespace, by.label, by.candidate
        )

    def _pod(self, namespace: str, deployment: str) -> tuple[Series, ...]:
        if self._pods is None:
            self._pods = {}
            places: dict[tuple[str, str], list[list[Series]]] = {}
            for one in self._series:
                pod = (one.labels.get(NAMESPACE, ""), one.labels.get(POD, ""))
                if pod not in places:
                    places[pod] = [self._pods.setdefault((pod[0], owner), []) for owner in owners(pod[1])]
                for place in places[pod]:
                    place.append(one)
        return tuple(self._pods.get((namespace, deployment), ()))

    def _label(self, namespace: str, label: str, value: str) -> tuple[Series, ...]:
        index = self._labels.get(label)
        if index is None:
            index = self._labels[label] = {}
            for one in self._series:
                if label in one.labels:
                    index.setdefault((one.labels.get(NAMESPACE, ""), one.labels[label]), []).append(one)
        return tuple(index.get((namespace, value), ()))


def told_apart(spec: RolloutSpec, source: SourceSpec) -> RolloutSpec:
    """The spec with the source's arm labels in every SLI that has none of its own."""
    by = source.arms
    if isinstance(by, ArmsByPod):
        return spec
    labels = ArmLabels(by.label, by.legacy, by.candidate)
    return replace(spec, slis=tuple(replace(sli, arms=sli.arms or labels) for sli in spec.slis))


def pods_of(spec: RolloutSpec, sli: Sli, source: SourceSpec, *deployments: str) -> str:
    """Anchored RE2 for the pod label that keeps an answer to these Deployments; empty when a label tells the arms."""
    by: ArmsByPod | ArmsByLabel | ArmLabels = sli.arms or source.arms
    if not isinstance(by, ArmsByPod):
        return ""
    names = deployments or (spec.legacy.deployment, spec.candidate.deployment)
    # Dots are the only characters of a Deployment's name that mean something in RE2.
    return "|".join(f"{name.replace('.', '[.]')}-.+" for name in names)


def within(series: tuple[Series, ...], start: float, end: float) -> tuple[Series, ...]:
    """The series with samples of (start, end] only, so that a shared answer equals one that was asked for alone."""
    cut = []
    for one in series:
        times = one.times
        if times and (times[0] <= start or times[-1] > end):
            first, last = bisect_right(times, start), bisect_right(times, end)
            one = replace(one, times=times[first:last], values=one.values[first:last])
        if one.rejected:
            one = replace(one, rejected=tuple(at for at in one.rejected if start < at <= end))
        if one.times or one.rejected:
            cut.append(one)
    return tuple(cut)
