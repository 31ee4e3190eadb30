import pytest

from modelrollout.stats.increments import (
    Increase,
    KnownTargets,
    Track,
    increase,
    is_fake_reset,
    target_of,
    whole,
)
from tests.unit.stats.fleet import series


def gain(
    *samples: tuple[float, float],
    t0: float = 10.0,
    t1: float = 20.0,
    zero: bool = False,
    rejected: tuple[float, ...] = (),
) -> object:
    found = increase(Track.of(series(samples, rejected=rejected)), t0, t1, slack=15.0, from_zero=zero)
    return found if found is None else (found.value, found.reset)


def test_counts_from_the_newest_sample_at_or_before_the_start() -> None:
    assert gain((5, 100), (10, 103), (15, 107), (20, 110), (21, 500)) == (7, False)


def test_counts_are_ints_and_sums_of_seconds_are_not() -> None:
    found = increase(Track.of(series([(10, 3.0), (20, 8.0)])), 10, 20, slack=5, from_zero=False)
    assert found == Increase(5)
    assert isinstance(found.value, int)
    assert gain((10, 0.25), (20, 0.75)) == (0.5, False)


def test_float_noise_of_a_count_is_taken_away() -> None:
    assert whole(0.1 + 0.2 + 0.7) == 1
    assert isinstance(whole(2.9999999), int)
    assert whole(2.5) == 2.5


def test_a_reset_counts_the_new_value_in_full() -> None:
    assert gain((10, 100), (12, 104), (14, 3), (18, 5)) == (9, True)


def test_every_reset_of_the_interval_counts() -> None:
    assert gain((10, 100), (12, 2), (14, 1), (16, 1)) == (3, True)


def test_a_base_older_than_the_slack_is_no_base() -> None:
    assert gain((-6, 90), (15, 100), (20, 104)) == (4, False)
    assert gain((-5, 90), (15, 100), (20, 104)) == (14, False)


def test_no_sample_in_the_interval_is_not_zero() -> None:
    assert gain((10, 100)) is None
    assert gain((10, 100), (20.001, 101)) is None


@pytest.mark.parametrize(("zero", "expected"), [(True, 7), (False, 4)])
def test_the_first_sample_of_a_series_counts_only_when_it_is_known_to_be_new(zero: bool, expected: int) -> None:
    assert gain((12, 3), (18, 7), zero=zero) == (expected, False)


def test_a_series_whose_base_may_have_been_rejected_is_not_new() -> None:
    for at in (-5, 10, 11):
        assert gain((12, 300), (18, 304), zero=True, rejected=(at,)) == (4, False)
    assert gain((12, 3), (18, 4), zero=True, rejected=(-6,)) == (4, False), "a base would not be looked for there"


def test_a_target_is_told_by_job_instance_namespace_and_pod() -> None:
    labels = {"job": "j", "instance": "i", "namespace": "n", "pod": "p", "code": "200", "endpoint": "/predict"}
    assert target_of(labels) == ("j", "i", "n", "p")
    assert target_of({}) == ("", "", "", "")


def known_at(*samples: tuple[float, float], name: str = "requests_total", slack: float = 15.0) -> bool:
    known = KnownTargets([series(samples, name=name, pod="a", code="200")])
    return known.born_at_zero(("", "", "", "a"), 10.0, 20.0, slack=slack)


def test_a_label_child_of_a_target_scraped_before_is_new() -> None:
    assert known_at((10, 50))
    assert known_at((-5, 50))


def test_a_target_first_seen_in_the_interval_or_before_the_slack_is_not_known() -> None:
    assert not known_at((10.001, 50))
    assert not known_at((-5.001, 50))
    assert not KnownTargets([]).born_at_zero(("", "", "", "a"), 10.0, 20.0, slack=15.0)


def test_another_target_proves_nothing() -> None:
    known = KnownTargets([series([(10, 5)], pod="b")])
    assert not known.born_at_zero(("", "", "", "a"), 10.0, 20.0, slack=15.0)


def test_up_proves_a_scrape_only_where_it_is_one() -> None:
    assert known_at((10, 1), name="up")
    assert not known_at((10, 0), name="up")


@pytest.mark.parametrize(("started", "expected"), [(10.5, True), (10.0, False)])
def test_a_process_that_started_in_the_interval_counts_from_zero(started: float, expected: bool) -> None:
    assert known_at((12, started), name="process_start_time_seconds") is expected


def test_a_process_start_seen_only_later_is_not_known_yet() -> None:
    assert not known_at((21, 15), name="process_start_time_seconds")


def test_whether_any_target_is_alive() -> None:
    known = KnownTargets([series([(1, 1)], pod="a"), series([(9, 1)], pod="b")])
    assert known.alive(5, 10)
    assert not known.alive(2, 8)


def test_a_merge_of_two_scrapers_looks_like_a_reset_that_gains_too_much() -> None:
    usual = [4.0, 5.0, 6.0]
    assert is_fake_reset(Increase(101, reset=True), usual)
    assert not is_fake_reset(Increase(100, reset=True), usual)
    assert is_fake_reset(Increase(91, reset=True), [4.0, 5.0, 4.0, 5.0])
    assert not is_fake_reset(Increase(90, reset=True), [4.0, 5.0, 4.0, 5.0])


def test_a_burst_without_a_reset_is_real() -> None:
    assert not is_fake_reset(Increase(1000), [1.0, 1.0, 1.0])


def test_a_restart_is_not_suspected_without_history_or_with_few_requests() -> None:
    assert not is_fake_reset(Increase(1000, reset=True), [1.0, 1.0])
    assert not is_fake_reset(Increase(20, reset=True), [0.0, 0.0, 0.0])
