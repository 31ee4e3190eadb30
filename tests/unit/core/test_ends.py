"""Deletion, segments, and what is left alone after the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.conditions import rendered
from modelrollout.core.decide import decide
from modelrollout.core.model import (
    FULL,
    ZERO,
    IngressNginx,
    Phase,
    Verdict,
    Weight,
)
from modelrollout.core.observation import (
    RouteSeen,
    SpecProblem,
    Workload,
    WorkloadAbsent,
)
from modelrollout.core.reasons import ConditionType, EventReason, Reason
from modelrollout.core.situation import Situation
from modelrollout.core.status import RolloutStatus
from tests.scene import LEGACY, World, make_spec, reasons, started


def test_deletion_in_mid_rollout_sends_traffic_back_then_lets_go() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.deleting = True
    world.settle()
    assert (world.weight, world.gone) == (0, True)
    assert world.writes[-1] == "release"


def test_deletion_after_promotion_leaves_users_with_the_candidate() -> None:
    world = started(100)
    world.run(120)
    world.deleting = True
    world.step()
    assert (world.weight, world.gone) == (100, True)


def test_deletion_with_a_dead_legacy_lets_go_in_time_and_says_so() -> None:
    world = started(5, 25, 100)
    world.run(70)
    world.legacy = replace(LEGACY, endpoints=0)
    world.deleting = True
    world.run(25)
    assert world.gone
    assert "left with the candidate at 25 %" in world.told[-1].message


def test_segments_are_on_from_the_first_step_and_off_at_the_revert() -> None:
    world = started(5, 100, segments=True)
    assert isinstance(world.route, RouteSeen)
    assert (world.route.weight, world.route.segments) == (500, 10_000)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(5)
    assert isinstance(world.route, RouteSeen)
    assert (world.route.weight, world.route.segments) == (0, 0)


def test_promoted_rollout_does_not_mind_that_legacy_is_removed() -> None:
    world = started(100)
    world.run(120)
    world.legacy = WorkloadAbsent('legacy.deployment "fraud-v7" not found')
    world.run(100)
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)


def test_a_rollout_made_anew_after_a_promotion_moves_nobody() -> None:
    """A restored backup has no status; the route still gives the candidate everything."""
    world = World(spec=make_spec(5, 100), route=RouteSeen(FULL, ZERO, "7", accepted=True))
    world.settle()
    world.run(100)
    assert (world.weight, world.state.phase, world.state.reason) == (100, Phase.PROMOTED, Reason.FOUND_AT_FULL)
    assert not [w for w in world.writes if w.startswith("route")]
    assert reasons(world) == [EventReason.PROMOTED]
    world.revision = "rev-b"
    world.settle()
    assert world.weight == 5  # its successor starts like any other, from 0


def test_a_rollout_made_anew_in_the_middle_begins_at_its_first_step() -> None:
    world = World(spec=make_spec(5, 100), route=RouteSeen(Weight(4000), ZERO, "7", accepted=True))
    world.settle()
    assert [w for w in world.writes if w.startswith("route")] == ["route 0", "route 500"]


def test_promoted_is_not_told_of_a_revision_that_still_waits() -> None:
    """`kubectl wait --for=condition=Promoted` after a change of the spec returned at once while legacy was down."""
    world = started(100)
    world.run(120)
    world.legacy = replace(LEGACY, endpoints=0)
    world.spec, world.revision = replace(world.spec, generation=world.spec.generation + 1), "rev-b"
    world.settle()
    assert (world.weight, world.state.phase, world.state.reason) == (100, Phase.PROMOTED, Reason.ROLLBACK_BLOCKED)
    promoted = world.state.condition("Promoted")
    assert promoted is not None
    assert promoted.status == "False"


def by_way_of_legacy() -> World:
    """A promoted rollout whose canary Ingress is found by way of the users' own, which still sends to legacy."""
    spec = make_spec(100)
    world = World(spec=replace(spec, traffic=replace(spec.traffic, router=IngressNginx("front"))))
    world.settle()
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, through_legacy=True)
    world.run(120)
    assert (world.weight, world.state.phase) == (100, Phase.PROMOTED)
    return world


