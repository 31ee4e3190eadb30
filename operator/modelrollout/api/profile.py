"""A `SliProfile` object as a profile of the catalogue. Total: a value, or a problem in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelrollout.api.reading import INVALID_SPEC, mapping, parse, text
from modelrollout.api.scalars import DNS_LABEL
from modelrollout.api.v1alpha1 import profile as api
from modelrollout.catalog.profiles import (
    Arms,
    Counter,
    Display,
    Entry,
    LatencyEntry,
    Pairs,
    Profile,
    RatioEntry,
    Unit,
)
from modelrollout.catalog.reading import builtin
from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import Reason

LONGEST = 63
_PER_SECOND = {"Seconds": 1.0, "Milliseconds": 1e3, "Microseconds": 1e6, "Nanoseconds": 1e9}
_ARMS = {"pod": Arms.PODS, "label": Arms.LABEL, "none": Arms.NONE}


def taken(name: str) -> str:
    """Why a profile may not have the name of a built-in one, as a sentence that begins with the field."""
    return (
        f"metadata.name: {name!r} is a profile that comes with modelrollout, and rollouts mean that one: choose another"
        " name, such as one that begins with your organisation's"
    )


def to_profile(obj: Mapping[str, Any], *, strict: bool = False) -> Profile | SpecProblem:
    """The profile of a `SliProfile`. `strict`: unknown fields are problems (linting).

    A name of the catalogue is refused: `vllm/errors` must mean the same in every cluster and to every offline tool.
    """
    name = text(mapping(obj, "metadata"), "name")
    if not re.fullmatch(DNS_LABEL, name) or len(name) > LONGEST:
        problem = f"metadata.name: {name[:80]!r} must be lower case letters, digits and dashes, at most {LONGEST}"
        return SpecProblem(INVALID_SPEC, problem)
    if name in builtin().profiles:
        return SpecProblem(Reason.NAME_TAKEN, taken(name))
    parsed = parse(api.SliProfileSpec, obj, strict=strict)
    if isinstance(parsed, SpecProblem):
        return parsed
    wrong = _pattern_problem(parsed)
    return SpecProblem(INVALID_SPEC, wrong) if wrong else _profile(name, parsed)


def _profile(name: str, spec: api.SliProfileSpec) -> Profile:
    arms = spec.arms
    return Profile(
        server=name,
        summary=spec.summary,
        slis={each.name: _entry(each) for each in spec.slis or ()},
        arms=Arms.PODS if arms is None else _ARMS[arms.by],
        label=(arms.label if arms else None) or "",
        hint=(arms.hint if arms else None) or "",
        needs=spec.needs or "",
        notes=tuple(spec.notes or ()),
        without={each.name: each.reason for each in spec.without or ()},
        display={each.name: _display(each) for each in spec.display or ()},
        sources=tuple(spec.sources or ()),
    )


def _entry(sli: api.ProfileSli) -> Entry:
    found = sli.histogram
    if found is None:
        bad = tuple(_counter(each.names, each.match, each.match_regex) for each in sli.bad or ())
        return RatioEntry(sli.summary, _total(sli.total or ()), bad)
    histogram = _counter(found.names, found.match, found.match_regex)
    counts = Counter(tuple(f"{each}_count" for each in histogram.names), histogram.equal, histogram.regex)
    total = (counts,) if sli.total is None else _total(sli.total)
    return LatencyEntry(sli.summary, total, histogram, _PER_SECOND[found.unit])


def _total(parts: Sequence[api.ProfileMetric]) -> tuple[Counter, ...]:
    return tuple(_counter(each.names, each.match, each.match_regex) for each in parts)


def _display(each: api.ProfileDisplay) -> Display:
    metric = each.counter or each.gauge
    assert metric is not None, "the rule of ProfileDisplay admits exactly one of gauge and counter"
    counter = _counter(metric.names, metric.match, metric.match_regex)
    return Display(each.summary, counter, each.counter is not None, Unit(each.unit))


def _counter(names: Sequence[str] | None, match: Mapping[str, str] | None, regex: Mapping[str, str] | None) -> Counter:
    return Counter(tuple(names or ()), _pairs(match), _pairs(regex))


def _pairs(given: Mapping[str, str] | None) -> Pairs:
    return tuple(sorted((given or {}).items()))


def _pattern_problem(spec: api.SliProfileSpec) -> str | None:
    # The schema admits what is quick to match; whether it means anything, such as [z-a], shows only when it is read.
    for place, patterns in _patterns(spec):
        for label, pattern in (patterns or {}).items():
            try:
                re.compile(pattern)
            except re.error as error:
                return f"{place}.matchRegex.{label}: {pattern!r} is no regular expression ({error}); correct it"
    return None


def _patterns(spec: api.SliProfileSpec) -> list[tuple[str, Mapping[str, str] | None]]:
    found: list[tuple[str, Mapping[str, str] | None]] = []
    for index, sli in enumerate(spec.slis or ()):
        place = f"spec.slis[{index}]"
        found += [(f"{place}.total[{n}]", each.match_regex) for n, each in enumerate(sli.total or ())]
        found += [(f"{place}.bad[{n}]", each.match_regex) for n, each in enumerate(sli.bad or ())]
        if sli.histogram is not None:
            found.append((f"{place}.histogram", sli.histogram.match_regex))
    for index, each in enumerate(spec.display or ()):
        metric, name = (each.gauge, "gauge") if each.gauge else (each.counter, "counter")
        if metric is not None:
            found.append((f"spec.display[{index}].{name}", metric.match_regex))
    return found
