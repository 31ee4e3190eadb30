"""How fast a candidate that turns bad is off the traffic, by the load generator's clock, five times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from math import ceil, floor
from typing import Any

import pytest

from e2e.cluster.provider import Cluster
from e2e.models import records
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, QUICK, V2, hold_at, open_play
from e2e.stage import Stage, until

pytestmark = pytest.mark.timeout(1800)

RUNS = 5
LIMIT = 8.0
TICK = 2.0
READ_OFFSET = 1.0
"""A tick is read so long after its end (docs/explanation/timing.md)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the time from the first error to the last answer went, in seconds. The ticks end at even seconds."""

    first_tick: float
    """From the first error to the end of its tick."""
    more_ticks: float
    """Further ticks until the one that decided."""
    acted: float
    """From the end of that tick to the route as stored: read offset, query, decision, write."""
    gateway: float
    """From there to the candidate's last answer."""

    @property
    def total(self) -> float:
        """First error to last answer."""
        return self.first_tick + self.more_ticks + self.acted + self.gateway


@pytest.mark.needs("audit")
def test_last_answer_of_a_bad_candidate_comes_within_8_s_of_its_first_error(
    cluster: Cluster, stages: Callable[[str], Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    """25 % of 100 requests/s, half of the candidate's answers errors, scrape and tick of 2 s; median of five."""
    assert QUICK["interval"] == f"{TICK:g}s"
    stage = stages("timing")
    load = open_play(stage, wanted=hold_at(25), slis=[{**ERRORS, "objective": "99.5"}], duration=900)
    runs: list[Parts] = []
    told: list[str] = []
    for run in range(RUNS):
        stage.wait_weight(25, seconds=60)
        time.sleep(15 + 0.7 * run)  # other phases of scrape and tick each time
        turned = stage.behave(CANDIDATE, errors=0.5)
        # A watch, not a poll: this machine's processors are the experiment's too.
        stage.kubectl("wait", "--for=condition=RolledBack", "modelrollout/tumour", "--timeout=60s")
        time.sleep(3)
        seen = [r for r in load.records() if r.start >= turned - 1]
        first, last = records.first_error(seen, V2), records.last_answer(seen, V2)
        assert first is not None
        assert last is not None
        runs.append(_parts(first.end, _closed(cluster, stage, turned), last.end))
        incident: dict[str, Any] = stage.status()["incident"]
        told.append(f"{records.harmed(seen, V2).errors} errors; {incident['reason']}: {incident['message']}")
        assert [r for r in records.failed(seen, 0, time.time()) if r.version != V2] == []
        stage.behave(CANDIDATE, errors=0.0)
        time.sleep(3)
        stage.act("Retry")
    load.stop()
    median = statistics.median(run.total for run in runs)
    with capsys.disabled():
        print(f"\nfirst error to last answer, median {median:.1f} s; total and {[f.name for f in fields(Parts)]}:")
        for parts, text in zip(runs, told, strict=True):
            print(f"  {parts.total:5.2f}  {[round(x, 2) for x in astuple(parts)]}  {text}")
    assert median <= LIMIT


def _parts(first: float, closed: float, last: float) -> Parts:
    begun = ceil(first / TICK) * TICK
    decided = floor((closed - READ_OFFSET) / TICK) * TICK
    return Parts(begun - first, decided - begun, closed - decided, last - closed)


def _closed(cluster: Cluster, stage: Stage, since: float) -> float:
    """When the API server had stored the route that the operator closed, epoch seconds."""

    def look() -> float | None:
        times = [at for event in cluster.audit() if _route_write(event, stage) and (at := _time(event)) >= since]
        return min(times, default=None)

    found: float = until("the route's write in the audit log", look, seconds=5)
    return found


def _route_write(event: dict[str, Any], stage: Stage) -> bool:
    of = event.get("objectRef") or {}
    return (
        (of.get("resource"), of.get("namespace"), of.get("subresource")) == ("httproutes", stage.namespace, None)
        and event.get("verb") in ("patch", "update")
        and event.get("stage") == "ResponseComplete"
        and str(event.get("userAgent", "")).startswith("modelrollout-operator")
    )


def _time(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(str(event["stageTimestamp"])).timestamp()
