"""Independent implementations: effects against statsmodels, which is a test dependency only."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_effectsize

from modelrollout.stats.effect import Floats, effects, sums


def strata(seed: int, share_c: float, share_l: float) -> Floats:
    """[strata, 4]: requests and bad events of both arms; weight and baseline change from stratum to stratum."""
    rng = np.random.default_rng(seed)
    n_c, n_l = rng.integers(20, 2000, 24), rng.integers(200, 5000, 24)
    baseline = rng.uniform(0.5, 1.5, 24)
    return np.stack(
        [n_c, rng.binomial(n_c, share_c * baseline), n_l, rng.binomial(n_l, share_l * baseline)], axis=1
    ).astype(float)


@pytest.mark.parametrize(("seed", "share_c", "share_l"), [(1, 0.01, 0.01), (2, 0.03, 0.01), (3, 0.002, 0.008)])
def test_ratio_is_that_of_mantel_and_haenszel(seed: int, share_c: float, share_l: float) -> None:
    """StratifiedTable knows the pooled risk ratio of (bad, good) rows of candidate and legacy."""
    counts = strata(seed, share_c, share_l)
    tables = [np.array([[e_c, n_c - e_c], [e_l, n_l - e_l]]) for n_c, e_c, n_l, e_l in counts]
    found = effects(sums(*counts.T).sum(axis=0, keepdims=True))[0]
    assert found.ratio.value == pytest.approx(StratifiedTable(tables).riskratio_pooled, rel=1e-12)


def test_size_is_cohens_h() -> None:
    found = effects(sums([1000], [31], [4000], [55]))[0]
    assert found.size == pytest.approx(float(proportion_effectsize(31 / 1000, 55 / 4000)), rel=1e-12)


@pytest.mark.parametrize("size", [400, 4000, 40_000])
def test_intervals_at_all_looks_are_wider_than_those_for_one_look_but_not_much(size: int) -> None:
    """95 % for a single look: Newcombe and log. At all looks at once it takes 1.2 to 2.5 times the width."""
    n_c, e_c, n_l, e_l = size, size // 20, 3 * size, size // 10
    found = effects(sums([n_c], [e_c], [n_l], [e_l]))[0]
    single = confint_proportions_2indep(e_c, n_c, e_l, n_l, compare="diff", method="newcomb")
    assert found.difference.low is not None
    assert found.difference.high is not None
    wider = (found.difference.high - found.difference.low) / float(single[1] - single[0])
    assert 1.2 < wider < 2.5
    once = confint_proportions_2indep(e_c, n_c, e_l, n_l, compare="ratio", method="log")
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    wider = log(found.ratio.high / found.ratio.low) / log(float(once[1]) / float(once[0]))
    assert 1.2 < wider < 2.5
    assert found.ratio.low < exp(0.5 * log(float(once[0]) * float(once[1]))) < found.ratio.high
