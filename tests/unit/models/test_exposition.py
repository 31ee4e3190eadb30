"""The text format, read back by the official parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.models.exposition import Histogram, Scalar, render
from e2e.models.telemetry import score_bin

NASTY = 'a"b\\c\nd\\n{},='


def test_nasty_label_values_survive() -> None:
    counter = Scalar("counter", "x_total", "back\\slash and\nnew line", labels=("name", "other"))
    counter.add(NASTY, "ünï")
    family = next(iter(text_string_to_metric_families(render([counter]))))
    assert family.type == "counter"
    assert family.documentation == "back\\slash and\nnew line"
    assert family.samples[0].labels == {"name": NASTY, "other": "ünï"}
    assert family.samples[0].value == 1


def test_histogram_is_cumulative_with_inclusive_bounds() -> None:
    histogram = Histogram("h_seconds", "h", bounds=(0.1, 0.3, 1.0), labels=("version",))
    for value in (0.05, 0.1, 0.3, 0.300001, 7.0):
        histogram.observe("8", value=value)
    family = next(iter(text_string_to_metric_families(render([histogram]))))
    assert family.type == "histogram"
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name == "h_seconds_bucket"}
    assert buckets == {"0.1": 2, "0.3": 3, "1": 4, "+Inf": 5}
    values = {s.name: s.value for s in family.samples}
    assert values["h_seconds_count"] == 5
    assert values["h_seconds_sum"] == pytest.approx(7.750001)


def test_child_starts_at_zero_and_does_not_reset() -> None:
    counter = Scalar("counter", "x_total", "x", labels=("code",))
    counter.child("500")
    assert counter.value("500") == 0
    assert counter.value("200") is None
    counter.add("500")
    counter.child("500")
    assert counter.value("500") == 1


def test_a_counter_cannot_fall() -> None:
    with pytest.raises(ValueError, match="can't fall"):
        Scalar("counter", "x_total", "x").add(amount=-1)


@pytest.mark.parametrize(("score", "bin_"), [(0.0, "0"), (0.0999, "0"), (0.1, "1"), (0.95, "9"), (1.0, "9")])
def test_score_bins(score: float, bin_: str) -> None:
    assert score_bin(score) == bin_