def test_a_promotion_says_what_legacy_is_still_needed_for() -> None:
    world = by_way_of_legacy()
    told = "keep legacy's pods until Ingress 'front' sends to Service 'fraud-v8'"
    assert told in world.state.message
    assert told in next(a.message for a in reversed(world.told) if a.reason == EventReason.PROMOTED)


@pytest.mark.parametrize("legacy", [replace(LEGACY, endpoints=0), WorkloadAbsent("gone")], ids=["no-pods", "deleted"])
def test_bug_available_was_true_while_nginx_answered_503_to_everybody(legacy: Workload) -> None:
    """nginx looks at a canary only where the Service of the users' Ingress has an endpoint."""
    world = by_way_of_legacy()
    world.legacy = legacy
    world.run(30)
    found = world.state.condition("Available")
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.LEGACY_NOT_READY)
    assert "Service 'fraud-v7', which has no ready endpoint, and ingress-nginx then gives 503" in found.message
    assert "or see to it that Ingress 'front' sends to Service 'fraud-v8'" in found.message
    assert isinstance(world.route, RouteSeen)
    world.route = replace(world.route, through_legacy=False)
    world.run(30)
    found = world.state.condition("Available")
    assert found is not None
    assert found.status != "False", "their Ingress sends to the candidate now"


def test_rolled_back_rollout_does_not_mind_that_the_candidate_is_removed() -> None:
    world = started(5, 100)
    world.run(20)
    world.verdict = Verdict.FAIL
    world.run(10)
    world.candidate, world.revision = WorkloadAbsent("gone"), None
    world.run(100)
    assert world.state.phase is Phase.ROLLED_BACK


def test_swapped_names_after_a_promotion_move_no_traffic() -> None:
    world = started(100)
    world.run(120)
    spec = world.spec
    world.spec = replace(spec, legacy=spec.candidate, candidate=replace(spec.legacy, deployment="v9", service="v9"))
    # The route as the router sees it under the new names: the new legacy has everything, the shape is the old one.
    world.route = RouteSeen(Weight(0), Weight(0), "77", shape_ok=False, accepted=True)
    world.revision = "rev-b"
    writes = len(world.writes)
    world.step()
    world.step()
    assert "route 0" in world.writes[writes:]
    assert world.state.phase is Phase.PREFLIGHT


def test_blocking_mode_is_in_progress_until_the_end() -> None:
    calm, blocking = started(100), started(100, blocking=True)
    pairs = [(w.state.condition("Ready"), w.state.condition("Reconciling")) for w in (calm, blocking)]
    assert [(a.status, b.status) for a, b in pairs if a and b] == [("True", "False"), ("False", "True")]
    blocking.run(120)
    ready, reconciling = blocking.state.condition("Ready"), blocking.state.condition("Reconciling")
    assert ready is not None
    assert reconciling is not None
    assert (ready.status, reconciling.status) == ("True", "False")


def pair(status: RolloutStatus) -> tuple[str, str]:
    """`Reconciling` and `Stalled`."""
    found = [status.condition(kind) for kind in (ConditionType.RECONCILING, ConditionType.STALLED)]
    return tuple(c.status if c else "" for c in found)  # type: ignore[return-value]  # two of them


def test_bug_an_unreadable_spec_in_a_blocking_rollout_was_reconciling_beside_stalled() -> None:
    world = started(100, blocking=True)
    assert pair(world.state) == ("True", "False")
    obs = replace(world.observe(), problem=SpecProblem("InvalidSpec", "spec.steps: is empty"), generation=2)
    assert pair(decide(None, world.state, obs, world.now).status) == ("False", "True")


def test_bug_a_revert_of_a_disputed_route_was_reconciling_beside_stalled() -> None:
    world = started(100)
    disputed = replace(world.state, phase=Phase.ROLLING_BACK, reason=Reason.ROUTE_CONFLICT)
    s = Situation(world.spec, disputed, world.observe(), world.now)
    assert pair(rendered(s)) == ("False", "True")
