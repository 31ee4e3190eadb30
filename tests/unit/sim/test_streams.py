"""Which counters the virtual pods get for which SLIs; the catalogue must find each of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.catalog import builtin, resolve
from modelrollout.catalog.profiles import Arms, LatencyEntry
from modelrollout.catalog.resolve import Resolved
from modelrollout.core.model import ArmLabels, Counts, Labels, ProfileRef, Selector, Sli
from modelrollout.core.samples import Series
from modelrollout.errors import SpecError
from modelrollout.sim.streams import Stream, streams
from tests.scene import make_spec

ERRORS = Sli("errors", ProfileRef("modelrollout", "errors"), allowed=0.01)
LATENCY = Sli("latency", ProfileRef("modelrollout", "latency"), allowed=0.05, threshold=0.3)
ACCURACY = Sli("accuracy", ProfileRef("modelrollout", "accuracy"), allowed=0.1)


def made(*slis: Sli) -> tuple[Stream, ...]:
    return streams(make_spec(slis=slis))


def test_errors_and_latency_share_their_requests() -> None:
    (requests,) = made(ERRORS, LATENCY)
    assert (requests.metric, requests.labels, requests.slis) == (
        "requests_total",
        (("code", "200"),),
        ("errors", "latency"),
    )
    assert [(k.metric, k.labels, k.apart) for k in requests.kinds] == [("requests_total", (("code", "500"),), False)]
    (histogram,) = requests.histograms
    assert (histogram.name, histogram.threshold) == ("latency_seconds", 0.3)
    assert histogram.threshold in histogram.bounds


def test_labels_have_a_stream_of_their_own() -> None:
    requests, labelled = made(ERRORS, ACCURACY)
    assert requests.slis == ("errors",)
    assert (labelled.metric, labelled.labels) == ("predictions_labeled_total", (("correct", "true"),))
    assert labelled.kinds[0].labels == (("correct", "false"),)


def test_late_labels_have_cohorts() -> None:
    _, labelled = made(ERRORS, replace(ACCURACY, labels=Labels(max_delay=600.0)))
    assert labelled.keep == 720.0
    assert {stream.keep for stream in made(ERRORS, ACCURACY)} == {None}


def test_own_counts_with_a_metric_of_their_own_for_bad_events() -> None:
    counts = Counts(Selector("asked_total", (("model", "fraud"),)), Selector("fallbacks_total", (("model", "fraud"),)))
    (stream,) = made(Sli("fallbacks", counts, allowed=0.01, arms=ArmLabels("arm", "old", "new")))
    assert (stream.metric, stream.labels) == ("asked_total", (("model", "fraud"),))
    assert [(k.metric, k.labels, k.apart) for k in stream.kinds] == [("fallbacks_total", (("model", "fraud"),), True)]
    assert stream.arms == ArmLabels("arm", "old", "new")


def test_two_thresholds_share_a_histogram() -> None:
    slow = Sli("very-slow", ProfileRef("modelrollout", "latency"), allowed=0.01, threshold=1.0)
    (requests,) = made(LATENCY, slow)
    (histogram,) = requests.histograms
    assert {0.3, 1.0} <= set(histogram.bounds)


def test_bad_events_of_a_sum_are_no_part_of_its_first_counter() -> None:
    (stream,) = made(asked("nim", "errors"))
    assert (stream.metric, stream.labels) == ("request_success_total", ())
    assert [(k.metric, k.apart) for k in stream.kinds] == [("request_failure_total", False)]


def test_a_profile_that_needs_a_label_gets_no_stream_without_one() -> None:
    assert made(replace(asked("traefik", "errors"), arms=None)) == ()


def test_profiles_that_cannot_tell_arms_apart_get_no_stream() -> None:
    assert made(Sli("errors", ProfileRef("envoy-gateway", "errors"), allowed=0.01)) == ()


def test_a_pattern_that_no_value_fits_is_refused() -> None:
    counts = Counts(Selector("asked_total"), Selector("asked_total", regex=(("code", "E[0-9]{4}"),)))
    with pytest.raises(SpecError, match=r"no label value of a simulated pod matches code=~'E\[0-9\]\{4\}'; try"):
        made(Sli("odd", counts, allowed=0.01))


def asked(server: str, name: str) -> Sli:
    profile = builtin().profiles[server]
    threshold = 0.3 if isinstance(profile.slis[name], LatencyEntry) else None
    arms = ArmLabels(profile.label, "old", "new") if profile.arms is Arms.LABEL else None
    return Sli(name, ProfileRef(server, name), 0.01, threshold=threshold, arms=arms)


EVERY = [
    asked(server, name)
    for server, profile in builtin().profiles.items()
    if profile.arms is not Arms.NONE
    for name in profile.slis
]


@pytest.mark.parametrize("sli", EVERY, ids=lambda sli: str(sli.source))
def test_the_catalogue_finds_what_is_made(sli: Sli) -> None:
    (stream,) = made(sli)
    children = [(stream.metric, stream.labels), *((k.metric, k.labels) for k in stream.kinds)]
    for histogram in stream.histograms:
        children += [
            (f"{histogram.name}_bucket", (("le", f"{bound:g}"), *histogram.labels)) for bound in histogram.bounds
        ]
    series = [Series.of({"__name__": metric, **dict(labels)}, ((0.0, 1.0),)) for metric, labels in children]
    found = resolve(sli, series)
    assert isinstance(found, Resolved)
    assert found.notes == (), "the threshold is a boundary"
