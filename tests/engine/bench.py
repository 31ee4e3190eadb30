"""Evidence rounds over a Prometheus in memory, without engine and API server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from modelrollout.core.model import Key, Phase, RolloutSpec, Selector, Weight
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.status import RolloutStatus, StepState
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.rounds import Rounds
from tests.engine.api import SCRAPE, LoopClock
from tests.engine.metrics import FakeMetrics
from tests.scene import START

TOTAL = Selector("requests_total")
PLAN = SliPlan("availability", (Term(TOTAL),), (Term(Selector("requests_total", equal=(("code", "500"),))),))
SOURCE = SourceSpec("default", ArmsByPod(), SCRAPE)


def at_step(started: float = START, **changes: object) -> RolloutStatus:
    base = RolloutStatus(
        phase=Phase.PROGRESSING, revision="r", attempt=1, grid=START, step=StepState(0, 3, started, Weight(500))
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of RolloutStatus


class Bench:
    """Rounds over a fake Prometheus, with the news they bring."""

    def __init__(self, metrics: FakeMetrics | None = None, clock: LoopClock | None = None) -> None:
        self.metrics = metrics or FakeMetrics()
        self.news: list[tuple[float, Key, Priority]] = []
        self.told: list[str] = []
        self.rounds = Rounds(self.metrics, clock or LoopClock(), self._told)

    def _told(self, key: Key, priority: Priority) -> None:
        self.news.append((asyncio.get_running_loop().time(), key, priority))
        self.told.append("told")

    def follow(self, spec: RolloutSpec, status: RolloutStatus | None = None, source: SourceSpec = SOURCE) -> None:
        self.metrics.serve(spec)
        self.rounds.follow(spec, status or at_step(), source, (PLAN,), SCRAPE)

    async def run(self, seconds: float) -> None:
        task = asyncio.create_task(self.rounds.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
