"""What a row of the vectorised statistics says does not depend on the rows beside it, to the last bit."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.stats import conditional, effect, ratio_check
from modelrollout.stats.conditional import Floats, Side


@st.composite
def strata(draw: st.DrawFn) -> tuple[Floats, Floats, Floats, Floats]:
    """[N] requests and bad events of both arms; empty arms and empty strata included."""
    size = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest = draw(st.sampled_from([3, 40, 100_000]))
    n_c, n_l = (rng.integers(0, largest, size, endpoint=True) for _ in range(2))
    share = rng.choice([0.0, 0.001, 0.05, 0.5, 1.0], size)
    e_c, e_l = rng.binomial(n_c, share), rng.binomial(n_l, share[::-1])
    return (*(each.astype(np.float64) for each in (n_c, e_c, n_l, e_l)),)  # type: ignore[return-value]  # four of them


@given(strata(), st.sampled_from(Side))
@settings(max_examples=60, deadline=None)
def test_conditional(counts: tuple[Floats, Floats, Floats, Floats], side: Side) -> None:
    n_c, e_c, n_l, e_l = counts
    share = n_c / np.maximum(n_c + n_l, 1)
    null = np.linspace(0.8, 3.0, len(n_c))

    def found(rows: slice) -> Floats:
        ratios = conditional.alternatives(null[rows], side)
        logs = conditional.log_increments(e_c[rows], e_l[rows], share[rows], null=null[rows], ratios=ratios)
        return np.concatenate([logs, conditional.log_mixture(logs)[:, None]], axis=1)

    batch = found(slice(None))
    assert np.isfinite(batch).all()
    for row in range(len(n_c)):
        assert found(slice(row, row + 1)).tobytes() == batch[row].tobytes()


@given(strata())
@settings(max_examples=60, deadline=None)
def test_effect(counts: tuple[Floats, Floats, Floats, Floats]) -> None:
    def found(rows: slice) -> tuple[Floats, Floats]:
        added = sum((effect.sums(*(each[rows] for each in counts)) for _ in range(3)), start=np.zeros(1))
        return added, np.stack(astuple(effect.estimate(added)), axis=1)

    added, shown = found(slice(None))
    assert np.isfinite(added).all()
    for row in range(len(counts[0])):
        alone = found(slice(row, row + 1))
        assert alone[0].tobytes() == added[row].tobytes()
        assert alone[1].tobytes() == shown[row].tobytes()


@given(strata())
@settings(max_examples=60, deadline=None)
def test_effects_are_in_order(counts: tuple[Floats, Floats, Floats, Floats]) -> None:
    for one in effect.effects(effect.sums(*counts)):
        for shown in (one.ratio, one.difference):
            ends = [each for each in (shown.low, shown.value, shown.high) if each is not None]
            assert ends == sorted(ends)


@given(strata())
@settings(max_examples=60, deadline=None)
def test_ratio_check(counts: tuple[Floats, Floats, Floats, Floats]) -> None:
    seen = np.stack([counts[0], counts[2]], axis=1)
    theta0 = np.linspace(0.0, 1.0, len(seen))
    batch = ratio_check.log_bayes_factor(seen, theta0)
    assert np.isfinite(batch).all()
    for row in range(len(seen)):
        assert (
            ratio_check.log_bayes_factor(seen[row : row + 1], theta0[row : row + 1]).tobytes() == batch[row].tobytes()
        )
