"""From the user's SLI to the counters behind it, by looking at which series there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from modelrollout.catalog import boundaries
from modelrollout.catalog.profiles import Arms, Catalogue, Counter, Entry, LatencyEntry, Profile, RatioEntry
from modelrollout.catalog.reading import builtin
from modelrollout.core.model import Counts, ProfileRef, Selector, Sli
from modelrollout.core.observation import PreflightFailed, SpecProblem
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.reasons import Reason
from modelrollout.core.samples import Series

SHOWN = 8
COUNTS_FIX, PROFILE_FIX = "or correct counts", "`modelrollout profiles check` tells which profile fits"
PREDICTIONS = "predictions_total"
"""All predictions by cohort: of how many of them are there labels?"""


@dataclass(frozen=True, slots=True)
class Resolved:
    """How the SLI is counted. `notes`: sentences the user should read, such as a threshold rounded down. `within`: the
    boundary of a latency, in words.
    """

    plan: SliPlan
    notes: tuple[str, ...] = ()
    within: str = ""

    @property
    def counted(self) -> str:
        """The names that were chosen, each once, those of the total first; a bucket with its boundary."""
        terms = (*self.plan.total, *self.plan.bad)
        told = (f"{t.selector.metric}{f' {self.within}' if t.boundary is not None else ''}" for t in terms)
        return ", ".join(dict.fromkeys(told))


def alternatives(sli: Sli, catalogue: Catalogue | None = None) -> tuple[str, ...] | SpecProblem:
    """All metric names to ask for at discovery, or what is wrong with the SLI as written (path and fix)."""
    if isinstance(sli.source, Counts):
        if sli.threshold is not None:
            return _problem(sli, "threshold", "belongs to a latency profile; remove it, or put the bucket into counts")
        named = (sli.source.total, sli.source.bad)
        return _with_predictions(sli, [each.metric for each in named if each is not None])
    entry = _entry(sli, sli.source, catalogue or builtin())
    if isinstance(entry, SpecProblem):
        return entry
    if isinstance(entry, LatencyEntry) and sli.threshold is None:
        return _problem(sli, "threshold", f"must be set for profile {sli.source}, such as 300ms")
    if isinstance(entry, RatioEntry) and sli.threshold is not None:
        return _problem(sli, "threshold", f"has no meaning for profile {sli.source}; remove it")
    return _with_predictions(sli, metrics_of(entry))


def metrics_of(entry: Entry) -> tuple[str, ...]:
    """All metric names of an entry, those of its total first, each once."""
    names = [name for each in entry.total for name in each.names]
    if isinstance(entry, LatencyEntry):
        names += [f"{name}_bucket" for name in entry.histogram.names]
    else:
        names += [name for each in entry.bad for name in each.names]
    return tuple(dict.fromkeys(names))


def resolve(sli: Sli, series: Sequence[Series], catalogue: Catalogue | None = None) -> Resolved | PreflightFailed:
    """The plan of an SLI, from the series of the arms' pods that carry one of its `alternatives`."""
    known = catalogue or builtin()
    names = alternatives(sli, known)
    if isinstance(names, SpecProblem):
        return PreflightFailed(names.reason, names.problem)
    discovery = _Discovery(sli, series)
    found = _counts(discovery, sli.source) if isinstance(sli.source, Counts) else _profile(discovery, sli.source, known)
    if sli.labels is None or isinstance(found, PreflightFailed):
        return found
    return replace(found, plan=replace(found.plan, predicted=Term(Selector(PREDICTIONS))))


def _profile(discovery: _Discovery, ref: ProfileRef, known: Catalogue) -> Resolved | PreflightFailed:
    entry = _entry(discovery.sli, ref, known)
    assert not isinstance(entry, SpecProblem)
    match entry:
        case RatioEntry():
            return _ratio(discovery, entry)
        case LatencyEntry():
            return _latency(discovery, entry)
        case _:
            assert_never(entry)


def service_view(ref: ProfileRef, *, threshold: float | None = None, catalogue: Catalogue | None = None) -> SliPlan:
    """The plan of an entry with its newest names, for dashboards: both arms together, `threshold` taken as it is.

    Raises KeyError for an unknown entry.
    """
    entry = (catalogue or builtin()).profiles[ref.server].slis[ref.sli]
    total = tuple(Term(_selector(each, each.names[0])) for each in entry.total)
    if isinstance(entry, RatioEntry):
        usual = entry.total[0].names
        return SliPlan(ref.sli, total, tuple(Term(_selector(each, (*each.names, *usual)[0])) for each in entry.bad))
    boundary = None if threshold is None else threshold * entry.per_second
    bucket = Term(_selector(entry.histogram, f"{entry.histogram.names[0]}_bucket"), sign=-1, boundary=boundary)
    return SliPlan(ref.sli, total, (*total, bucket))


