"""Profiles as files: what is read, and which mistakes are caught."""

from __future__ import annotations

import re

import pytest

from modelrollout.api.v1alpha1.sli import Sli
from modelrollout.catalog import builtin
from modelrollout.catalog.profiles import Counter, LatencyEntry, RatioEntry, parse
from modelrollout.errors import Bug

GOOD = """
server = "srv"
summary = "A server"
[sli.errors]
summary = "Failures"
total = { names = ["a_total", "b_total"], equal = { job = "x" } }
bad = { regex = { code = "5.." } }
[sli.latency]
summary = "Slow"
total = { names = ["a_total"] }
histogram = { names = ["a_ms"], unitsPerSecond = 1000 }
"""


def test_the_profile_that_the_schema_gives_as_an_example_exists() -> None:
    described = re.search(r"such as ([a-z-]+)/([a-z-]+)", Sli.model_fields["profile"].description or "")
    assert described is not None
    profile = builtin().profiles[described[1]]
    assert described[2] in profile.slis
    assert profile.arms, "an example must be able to judge a candidate"


def test_profile_is_read_as_written() -> None:
    profile = parse(GOOD)
    assert (profile.server, profile.summary, profile.arms) == ("srv", "A server", True)
    total = Counter(("a_total", "b_total"), equal=(("job", "x"),))
    assert profile.slis["errors"] == RatioEntry("Failures", total, Counter((), regex=(("code", "5.."),)))
    assert profile.slis["latency"] == LatencyEntry("Slow", Counter(("a_total",)), ("a_ms",), 1000.0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('server = "srv"', "", "server must be a text"),
        ('summary = "A server"', "", "srv: summary"),
        ('summary = "A server"', 'summary = "A"\narms = false', "hint exactly when"),
        ('summary = "A server"', 'summary = "A"\nhint = "use x"', "hint exactly when"),
        ('summary = "A server"', 'summary = "A"\nextra = 1', "srv: unknown fields extra"),
        ('"a_total", "b_total"', '"a-total"', "srv/errors.total: names"),
        ('"a_total", "b_total"', "", "srv/errors: total needs names"),
        ('{ regex = { code = "5.." } }', "{}", "srv/errors: bad needs"),
        ('{ code = "5.." }', '{ "a-b" = "5.." }', "srv/errors.bad: regex"),
        ('{ code = "5.." }', "{ code = 5 }", "srv/errors.bad: regex"),
        ("regex", "regexp", "srv/errors.bad: unknown fields regexp"),
        (", unitsPerSecond = 1000", "", "srv/latency: histogram needs unitsPerSecond"),
        ("unitsPerSecond = 1000", "unitsPerSecond = 0", "srv/latency: histogram needs unitsPerSecond"),
        ('names = ["a_ms"]', "names = []", "srv/latency: histogram needs names"),
        ("[sli.errors]", "[sli.errors", "no TOML"),
    ],
)
def test_mistakes_name_their_place(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(Bug, match=words.replace(".", r"\.")):
        parse(GOOD.replace(old, new, 1))


def test_profile_without_slis_is_a_mistake() -> None:
    with pytest.raises(Bug):
        parse('server = "srv"\nsummary = "A server"')


def test_builtin_profiles() -> None:
    profiles = builtin().profiles
    assert list(profiles) == ["envoy-gateway", "modelrollout"]
    assert list(profiles["modelrollout"].slis) == ["errors", "latency", "accuracy"]
    assert not profiles["envoy-gateway"].arms
