"""Which counters the virtual pods expose, so that the SLIs of a rollout have something to count.

SLIs that count the same total share one stream of events: a request is good or bad of one kind, and slow or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from modelrollout.catalog import builtin
from modelrollout.catalog.profiles import Arms, Counter, Entry, LatencyEntry, Profile
from modelrollout.core.model import ArmLabels, Counts, RolloutSpec, Selector, Sli
from modelrollout.errors import SpecError
from modelrollout.ports import SourceSpec
from modelrollout.runtime.arms import told_apart
from modelrollout.runtime.profiles import NONE
from modelrollout.sim.label_values import example

_OPPOSITES = MappingProxyType({"false": "true", "true": "false", "5xx": "2xx", "error": "success", "failed": "ok"})
"""What a label of good events says where that of bad ones says so; "200" or "other" beside anything else."""
BAD_VALUES = (
    *("500", "503", "false", "error", "5xx", "failed", "failure", "timeout", "429", "404", "true", "bad"),
    *("overloaded", "INTERNAL", "OK", "BACKEND", "/v1/completions", "/", "server", "Internal"),
)
"""Label values to try where a selector gives a regular expression."""
BUCKETS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
"""Boundaries of histograms in multiples of the threshold."""

KEPT_LONGER = 120.0
"""Seconds for which a cohort is exposed after the last label that counts."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """Bad events of one SLI: the child that counts them. `apart`: in a metric that is no part of the total."""

    sli: str
    metric: str
    labels: Pairs
    apart: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """Response times of good events. `bounds` and `threshold` in the histogram's units, ascending, without +Inf.
    `labels`: on its series beside `le`.
    """

    sli: str
    name: str
    threshold: float
    bounds: tuple[float, ...]
    labels: Pairs = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Events of one total counter; the good child carries `labels`. `arms`: a label that names the arm. `keep`: seconds
    for which a cohort of predictions is exposed; None when the events are none.
    """

    metric: str
    labels: Pairs
    kinds: tuple[Kind, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    arms: ArmLabels | None = None
    slis: tuple[str, ...] = field(default=())
    keep: float | None = None


def streams(
    spec: RolloutSpec, source: SourceSpec | None = None, profiles: Mapping[str, Profile] = NONE
) -> tuple[Stream, ...]:
    """The streams behind the SLIs, in their order. SLIs of profiles that can't tell arms apart get none, nor do those
    without a total.

    `source`: its label that tells the arms apart is on every series, if it has one. `profiles`: of the cluster, by
    name.

    Raises SpecError where no label value can be made for a regular expression.
    """
    found: dict[str, Stream] = {}
    for sli in (told_apart(spec, source) if source else spec).slis:
        if isinstance(sli.source, Counts):
            total, bad = sli.source.total, sli.source.bad
            if total is None:
                continue  # nothing of the kind happens to virtual pods
            _put(found, sli, total, _kind(sli, total, bad))
            continue
        entry = _entry(sli, profiles)
        if entry is None:
            continue
        total = _selector(entry.total[0])
        if isinstance(entry, LatencyEntry):
            stream = _put(found, sli, total, None)
            threshold = (sli.threshold or 0.0) * entry.per_second
            bounds = tuple(threshold * factor for factor in BUCKETS)
            labels = _values(sli, _selector(entry.histogram))
            histogram = Histogram(sli.name, entry.histogram.names[0], threshold, bounds, labels)
            found[total.metric] = replace(stream, histograms=_merged(stream.histograms, histogram))
        else:
            bad = _selector(replace(entry.bad[0], names=entry.bad[0].names or entry.total[0].names))
            _put(found, sli, total, _kind(sli, total, bad, parts=[_selector(each) for each in entry.total]))
    return tuple(found.values())


def _entry(sli: Sli, profiles: Mapping[str, Profile]) -> Entry | None:
    assert not isinstance(sli.source, Counts)
    server = sli.source.server
    profile = builtin().profiles.get(server) or profiles.get(server)
    if profile is None or profile.arms is Arms.NONE or (profile.arms is Arms.LABEL and sli.arms is None):
        return None
    return profile.slis.get(sli.source.sli)


def _merged(known: tuple[Histogram, ...], new: Histogram) -> tuple[Histogram, ...]:
    """One histogram serves every SLI that reads it: the first one's response times, everybody's boundaries."""
    same = next((h for h in known if h.name == new.name), None)
    if same is None:
        return (*known, new)
    wider = replace(same, bounds=tuple(sorted({*same.bounds, *new.bounds})))
    return tuple(wider if h is same else h for h in known)


def _selector(counter: Counter) -> Selector:
    return Selector(counter.names[0], counter.equal, counter.regex)


def _put(found: dict[str, Stream], sli: Sli, total: Selector, kind: Kind | None) -> Stream:
    stream = found.get(total.metric) or Stream(total.metric, _values(sli, total), arms=sli.arms)
    labels = dict(stream.labels)
    kinds = stream.kinds
    if kind is not None:
        same = next((k for k in kinds if (k.metric, k.labels) == (kind.metric, kind.labels)), None)
        kinds = kinds if same else (*kinds, kind)
        for name, bad in kind.labels:
            if kind.metric == total.metric and name not in dict(_values(sli, total)):
                labels[name] = _OPPOSITES.get(bad, "200" if bad.isdigit() else "other")
    stream = replace(stream, labels=tuple(sorted(labels.items())), kinds=kinds, slis=(*stream.slis, sli.name))
    if sli.labels is not None:
        stream = replace(stream, keep=max(stream.keep or 0.0, sli.labels.max_delay + KEPT_LONGER))
    found[total.metric] = stream
    return stream


def _kind(sli: Sli, total: Selector, bad: Selector, parts: Sequence[Selector] = ()) -> Kind:
    """The child of bad events. `parts`: the counters that make the total, where there are several."""
    apart = bad.metric not in {total.metric, *(part.metric for part in parts)}
    shared = {} if bad.metric != total.metric else dict(_values(sli, total))
    labels = {**shared, **dict(_values(sli, bad))}
    return Kind(sli.name, bad.metric, tuple(sorted(labels.items())), apart)


def _values(sli: Sli, selector: Selector) -> Pairs:
    values = dict(selector.equal)
    for name, pattern in selector.regex:
        value = next((v for v in BAD_VALUES if re.fullmatch(pattern, v)), None) or example(pattern)
        if value is None:
            raise SpecError(
                f"no label value of a simulated pod matches {name}=~{pattern!r}; try an equal match, or one of "
                f"{', '.join(BAD_VALUES)}",
                field=f"slis[{sli.name}]",
            )
        values[name] = value
    return tuple(sorted(values.items()))