def _with_predictions(sli: Sli, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, PREDICTIONS) if sli.labels else names))


class _Discovery:
    """The series found for one SLI, by metric name."""

    def __init__(self, sli: Sli, series: Sequence[Series]) -> None:
        self.sli = sli
        self._series: dict[str, list[Series]] = {}
        for each in series:
            self._series.setdefault(each.labels.get("__name__", ""), []).append(each)

    def first(self, names: Sequence[str]) -> str | PreflightFailed:
        """The first of the names that exists."""
        for name in names:
            if name in self._series:
                return name
        return self.failed(self._absent(names[0] if len(names) == 1 else f"any of {', '.join(names)}"))

    def _absent(self, what: str) -> str:
        arms = self.sli.arms
        if arms is not None:
            return (
                f"no series of {what} with {arms.label}={arms.legacy!r} or {arms.candidate!r}. Check these values, "
                "that there were requests, and that the series carry the rollout's namespace in the label namespace"
            )
        return (
            f"no series of {what} from the pods of legacy or candidate. Check that the pods expose it and had "
            "requests, that Prometheus scrapes them, and that the series carry the labels namespace and pod; "
            f"{COUNTS_FIX if isinstance(self.sli.source, Counts) else PROFILE_FIX}"
        )

    def total(self, counters: Sequence[Counter]) -> tuple[Term, ...] | PreflightFailed:
        """The counters of a sum, each by the first of its names that exists; one of them must have a series."""
        there = [self._present(each.names) for each in counters]
        if not any(there):
            missing = self.first([name for each in counters for name in each.names])
            assert isinstance(missing, PreflightFailed)
            return missing
        terms = tuple(Term(_selector(each, name or each.names[0])) for each, name in zip(counters, there, strict=True))
        wrong = self.wrong_label(terms)
        if wrong is not None:
            return wrong
        if not any(_accepts(term.selector, each) for term in terms for each in self.of(term.selector.metric)):
            return self.failed(self._absent(" and ".join(described(term.selector) for term in terms)))
        return terms

    def bad(self, counters: Sequence[Counter], total: Selector) -> tuple[Term, ...] | PreflightFailed:
        """The same of bad events: their children may not exist yet, then the newest name is as good as any."""
        terms = tuple(
            Term(_selector(each, self._present(each.names) or (*each.names, total.metric)[0])) for each in counters
        )
        return self.wrong_label(terms) or terms

    def _present(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self._series), None)

    def wrong_label(self, terms: Sequence[Term]) -> PreflightFailed | None:
        """The first label that is asked for and on no series of a metric that has some."""
        checked = (self.labels_exist(term.selector) for term in terms if self.of(term.selector.metric))
        return next((wrong for wrong in checked if wrong is not None), None)

    def of(self, metric: str) -> Sequence[Series]:
        """The series of one metric."""
        return self._series.get(metric, ())

    def labels_exist(self, selector: Selector) -> PreflightFailed | None:
        """None, or which label that the selector needs is on no series: a typo would count as no events for ever."""
        present = {name for each in self.of(selector.metric) for name in each.labels}
        for label, value in selector.equal:
            if value and label not in present:
                return self._no_label(selector, label, present)
        for label, pattern in selector.regex:
            if label not in present and not _accepts_nothing(pattern):
                return self._no_label(selector, label, present)
        return None

    def _no_label(self, selector: Selector, label: str, present: set[str]) -> PreflightFailed:
        shown = sorted(present - {"__name__"})
        more = ", ..." if len(shown) > SHOWN else ""
        return self.failed(
            f"{selector.metric} has no label {label} (it has: {', '.join(shown[:SHOWN])}{more}). "
            "Correct the label, or expose it"
        )

    def failed(self, text: str, reason: Reason = Reason.METRIC_NOT_FOUND) -> PreflightFailed:
        """A failure with the SLI's place in front."""
        return PreflightFailed(reason, f"slis[{self.sli.name}]: {text}")


def _counts(discovery: _Discovery, counts: Counts) -> Resolved | PreflightFailed:
    total = () if counts.total is None else (Term(counts.total),)
    for term in total:
        found = discovery.first([term.selector.metric])
        if isinstance(found, PreflightFailed):
            return found
        wrong = discovery.labels_exist(term.selector)
        if wrong is not None:
            return wrong
    notes = []
    if discovery.of(counts.bad.metric):
        wrong = discovery.labels_exist(counts.bad)
        if wrong is not None:
            return wrong
    else:
        notes.append(
            f"slis[{discovery.sli.name}]: no series of {counts.bad.metric} yet, so no event is bad until one appears; "
            "check counts.bad.metric"
        )
    plan = SliPlan(discovery.sli.name, total, (Term(counts.bad),))
    return Resolved(plan, tuple(notes))


