"""SliProfiles on an API server: what they mean to rollouts, whom they matter to, and what is written on them."""

from __future__ import annotations

from typing import Any

from modelrollout.adapters.kube.profile_view import PROFILE
from modelrollout.adapters.kube.profiles import CachedProfiles, ProfileStatus
from modelrollout.adapters.kube.resources import PROFILES, ROLLOUTS, Body
from modelrollout.catalog.profiles import Profile
from modelrollout.core.model import Key
from modelrollout.core.observation import SpecProblem
from tests.contract.fake_api import FakeApi, Fault
from tests.contract.kube.harness import Kube
from tests.contract.kube.rollouts_suite import body
from tests.engine.api import LoopClock
from tests.scene import START


class StillClock(LoopClock):
    def now(self) -> float:
        return START


def profile(pattern: str = "5..") -> Body:
    sli = {
        "name": "errors",
        "summary": "Requests that failed",
        "total": [{"names": ["scorer_requests_total"]}],
        "bad": [{"matchRegex": {"code": pattern}}],
    }
    return {"spec": {"summary": "Our server", "slis": [sli]}}


async def put(kube: Kube, name: str, made: Body) -> None:
    await kube.other.create(
        PROFILES, "", {"apiVersion": PROFILES.api_version, "kind": PROFILES.kind, **made, "metadata": {"name": name}}
    )
    await seen(kube)


async def seen(kube: Kube) -> None:
    """What the watch would bring."""
    listed = await kube.client.list_all(PROFILES, "")
    kube.cache.replace_all(PROFILES.kind, listed.items, resource_version=listed.resource_version)


async def status(kube: Kube, name: str) -> dict[str, Any]:
    found = (await kube.client.get(PROFILES, "", name)).get("status") or {}
    assert isinstance(found, dict)
    return found


def writes(api: FakeApi) -> int:
    return sum(1 for request in api.requests if request.path.endswith("/status"))


async def test_a_good_and_a_broken_one_are_told_apart_and_each_says_so_itself(kube: Kube, api: FakeApi) -> None:
    await put(kube, "good", profile())
    await put(kube, "broken", profile("[z-a]"))
    look = CachedProfiles(kube.cache)
    assert isinstance(look("good"), Profile)
    broken = look("broken")
    assert isinstance(broken, SpecProblem)
    assert broken.reason == "ProfileNotAccepted"
    assert broken.problem.startswith("SliProfile 'broken' can't be used: spec.slis[0].bad[0].matchRegex.code: '[z-a]'")
    assert look("other") is None
    verdicts = ProfileStatus(kube.client, kube.cache, StillClock(), lambda: True)
    await verdicts.write()
    good = await status(kube, "good")
    assert (good["observedGeneration"], good["slis"]) == (1, "errors")
    (accepted,) = good["conditions"]
    assert (accepted["type"], accepted["status"], accepted["reason"]) == ("Accepted", "True", "Accepted")
    (refused,) = (await status(kube, "broken"))["conditions"]
    assert (refused["status"], refused["reason"]) == ("False", "InvalidSpec")
    assert "is no regular expression" in refused["message"]
    assert writes(api) == 2
    await seen(kube)
    await verdicts.write()
    assert writes(api) == 2, "what is there is not written again"


async def test_a_standby_writes_nothing_and_a_new_leader_what_is_missing(kube: Kube, api: FakeApi) -> None:
    await put(kube, "good", profile())
    leads = False
    verdicts = ProfileStatus(kube.client, kube.cache, StillClock(), lambda: leads)
    await verdicts.write()
    assert writes(api) == 0
    leads = True
    await verdicts.write()
    assert (await status(kube, "good"))["conditions"][0]["status"] == "True"


async def test_an_edit_is_judged_again_and_keeps_the_time_of_what_did_not_change(kube: Kube) -> None:
    await put(kube, "p", profile())
    clock = StillClock()
    verdicts = ProfileStatus(kube.client, kube.cache, clock, lambda: True)
    await verdicts.write()
    (first,) = (await status(kube, "p"))["conditions"]
    for pattern, value in (("4..", "True"), ("[z-a]", "False")):
        await kube.other.merge_patch(PROFILES, "", "p", profile(pattern))
        await seen(kube)
        clock.now = lambda: START + 60.0  # type: ignore[method-assign]
        await verdicts.write()
        found = await status(kube, "p")
        (condition,) = found["conditions"]
        assert (condition["status"], condition["observedGeneration"]) == (value, found["observedGeneration"])
        assert (condition["lastTransitionTime"] == first["lastTransitionTime"]) is (value == "True")
    assert "slis" not in found


async def test_two_versions_that_judge_differently_do_not_write_in_turns(kube: Kube, api: FakeApi) -> None:
    await put(kube, "p", profile())
    verdicts = ProfileStatus(kube.client, kube.cache, StillClock(), lambda: True)
    await verdicts.write()
    other = {"status": {"conditions": [{**(await status(kube, "p"))["conditions"][0], "status": "False"}]}}
    await kube.other.merge_patch(PROFILES, "", "p", other, subresource="status")
    before = writes(api)
    for _ in range(3):
        await seen(kube)
        await verdicts.write()
    assert writes(api) == before


async def test_a_write_that_fails_is_tried_again_and_harms_nobody(kube: Kube, api: FakeApi) -> None:
    await put(kube, "p", profile())
    verdicts = ProfileStatus(kube.client, kube.cache, StillClock(), lambda: True)
    api.fail("PATCH", fault=Fault(403, '{"kind": "Status", "message": "forbidden", "code": 403}'))
    await verdicts.write()
    assert "conditions" not in await status(kube, "p")
    await verdicts.write()
    assert (await status(kube, "p"))["conditions"][0]["status"] == "True"


async def test_a_name_that_a_later_release_has_built_in_is_refused(kube: Kube) -> None:
    # The CRD of that release refuses it at apply; this object is older.
    view = PROFILE.project(
        {**profile(), "metadata": {"name": "vllm", "uid": "u", "generation": 1, "resourceVersion": "1"}}
    )
    assert view.verdict[:2] == ("False", "NameTaken")
    assert "choose another name" in view.verdict[2]


async def test_a_profile_matters_to_the_rollouts_that_name_it(kube: Kube) -> None:
    named, other = body(), body()
    named["spec"]["slis"] = [{"name": "a", "profile": "acme-scorer/errors", "objective": "99"}]
    other["spec"]["slis"] = [{"name": "a", "profile": "vllm/errors", "objective": "99"}]
    for name, made in (("m", named), ("n", other)):
        await kube.create(ROLLOUTS, name, made)
        stored = await kube.client.get(ROLLOUTS, kube.namespace, name)
        kube.cache.apply(ROLLOUTS.kind, stored)
    assert kube.cache.dependents("SliProfile", "", "acme-scorer") == (Key(kube.namespace, "m"),)
    assert kube.cache.dependents("SliProfile", "", "vllm") == (), "built-in ones cost nothing"
