"""Profiles as files: what is read, and which mistakes are caught."""

from __future__ import annotations

import re

import pytest

from modelrollout.api.v1alpha1.sli import Sli
from modelrollout.catalog import builtin
from modelrollout.catalog.profiles import Arms, Counter, Display, LatencyEntry, RatioEntry, Unit
from modelrollout.catalog.reading import parse
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
    assert profile.arms is Arms.PODS, "an example must be able to judge a candidate"


def test_profile_is_read_as_written() -> None:
    profile = parse(GOOD)
    assert (profile.server, profile.summary, profile.arms) == ("srv", "A server", Arms.PODS)
    total = Counter(("a_total", "b_total"), equal=(("job", "x"),))
    assert profile.slis["errors"] == RatioEntry("Failures", (total,), (Counter((), regex=(("code", "5.."),)),))
    histogram = Counter(("a_ms",))
    assert profile.slis["latency"] == LatencyEntry("Slow", (Counter(("a_total",)),), histogram, 1000.0)
    assert profile.verified


MORE = """
server = "srv"
summary = "A server"
arms = "label"
label = "backend"
hint = "set arms"
needs = "a flag"
notes = ["a trap"]
sources = ["its source"]
[sli.errors]
summary = "Failures"
total = [{ names = ["done_total"] }, { names = ["failed_total"] }]
bad = { names = ["failed_total"] }
verified = false
[sli.latency]
summary = "Slow"
total = { names = ["done_total"] }
histogram = { names = ["time_us"], equal = { side = "in" }, regex = { code = "2.." }, unitsPerSecond = 1000000 }
[without]
ttft = "it does not look; use x"
[display.queue]
summary = "Waiting"
gauge = { names = ["waiting", "queued"] }
unit = "requests"
[display.tokens-out]
summary = "Tokens"
counter = { names = ["tokens_total"], equal = { kind = "out" } }
unit = "tokens"
"""


def test_sums_labels_and_what_is_only_shown_are_read() -> None:
    profile = parse(MORE)
    assert (profile.arms, profile.label, profile.hint) == (Arms.LABEL, "backend", "set arms")
    assert (profile.needs, profile.notes, profile.sources) == ("a flag", ("a trap",), ("its source",))
    done, failed = Counter(("done_total",)), Counter(("failed_total",))
    assert profile.slis["errors"] == RatioEntry("Failures", (done, failed), (failed,), verified=False)
    narrowed = Counter(("time_us",), equal=(("side", "in"),), regex=(("code", "2.."),))
    assert profile.slis["latency"] == LatencyEntry("Slow", (done,), narrowed, 1e6)
    assert profile.without == {"ttft": "it does not look; use x"}
    assert profile.display["queue"] == Display("Waiting", Counter(("waiting", "queued")), False, Unit.REQUESTS)
    tokens = Counter(("tokens_total",), equal=(("kind", "out"),))
    assert profile.display["tokens-out"] == Display("Tokens", tokens, True, Unit.TOKENS)
    assert not profile.verified


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('arms = "label"', 'arms = "pod"', "srv: arms: must be one of pods, label, none"),
        ('label = "backend"', "", "srv: a profile needs a label exactly when"),
        ('hint = "set arms"', "", "srv: a profile needs a hint exactly when"),
        ('hint = "set arms"', 'hint = ""', "srv: hint must be a text"),
        ('notes = ["a trap"]', 'notes = "a trap"', "srv: notes must be a list of texts"),
        ("total = [{", "total = [3, {", "srv/errors: total must be a table, or a list of tables"),
        ("verified = false", 'verified = "no"', "srv/errors: verified must be true or false"),
        ('regex = { code = "2.." }', 'regex = { code = "2(" }', "srv/latency.histogram: regex of code is none"),
        ('gauge = { names = ["waiting", "queued"] }', "", "srv/queue: needs one of gauge and counter"),
        ('gauge = { names = ["waiting", "queued"] }', "gauge = {}", "srv/queue: gauge needs names"),
        ('unit = "requests"', 'unit = "apples"', "srv/queue: unit: must be one of requests"),
        ("[display.queue]", "[display.errors]", "srv: an SLI is given twice"),
        ("[display.queue]", "[display.Queue]", "srv: names must be lower case letters, digits and dashes: Queue"),
        ('ttft = "it', "ttft = 3 # ", "srv.without: ttft must be a text"),
    ],
)
def test_mistakes_in_the_rest_name_their_place(old: str, new: str, words: str) -> None:
    assert old in MORE
    with pytest.raises(Bug) as caught:
        parse(MORE.replace(old, new, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('server = "srv"', "", "server must be a text"),
        ('summary = "A server"', "", "srv: summary"),
        ('summary = "A server"', 'summary = "A"\narms = "none"', "hint exactly when"),
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
    assert len(profiles) == 26
    assert list(profiles["modelrollout"].slis) == ["errors", "latency", "accuracy"]
    assert profiles["envoy-gateway"].arms is Arms.NONE
    assert [server for server, profile in profiles.items() if not profile.slis] == ["kube-state-metrics"]


def test_a_server_without_an_sli_of_the_usual_ones_says_what_to_use() -> None:
    for server, profile in builtin().profiles.items():
        for name, reason in profile.without.items():
            assert "use " in reason, f"{server}/{name}"
        if profile.slis and profile.arms is Arms.PODS and server not in ("modelrollout", "cadvisor"):
            known = {*profile.slis, *profile.without}
            assert {"errors", "latency"} <= known, server
    for server in ("vllm", "sglang", "tgi", "trtllm", "nim"):
        profile = builtin().profiles[server]
        assert {"ttft", "tpot"} <= {*profile.slis, *profile.without}, server
