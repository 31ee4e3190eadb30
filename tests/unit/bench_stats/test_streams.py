"""The streams of `make bench-stats`: traffic by weight, clustering as large as asked for, the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.stats.jobs import seeded
from e2e.stats.scenarios import SCENARIOS, TICKS, stream
from e2e.stats.streams import HISTORY, TICK, clustered, drawn, per_tick, starts_of
from modelrollout.stats import history


def test_steps_begin_where_the_weight_changes() -> None:
    assert starts_of(per_tick((0.05, 0.25, 0.5), 240)) == (0, 80, 160)


def test_arms_get_their_weight_and_their_share_of_errors() -> None:
    weight = per_tick((0.1, 0.5), 100)
    made = drawn(seeded(1), 200, rps=20.0, weight=weight, share_c=0.02, share_l=0.01)
    assert made.n_c[:, :50].mean() == pytest.approx(30, rel=0.02)
    assert made.n_c[:, 50:].mean() == pytest.approx(150, rel=0.02)
    assert made.e_c.sum() / made.n_c.sum() == pytest.approx(0.02, rel=0.03)
    assert made.e_l.sum() / made.n_l.sum() == pytest.approx(0.01, rel=0.03)
    assert made.history is not None
    assert made.history.n_c.sum() == 0


def test_clusters_have_the_variance_asked_for() -> None:
    made = clustered(seeded(2), 300, rps=200.0, weight=np.full(40, 0.02), share=0.01, dispersion=2.5)
    assert made.pods is not None
    requests, bad = made.pods.requests.ravel(), made.pods.bad.ravel()
    inflation = float((((bad - 0.01 * requests) ** 2) / (0.01 * 0.99 * requests)).mean())
    assert inflation == pytest.approx(2.5, rel=0.08)
    assert np.array_equal(made.pods.bad.sum(axis=2), made.e_l)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_seed_makes_one_stream(name: str) -> None:
    one, same, other = (stream(name, seed, 5, rps=20.0) for seed in (3, 3, 4))
    assert one.ticks == TICKS
    assert np.array_equal(one.e_l, same.e_l)
    assert not np.array_equal(one.n_c, other.n_c)


def test_an_incident_hits_both_arms() -> None:
    made = stream("shared incident", 1, 200, rps=200.0)
    late = slice(200, 240)
    for bad, every in ((made.e_c, made.n_c), (made.e_l, made.n_l)):
        assert bad[:, late].sum() / every[:, late].sum() == pytest.approx(0.05, rel=0.05)


def test_the_engine_is_taught_by_as_much_of_the_past_as_the_operator_reads() -> None:
    assert HISTORY * TICK == history.LENGTH
    for name in SCENARIOS:
        made = stream(name, 1, 2, rps=20.0).history
        assert made is not None
        assert (made.ticks, made.seconds) == (HISTORY, TICK)
