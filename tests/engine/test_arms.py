"""Series of a shared answer, cut to what one rollout asked for."""

from __future__ import annotations

from modelrollout.core.samples import Series
from modelrollout.runtime.arms import within


def test_a_shared_answer_is_cut_to_what_was_asked_for() -> None:
    series = Series.of({}, tuple((float(t), 1.0) for t in range(5)), rejected=(0.5, 1.5, 2.5, 3.5))
    assert within((series,), 1.0, 3.0) == (Series.of({}, ((2.0, 1.0), (3.0, 1.0)), rejected=(1.5, 2.5)),)


def test_a_series_without_anything_in_the_window_is_not_there() -> None:
    gone = Series.of({}, ((0.0, 1.0),), rejected=(0.5,))
    odd = Series.of({}, (), rejected=(0.5, 2.0))
    assert within((gone, odd), 1.0, 3.0) == (Series.of({}, (), rejected=(2.0,)),)
