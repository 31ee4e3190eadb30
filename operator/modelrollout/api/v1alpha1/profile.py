"""`SliProfile`: which metrics of a server make which SLI. What a catalogue file holds, written by administrators."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule, UniqueBy
from modelrollout.api.scalars import Count, Label, LabelName, MetricName, ShortText
from modelrollout.api.v1alpha1.sli import LabelMatch, are_label_names
from modelrollout.api.v1alpha1.status import MAX_CONDITIONS, Condition

MAX_ENTRIES = 16
MAX_NAMES = 8
MAX_PARTS = 8
MAX_TEXTS = 10
REPEATS = 4

_PLAIN = r"([^\\()\[\]{}|*+?^$]|\\[dDwWsS]|\\[^A-Za-z0-9]|\[\^?[^\\\[\]]+\])[*+?]?"
PATTERN = rf"^({_PLAIN}|\||\(({_PLAIN}|\|)*\)\??)*$"
"""Expressions without groups that repeat: the operator matches them itself, and no label value may keep it busy."""

LabelPattern = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=253, pattern=PATTERN),
    Rule(
        f"self.findAll('[*+]').size() <= {REPEATS}",
        f"must have at most {REPEATS} of * and +, so that it is matched in no time whatever the value is",
        lambda text: len(re.findall("[*+]", text)) <= REPEATS,
    ),
]


LabelPatterns = Annotated[
    dict[str, LabelPattern],
    Field(max_length=8),
    Rule(
        "self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,127}$') && !name.startsWith('__'))",
        "keys must be label names: letters, digits and underscores, not starting with a digit or two underscores",
        are_label_names,
    ),
]
Names = Annotated[list[MetricName], Field(min_length=1, max_length=MAX_NAMES)]
Texts = Annotated[list[ShortText], Field(max_length=MAX_TEXTS)]


class ProfileMetric(ApiModel):
    """A metric by its names, newest first, narrowed by label values."""

    names: Names = Field(description="Names that it has or had, the newest first: the first one that exists is used.")
    match: LabelMatch | None = Field(default=None, description="Label values that must be equal.")
    match_regex: LabelPatterns | None = Field(
        default=None,
        description="Anchored regular expressions by label: no backslash letters but d, w and s, no groups in groups,"
        " no repeats of groups.",
    )


class ProfileBad(ApiModel):
    """Bad events: a counter of their own, or the total narrowed by label values."""

    RULES = (
        Rule(
            "has(self.names) || (has(self.match) && self.match.size() > 0)"
            " || (has(self.matchRegex) && self.matchRegex.size() > 0)",
            "names, match or matchRegex must be set, else every event is bad",
            lambda b: bool(b.names or b.match or b.match_regex),
        ),
    )

    names: Names | None = Field(default=None, description="As of total; absent: those of total.")
    match: LabelMatch | None = Field(default=None, description="Label values that must be equal.")
    match_regex: LabelPatterns | None = Field(default=None, description="As of total.")


class ProfileHistogram(ProfileMetric):
    """A classic histogram, named without _bucket."""

    unit: Literal["Seconds", "Milliseconds", "Microseconds", "Nanoseconds"] = Field(
        description="What its boundaries are given in."
    )


class ProfileSli(ApiModel):
    """One SLI: bad events out of all, or events slower than the user's threshold."""

    RULES = (
        Rule(
            "has(self.bad) != has(self.histogram)",
            "exactly one of bad and histogram must be set",
            lambda s: (s.bad is None) != (s.histogram is None),
        ),
        Rule(
            "has(self.total) || has(self.histogram)",
            "total must be set; only a histogram counts its own events",
            lambda s: s.total is not None or s.histogram is not None,
            path=".total",
        ),
    )

    name: Label = Field(description="Rollouts name it PROFILE/NAME; errors, latency and the like mean what they say.")
    summary: ShortText = Field(description="What a bad event is.")
    total: Annotated[list[ProfileMetric], Field(min_length=1, max_length=MAX_PARTS)] | None = Field(
        default=None, description="Counters of all events, added up; absent: the _count of the histogram."
    )
    bad: Annotated[list[ProfileBad], Field(min_length=1, max_length=MAX_PARTS)] | None = Field(
        default=None, description="Counters of bad events, added up."
    )
    histogram: ProfileHistogram | None = Field(
        default=None, description="Of durations; with it rollouts must give a threshold."
    )


