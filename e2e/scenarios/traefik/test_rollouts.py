"""Whole rollouts by docs/how-to/traefik.md: real requests through Traefik to real pods, judged by a real Prometheus."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import pytest

from e2e.models import records
from e2e.models.records import Record
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, hold_at, steps
from e2e.scenarios.traefik.front import (
    CANDIDATE,
    LEGACY,
    NAME,
    OTHER,
    V6,
    V8,
    Front,
    opened,
    raises,
    services,
    weights,
)
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(900)

Stages = Callable[[str], Stage]
FOLLOWED = 4.0
"""Seconds after a write within which Traefik has taken it, also when it took in another one just before."""
DEVIATIONS = 4.0
RUNS = 3
LIMIT = 12.0
"""Seconds from its first error to the last request that reaches a candidate: 8 as at a gateway, and Traefik's delay."""


def of_version(seen: list[Record], version: str, start: float, end: float) -> tuple[int, int]:
    """How many of the answers to requests of that time were of this version, and how many there were."""
    answered = [r.version == version for r in records.within(seen, start, end) if r.version is not None]
    return sum(answered), len(answered)


def by_chance(count: int, of: int, share: float) -> bool:
    """Whether independent requests could be split so, four standard deviations to each side; 0 and 1 exactly."""
    return abs(count - of * share) <= DEVIATIONS * math.sqrt(of * share * (1 - share))


def test_a_healthy_candidate_is_promoted_through_shares_that_users_see(
    stages: Stages, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins without pods, as a Deployment does that Git has just brought: legacy's users must not notice that."""
    stage = stages("healthy")
    load = opened(front, stage, steps(10, 50, 100, each="8s", last="8s"), candidate_pods=0)
    time.sleep(3)
    stage.kubectl("scale", "deployment", CANDIDATE, "--replicas=1")
    status = stage.wait_phase("Promoted", seconds=180, name=NAME)
    done = time.time()
    time.sleep(5)
    seen = load.stop()
    assert records.failed(seen, 0, math.inf) == []
    assert services(stage) == [(LEGACY, 0), (CANDIDATE, 100)]
    made = raises(status)
    assert [share for share, _ in made] == [0.1, 0.5, 1.0]
    ends = [*(at for _, at in made[1:]), done + 5]
    for (share, at), end in zip(made, ends, strict=True):
        count, of = of_version(seen, V8, at + FOLLOWED, end)
        with capsys.disabled():
            print(f"\nstep of {share:.0%}: {count} of {of} requests reached the candidate")
        assert of > 200
        assert by_chance(count, of, share), f"{count} of {of} at {share:.0%}"
    before, _ = of_version(seen, V8, 0, made[0][1])
    assert before == 0


def test_a_candidate_that_turns_bad_at_half_is_off_within_seconds(
    stages: Stages, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = stages("bad")
    load = opened(front, stage, hold_at(50))
    took: list[float] = []
    for run in range(RUNS):
        stage.wait_weight(50, seconds=90, name=NAME)
        time.sleep(14 + 0.7 * run)  # other phases of scrape and tick each time
        turned = stage.behave(CANDIDATE, errors=0.5)
        status = stage.wait_phase("RolledBack", seconds=60, name=NAME)
        time.sleep(FOLLOWED)
        seen = [r for r in load.records() if r.start >= turned - 1]
        first, last = records.first_error(seen, V8), records.last_answer(seen, V8)
        assert first is not None
        assert last is not None
        took.append(last.start - first.end)
        assert status["incident"]["reason"] in BAD_ANSWERS
        assert weights(stage) == [100, 0]
        with capsys.disabled():
            harm = records.harmed(seen, V8).errors
            print(f"\n{took[-1]:.1f} s from its first error to the last request that reached it, {harm} errors")
        stage.behave(CANDIDATE, errors=0.0)
        if run < RUNS - 1:
            stage.act("Retry", rollout=NAME)
    seen = load.stop()
    assert [r for r in records.failed(seen, 0, math.inf) if r.version != V8] == [], "legacy's users noticed nothing"
    assert statistics.median(took) <= LIMIT


def test_an_entry_that_is_not_ours_keeps_its_weight_and_its_share(stages: Stages, front: Front) -> None:
    stage = stages("third")
    load = opened(front, stage, steps(50, 100, each="5s", last="5s"), other=25)
    begun = time.time() + FOLLOWED
    stage.wait_phase("Promoted", seconds=180, name=NAME)
    time.sleep(FOLLOWED)
    seen = load.stop()
    assert services(stage) == [(LEGACY, 0), (CANDIDATE, 100), (OTHER, 25)]
    assert records.failed(seen, 0, math.inf) == []
    count, of = of_version(seen, V6, begun, math.inf)
    assert by_chance(count, of, 0.2), f"{count} of {of}"
