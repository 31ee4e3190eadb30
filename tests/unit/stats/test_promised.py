"""What the requests of the arms are held against: the weight, where it is a share of requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import HeaderMatch, ProfileRef, Segment, Sli, Traffic, Weight
from modelrollout.stats.evidence import promised_to
from tests.unit.stats.fleet import sli, spec

REQUESTS = Sli("availability", ProfileRef("modelrollout", "errors"), 0.01)
QUARTER = Weight(2500)


def routed(**changes: object) -> Traffic:
    return replace(spec().traffic, **changes)  # type: ignore[arg-type]  # fields of Traffic


def test_requests_are_held_against_the_weight() -> None:
    assert promised_to(spec(REQUESTS), REQUESTS, QUARTER) == 0.25


@pytest.mark.parametrize(
    "traffic",
    [routed(segments=(Segment((HeaderMatch("x-tier", "beta"),)),)), routed(bucket_header="x-bucket")],
    ids=["segments", "sticky"],
)
def test_a_weight_that_is_no_share_of_requests_promises_nothing(traffic: Traffic) -> None:
    assert promised_to(replace(spec(REQUESTS), traffic=traffic), REQUESTS, QUARTER) is None


def test_counts_of_the_users_own_are_not_held_against_it() -> None:
    assert promised_to(spec(), sli(), QUARTER) is None
