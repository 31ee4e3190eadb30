"""Profiles of the cluster under a rollout: they judge, and what is done to them in mid-rollout raises nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from modelrollout.catalog.profiles import Counter, Profile, RatioEntry
from modelrollout.core.model import ActionVerb, ClusterProfileRef, Phase, ProfileRef, RolloutSpec
from modelrollout.core.observation import ActionRequest, SpecProblem
from modelrollout.core.reasons import Reason
from modelrollout.core.situation import plan_hash
from modelrollout.runtime.profiles import REMEMBERED, Bound, Profiles
from modelrollout.runtime.queue import Priority
from tests.engine.api import LoopClock
from tests.engine.metrics import Load
from tests.engine.world import World, build, phase, quick
from tests.scene import START, make_spec

pytestmark = pytest.mark.looptime(start=0)

ENTRY = RatioEntry(
    "Requests that failed",
    (Counter(("score_requests_total", "requests_total")),),
    (Counter((), equal=(("code", "500"),)),),
)
PROFILE = Profile("acme-scorer", "Our server", {"failures": ENTRY})
STRICTER = replace(PROFILE, slis={"failures": replace(ENTRY, bad=(Counter((), regex=(("code", "4..|500"),)),))})


class Shelf:
    """The cluster's profiles, by name."""

    def __init__(self, *profiles: Profile) -> None:
        self.found: dict[str, Profile | SpecProblem] = {each.server: each for each in profiles}

    def __call__(self, name: str) -> Profile | SpecProblem | None:
        return self.found.get(name)


def named(spec: RolloutSpec, ref: str = "acme-scorer/failures") -> RolloutSpec:
    server, _, sli = ref.partition("/")
    return replace(spec, slis=tuple(replace(each, source=ProfileRef(server, sli)) for each in spec.slis))


async def at_half(shelf: Shelf) -> tuple[World, RolloutSpec]:
    spec = named(quick("fraud"))
    world = build(profiles=Profiles(shelf))
    world.api.create(spec)
    world.metrics.serve(spec)
    await world.start()
    await world.until(lambda: world.api.weight(spec.key) == 5000)
    return world, spec


async def test_a_profile_of_the_cluster_judges_and_the_status_says_what_it_counts() -> None:
    world, spec = await at_half(Shelf(PROFILE))
    (sli,) = world.api.status(spec.key).slis
    assert sli.counted == "requests_total", "the second of its names is the one that exists"
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    await world.stop()


async def test_a_bad_candidate_goes_back_by_a_profile_of_the_cluster() -> None:
    world, spec = await at_half(Shelf(PROFILE))
    world.metrics.change(spec.key.namespace, spec.candidate.deployment, LoopClock().now(), Load(errors=0.3))
    await world.until(lambda: phase(world, spec.key) is Phase.ROLLED_BACK)
    await world.stop()


async def test_a_changed_profile_keeps_the_weight_and_restarts_the_evidence_of_the_step() -> None:
    shelf = Shelf(PROFILE)
    world, spec = await at_half(shelf)
    await asyncio.sleep(15)
    began, plan = world.api.status(spec.key).step, world.api.status(spec.key).plan
    shelf.found["acme-scorer"] = STRICTER
    writes = len(world.api.writes)
    world.engine.enqueue(spec.key)
    await asyncio.sleep(1)
    status = world.api.status(spec.key)
    assert began is not None
    assert status.step is not None
    assert status.step.started > began.started
    assert (status.step.index, world.api.weight(spec.key)) == (began.index, 5000)
    assert status.plan != plan
    assert status.decisions[-1].reason == Reason.SPEC_CHANGED
    assert "their profiles" in status.decisions[-1].message
    await asyncio.sleep(10)
    assert {write.weight for write in world.api.writes[writes:]} <= {None, 5000}
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    await world.stop()


async def test_words_of_a_profile_may_change_and_nothing_starts_anew() -> None:
    shelf = Shelf(PROFILE)
    world, spec = await at_half(shelf)
    began = world.api.status(spec.key).step
    told = replace(PROFILE, summary="Ours", notes=("a trap",), slis={"failures": replace(ENTRY, summary="Failed")})
    shelf.found["acme-scorer"] = told
    world.engine.enqueue(spec.key)
    await asyncio.sleep(5)
    assert world.api.status(spec.key).step == began
    await world.stop()


GONE = [
    pytest.param(None, Reason.PROFILE_NOT_FOUND, id="deleted"),
    pytest.param(SpecProblem(Reason.PROFILE_NOT_ACCEPTED, "spec: broken"), Reason.PROFILE_NOT_ACCEPTED, id="broken"),
]


def take(shelf: Shelf, problem: SpecProblem | None) -> None:
    if problem is None:
        del shelf.found["acme-scorer"]
    else:
        shelf.found["acme-scorer"] = problem


