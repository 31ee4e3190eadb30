"""The sequential comparison: a batch is as good as single calls, and a checkpoint as good as never having stopped."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.core.model import Margin
from modelrollout.core.observation import ArmCounts
from modelrollout.core.rates import ArmEvents
from modelrollout.stats.rates import CARRIED, RateComparison, RateStratum, advance_rates
from modelrollout.stats.sequential import Comparison, Stratum, advance

MARGINS = (Margin(), Margin(1.0, 0.0), Margin(2.0, 0.01))


def path(rng: np.random.Generator, length: int) -> list[Stratum]:
    """Strata of one SLI: empty arms, a history before the step, clustered pods, long gaps."""
    share, largest = float(rng.choice([0.0, 0.001, 0.05, 0.5])), int(rng.choice([2, 30, 3000]))
    judged_from = int(rng.integers(0, 4))
    end, strata = float(rng.integers(0, 10**9)), []
    for index in range(length):
        n_c, n_l = (int(n) for n in rng.integers(0, largest, 2, endpoint=True))
        worse = min(1.0, share * float(rng.choice([1.0, 3.0])))
        candidate, legacy = ArmCounts(n_c, int(rng.binomial(n_c, worse))), ArmCounts(n_l, int(rng.binomial(n_l, share)))
        end += float(rng.choice([5.0, 5.0, 400.0]))
        chi, degrees = (float(rng.gamma(2.0)), 2) if rng.random() < 0.5 else (0.0, 0)
        pods = (1, 3) if degrees else (1, 1)
        judged = index >= judged_from
        strata.append(Stratum(candidate, legacy, end, 5.0, judged=judged, chi=chi, degrees=degrees, pods=pods))
    return strata


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_batch_says_what_single_calls_say(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    paths = [path(rng, 6) for _ in range(size)]
    margins = [MARGINS[int(rng.integers(len(MARGINS)))] for _ in range(size)]
    together, alone = ([Comparison(margin) for margin in margins] for _ in range(2))
    for index in range(6):
        advance(together, [each[index] for each in paths])
        for one, each in zip(alone, paths, strict=True):
            advance([one], [each[index]])
    for one, other in zip(together, alone, strict=True):
        assert one.values.tobytes() == other.values.tobytes()
        assert one.findings() == other.findings()


@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_evidence_goes_on_from_a_checkpoint_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    """Acceptance test 14, for the state: a restart at a step change is bit-equal to an uninterrupted run."""
    rng = np.random.default_rng(seed)
    strata, margin = path(rng, 12), MARGINS[seed % len(MARGINS)]
    whole = Comparison(margin)
    whole.begin(margin)
    for stratum in strata[:cut]:
        advance([whole], [stratum])
    restarted = Comparison(margin, whole.carried())
    for one in (whole, restarted):
        one.begin(Margin(1.5, 0.002))
        for stratum in strata[cut:]:
            advance([one], [stratum])
    assert whole.values.tobytes() == restarted.values.tobytes()
    assert whole.findings() == restarted.findings()


def test_a_checkpoint_of_another_layout_is_not_used() -> None:
    told = Comparison(Margin())
    advance([told], [Stratum(ArmCounts(500, 60), ArmCounts(500, 5), 100.0, 5.0)])
    values = told.carried()
    assert Comparison(Margin(), values).carried() == values
    for other in ((-1.0, *values[1:]), values[:-1]):
        assert Comparison(Margin(), other).carried() == Comparison(Margin()).carried() != values


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_rates_in_a_batch_and_from_a_checkpoint_say_what_one_without_a_stop_says(
    seed: int, size: int, cut: int
) -> None:
    rng = np.random.default_rng(seed)
    ratios = rng.choice([0.8, 1.0, 1.25, 3.0], size)
    together, alone = ([RateComparison(float(ratio)) for ratio in ratios] for _ in range(2))
    for index in range(12):
        strata = [
            RateStratum(
                ArmEvents(int(rng.poisson(2)), float(rng.choice([0.0, 5.0, 40.0]))),
                ArmEvents(int(rng.poisson(3)), float(rng.choice([0.0, 90.0]))),
                end=1e9 + 130.0 * index,
                judged=bool(rng.random() < 0.9),
                chi=float(rng.gamma(2.0)),
                degrees=2,
            )
            for _ in range(size)
        ]
        if index == cut:  # a new step for both; the one written down and read back goes on alike
            together = [RateComparison(one.ratio, one.carried()) for one in together]
            alone = [RateComparison(one.ratio, tuple(one.values[:CARRIED].tolist())) for one in alone]
        advance_rates(together, strata)
        for one, stratum in zip(alone, strata, strict=True):
            advance_rates([one], [stratum])
    for one, other in zip(together, alone, strict=True):
        assert one.values.tobytes() == other.values.tobytes()
        assert one.findings() == other.findings()
