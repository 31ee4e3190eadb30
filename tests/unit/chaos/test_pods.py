"""Pods of the fault suite: they take their time, an update replaces them bit by bit, and broken promises are seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from e2e.chaos import loop
from e2e.chaos.apiserver.objects import Version
from e2e.chaos.campaign import judge, reference
from e2e.chaos.drive import Run, drive
from e2e.chaos.faults import Plan, parse
from e2e.chaos.oracles import check
from e2e.chaos.pod_counts import SERVICE, SLICE, PodTracker
from e2e.chaos.pod_oracles import hurt
from e2e.chaos.pods import LEAVES, SEEN, STARTS
from e2e.chaos.router_workloads import PODS
from e2e.chaos.scene import CANDIDATE, LEGACY, rollout
from e2e.chaos.world import World
from modelrollout.adapters.kube import replicas
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SERVICES, SLICES
from modelrollout.core import pods as operators
from modelrollout.core.pods import Pods
from modelrollout.core.samples import Series
from modelrollout.ports import SeriesQuery

SOON = SEEN + LEAVES + 0.1


def played(act: Callable[[World], Awaitable[None]]) -> World:
    """A world without an operator, after `act`."""
    world = World(1, rollout(traffic=PODS.traffic), carrier=PODS)

    async def main() -> None:
        world.plane.furnish()
        task = asyncio.create_task(world.plane.play())
        await act(world)
        task.cancel()

    loop.run(main())
    return world


def pods(world: World) -> Pods:
    """As the objects have them."""
    tracker = PodTracker(10)
    for version in world.server.store.history:
        tracker.take(version)
    return tracker.pods


def scale(world: World, name: str, count: int) -> None:
    world.people.patch(DEPLOYMENTS, name, {"spec": {"replicas": count}})


def test_pods_become_ready_some_seconds_after_they_are_wanted_and_leave_at_once() -> None:
    seen: list[Pods] = []

    async def act(world: World) -> None:
        scale(world, CANDIDATE, 3)
        await asyncio.sleep(STARTS[0])
        seen.append(pods(world))
        await asyncio.sleep(STARTS[1] - STARTS[0] + SOON)
        seen.append(pods(world))
        scale(world, CANDIDATE, 1)
        await asyncio.sleep(SOON)

    world = played(act)
    assert [*seen, pods(world)] == [Pods(10, 10, 3, 10, 0), Pods(10, 10, 3, 10, 3), Pods(10, 10, 1, 10, 1)]
    status = (world.people.get(DEPLOYMENTS, CANDIDATE) or {})["status"]
    assert status["replicas"] == status["readyReplicas"] == status["updatedReplicas"] == 1


def test_a_pod_that_is_not_ready_yet_goes_before_one_that_is() -> None:
    async def act(world: World) -> None:
        scale(world, LEGACY, 12)
        await asyncio.sleep(1)
        scale(world, LEGACY, 10)
        await asyncio.sleep(STARTS[1] + SOON)

    world = played(act)
    assert min(state.legacy_ready for state in ready(world)) == 10


def ready(world: World) -> list[Pods]:
    tracker, found = PodTracker(10), []
    for version in world.server.store.history:
        tracker.take(version)
        if version.resource is SLICES:
            found.append(tracker.pods)
    return found


def test_an_update_leaves_three_quarters_of_the_pods_and_ends_with_all_of_them() -> None:
    async def act(world: World) -> None:
        scale(world, CANDIDATE, 8)
        await asyncio.sleep(STARTS[1] + SOON)
        world.deploy("two")
        await asyncio.sleep(60)

    world = played(act)
    since = next(index for index, state in enumerate(ready(world)) if state.candidate_ready == 8)
    assert min(state.candidate_ready for state in ready(world)[since:]) == 6
    assert pods(world) == Pods(10, 10, 8, 10, 8)
    slices = world.people.get(SLICES, SLICE) or {}
    assert len(slices["endpoints"]) == 18


def test_pods_that_are_stuck_never_come_up_and_unready_ones_come_back() -> None:
    async def act(world: World) -> None:
        world.serve("legacy", 0)
        away.append(pods(world))
        world.serve("legacy", 2)
        world.plane.stuck.add(CANDIDATE)  # type: ignore[attr-defined]  # of the plane with pods
        scale(world, CANDIDATE, 2)
        await asyncio.sleep(600)

    away: list[Pods] = []
    assert pods(played(act)) == Pods(10, 10, 2, 10, 0)
    assert away == [Pods(10, 10, 0, 0, 0)]


def test_users_are_spread_over_ready_pods_whichever_arm_they_are_of() -> None:
    query = SeriesQuery(metrics=("requests_total",), window=60.0)

    async def act(world: World) -> None:
        scale(world, CANDIDATE, 5)
        await asyncio.sleep(STARTS[1] + SOON)
        begun = world.clock.now()
        await asyncio.sleep(60)
        for one in world.plane.traffic.series(replace(query, window=begun), world.clock.now()):
            found.append((one, begun))

    found: list[tuple[Series, float]] = []
    played(act)
    grown = {
        one.labels["pod"]: one.values[-1] - next(v for t, v in zip(one.times, one.values, strict=True) if t >= begun)
        for one, begun in found
        if one.labels["code"] == "200"
    }
    assert len(grown) == 15
    assert min(grown.values()) > 0.9 * max(grown.values()) > 300


def test_a_service_that_somebody_deletes_is_put_back_by_its_owner() -> None:
    async def act(world: World) -> None:
        assert world.carrier.take_away(world.people) > 0
        assert world.people.get(SERVICES, SERVICE) is None
        world.carrier.put_back(world.people)

    assert played(act).people.get(SERVICES, SERVICE) is not None


# --- broken promises ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _forgets() -> object:
    reference.cache_clear()
    yield
    reference.cache_clear()


def broken(line: str) -> set[str]:
    plan = parse(line)
    known = drive(Plan(plan.workload, 1))
    return {violation.oracle for violation in (*check(known, None), *check(drive(plan), known))}


def towards(monkeypatch: pytest.MonkeyPatch, changed: Callable[[Pods, int, int], tuple[int, int]]) -> None:
    """Put another way in the operator's place; `changed` is given the pods and what it would write."""
    usual = operators.towards
    monkeypatch.setattr(replicas, "towards", lambda pods, weight: changed(pods, *usual(pods, weight)))


