"""From a share of traffic to the two integers in a route. Pure."""

from __future__ import annotations

from modelrollout.core.model import FULL, RolloutSpec, Weight


def scale_for(spec: RolloutSpec, weight: Weight) -> int:
    """Sum of the two weights: the spec's scale, or the finest when the weight is not on that scale.

    The latter happens when steps become whole percents while a fraction of one is set: it must be written as it is,
    neither raised nor lowered by rounding.
    """
    return spec.scale if weight * spec.scale % FULL == 0 else FULL


def split(weight: Weight, total: int) -> tuple[int, int] | None:
    """Weights of legacy and candidate that sum to `total`; None when `total` is too coarse for this share."""
    candidate, rest = divmod(weight * total, FULL)
    return None if rest else (total - candidate, candidate)


def split_down(weight: Weight, total: int) -> tuple[int, int]:
    """The same with the candidate's part rounded down."""
    candidate = weight * total // FULL
    return total - candidate, candidate


def share(part: int, total: int) -> Weight:
    """`part` of `total` in hundredths of a percent, rounded up: never less than the router gives."""
    return Weight(-(-part * FULL // total)) if total > 0 else Weight(0)