def _ratio(discovery: _Discovery, entry: RatioEntry) -> Resolved | PreflightFailed:
    total = discovery.total(entry.total)
    if isinstance(total, PreflightFailed):
        return total
    bad = discovery.bad(entry.bad, total[0].selector)
    if isinstance(bad, PreflightFailed):
        return bad
    absent = [term.selector.metric for term in bad if not discovery.of(term.selector.metric)]
    notes = tuple(
        f"slis[{discovery.sli.name}]: no series of {name} yet, so no event is bad until one appears" for name in absent
    )
    return Resolved(SliPlan(discovery.sli.name, total, bad), notes)


def _latency(discovery: _Discovery, entry: LatencyEntry) -> Resolved | PreflightFailed:
    total = discovery.total(entry.total)
    if isinstance(total, PreflightFailed):
        return total
    bucket = discovery.first([f"{each}_bucket" for each in entry.histogram.names])
    if isinstance(bucket, PreflightFailed):
        return bucket
    selector = _selector(entry.histogram, bucket)
    wrong = discovery.labels_exist(selector)
    if wrong is not None:
        return wrong
    threshold = discovery.sli.threshold
    assert threshold is not None
    histogram = bucket.removesuffix("_bucket")
    chosen = boundaries.choose(discovery.of(bucket), threshold=threshold, per_second=entry.per_second)
    if isinstance(chosen, boundaries.NoneLower):
        return discovery.failed(chosen.explain(histogram, threshold), Reason.BOUNDARY_MISSING)
    within = Term(selector, sign=-1, boundary=chosen.boundary)
    notes = () if chosen.exact else (f"slis[{discovery.sli.name}]: {chosen.explain(histogram, threshold)}",)
    used = boundaries.text(chosen.seconds)
    told = f"up to {used}" if chosen.exact else f"up to {used} (threshold {boundaries.text(threshold)}, rounded down)"
    return Resolved(SliPlan(discovery.sli.name, total, (*total, within)), notes, told)


def _selector(counter: Counter, name: str) -> Selector:
    return Selector(name, counter.equal, counter.regex)


def described(selector: Selector) -> str:
    """A selector as people read it: `requests_total{code=~"5.."}`."""
    parts = [f'{name}="{value}"' for name, value in selector.equal]
    parts += [f'{name}=~"{pattern}"' for name, pattern in selector.regex]
    return f"{selector.metric}{{{','.join(parts)}}}" if parts else selector.metric


def _accepts(selector: Selector, series: Series) -> bool:
    """Whether the labels fit; RE2 syntax that is unknown here counts as fitting."""
    labels = series.labels
    if any(labels.get(name, "") != value for name, value in selector.equal):
        return False
    try:
        return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in selector.regex)
    except re.error:
        return True


def _accepts_nothing(pattern: str) -> bool:
    """Whether the pattern matches the empty value, which an absent label has; unknown RE2 syntax counts as yes."""
    try:
        return re.fullmatch(pattern, "") is not None
    except re.error:
        return True


def _entry(sli: Sli, ref: ProfileRef, catalogue: Catalogue) -> Entry | SpecProblem:
    profile = catalogue.profiles.get(ref.server)
    if profile is None:
        servers = ", ".join(
            name for name, each in catalogue.profiles.items() if each.slis and each.arms is not Arms.NONE
        )
        return _problem(sli, "profile", f"names no known server {ref.server!r}; there are: {servers}")
    if profile.arms is Arms.NONE:
        return _problem(sli, "profile", f"{profile.server} can't be used to judge a candidate: {profile.hint}")
    entry = profile.slis.get(ref.sli)
    if entry is None:
        return _problem(sli, "profile", _unknown(profile, ref.sli))
    if profile.arms is Arms.LABEL and sli.arms is None:
        return _problem(sli, "arms", f"must be set for profile {ref}, or arms of the MetricSource: {profile.hint}")
    return entry


def _unknown(profile: Profile, name: str) -> str:
    if name in profile.without:
        return f"{profile.server} has no {name!r}: {profile.without[name]}"
    known = ", ".join(profile.slis) or "none that judges a candidate"
    if name in profile.display:
        return f"{profile.server}/{name} is for dashboards: no events to judge a candidate by; there are: {known}"
    return f"{profile.server} has no {name!r}; it has: {known}"


def _problem(sli: Sli, field: str, text: str) -> SpecProblem:
    return SpecProblem(Reason.INVALID_SPEC, f"spec.slis[{sli.name}].{field} {text}")
