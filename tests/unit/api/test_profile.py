"""`SliProfile` objects to profiles: what becomes of the fields, and what is refused in which words."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.api.profile import to_profile
from modelrollout.api.v1alpha1.profile import PATTERN, REPEATS
from modelrollout.catalog.profiles import Arms, Counter, Display, LatencyEntry, Profile, RatioEntry, Unit
from modelrollout.catalog.reading import builtin
from modelrollout.core.observation import SpecProblem
from tests.layout.documents import ROOT

GOOD: Path = ROOT / "tests" / "apiserver" / "corpus" / "good" / "profile-full.yaml"


def made(**spec: Any) -> Profile | SpecProblem:
    return to_profile({"metadata": {"name": "acme"}, "spec": {"summary": "s", **spec}}, strict=True)


def errors(pattern: str) -> list[dict[str, Any]]:
    total = [{"names": ["a_total"]}]
    return [{"name": "errors", "summary": "s", "total": total, "bad": [{"matchRegex": {"code": pattern}}]}]


def test_every_field_arrives() -> None:
    found = to_profile(yaml.safe_load(GOOD.read_text()), strict=True)
    assert isinstance(found, Profile)
    path = r"/v1/(chat/completions|models/[^/]+)|/v2/.+|/x(/.*)?|a\.b"
    total = Counter(("scorer_requests_total", "old:requests"), (("kind", "predict"),), (("path", path),))
    dropped = Counter(("scorer_dropped_total",))
    assert found.slis["errors"] == RatioEntry(
        "Requests that failed", (total, dropped), (Counter((), (), (("code", "5.."),)), dropped)
    )
    histogram = Counter(("scorer_ms",), (("kind", "predict"),))
    assert found.slis["latency"] == LatencyEntry(
        "Slow requests", (Counter(("scorer_requests_total",)),), histogram, 1000.0
    )
    assert (found.arms, found.label, found.hint) == (Arms.LABEL, "service", "name the Service of each version")
    assert (found.needs, found.notes, found.sources) == ("metrics switched on", ("a trap",), ("its source",))
    assert found.display == {"queue": Display("Waiting", Counter(("scorer_queue",)), False, Unit.REQUESTS)}
    assert found.without == {"ttft": "no tokens; take latency"}


@pytest.mark.parametrize(
    ("unit", "per_second"), [("Seconds", 1), ("Milliseconds", 1e3), ("Microseconds", 1e6), ("Nanoseconds", 1e9)]
)
def test_a_histogram_counts_its_own_events_unless_told_otherwise(unit: str, per_second: float) -> None:
    histogram = {"names": ["b", "a"], "match": {"kind": "x"}, "unit": unit}
    found = made(slis=[{"name": "latency", "summary": "s", "histogram": histogram}])
    assert isinstance(found, Profile)
    (entry,) = found.slis.values()
    assert isinstance(entry, LatencyEntry)
    assert entry.total == (Counter(("b_count", "a_count"), (("kind", "x"),)),)
    assert entry.per_second == per_second


@pytest.mark.parametrize("name", builtin().profiles)
def test_a_built_in_name_is_refused(name: str) -> None:
    found = to_profile({"metadata": {"name": name}, "spec": {"summary": "s", "slis": errors("5..")}})
    assert isinstance(found, SpecProblem)
    assert found.reason == "NameTaken"
    assert found.problem.startswith(f"metadata.name: '{name}' is a profile that comes with modelrollout")


@pytest.mark.parametrize("body", [None, {}, [], "x", {"metadata": 5}, {"metadata": {"name": "a"}, "spec": 5}])
def test_no_json_raises(body: Any) -> None:
    assert isinstance(to_profile(body), SpecProblem)


def test_what_can_be_read_and_means_nothing_is_named() -> None:
    found = made(slis=errors("[z-a]"))
    assert isinstance(found, SpecProblem)
    assert found.problem.startswith("spec.slis[0].bad[0].matchRegex.code: '[z-a]' is no regular expression")
    display = [{"name": "q", "summary": "s", "unit": "events", "gauge": {"names": ["a"], "matchRegex": {"x": "[b-a]"}}}]
    found = made(display=display)
    assert isinstance(found, SpecProblem)
    assert found.problem.startswith("spec.display[0].gauge.matchRegex.x: ")


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", "((a)b)", "a{1000}", "(?=a)", r"(a)\1", r"\bx", "a**", "^a$"])
def test_expressions_that_may_take_for_ever_or_mean_two_things_are_refused(pattern: str) -> None:
    assert isinstance(made(slis=errors(pattern)), SpecProblem)


def built_in_patterns() -> list[str]:
    found = []
    for profile in builtin().profiles.values():
        for entry in profile.slis.values():
            parts = (*entry.total, entry.histogram) if isinstance(entry, LatencyEntry) else (*entry.total, *entry.bad)
            found += [pattern for each in parts for _, pattern in each.regex]
    return sorted(set(found))


@pytest.mark.parametrize("pattern", built_in_patterns())
def test_the_built_in_ones_could_be_written_so(pattern: str) -> None:
    assert re.fullmatch(PATTERN.strip("^$"), pattern)


ATOMS = st.sampled_from(
    ["a", ".", r"\d", r"\.", "[ab]", "[^b]", "|", "(a|.)", "(.a)?", "(.*)", "(a+)?", ".*", ".+", "a*"]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(ATOMS, min_size=1, max_size=12).map("".join))
def test_no_expression_that_is_taken_keeps_the_operator_busy(pattern: str) -> None:
    if isinstance(made(slis=errors(pattern)), SpecProblem):
        assert len(re.findall("[*+]", pattern)) > REPEATS
        return
    begun = time.process_time()
    re.fullmatch(pattern, "a" * 60 + "!")
    assert time.process_time() - begun < 1.0
