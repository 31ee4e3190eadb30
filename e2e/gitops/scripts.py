"""The stories: what people, models and clusters do to a rollout, and how that must end for GitOps tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

from e2e.chaos.scene import CANDIDATE, LEGACY, NAME, NAMESPACE, PORT, ROUTE, SOURCE, TICK
from e2e.gitops.stories import Script, Stage, Story
from modelrollout.adapters.kube.resources import DEPLOYMENTS, HTTPROUTES, ROLLOUTS, SERVICES, SOURCES

CURRENT, FAILED, WAITS, GONE = "Current", "Failed", "InProgress", ""
NEXT = "fraud-v9"
APPROVAL: Mapping[str, Any] = {"steps": [{"weight": 10}, {"weight": 50, "approval": True}, {"weight": 100}]}


async def nothing(stage: Stage) -> None:
    """A good candidate."""


def failing(percent: float) -> Script:
    async def script(stage: Stage) -> None:
        await stage.at(percent)
        stage.break_candidate()

    return script


def acts(verb: str, *, at: float | None = None, phase: str = "", reason: str = "") -> Script:
    """Somebody creates the action once the candidate has that weight, or the rollout that phase."""

    async def script(stage: Stage) -> None:
        await (stage.phased(phase, reason=reason) if at is None else stage.at(at))
        stage.act(verb)

    return script


async def abort(stage: Stage) -> None:
    await stage.at(50)
    stage.act("Abort")
    await stage.phased("RolledBack")


async def abort_early(stage: Stage) -> None:
    stage.serve("candidate", 0)
    await stage.phased("Preflight")
    stage.act("Abort")


async def aborted_and_applied_again(stage: Stage) -> None:
    await abort(stage)
    stage.people.patch(ROLLOUTS, NAME, {"metadata": {"annotations": {"example.com/applied": "again"}}})


async def aborted_and_mended(stage: Stage) -> None:
    await abort(stage)
    stage.deploy("two")


async def retry(stage: Stage) -> None:
    await abort(stage)
    stage.act("Retry")


async def pause_resume(stage: Stage) -> None:
    await stage.at(10)
    stage.act("Pause")
    await stage.phased("Paused")
    stage.act("Resume")


async def spec_paused(stage: Stage) -> None:
    await stage.phased("Paused")
    stage.change(paused=False)


async def new_revision(stage: Stage) -> None:
    await stage.at(50)
    stage.deploy("two")


async def revision_after_promotion(stage: Stage) -> None:
    await stage.phased("Promoted")
    stage.deploy("two")
    await stage.phased("Progressing")


async def bad_revision_after_promotion(stage: Stage) -> None:
    await revision_after_promotion(stage)
    stage.break_candidate()


async def next_waits(stage: Stage) -> None:
    await stage.phased("Promoted")
    stage.serve("legacy", 0)
    stage.deploy("two")
    await asyncio.sleep(60)


async def next_waited(stage: Stage) -> None:
    await next_waits(stage)
    stage.serve("legacy", 2)
    await stage.phased("Progressing")


async def broken_spec_after_promotion(stage: Stage) -> None:
    await stage.phased("Promoted")
    await broken_spec(stage)
    await asyncio.sleep(60)


async def two_revisions_at_once(stage: Stage) -> None:
    await stage.at(10)
    stage.deploy("two")
    await asyncio.sleep(0.5)
    stage.deploy("three")


async def bad_one_reverted(stage: Stage) -> None:
    await failing(50)(stage)
    await stage.phased("RolledBack")
    stage.traffic.fail(stage.clock.now(), "candidate", 0.002)
    stage.deploy("two")


def other_candidate(stage: Stage) -> None:
    """A commit names another Deployment."""
    ports = {"selector": {"app": NEXT}, "ports": [{"name": "http", "port": PORT}]}
    stage.people.create(SERVICES, NEXT, {"spec": ports})
    stage.people.scale(NEXT, "one")
    stage.change(candidate={"deployment": NEXT})


async def other_candidate_midway(stage: Stage) -> None:
    await stage.at(50)
    other_candidate(stage)


async def candidate_that_is_not_there(stage: Stage) -> None:
    await stage.at(50)
    stage.change(candidate={"deployment": NEXT})


async def edit_steps(stage: Stage) -> None:
    await stage.at(10)
    stage.edit_steps([10, 30, 60, 100])


async def touched_when_promoted(stage: Stage) -> None:
    await stage.phased("Promoted")
    stage.edit_steps([20, 100])


async def touched_when_rolled_back(stage: Stage) -> None:
    await abort(stage)
    stage.edit_steps([20, 100])


async def broken_spec(stage: Stage) -> None:
    stage.change(steps=[{"weight": 50}, {"weight": 10}, {"weight": 100}])


async def broken_spec_midway(stage: Stage) -> None:
    await stage.at(50)
    stage.change(steps=[{"weight": 50}, {"weight": 10}, {"weight": 100}])


async def broken_spec_mended(stage: Stage) -> None:
    await broken_spec_midway(stage)
    await stage.phased("Invalid")
    stage.change(steps=[{"weight": 10}, {"weight": 50}, {"weight": 100}])


async def delete_midway(stage: Stage) -> None:
    await stage.at(50)
    stage.delete()


async def delete_early(stage: Stage) -> None:
    stage.serve("candidate", 0)
    await stage.phased("Preflight")
    stage.delete()


async def delete_promoted(stage: Stage) -> None:
    await stage.phased("Promoted")
    stage.delete()


async def delete_without_legacy(stage: Stage) -> None:
    await stage.at(50)
    stage.serve("legacy", 0)
    stage.delete()


async def made_anew(stage: Stage) -> None:
    await delete_promoted(stage)
    await stage.reaches(lambda: stage.rollout is None)
    stage.people.create(ROLLOUTS, NAME, stage.spec)
    await stage.phased("Promoted")


async def legacy_missing(stage: Stage) -> None:
    stage.people.delete(DEPLOYMENTS, LEGACY)


async def legacy_comes(stage: Stage) -> None:
    await legacy_missing(stage)
    await stage.phased("Invalid")
    stage.people.scale(LEGACY, "one")


async def legacy_unready(stage: Stage) -> None:
    stage.serve("legacy", 0)


async def legacy_away_in_a_rollback(stage: Stage) -> None:
    await stage.at(50)
    stage.serve("legacy", 0)
    stage.act("Abort", when="legacy is back")
    await asyncio.sleep(40)
    stage.serve("legacy", 2)


async def candidate_never_ready(stage: Stage) -> None:
    stage.serve("candidate", 0)
    await stage.phased("RolledBack")


async def candidate_away(stage: Stage) -> None:
    await stage.at(50)
    stage.serve("candidate", 0)
    await asyncio.sleep(25)
    stage.serve("candidate", 2)


async def outage(stage: Stage) -> None:
    await stage.at(10)
    await stage.trouble_for(120)


async def upgrade(stage: Stage) -> None:
    await stage.at(10)
    await stage.upgrade()


async def no_source(stage: Stage) -> None:
    stage.people.delete(SOURCES, "default")


async def source_comes(stage: Stage) -> None:
    await no_source(stage)
    await stage.phased("Invalid")
    stage.people.create(SOURCES, "default", {"spec": {"prometheus": {"address": "http://127.0.0.1:9090"}, **SOURCE}})


async def route_disputed(stage: Stage) -> None:
    await stage.at(10)
    stage.carrier.by_hand(stage.people, 30)
    await asyncio.sleep(5)
    stage.carrier.by_hand(stage.people, 30)


async def dispute_settled(stage: Stage) -> None:
    await route_disputed(stage)
    await stage.phased("Paused", reason="RouteConflict")
    stage.act("Resume")


def refused(*targets: str) -> Script:
    async def script(stage: Stage) -> None:
        await stage.at(10)
        stage.refused = set(targets)
        await asyncio.sleep(300)

    return script


async def refused_for_a_while(stage: Stage) -> None:
    await refused("httproutes")(stage)
    stage.refused = set()
    await stage.phased("Promoted")


async def refused_from_the_start(stage: Stage) -> None:
    stage.refused = {"modelrollouts"}
    await asyncio.sleep(300)


async def garbage_in_store(stage: Stage) -> None:
    stored = stage.rollout or {}
    stage.server.store.plant(ROLLOUTS, (NAMESPACE, NAME), {**stored, "spec": {**stored["spec"], "slis": []}})


async def garbage_midway(stage: Stage) -> None:
    await stage.at(50)
    await garbage_in_store(stage)


async def same_as_legacy(stage: Stage) -> None:
    template = (stage.people.get(DEPLOYMENTS, CANDIDATE) or {})["spec"]["template"]
    stage.people.patch(DEPLOYMENTS, LEGACY, {"spec": {"template": template}})


async def no_gateway(stage: Stage) -> None:
    stage.without_gateway()


async def gateway_refuses(stage: Stage) -> None:
    stage.without_gateway()
    await stage.phased("Preflight", reason="RoutePending")
    route = stage.people.get(HTTPROUTES, ROUTE) or {}
    said = {
        "type": "Accepted",
        "status": "False",
        "reason": "NotAllowedByListeners",
        "message": "no listener takes it",
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }
    parent = {
        "parentRef": route["spec"]["parentRefs"][0],
        "controllerName": "example.com/gateway",
        "conditions": [said],
    }
    stage.people.patch(HTTPROUTES, ROUTE, {"status": {"parents": [parent]}}, part="status")


@cache
def stories() -> dict[str, Story]:
    """All of them by name."""
    looks = {"interval": f"{TICK:g}s", "warmup": "5s"}
    silence = {"analysis": {**looks, "noData": {"hold": "30s", "then": "Rollback"}}}
    brief = {"stepDefaults": {"minDuration": "5s", "maxDuration": "10s"}}
    doubt = {**brief, "analysis": {**looks, "inconclusive": {"hold": "5s", "then": "Pause"}}}
    broke = {"errorBudget": {"minRemaining": "100%"}}
    found = (
        Story("promote", nothing, CURRENT),
        Story("fail-at-10", failing(10), FAILED),
        Story("fail-at-50", failing(50), FAILED),
        Story("fail-at-100", failing(100), FAILED),
        Story("abort", abort, FAILED),
        Story("abort-early", abort_early, FAILED),
        Story("aborted-and-applied-again", aborted_and_applied_again, FAILED),
        Story("aborted-and-mended", aborted_and_mended, CURRENT),
        Story("retry", retry, CURRENT),
        Story("pause-resume", pause_resume, CURRENT),
        Story("pause", acts("Pause", at=10), WAITS, waits="a Resume action"),
        Story("spec-paused", spec_paused, CURRENT, {"paused": True}),
        Story("approve", acts("Approve", phase="Paused"), CURRENT, APPROVAL),
        Story("approval-missing", nothing, WAITS, APPROVAL, waits="an Approve action"),
        Story("abort-while-paused", acts("Abort", phase="Paused"), FAILED, APPROVAL),
        Story("promote-at-once", acts("Promote", at=10), CURRENT, trusts=True),
        Story("new-revision", new_revision, CURRENT),
        Story("revision-after-promotion", revision_after_promotion, CURRENT),
        Story("next-revision-waits", next_waits, WAITS, waits="a ready endpoint of legacy"),
        Story("next-revision-waited", next_waited, CURRENT),
        Story("broken-spec-after-promotion", broken_spec_after_promotion, FAILED),
        Story("bad-revision-after-promotion", bad_revision_after_promotion, FAILED),
        Story("two-revisions-at-once", two_revisions_at_once, CURRENT),
        Story("bad-one-reverted", bad_one_reverted, CURRENT),
        Story("other-candidate-midway", other_candidate_midway, FAILED, silence),
        Story("candidate-that-is-not-there", candidate_that_is_not_there, FAILED),
        Story("edit-steps", edit_steps, CURRENT),
        Story("touched-when-promoted", touched_when_promoted, CURRENT),
        Story("touched-when-rolled-back", touched_when_rolled_back, FAILED),
        Story("broken-spec", broken_spec, FAILED),
        Story("broken-spec-midway", broken_spec_midway, FAILED),
        Story("broken-spec-mended", broken_spec_mended, CURRENT),
        Story("delete-midway", delete_midway, GONE),
        Story("delete-early", delete_early, GONE),
        Story("delete-promoted", delete_promoted, GONE),
        Story("delete-without-legacy", delete_without_legacy, GONE),
        Story("made-anew", made_anew, CURRENT, trusts=True),
        Story("legacy-missing", legacy_missing, FAILED),
        Story("legacy-comes", legacy_comes, CURRENT),
        Story("legacy-unready", legacy_unready, WAITS, waits="a ready endpoint of legacy"),
        Story("legacy-away-in-a-rollback", legacy_away_in_a_rollback, FAILED),
        Story("candidate-never-ready", candidate_never_ready, FAILED, {"candidateDeadline": "2m"}),
        Story("candidate-away", candidate_away, CURRENT),
        Story("outage", outage, CURRENT),
        Story("upgrade", upgrade, CURRENT),
        Story("no-source", no_source, FAILED),
        Story("source-comes", source_comes, CURRENT),
        Story("route-disputed", route_disputed, FAILED),
        Story("dispute-settled", dispute_settled, CURRENT),
        Story("route-refused", refused("httproutes"), FAILED),
        Story("route-refused-for-a-while", refused_for_a_while, CURRENT),
        Story("refused-from-the-start", refused_from_the_start, FAILED),
        Story("garbage-in-store", garbage_in_store, FAILED),
        Story("garbage-midway", garbage_midway, FAILED),
        Story("same-as-legacy", same_as_legacy, CURRENT),
        Story("undecided-for-a-while", nothing, CURRENT, doubt, trusts=True),
        Story("budget-exhausted", nothing, WAITS, broke, waits="the error budget, or an Approve action"),
        Story("budget-overridden", acts("Approve", phase="Preflight", reason="BudgetExhausted"), CURRENT, broke),
        Story("no-gateway", no_gateway, WAITS, waits="a Gateway that takes the route"),
        Story("gateway-refuses", gateway_refuses, FAILED),
    )
    return {story.name: story for story in found}