@pytest.mark.parametrize(("problem", "reason"), GONE)
async def test_without_its_profile_a_rollout_holds_says_so_and_goes_on_when_it_is_back(
    problem: SpecProblem | None, reason: Reason
) -> None:
    shelf = Shelf(PROFILE)
    world, spec = await at_half(shelf)
    began = world.api.status(spec.key).step
    take(shelf, problem)
    world.engine.enqueue(spec.key)
    await asyncio.sleep(120)
    status = world.api.status(spec.key)
    assert (status.phase, status.reason) == (Phase.INVALID, reason)
    resolved = status.condition("ResolvedRefs")
    assert resolved is not None
    assert (resolved.status, resolved.reason) == ("False", reason)
    assert resolved.message.startswith("spec.slis[availability].profile: ")
    assert world.api.weight(spec.key) == 5000
    shelf.found["acme-scorer"] = PROFILE
    world.engine.enqueue(spec.key)
    await world.until(lambda: phase(world, spec.key) is Phase.PROMOTED)
    after = world.api.status(spec.key)
    assert began is not None
    assert "Restart" not in [each.action for each in after.decisions], "the same content is the same plan"
    await world.stop()


@pytest.mark.parametrize(("problem", "reason"), GONE)
async def test_a_bad_candidate_goes_back_although_its_profile_is_gone(
    problem: SpecProblem | None, reason: Reason
) -> None:
    shelf = Shelf(PROFILE)
    world, spec = await at_half(shelf)
    take(shelf, problem)
    world.engine.enqueue(spec.key)
    await world.until(lambda: world.api.status(spec.key).reason == reason)
    world.metrics.change(spec.key.namespace, spec.candidate.deployment, LoopClock().now(), Load(errors=0.3))
    await world.until(lambda: world.api.weight(spec.key) == 0, limit=60)
    await world.stop()


async def test_a_new_operator_that_finds_no_profile_holds_and_obeys_an_abort() -> None:
    shelf = Shelf(PROFILE)
    world, spec = await at_half(shelf)
    await world.stop()
    shelf.found.clear()
    other = build(world.api, world.metrics, profiles=Profiles(shelf))
    await other.start()
    await asyncio.sleep(120)
    status = other.api.status(spec.key)
    assert (status.phase, status.reason) == (Phase.INVALID, Reason.PROFILE_NOT_FOUND)
    assert other.api.weight(spec.key) == 5000
    other.api.actions[spec.key].append(ActionRequest("stop", "uid-a", ActionVerb.ABORT, START + 600))
    other.engine.enqueue(spec.key, Priority.URGENT)
    await other.until(lambda: phase(other, spec.key) is Phase.ROLLED_BACK, limit=30)
    assert other.api.weight(spec.key) == 0
    await other.stop()


async def test_a_broken_profile_harms_no_other_rollout() -> None:
    shelf = Shelf(PROFILE)
    shelf.found["broken"] = SpecProblem(Reason.PROFILE_NOT_ACCEPTED, "spec: broken")
    good, bad, plain = named(quick("good")), named(quick("bad"), "broken/errors"), quick("plain")
    world = build(profiles=Profiles(shelf))
    for spec in (good, bad, plain):
        world.api.create(spec)
        world.metrics.serve(spec)
    await world.start()
    for spec in (good, plain):
        await world.until(lambda key=spec.key: phase(world, key) is Phase.PROMOTED)  # type: ignore[misc]
    assert phase(world, bad.key) is Phase.INVALID
    assert world.api.weight(bad.key) in (None, 0)
    await world.stop()


def bound(spec: RolloutSpec, *profiles: Profile) -> Bound:
    return Profiles(Shelf(*profiles)).bind(spec)


def test_a_rollout_of_built_in_profiles_is_decided_by_as_it_was() -> None:
    """Another hash of its plan would restart the evidence of every running rollout at an upgrade."""
    spec = named(make_spec(), "vllm/errors")
    found = bound(spec, replace(PROFILE, server="vllm"))
    assert found.spec is spec
    assert found.problem is None
    assert plan_hash(spec) == plan_hash(found.spec)
    assert "vllm" in found.catalogue.profiles
    assert found.catalogue.profiles["vllm"].slis.keys() != PROFILE.slis.keys(), "a built-in profile is not shadowed"


def test_the_digest_is_of_what_is_counted() -> None:
    spec = named(make_spec())
    hashes = {
        name: plan_hash(bound(spec, profile).spec)
        for name, profile in {
            "as it is": PROFILE,
            "other words": replace(PROFILE, summary="x", needs="y"),
            "another SLI beside it": replace(PROFILE, slis={**PROFILE.slis, "more": ENTRY}),
            "stricter": STRICTER,
            "another label": replace(PROFILE, label="service"),
        }.items()
    }
    assert hashes["as it is"] == hashes["other words"] == hashes["another SLI beside it"]
    assert len(set(hashes.values())) == 3
    (sli,) = bound(spec, PROFILE).spec.slis
    assert isinstance(sli.source, ClusterProfileRef)
    assert str(sli.source) == "acme-scorer/failures"


def test_what_is_remembered_of_profiles_is_bounded() -> None:
    shelf = Shelf()
    profiles = Profiles(shelf)
    for number in range(REMEMBERED + 5):
        shelf.found = {f"p{number}": replace(PROFILE, server=f"p{number}")}
        profiles.bind(named(make_spec(), f"p{number}/failures"))
    shelf.found = {}
    assert not profiles.bind(named(make_spec(), "p0/failures")).whole
    assert profiles.bind(named(make_spec(), f"p{REMEMBERED}/failures")).whole
