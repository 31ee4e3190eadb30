"""Error rates of the engine and of others on the same small seeded streams; `make bench-stats` has the large ones."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.stats.edge import families
from e2e.stats.power import detection, late, wald
from e2e.stats.type_one import WAYS, healthy

RUNS = 120


@pytest.mark.parametrize("name", ["ramping", "shared incident", "dispersion 2.5"])
def test_the_engine_leaves_the_healthy_alone_where_others_revert_them(name: str) -> None:
    reverted = dict(zip(WAYS, healthy(1, RUNS, name, 200.0), strict=True))
    assert reverted["engine, default margin"] == 0
    assert reverted["engine, no margin"] <= 3
    assert reverted["pooled z"] >= 0.3 * RUNS
    if name == "shared incident":
        assert reverted["pooled z"] == reverted["Flagger"] == reverted["Argo Rollouts"] == RUNS


def test_both_families_hold_their_risk_on_the_edge_of_the_null() -> None:
    """Ten to one against: at most 3 of 120 at a risk of 1 %, at most 10 at 5 %."""
    counts = families(2, RUNS, "diurnal")
    assert max(counts[0::2]) <= 3
    assert max(counts[1::2]) <= 10


@pytest.mark.parametrize(("share", "ratio", "weight"), [(0.01, 2.0, 0.25), (0.001, 5.0, 0.05), (0.01, 3.0, 0.05)])
def test_detection_takes_at_most_half_as_long_again_as_any_test_must(share: float, ratio: float, weight: float) -> None:
    main, second = detection(1, 150, share, ratio, weight)
    least = wald(share, ratio, weight) + 1
    assert np.mean(main) <= 1.7 * least
    assert np.mean(second) <= 1.5 * least


def test_a_late_regression_is_found_as_soon_as_an_early_one() -> None:
    ticks = late(1, 100, 3.0)
    assert len(ticks) >= 98
    assert np.mean(ticks) <= 3.2
