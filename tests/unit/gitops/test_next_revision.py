"""What GitOps tools see of a version whose work is not done, while the status still tells how the last one ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from modelrollout.api.status_codec import encode
from modelrollout.core.decide import decide
from modelrollout.core.model import ActionVerb, Arm, Phase, Verdict
from modelrollout.core.observation import SpecProblem, WorkloadAbsent
from modelrollout.core.reasons import Reason
from tests.scene import LEGACY, World, started
from tests.unit.gitops.test_argocd import run

NO_LEGACY = replace(LEGACY, endpoints=0)
BAD_SPEC = SpecProblem(Reason.INVALID_SPEC, "spec.steps: the last weight must be 100 %")


def promoted(*, blocking: bool) -> World:
    world = started(100, blocking=blocking)
    world.run(70)
    assert world.state.phase is Phase.PROMOTED
    return world


def rolled_back(*, blocking: bool) -> World:
    world = started(5, 100, blocking=blocking)
    world.verdict = Verdict.FAIL
    world.run(20)
    assert world.state.phase is Phase.ROLLED_BACK
    return world


def commit(world: World) -> None:
    """The next commit: another generation of the object, another revision of the candidate."""
    world.spec, world.revision = replace(world.spec, generation=world.spec.generation + 1), "rev-b"


def value(world: World, kind: str) -> str:
    found = world.state.condition(kind)
    assert found is not None
    assert found.generation == world.state.observed_generation
    return found.status


def kstatus(world: World) -> str:
    """As kstatus reads an object whose observedGeneration is its generation."""
    assert world.state.observed_generation == world.spec.generation
    for kind, told in (("Reconciling", "InProgress"), ("Stalled", "Failed")):
        if value(world, kind) == "True":
            return told
    return "Current" if value(world, "Ready") == "True" else "InProgress"


def argo_cd(world: World) -> str:
    obj = {"metadata": {"generation": world.spec.generation}, "status": encode(world.state)}
    return str(run("health.lua", obj)["status"])


@pytest.mark.parametrize("blocking", [False, True])
def test_bug_a_promoted_rollout_was_healthy_while_the_next_revision_waited_for_legacy(blocking: bool) -> None:
    world = promoted(blocking=blocking)
    assert (kstatus(world), argo_cd(world), value(world, "Promoted")) == ("Current", "Healthy", "True")
    world.legacy = NO_LEGACY
    commit(world)
    world.settle()
    assert (world.weight, world.state.reason) == (100, Reason.ROLLBACK_BLOCKED)
    assert value(world, "Promoted") == "False"
    assert kstatus(world) == ("InProgress" if blocking else "Current")
    assert argo_cd(world) == "Progressing"
    world.legacy = LEGACY
    world.run(100)
    assert (kstatus(world), argo_cd(world), value(world, "Promoted")) == ("Current", "Healthy", "True")


@pytest.mark.parametrize("blocking", [False, True])
def test_bug_a_rejected_revision_was_shown_as_the_end_of_the_next_one_that_waited(blocking: bool) -> None:
    """Somebody had given the rejected candidate users again, and legacy was down: the next one can't begin yet."""
    world = rolled_back(blocking=blocking)
    assert (kstatus(world), argo_cd(world)) == ("Failed", "Degraded")
    world.legacy = NO_LEGACY
    world.edit_route(40)
    commit(world)
    world.settle()
    assert (world.state.phase, world.state.reason) == (Phase.ROLLED_BACK, Reason.ROLLBACK_BLOCKED)
    assert value(world, "RolledBack") == "False"
    assert kstatus(world) == ("InProgress" if blocking else "Current")
    assert argo_cd(world) == "Progressing"


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("known", [False, True], ids=["new process", "last valid spec known"])
@pytest.mark.parametrize("made", [promoted, rolled_back])
def test_bug_a_version_that_cannot_be_read_was_shown_as_done_because_the_last_one_was(
    made: Callable[..., World], known: bool, blocking: bool
) -> None:
    world = made(blocking=blocking)
    weight, phase = world.weight, world.state.phase
    valid = world.spec
    world.spec = replace(world.spec, generation=2)
    observation = replace(world.observe(), problem=BAD_SPEC)
    world.carry_out(decide(valid if known else None, world.state, observation, world.now))
    assert kstatus(world) == "Failed"
    assert argo_cd(world) == "Degraded"
    assert value(world, "Accepted") == "False"
    assert value(world, "Promoted") == "False"
    ready = world.state.condition("Ready")
    assert ready is not None
    assert BAD_SPEC.problem in ready.message
    world.spec = replace(world.spec, generation=3)
    world.settle()
    assert (world.weight, world.state.phase) == (weight, phase), "mended: as it was"


def test_bug_a_commit_that_was_taken_back_started_the_rejected_revision_again() -> None:
    """It had named a Deployment that was not there: Invalid, and then the old spec was checked as if it were new."""
    world = rolled_back(blocking=True)
    before, writes = world.spec, len(world.writes)
    there, revision = world.candidate, world.revision
    world.spec = replace(before, generation=2, candidate=Arm("fraud-v9", "fraud-v9", "fraud", "9"))
    world.candidate, world.revision = WorkloadAbsent("no Deployment 'fraud-v9'"), None
    world.settle()
    assert (world.state.phase, kstatus(world)) == (Phase.INVALID, "Failed")
    world.spec, world.candidate, world.revision = replace(before, generation=3), there, revision
    world.run(60)
    assert (world.weight, world.state.phase, kstatus(world)) == (0, Phase.ROLLED_BACK, "Failed")
    assert "a Retry action starts it again" in world.state.message
    assert not [write for write in world.writes[writes:] if write.startswith("route")]
    world.verdict = Verdict.PASS
    world.act(ActionVerb.RETRY)
    world.run(10)
    assert world.weight == 5


def test_a_promoted_rollout_does_not_mind_that_its_metrics_are_gone() -> None:
    world = promoted(blocking=True)
    world.problem = SpecProblem(Reason.SOURCE_NOT_FOUND, "MetricSource 'default' not found")
    world.legacy = WorkloadAbsent("no Deployment 'fraud-v7'")
    world.run(60)
    assert (kstatus(world), argo_cd(world), value(world, "Promoted")) == ("Current", "Healthy", "True")


def test_bug_a_finalizer_that_was_taken_off_made_the_next_revision_look_done_for_a_moment() -> None:
    world = promoted(blocking=True)
    world.finalizer = False
    commit(world)
    decision = world.decide()
    world.status = decision.status
    assert (kstatus(world), argo_cd(world), value(world, "Promoted")) == ("InProgress", "Progressing", "False")
