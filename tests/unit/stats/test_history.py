"""What legacy's past teaches a rollout that begins."""

from __future__ import annotations

import numpy as np
import pytest

from modelrollout.stats import sequential
from modelrollout.stats.dispersion import inflation
from modelrollout.stats.history import learned, window
from modelrollout.stats.sequential import Comparison
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, Fleet, sli


def past(*pods: tuple[int, int], swing: int = 0) -> Fleet:
    """Twenty minutes: (good, bad) requests a scrape of each pod, `swing` bad ones more or fewer, minute by minute."""
    fleet = Fleet()
    for number, (good, bad) in enumerate(pods):
        total = [0, 0]
        for scrape in range(-240, 1):
            odd = swing if (scrape // 12) % 2 else -swing
            total = [total[0] + good, total[1] + bad + odd]
            fleet.scrape("legacy", f"l-{number}", ORIGIN + 5 * scrape, {"200": total[0], "500": total[1]})
    return fleet


def taught(fleet: Fleet) -> Comparison:
    series = fleet.read(ORIGIN, window(5.0)).legacy
    checkpoint = learned(sli(), ERROR_PLAN, series, until=ORIGIN, scrape=5.0, interval=5.0)
    assert checkpoint is not None
    assert checkpoint.tick == ORIGIN
    return Comparison(sli().margin, checkpoint.values)


def inflated(comparison: Comparison) -> tuple[float, float]:
    """Pearson's X2 and its degrees of freedom."""
    return float(comparison.values[sequential._CHI]), float(comparison.values[sequential._DEGREES])


def test_the_usual_share_is_learned_and_nothing_is_judged() -> None:
    found = taught(past((97, 3))).findings()
    assert found.usual == pytest.approx(0.03, rel=0.02)
    assert (found.worse, found.own_bad, found.bad_strata) == (0.0, 0, 0)


def test_a_history_without_events_teaches_nothing() -> None:
    assert learned(sli(), ERROR_PLAN, (), until=ORIGIN, scrape=5.0, interval=5.0) is None
    series = past((0, 0)).read(ORIGIN, window(5.0)).legacy
    assert learned(sli(), ERROR_PLAN, series, until=ORIGIN, scrape=5.0, interval=5.0) is None


def test_a_single_pod_whose_errors_come_and_go_is_told_from_a_steady_one() -> None:
    chi, degrees = inflated(taught(past((90, 10), swing=8)))
    assert degrees > 5
    assert chi > 5 * degrees
    chi, degrees = inflated(taught(past((90, 10))))
    assert chi < 0.1 * degrees


def test_pods_that_differ_are_told_from_pods_that_are_alike() -> None:
    chi, degrees = inflated(taught(past((90, 10), (99, 1))))
    assert degrees == pytest.approx(180, rel=0.1)
    assert chi > 5 * degrees
    chi, degrees = inflated(taught(past((90, 10), (90, 10))))
    assert chi == 0.0
    assert degrees == pytest.approx(180, rel=0.1)


@pytest.mark.parametrize("scrape", [5.0, 15.0])
def test_bursts_of_seconds_look_like_bursts_in_a_rollout_that_looks_every_few_seconds(scrape: float) -> None:
    """Strata of a minute took a burst in one scrape for a third or a tenth of what it is."""
    fleet, rng = Fleet(), np.random.default_rng(3)
    for number in range(4):
        good = bad = 0
        for back in range(int(1200 / scrape), -1, -1):
            burst = 8 if rng.random() < 0.1 else 0
            good, bad = good + 100 - burst, bad + burst
            fleet.scrape("legacy", f"l-{number}", ORIGIN - back * scrape, {"200": good, "500": bad})
    series = fleet.read(ORIGIN, window(scrape)).legacy
    checkpoint = learned(sli(), ERROR_PLAN, series, until=ORIGIN, scrape=scrape, interval=5.0)
    assert checkpoint is not None
    chi, degrees, events, pods = checkpoint.values[sequential._CHI : sequential._PODS + 1]
    # Bursts of 8 at a tenth of the scrapes: 8 * 0.9.
    assert inflation(np.array([chi]), np.array([degrees]))[0] == pytest.approx(7.2, rel=0.25)
    assert events / pods == pytest.approx(100, rel=0.01)
