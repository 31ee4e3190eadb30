"""Traffic curves: constant, ramp, day's wave, straight lines between points."""

from __future__ import annotations

import pytest

from modelrollout.sim.traffic import Constant, Curve, Diurnal, Piecewise, Ramp, rate

POINTS = Piecewise(((0.0, 10.0), (60.0, 40.0), (120.0, 0.0)))


@pytest.mark.parametrize(
    ("curve", "t", "expected"),
    [
        (Constant(20.0), 1e6, 20.0),
        (Ramp(10.0, 30.0, 100.0), -5.0, 10.0),
        (Ramp(10.0, 30.0, 100.0), 25.0, 15.0),
        (Ramp(10.0, 30.0, 100.0), 500.0, 30.0),
        (Diurnal(100.0, 0.5, peak=3600.0), 3600.0, 150.0),
        (Diurnal(100.0, 0.5, peak=3600.0), 3600.0 + 43_200.0, 50.0),
        (POINTS, -1.0, 10.0),
        (POINTS, 30.0, 25.0),
        (POINTS, 60.0, 40.0),
        (POINTS, 90.0, 20.0),
        (POINTS, 500.0, 0.0),
    ],
)
def test_rate(curve: Curve, t: float, expected: float) -> None:
    assert rate(curve, t) == pytest.approx(expected)
