"""Rollouts in the middle of what can happen to them: objects as the API server has them, from simulated scenarios.

`python -m tests.unit.cli.scenes` plays the scenarios of `examples/scenarios` and writes the files in `recorded/`.
Nothing in them is made up: the statuses are those that the operator's own code has written.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from modelrollout.api.convert import to_spec
from modelrollout.api.status_codec import encode
from modelrollout.api.status_text import render_time
from modelrollout.core.model import Phase, RolloutSpec
from modelrollout.core.reasons import Reason
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.drive import simulate
from modelrollout.sim.journal import Entry, entries
from modelrollout.sim.reading import read_scenario
from modelrollout.sim.world import START
from tests.layout.documents import ROOT

SCENARIOS = ROOT / "examples" / "scenarios"
FOLDER = Path(__file__).parent / "recorded"
SOURCE = SourceSpec("default", ArmsByPod(), 5.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """A moment of a scenario: the first status that `picks` takes, looked at `later` seconds after it was written."""

    scenario: str
    picks: Callable[[RolloutStatus], bool]
    rollout: str = "fraud"
    later: float = 10.0
    change: Callable[[dict[str, Any]], None] = lambda _: None


def at_step(index: int) -> Callable[[RolloutStatus], bool]:
    return lambda status: status.step is not None and status.step.index == index and status.phase is Phase.PROGRESSING


def tier(spec: dict[str, Any]) -> None:
    """Gold customers ask the large model from the first step on."""
    spec["traffic"]["segments"] = [{"headers": [{"name": "x-tier", "value": "gold"}]}]


SCENES = {
    "1-errors": Scene("errors-at-25", lambda s: s.phase is Phase.ROLLED_BACK),
    "2-slower": Scene("slower", lambda s: s.phase is Phase.ROLLED_BACK, later=120),
    "3-late-labels": Scene("late-labels", lambda s: s.phase is Phase.PAUSED, "labelled", later=30),
    "4-cold-start": Scene("cold-start", at_step(1), later=45),
    "5-tier": Scene("healthy", at_step(2), later=75, change=tier),
    "6-prometheus-down": Scene("prometheus-down", lambda s: s.reason == Reason.METRICS_UNREACHABLE, later=100),
    "7-shared": Scene("shared-incident", lambda s: s.reason == Reason.SHARED_DEGRADATION, later=45),
    "8-low-traffic": Scene("three-a-second", lambda s: s.holds.inconclusive is not None, "small", later=180),
    "no-requests": Scene("low-traffic", lambda s: s.holds.inconclusive is not None, later=60),
    "promoted": Scene("healthy", lambda s: s.phase is Phase.PROMOTED),
}
"""The eight scenarios of the requirements, a service that nobody asks, and an end that is good."""


@cache
def scene(name: str) -> tuple[dict[str, Any], float]:
    """The object of a scene as it was recorded, and when it is looked at."""
    found = json.loads((FOLDER / f"{name}.json").read_text())
    return found["object"], found["now"]


def play(asked: Scene) -> tuple[dict[str, Any], float]:
    """The same, played now."""
    manifest = next(iter(yaml.safe_load_all((SCENARIOS / f"{asked.rollout}.yaml").read_text())))
    asked.change(manifest["spec"])
    created = {"uid": "8f0c6c5e-3c5b-4a63-9d8e-1f6a2b7c4d10", "generation": 1, "creationTimestamp": render_time(START)}
    obj = {**manifest, "metadata": {**manifest["metadata"], **created}}
    spec = to_spec(obj)
    assert isinstance(spec, RolloutSpec)
    scenario = read_scenario((SCENARIOS / f"{asked.scenario}.yaml").read_text(), spec)
    course = simulate(spec, scenario, source=SOURCE, film=True)
    lines = io.BytesIO("".join(json.dumps(line, default=str) + "\n" for line in course.journal).encode())
    looks = [line for line in entries(lines) if isinstance(line, Entry)]
    # A look is recorded with the status that it found: the one before has written it.
    written = [(look.now, after.status) for look, after in pairwise(looks)] + [(START + course.ended, course.status)]
    at, status = next((at, status) for at, status in written if status is not None and asked.picks(status))
    return {**obj, "status": dict(kept(encode(status)))}, at + asked.later


def kept(patch: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a merge patch leaves in an object that had nothing."""
    for name, value in patch.items():
        if isinstance(value, dict):
            yield name, dict(kept(value))
        elif value is not None:
            yield name, value


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, asked in SCENES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        obj, now = play(asked)
        (FOLDER / f"{name}.json").write_text(json.dumps({"now": now, "object": obj}, indent=1) + "\n")
