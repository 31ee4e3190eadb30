"""Shares as numbers of pods: which share is reached, and that every way there keeps users served."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.core.model import FULL, ZERO, Weight
from modelrollout.core.pods import (
    Pods,
    ahead,
    arrived,
    as_far_as_can_be,
    least_ready,
    pods_for,
    reached,
    share_of,
    towards,
    weight_of,
)

TOTALS = st.integers(2, 1000)
WEIGHTS = st.integers(0, FULL).map(Weight)


@pytest.mark.parametrize(
    ("percent", "total", "pods", "share"),
    [
        (1, 10, 1, 1000),
        (5, 10, 1, 1000),
        (14, 10, 1, 1000),
        (15, 10, 2, 2000),
        (25, 10, 3, 3000),
        (50, 10, 5, 5000),
        (99, 10, 9, 9000),
        (100, 10, 10, 10_000),
        (0, 10, 0, 0),
        (50, 3, 2, 6667),
        (33, 3, 1, 3333),
        (1, 2, 1, 5000),
        (99, 2, 1, 5000),
        (1, 100, 1, 100),
        (1, 1000, 10, 100),
    ],
)
def test_the_nearest_number_of_pods(percent: int, total: int, pods: int, share: int) -> None:
    assert pods_for(Weight(percent * 100), total) == pods
    assert share_of(pods, total) == reached(Weight(percent * 100), total) == share


@given(WEIGHTS, TOTALS)
def test_some_but_never_all_pods_for_a_part_and_the_nearest_share(weight: Weight, total: int) -> None:
    pods = pods_for(weight, total)
    assert (pods == 0, pods == total) == (weight == 0, weight == FULL)
    assert 0 < pods < total or weight in (0, FULL)
    others = range(1, total) if 0 < weight < FULL else (pods,)
    assert abs(pods * FULL - weight * total) == min(abs(other * FULL - weight * total) for other in others)
    assert pods_for(reached(weight, total), total) == pods, "the reached share is the same number of pods"
    assert (reached(weight, total) == 0, reached(weight, total) == FULL) == (weight == 0, weight == FULL)


def settled(pods: Pods) -> Pods:
    return replace(pods, legacy_ready=pods.legacy, candidate_ready=pods.candidate)


@given(st.integers(2, 60), st.data())
def test_on_the_way_up_pods_are_never_fewer_and_the_share_never_more(total: int, data: st.DataObject) -> None:
    at, target = sorted(data.draw(st.tuples(WEIGHTS, WEIGHTS)))
    before = pods_for(at, total)
    pods = settled(Pods(total, total - before, before, 0, 0))
    for _ in range(3 * total):
        pods = ahead(pods, target)
        # The worst that can happen next: pods go at once, and one that is awaited comes.
        legacy, candidate = min(pods.legacy, pods.legacy_ready), min(pods.candidate, pods.candidate_ready)
        assert legacy + candidate >= total
        assert candidate * total <= pods_for(target, total) * (legacy + candidate), "never more than the step's share"
        assert pods.legacy + pods.candidate <= total + pods_for(target, total) - before, "the surge"
        if arrived(replace(pods, legacy_ready=legacy, candidate_ready=candidate), target):
            return
        grown = candidate + 1 if candidate < pods.candidate else candidate
        pods = replace(pods, legacy_ready=max(legacy, min(pods.legacy, legacy + 1)), candidate_ready=grown)
    raise AssertionError(f"never there: {pods}")


@given(st.integers(2, 60), st.data())
def test_on_the_way_back_three_quarters_stay_and_the_share_only_falls(total: int, data: st.DataObject) -> None:
    before = pods_for(data.draw(WEIGHTS), total)
    room = data.draw(st.integers(total, 2 * total))
    pods = settled(Pods(total, total - before, before, 0, 0))
    share = 1.0
    for _ in range(3 * total):
        pods = ahead(pods, ZERO)
        legacy, candidate = pods.legacy_ready, min(pods.candidate, pods.candidate_ready)
        assert legacy + candidate >= least_ready(total)
        assert candidate / (legacy + candidate) <= share + 1e-9
        share = candidate / (legacy + candidate)
        if arrived(replace(pods, candidate_ready=candidate), ZERO):
            return
        # As many of legacy's pods come up as there is room for: without room for two sets it must still end.
        fitting = min(pods.legacy, room - candidate)
        assert fitting > legacy or legacy >= pods.legacy, "stuck for want of room"
        pods = replace(pods, legacy_ready=max(legacy, min(fitting, legacy + 1)), candidate_ready=candidate)
    raise AssertionError(f"never there: {pods}")


def test_counts_that_others_made_are_brought_to_the_share_too() -> None:
    assert towards(Pods(10, 7, 5, 7, 5), Weight(3000)) == (7, 3)
    assert towards(Pods(10, 5, 5, 5, 5), Weight(3000)) == (7, 3)
    assert towards(Pods(10, 9, 3, 9, 3), Weight(3000)) == (7, 3)
    assert towards(Pods(10, 12, 3, 12, 3), Weight(3000)) == (7, 3)
    assert towards(Pods(10, 12, 2, 12, 2), ZERO) == (12, 0), "more of legacy's than asked for are nobody's harm"


def test_a_share_is_told_by_what_is_wanted_and_by_what_still_serves() -> None:
    assert weight_of(Pods(10, 7, 3, 7, 1)) == 3000
    assert weight_of(Pods(10, 10, 0, 8, 2)) == 2000
    assert weight_of(Pods(10, 10, 0, 10, 0)) == ZERO
    assert weight_of(Pods(10, 0, 12, 0, 12)) == FULL
    assert weight_of(Pods(10, 0, 10, 3, 10)) == FULL


def test_pods_that_go_are_waited_for() -> None:
    assert not arrived(Pods(10, 7, 3, 8, 3), Weight(3000)), "one of legacy's still serves"
    assert not arrived(Pods(10, 7, 3, 7, 2), Weight(3000))
    assert arrived(Pods(10, 7, 3, 7, 3), Weight(3000))
    assert arrived(Pods(10, 7, 3, 6, 3), Weight(3000)), "what legacy lacks is not for the candidate to wait for"
    assert not arrived(Pods(10, 10, 0, 8, 1), ZERO)
    assert as_far_as_can_be(Pods(10, 10, 0, 8, 1), ZERO)
