"""Which entries of a profile can be counted from series that are there, and what is missing for the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelrollout.catalog import boundaries
from modelrollout.catalog.profiles import Arms, Catalogue, Display, Entry, LatencyEntry, Profile
from modelrollout.catalog.resolve import Resolved, metrics_of, resolve
from modelrollout.core.model import ProfileRef, Sli
from modelrollout.core.samples import Series


@dataclass(frozen=True, slots=True)
class Fit:
    """One entry: the metrics that it would be counted from, and of a histogram the boundaries in seconds that all its
    series share. `reason`: what is missing, or a remark where it fits.
    """

    name: str
    fits: bool
    metrics: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProfileFit:
    """A profile held against series. `seen`: how many of them carry one of its names. `values`: of the label that
    tells the arms apart, where a label does.
    """

    profile: Profile
    slis: tuple[Fit, ...]
    display: tuple[Fit, ...]
    seen: int
    values: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether an SLI can be counted."""
        return any(each.fits for each in self.slis)


def names_of(profile: Profile) -> tuple[str, ...]:
    """Every metric name of a profile, each once."""
    names = [name for entry in profile.slis.values() for name in metrics_of(entry)]
    names += [name for each in profile.display.values() for name in each.metric.names]
    return tuple(dict.fromkeys(names))


def fit(profile: Profile, series: Sequence[Series], *, namespace: str | None = None) -> ProfileFit:
    """The profile held against series; those with other names, or outside of `namespace` if given, are left out."""
    names = set(names_of(profile))
    mine = [each for each in series if each.labels.get("__name__") in names]
    if namespace is not None:
        here = [each for each in mine if each.labels.get("namespace", "") == namespace]
        if mine and not here:
            return _elsewhere(profile, mine, namespace)
        mine = here
    values = {each.labels[profile.label] for each in mine if each.labels.get(profile.label)} if profile.label else set()
    return ProfileFit(
        profile,
        tuple(_sli(profile, name, entry, mine) for name, entry in profile.slis.items()),
        tuple(_display(name, each, mine) for name, each in profile.display.items()),
        len(mine),
        tuple(sorted(values)),
    )


def _elsewhere(profile: Profile, series: Sequence[Series], namespace: str) -> ProfileFit:
    places = sorted({each.labels.get("namespace", "") or "(none)" for each in series})
    reason = (
        f"its series carry namespace {', '.join(places)}, none {namespace}; "
        "relabel them, or name the namespace that they carry"
    )
    return ProfileFit(
        profile,
        tuple(Fit(name, False, reason=reason) for name in profile.slis),
        tuple(Fit(name, False, reason=reason) for name in profile.display),
        len(series),
    )


def _sli(profile: Profile, name: str, entry: Entry, series: Sequence[Series]) -> Fit:
    there = {each.labels["__name__"] for each in series}
    wanted = [n for each in entry.total for n in each.names]
    if not there & set(wanted):
        return Fit(name, False, reason=f"no series of {' or '.join(wanted)}")
    buckets = [f"{n}_bucket" for n in entry.histogram.names] if isinstance(entry, LatencyEntry) else []
    if buckets and not there & set(buckets):
        return Fit(name, False, reason=f"no series of {' or '.join(buckets)}")
    # How the arms are told apart is no matter here.
    alike = Catalogue.of(replace(profile, arms=Arms.PODS, label="", hint=""))
    threshold = math.inf if isinstance(entry, LatencyEntry) else None
    found = resolve(Sli(name, ProfileRef(profile.server, name), 0.01, threshold=threshold), series, alike)
    prefix = f"slis[{name}]: "
    if not isinstance(found, Resolved):
        return Fit(name, False, reason=found.problem.removeprefix(prefix))
    if not isinstance(entry, LatencyEntry):
        return Fit(name, True, found.plan.counted, reason="; ".join(n.removeprefix(prefix) for n in found.notes))
    bucket = next(name for name in buckets if name in there)
    shared = boundaries.shared([each for each in series if each.labels["__name__"] == bucket])
    return Fit(name, True, found.plan.counted, tuple(each / entry.per_second for each in shared))


def _display(name: str, entry: Display, series: Sequence[Series]) -> Fit:
    there = {each.labels["__name__"] for each in series}
    chosen = next((each for each in entry.metric.names if each in there), None)
    if chosen is None:
        return Fit(name, False, reason=f"no series of {' or '.join(entry.metric.names)}")
    return Fit(name, True, (chosen,))
