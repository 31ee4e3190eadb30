"""The scenarios that come with the project: each does what its comment says, with the operator's own decisions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from modelrollout.cli.manifest import load
from modelrollout.core.model import Phase
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.drive import Course, simulate
from modelrollout.sim.outcome import Outcome, decisions, result
from modelrollout.sim.reading import read_scenario
from modelrollout.sim.scenario import ArmName

SCENARIOS = Path(__file__).parents[3] / "examples" / "scenarios"
ROLLOUTS = {"late-labels": "labelled", "three-a-second": "small"}


@cache
def played(name: str) -> Course:
    manifest = load(SCENARIOS / f"{ROLLOUTS.get(name, 'fraud')}.yaml")
    scenario = read_scenario((SCENARIOS / f"{name}.yaml").read_text(), manifest.spec)
    assert scenario.name == name
    source = manifest.source or SourceSpec("default", ArmsByPod(), None)
    return simulate(manifest.spec, scenario, source=source, film=True)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("healthy", Outcome.PROMOTED),
        ("errors-at-25", Outcome.REVERTED),
        ("slower", Outcome.REVERTED),
        ("shared-incident", Outcome.PROMOTED),
        ("prometheus-down", Outcome.PROMOTED),
        ("low-traffic", Outcome.UNFINISHED),
        ("three-a-second", Outcome.PROMOTED),
        ("late-labels", Outcome.REVERTED),
        ("crash-loop", Outcome.REVERTED),
        ("cold-start", Outcome.PROMOTED),
    ],
)
def test_outcome(name: str, outcome: Outcome) -> None:
    assert result(played(name), 1).outcome is outcome


def test_there_is_a_test_for_each() -> None:
    found = {path.stem for path in SCENARIOS.glob("*.yaml")}
    marks = [mark for mark in getattr(test_outcome, "pytestmark", ()) if mark.name == "parametrize"]
    assert {name for name, _ in marks[0].args[1]} == found - {"fraud", *ROLLOUTS.values()}


def highest(course: Course) -> int:
    return max(weight for _, weight in course.weights) // 100


def test_errors_at_25_are_found_at_25() -> None:
    course = played("errors-at-25")
    assert highest(course) == 25
    raised, reverted = [at for at, _ in decisions(course)][-2:]
    assert reverted - raised <= 30, "a fifth of the requests fail: seconds are enough"


def test_a_slower_candidate_goes_back_for_its_latency() -> None:
    course = played("slower")
    assert highest(course) == 5
    assert course.status.message.startswith("latency")


def test_nothing_is_raised_in_a_shared_incident() -> None:
    course = played("shared-incident")
    during = [d for at, d in decisions(course) if 110 <= at <= 690]
    assert [d.action for d in during if d.action in ("Raise", "Rollback")] == []


def test_nothing_moves_while_prometheus_is_down() -> None:
    course = played("prometheus-down")
    assert [d.action for at, d in decisions(course) if 95 <= at <= 690 and d.action in ("Raise", "Rollback")] == []


def test_low_traffic_stays_at_the_first_step() -> None:
    course = played("low-traffic")
    assert highest(course) == 5
    assert course.status.phase is Phase.PROGRESSING


def test_three_requests_a_second_are_waited_for_and_nothing_is_guessed() -> None:
    course = played("three-a-second")
    begins = [at for at, weight in course.weights if weight]
    assert [weight for _, weight in course.weights if weight] == [1_000, 5_000, 10_000]
    assert begins[1] - begins[0] > 5 * 60, "the shortest time of a step is two minutes, its evidence takes longer"


def test_late_labels_are_waited_for() -> None:
    course = played("late-labels")
    assert course.status.message.startswith("accuracy")
    assert 15 * 60 < course.ended < 40 * 60, "not before the first labels, and soon after"
    assert course.truth[ArmName.CANDIDATE, "errors"].bad < course.truth[ArmName.CANDIDATE, "errors"].total * 0.01


def test_a_crash_loop_goes_back_for_its_pods() -> None:
    assert played("crash-loop").status.incident is not None
    assert played("crash-loop").status.incident.reason == "CandidateUnhealthy"  # type: ignore[union-attr]  # asserted


def test_cold_starts_are_no_regression() -> None:
    course = played("cold-start")
    slow = course.truth[ArmName.CANDIDATE, "latency"].bad / course.truth[ArmName.CANDIDATE, "latency"].total
    assert slow > 0.015, "users did meet them"
    assert [d.action for _, d in decisions(course) if d.action not in ("Raise", "Promote")] == []
    at_once = replace(course.spec, analysis=replace(course.spec.analysis, warmup=0.0))
    judged = simulate(at_once, course.scenario, source=SourceSpec("default", ArmsByPod(), None))
    assert judged.status.phase is Phase.ROLLED_BACK, "analysis.warmup is what spares them"
