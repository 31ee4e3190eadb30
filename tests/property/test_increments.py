"""Properties of increments: they add up, they lose nothing, they never go negative."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from modelrollout.core.samples import Series
from modelrollout.stats.increments import Track, increase

FOREVER = 1e9
values = st.lists(st.integers(0, 10**6), min_size=2, max_size=30)
gains = st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1, max_size=30)


def track(numbers: list[int]) -> Track:
    """One sample a second from 0 s on."""
    return Track.of(Series.of({}, tuple((float(at), float(value)) for at, value in enumerate(numbers))))


def gained(series: Track, t0: float, t1: float) -> float:
    found = increase(series, t0, t1, slack=FOREVER, from_zero=False)
    return 0 if found is None else found.value


@given(values, st.floats(-1, 31), st.floats(-1, 31), st.floats(-1, 31))
def test_adjacent_intervals_add_up(numbers: list[int], a: float, b: float, c: float) -> None:
    t0, t1, t2 = sorted((a, b, c))
    series = track(numbers)
    assert gained(series, t0, t2) == gained(series, t0, t1) + gained(series, t1, t2)


@given(values, st.floats(-1, 31), st.floats(-1, 31))
def test_never_negative_and_whole(numbers: list[int], a: float, b: float) -> None:
    found = gained(track(numbers), min(a, b), max(a, b))
    assert found >= 0
    assert isinstance(found, int)


@given(gains)
def test_every_event_that_was_scraped_counts_once_through_restarts(steps: list[tuple[int, bool]]) -> None:
    """A process that starts again begins at 0: what it counted until its next scrape is all there. A restart is seen
    when the counter is lower than before; so the events of a restart are kept below the value it had.
    """
    numbers, events = [0], 0
    for more, restarts in steps:
        fresh = restarts and more < numbers[-1]
        numbers.append(more if fresh else numbers[-1] + more)
        events += more
    assert gained(track(numbers), 0, len(numbers)) == events


@given(values, st.integers(0, 29), st.floats(0, 10))
def test_samples_outside_slack_and_interval_change_nothing(numbers: list[int], start: int, slack: float) -> None:
    t0, t1 = float(start), float(start + 5)
    whole = track(numbers)
    cut = [(at, v) for at, v in enumerate(numbers) if t0 - slack <= at <= t1]
    part = Track.of(Series.of({}, tuple((float(at), float(v)) for at, v in cut)))
    for zero in (True, False):
        assert increase(part, t0, t1, slack=slack, from_zero=zero) == increase(
            whole, t0, t1, slack=slack, from_zero=zero
        )


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(1, 1000))
def test_a_new_series_counts_its_first_sample_and_an_unknown_one_does_not(more: list[int], first: int) -> None:
    series = track(list(accumulate(more, initial=first)))
    new = increase(series, -1, 100, slack=FOREVER, from_zero=True)
    unknown = increase(series, -1, 100, slack=FOREVER, from_zero=False)
    assert new is not None
    assert unknown is not None
    assert (new.value, unknown.value) == (first + sum(more), sum(more))
