"""Published numbers and exact values: tests 1, 2, 4 and 5 of the design, as `make bench-stats` shows them."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.stats.exact import LOOKS, blocks, largest_expectation, notebook, peeking


@pytest.mark.parametrize("looks", [2, 5, 10])
def test_peeking_inflates_as_armitage_found(looks: int) -> None:
    assert peeking(looks, points=1501) == pytest.approx(LOOKS[looks], abs=0.0005)


@pytest.mark.parametrize("margin", [(1.0, 0.0), (1.0, 0.05), (1.5, 0.0), (1.0, -0.05)])
def test_linear_e_values_are_e_values(margin: tuple[float, float]) -> None:
    assert 0.9 < largest_expectation((5, 7), margin, "linear") <= 1 + 1e-9


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.5, 3.0])
def test_conditional_e_values_are_e_values(ratio: float) -> None:
    assert 0.9 < largest_expectation((3, 60), (ratio, 0.0), "conditional") <= 1 + 1e-9


def test_published_case_of_a_sample_ratio_mismatch() -> None:
    control, before, fixed = notebook()
    assert control == 821_935
    assert before == 598_208
    assert fixed == pytest.approx(1.06e-7, abs=1e-9)


def test_two_by_two_design_takes_as_many_blocks_as_published() -> None:
    """safestats: a plan of 95 +- 5 blocks for a difference of .3 with 80 % power; type I at most 5 %."""
    plan = np.quantile(blocks(np.array([0.35]), 0.3, 1500, 4), 0.8)
    assert 90 <= plan <= 101
    assert (blocks(np.array([0.2, 0.5]), 0.0, 500, 5, most=95) < 95).mean() <= 0.05
