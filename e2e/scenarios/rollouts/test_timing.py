"""How fast a candidate that turns bad is off the traffic, by the load generator's clock, five times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, V2, hold_at, open_play
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

RUNS = 5
LIMIT = 8.0


def test_last_answer_of_a_bad_candidate_comes_within_8_s_of_its_first_error(
    stages: Callable[[str], Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    """25 % of 100 requests/s, half of the candidate's answers errors, scrape and tick of 2 s; median of five."""
    stage = stages("timing")
    load = open_play(stage, wanted=hold_at(25), slis=[{**ERRORS, "objective": "99.5"}], duration=900)
    figures: list[float] = []
    harmed: list[int] = []
    for run in range(RUNS):
        stage.wait_weight(25, seconds=60)
        time.sleep(15 + 0.7 * run)  # other phases of scrape and tick each time
        turned = stage.behave(CANDIDATE, errors=0.5)
        stage.wait_phase("RolledBack", seconds=60)
        time.sleep(3)
        seen = [r for r in load.records() if r.start >= turned - 1]
        first, last = records.first_error(seen, V2), records.last_answer(seen, V2)
        assert first is not None
        assert last is not None
        figures.append(last.end - first.end)
        harmed.append(records.harmed(seen, V2).errors)
        assert [r for r in records.failed(seen, 0, time.time()) if r.version != V2] == []
        stage.behave(CANDIDATE, errors=0.0)
        time.sleep(3)
        stage.act("Retry")
    load.stop()
    median = statistics.median(figures)
    with capsys.disabled():
        print(
            f"\nfirst error to last answer, s: {[round(x, 1) for x in figures]}, median {median:.1f}; errors {harmed}"
        )
    assert median <= LIMIT