def test_a_way_back_that_leaves_users_without_pods_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    towards(monkeypatch, lambda pods, legacy, candidate: (legacy, 0 if candidate < pods.candidate else candidate))
    assert "I1" in broken("pods-fail-at-50/1/")


def test_a_way_back_that_waits_for_all_pods_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(pods: Pods, legacy: int, candidate: int) -> tuple[int, int]:
        return legacy, candidate if pods.legacy_ready == 10 else max(candidate, pods.candidate)

    towards(monkeypatch, waits)
    assert "I4" in broken("pods-abort/1/")


def test_a_step_with_a_pod_too_many_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    towards(monkeypatch, lambda pods, legacy, candidate: (legacy, candidate + (0 < pods.candidate < candidate)))
    assert "I2" in broken("pods-promote/1/")


def test_pods_of_a_step_before_legacy_has_its_part_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    towards(monkeypatch, lambda pods, legacy, candidate: (legacy, candidate or (pods.legacy == 9)))
    assert "I2" in broken("pods-legacy-small/1/")


def test_bug_a_slow_leader_scaled_on_while_another_led() -> None:
    """One share takes two writes and reads between them: the right to write is looked at again when they take long."""
    assert judge(parse("pods-legacy-small/1/slow+60@5")).violations == ()


def test_bug_a_slow_leader_finished_an_action_while_another_led() -> None:
    """The result of an action comes after all that was done, which may have taken longer than a Lease lasts."""
    assert judge(parse("pods-rescaled/1/slow+60@31")).violations == ()


def test_a_run_tells_the_numbers_at_its_end() -> None:
    run: Run = drive(Plan("pods-promote", 1))
    assert run.end["plane"] == {"wanted": (0, 10)}


@pytest.mark.parametrize(("seconds", "seen"), [(0.02, []), (2.0, ["I1"])])
def test_what_somebody_took_away_a_moment_ago_is_not_held_against_the_operator(seconds: float, seen: list[str]) -> None:
    def scaled(name: str, count: int, at: float, agent: str) -> Version:
        return Version(0, DEPLOYMENTS, ("serving", name), {"spec": {"replicas": count}}, None, agent, at, b"")

    up = [f"{LEGACY}-5d9c7b6f4-{i}" for i in range(10)] + [f"{CANDIDATE}-5d9c7b6f4-{i}" for i in range(4)]
    endpoints = [{"targetRef": {"name": pod}, "conditions": {"ready": True}} for pod in up]
    history = [
        scaled(LEGACY, 10, 0.0, "kubectl"),
        scaled(CANDIDATE, 4, 0.0, "kubectl"),
        Version(0, SLICES, ("serving", SLICE), {"endpoints": endpoints}, None, "kubectl", 0.0, b""),
        scaled(LEGACY, 6, 10.0, "kubectl"),
        scaled(CANDIDATE, 3, 10.0 + seconds, "operator-1#1"),
    ]
    assert [number for _, number, _ in hurt(history, 10)] == seen