class ProfileDisplay(ApiModel):
    """A metric to look at, which never judges."""

    RULES = (
        Rule(
            "has(self.gauge) != has(self.counter)",
            "exactly one of gauge and counter must be set",
            lambda d: (d.gauge is None) != (d.counter is None),
        ),
    )

    name: Label = Field(description="Such as queue.")
    summary: ShortText = Field(description="What it shows.")
    gauge: ProfileMetric | None = Field(default=None, description="A value that goes up and down.")
    counter: ProfileMetric | None = Field(default=None, description="A value that only grows.")
    unit: Literal["requests", "tokens", "seconds", "bytes", "ratio", "events"] = Field(description="Of its numbers.")


class ProfileWithout(ApiModel):
    """An SLI that the server can't give."""

    name: Label = Field(description="The SLI that people will look for.")
    reason: ShortText = Field(description="Why there is none, and the way out.")


class ProfileArms(ApiModel):
    """How the server's series tell legacy from candidate."""

    RULES = (
        Rule(
            "(self.by == 'pod') != has(self.hint)",
            "hint must be set with by: label and by: none, and only then",
            lambda a: (a.by == "pod") != (a.hint is not None),
            path=".hint",
        ),
        Rule(
            "(self.by == 'label') == has(self.label)",
            "label must be set with by: label, and only then",
            lambda a: (a.by == "label") == (a.label is not None),
            path=".label",
        ),
    )

    by: Literal["pod", "label", "none"] = Field(
        description="pod: they come from the versions' own pods. label: a label names the version. none: not at all,"
        " for dashboards only."
    )
    label: LabelName | None = Field(default=None, description="The label that usually names it.")
    hint: ShortText | None = Field(default=None, description="How to tell them apart, or what to use instead.")


def _once(spec: SliProfileSpec) -> bool:
    names = [each.name for part in (spec.slis, spec.display, spec.without) for each in part or ()]
    return len(set(names)) == len(names)


def _apart(one: str, other: str) -> str:
    return f"(!has(self.{one}) || !has(self.{other}) || self.{one}.all(a, !self.{other}.exists(b, b.name == a.name)))"


class SliProfileSpec(ApiModel):
    """Metrics of one server."""

    RULES = (
        Rule(
            "(has(self.slis) && self.slis.size() > 0) || (has(self.display) && self.display.size() > 0)",
            "slis or display must have an entry",
            lambda s: bool(s.slis or s.display),
        ),
        Rule(
            f"{_apart('slis', 'display')} && {_apart('slis', 'without')} && {_apart('display', 'without')}",
            "a name must stand in one of slis, display and without only",
            lambda s: _once(s),
        ),
    )

    summary: ShortText = Field(description="What the server is.")
    needs: ShortText | None = Field(default=None, description="What must be switched on in it.")
    notes: Texts | None = Field(default=None, description="Traps that users should know.")
    sources: Texts | None = Field(default=None, description="Where names, labels and units were found.")
    arms: ProfileArms | None = Field(default=None, description="Absent: by pod.")
    slis: Annotated[list[ProfileSli], Field(max_length=MAX_ENTRIES), UniqueBy("name")] | None = Field(
        default=None, description="What can judge a candidate."
    )
    display: Annotated[list[ProfileDisplay], Field(max_length=MAX_ENTRIES), UniqueBy("name")] | None = Field(
        default=None, description="What can be looked at."
    )
    without: Annotated[list[ProfileWithout], Field(max_length=MAX_ENTRIES), UniqueBy("name")] | None = Field(
        default=None, description="What users will look for in vain."
    )


class SliProfileStatus(ApiModel):
    """Whether the operator can use it; written by the operator only."""

    observed_generation: Count | None = Field(default=None, description="Generation of the spec that this is about.")
    slis: Annotated[str, Field(strict=True, max_length=1024)] | None = Field(
        default=None, description="Names of its SLIs, for the column."
    )
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS), UniqueBy("type")] | None = Field(
        default=None, description="Accepted, and why not."
    )
