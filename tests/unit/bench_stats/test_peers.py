"""Other ways to decide, on streams made by hand: what their documentation says must come out."""

from __future__ import annotations

import numpy as np

from e2e.stats import peers
from e2e.stats.engine import NEVER
from e2e.stats.jobs import seeded
from e2e.stats.streams import MINUTE, Ints, Stream, drawn

LIMIT = 0.015


def by_minute(bad: list[int], *, requests: int = 400) -> Stream:
    """One run; bad events of the candidate per minute of `requests`, legacy always 1 %."""
    spread = np.zeros((1, len(bad) * MINUTE), dtype=np.int64)
    spread[0, ::MINUTE] = bad
    even = np.full(spread.shape, requests // MINUTE)
    return Stream(even, spread, even, np.full(spread.shape, requests // MINUTE // 100))


def minute(ticks: Ints) -> int:
    """Minute of the decision, from 1; 0 for never."""
    return 0 if ticks[0] == NEVER else (int(ticks[0]) + 1) // MINUTE


def test_flagger_adds_up_failed_checks_and_acts_at_the_next_one() -> None:
    assert minute(peers.flagger(by_minute([8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 0]), LIMIT)) == 10
    assert minute(peers.flagger(by_minute([8, 8, 8, 8, 0, 0, 0, 0]), LIMIT)) == 0
    assert minute(peers.flagger(by_minute([8, 8, 8, 8, 8]), LIMIT)) == 0


def test_three_in_a_row_forgets_after_a_good_minute() -> None:
    assert minute(peers.in_a_row(by_minute([8, 8, 0, 8, 8, 8, 0]), LIMIT)) == 6
    assert minute(peers.in_a_row(by_minute([8, 8, 0] * 5), LIMIT)) == 0


def test_argo_aborts_at_one_more_than_its_limit() -> None:
    assert minute(peers.argo(by_minute([8, 0, 8, 8, 0, 8, 0]), LIMIT)) == 6
    assert minute(peers.argo(by_minute([8, 0, 8, 8, 0]), LIMIT)) == 0


def test_a_check_at_the_limit_is_good() -> None:
    assert minute(peers.argo(by_minute([6] * 20), LIMIT)) == 0


def test_a_minute_without_requests_is_good() -> None:
    assert minute(peers.argo(by_minute([0] * 20, requests=0), LIMIT)) == 0


def test_pooled_z_is_one_sided() -> None:
    assert peers.pooled_z(by_minute([20] * 3)).tolist() == [0]
    assert minute(peers.pooled_z(by_minute([0] * 30))) == 0


def test_kayenta_needs_a_shift_beyond_its_tolerance() -> None:
    rng = seeded(1)
    weight = np.full(120, 0.5)
    worse = drawn(rng, 50, rps=200.0, weight=weight, share_c=0.02, share_l=0.01)
    better = drawn(rng, 50, rps=200.0, weight=weight, share_c=0.005, share_l=0.01)
    equal = drawn(rng, 50, rps=200.0, weight=weight, share_c=0.01, share_l=0.01)
    assert (peers.kayenta(worse) == 5 * MINUTE - 1).mean() > 0.9
    assert (peers.kayenta(better) == NEVER).all()
    assert (peers.kayenta(equal) == NEVER).mean() > 0.9
