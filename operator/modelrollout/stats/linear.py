"""Two-stream Bernoulli e-values against a linear null: p_candidate = ratio * p_legacy + difference and beyond.

For a simple alternative (theta_c, theta_l) that is fixed before the counts are seen, the factor

    f = (theta_c/y)^e_c ((1-theta_c)/(1-y))^(n_c-e_c) (theta_l/x)^e_l ((1-theta_l)/(1-x))^(n_l-e_l)

has expectation at most 1 under every point of the null, when (y, x) is the boundary point closest to the alternative in
n_c KL(theta_c || y) + n_l KL(theta_l || x), y = ratio * x + difference (Turner, Ly & Gruenwald 2024; Turner &
Gruenwald 2023). Neither the true shares nor how traffic is split need be known or constant.

Elementwise over the leading axis: a row's result does not depend on the rows beside it, to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EDGE = 1e-9
"""How close a share may come to 0 and 1."""
TINY = 1e-150
"""Stands for a variance of nothing."""
SCORING = 2
NEWTON = 8
"""Steps of each kind; always all of them, so that a row's result can't depend on how fast its neighbours converge.
Together they leave 1e-8 of the optimum in all but one of 20,000 extreme cases (`tests/unit/stats/test_linear.py`).
"""


def closest(theta_c: Any, theta_l: Any, n_c: Any, n_l: Any, ratio: Any, difference: Any) -> tuple[Floats, Floats]:
    """The boundary point (y, x) closest to the alternative; all arguments broadcast. Shares lie in (0, 1), n > 0."""
    least = np.maximum(EDGE, (EDGE - difference) / ratio)
    most = np.minimum(1 - EDGE, (1 - EDGE - difference) / ratio)
    x = closest_between(least, most, theta_c, theta_l, n_c, n_l, ratio, difference)
    return ratio * x + difference, x


def closest_between(
    least: Any,
    most: Any,
    theta_c: Any,
    theta_l: Any,
    n_c: Any,
    n_l: Any,
    ratio: Any,
    difference: Any,
    *,
    newton: int = NEWTON,
) -> Floats:
    """The same point's x, for x in [least, most], where both shares of the boundary are in [0, 1]; so may be the
    alternative's.

    The optimum lies between the two points that would suit one stream alone. Its condition, with the denominators
    multiplied out, is a cubic with one root in that bracket: two steps of Fisher scoring come near, Newton steps inside
    the shrinking bracket finish (`newton` of them).
    """
    theta_c, theta_l = np.asarray(theta_c, float), np.asarray(theta_l, float)
    own = (theta_c - difference) / ratio
    low = np.clip(np.minimum(own, theta_l), least, most)
    high = np.clip(np.maximum(own, theta_l), least, most)
    x: Floats = np.clip((n_c * ratio * own + n_l * theta_l) / (n_c * ratio + n_l), low, high)
    for _ in range(SCORING):
        y = ratio * x + difference
        weight_c = n_c * ratio * ratio / np.maximum(y * (1 - y), TINY)
        weight_l = n_l / np.maximum(x * (1 - x), TINY)
        x = np.clip((weight_c * own + weight_l * theta_l) / (weight_c + weight_l), low, high)
    for _ in range(newton):
        y = ratio * x + difference
        room_c, room_l = y * (1 - y), x * (1 - x)
        off_c, off_l = n_c * ratio * (y - theta_c), n_l * (x - theta_l)
        slope = off_l * room_c + off_c * room_l
        bend = n_l * room_c + off_l * ratio * (1 - 2 * y) + n_c * ratio * ratio * room_l + off_c * (1 - 2 * x)
        low, high = np.where(slope < 0, x, low), np.where(slope < 0, high, x)
        step = x - slope / np.where(bend == 0, 1.0, bend)
        x = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
    return x


def increments(
    e_c: Floats,
    n_c: Floats,
    e_l: Floats,
    n_l: Floats,
    *,
    theta_c: Floats,
    theta_l: Floats,
    ratio: Floats,
    difference: Floats,
    worse: bool,
) -> Floats:
    """ln f per alternative, shape [N, K]: counts, `theta_l` and the margin are [N], `theta_c` is [N, K].

    `worse`: the null is "not worse than the margin" (alternatives above the line), else "worse or equal" (below).
    0 where the alternative lies in the null, and where one of the streams is empty. Events may be fractional
    (bounded sums): then it is conservative.
    """
    n_c, n_l, e_c, e_l = (np.asarray(v, float)[:, None] for v in (n_c, n_l, e_c, e_l))
    at, slope, offset = (np.asarray(v, float)[:, None] for v in (theta_l, ratio, difference))
    line = slope * at + offset
    told = ((theta_c > line) if worse else (theta_c < line)) & (n_c > 0) & (n_l > 0)
    y, x = closest(theta_c, at, np.maximum(n_c, EDGE), np.maximum(n_l, EDGE), slope, offset)
    bad = e_c * (np.log(theta_c) - np.log(y)) + e_l * (np.log(at) - np.log(x))
    good = (n_c - e_c) * (np.log1p(-theta_c) - np.log1p(-y)) + (n_l - e_l) * (np.log1p(-at) - np.log1p(-x))
    return np.where(told, bad + good, 0.0)
