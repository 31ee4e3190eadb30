"""Two rollouts side by side under the same fault: one whose candidate is well, one whose candidate turns bad."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from e2e.models import records
from e2e.models.records import Record
from e2e.scenarios.rollouts.plays import BAD_ANSWERS, CANDIDATE, QUICK, V2, hold_at, open_play, steps
from e2e.stage import Load, Stage

RATE = 50.0
LOW, HIGH = 10, 50
"""Weights of the healthy rollout's steps before 100."""
BAD = 25
HOLD = "6s"
"""`noData.hold`: over within every fault, so that what follows it is tried too."""


@dataclass(frozen=True, slots=True)
class Act:
    """One rollout with its users."""

    stage: Stage
    load: Load


@dataclass(frozen=True, slots=True)
class Pair:
    """`well` walks up as soon as it may; `bad` stays at `BAD` and misbehaves when told to."""

    well: Act
    bad: Act

    def turn_bad(self, **behaviour: object) -> float:
        """The bad one's candidate answers half of the requests with 500; returns when."""
        return self.bad.stage.behave(CANDIDATE, **(behaviour or {"errors": 0.5}))

    def promoted(self, *, seconds: float = 60) -> None:
        """The healthy rollout gets to its end by itself, and was never taken for bad."""
        done = self.well.stage.wait_phase("Promoted", seconds=seconds)
        assert [d for d in done["decisions"] if d["action"] == "Rollback"] == []
        assert "incident" not in done, done["incident"]

    def reverted(self, *, since: float, within: float) -> float:
        """The bad one's route is at 0 `within` seconds of `since`, for its bad answers; returns after how many."""
        self.bad.stage.wait_route([[100, 0]], seconds=max(1.0, since + within - time.time()))
        took = time.time() - since
        status = self.bad.stage.wait_phase("RolledBack", seconds=10)
        assert status["incident"]["reason"] in BAD_ANSWERS, status["incident"]
        assert status["incident"]["message"].startswith("availability: "), status["incident"]
        return took

    def frozen(self, reason: str, text: str = "", *, seconds: float) -> None:
        """Both get paused for `reason`, with `text` in the message, and keep the weights that they have."""
        for act in (self.well, self.bad):
            status = act.stage.wait_phase("Paused", seconds=seconds)
            assert (status["reason"], text in status["message"]) == (reason, True), status
        before = self.well.stage.route_weights()
        time.sleep(5)
        assert self.well.stage.route_weights() == before
        assert self.bad.stage.route_weights()[0][1] > 0

    def settled(self, *, turned: float) -> int:
        """Ends the users: no request of the well one failed, and of the bad one only what its candidate answered.

        Returns how many those were since it `turned` bad.
        """
        end = time.time()
        assert records.failed(self.well.load.stop(), 0, end) == []
        seen = self.bad.load.stop()
        assert others_failures(seen, 0, end) == []
        return len(records.failed(seen, turned, end))


def open_pair(stages: Callable[[str], Stage], name: str) -> Pair:
    """Both in mid-step: `well` at `LOW`, held by its time; `bad` at `BAD`."""
    analysis = {**QUICK, "noData": {"hold": HOLD, "then": "Rollback"}}
    made = [stages(f"{name}-well"), stages(f"{name}-bad")]
    # The first step's time is over when the fault has come, not before.
    plans = [[{"weight": LOW, "minDuration": "15s"}, *steps(HIGH, 100, each="8s")], hold_at(BAD)]
    with ThreadPoolExecutor() as pool:
        loads = list(
            pool.map(
                lambda x: open_play(x[0], wanted=x[1], analysis=analysis, rate=RATE), zip(made, plans, strict=True)
            )
        )
        list(pool.map(lambda x: x[0].wait_weight(x[1], seconds=60), zip(made, (LOW, BAD), strict=True)))
    time.sleep(4)
    return Pair(*(Act(stage, load) for stage, load in zip(made, loads, strict=True)))


def others_failures(seen: Iterable[Record], since: float, until: float) -> list[Record]:
    """Failures that the bad candidate did not answer: requests nobody answered, or legacy badly."""
    return [r for r in records.failed(seen, since, until) if r.version != V2]
