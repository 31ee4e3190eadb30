"""Contract of `Rollouts` and `Actions`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.adapters.kube.resources import ACTIONS, FINALIZER, ROLLOUTS, Body
from modelrollout.adapters.kube.rollouts import CachedActions, KubeRollouts
from modelrollout.core.intents import ActionResult
from modelrollout.core.model import ActionVerb, Key, Phase, Weight
from modelrollout.core.status import Condition, RolloutStatus, StepState
from modelrollout.errors import Conflict, Gone
from tests.contract.kube.harness import Kube

OTHERS = "example.com/audit"


def body(**metadata: object) -> Body:
    spec = {
        "legacy": {"deployment": "fraud-v7"},
        "candidate": {"deployment": "fraud-v8"},
        "traffic": {"adoptRoute": {"name": "shop"}},
        "steps": [{"weight": 5}, {"weight": 100}],
        "slis": [{"name": "availability", "profile": "modelrollout/errors", "objective": "99.9"}],
    }
    return {"metadata": metadata, "spec": spec}


def action(verb: str, *, rollout: str = "fraud") -> Body:
    return {"spec": {"rollout": rollout, "action": verb, "reason": "support tickets"}}


def progressing(generation: int) -> RolloutStatus:
    condition = Condition("Ready", "True", "Progressing", "step 1 of 2", 1_700_000_000.0, generation)
    return RolloutStatus(
        observed_generation=generation,
        phase=Phase.PROGRESSING,
        reason="StepStarted",
        message="step 1 of 2",
        revision="5f3c9a",
        grid=1_700_000_000.0,
        step=StepState(0, 2, 1_700_000_000.0, Weight(500)),
        weight=Weight(500),
        conditions=(condition,),
    )


class RolloutsSuite:
    async def test_reads_what_is_stored(self, kube: Kube) -> None:
        stored = await kube.create(ROLLOUTS, "fraud", body(finalizers=[OTHERS]))
        obj = await KubeRollouts(kube.reader).get(Key(kube.namespace, "fraud"))
        assert (obj.uid, obj.resource_version) == (stored["metadata"]["uid"], stored["metadata"]["resourceVersion"])
        assert (obj.generation, obj.deleting, obj.finalizer, obj.status, obj.problem) == (1, False, False, None, None)
        assert obj.created > 1_700_000_000
        assert obj.spec is not None
        assert obj.spec.candidate.service == "fraud-v8"

    async def test_a_missing_object_is_gone(self, kube: Kube) -> None:
        with pytest.raises(Gone, match=f"ModelRollout {kube.namespace}/fraud"):
            await KubeRollouts(kube.reader).get(Key(kube.namespace, "fraud"))

    async def test_a_read_asks_the_server_also_when_the_cache_knows_better(self, kube: Kube) -> None:
        rollouts = KubeRollouts(kube.reader)
        kube.cache.replace_all("ModelRollout", [await kube.create(ROLLOUTS, "fraud", body())])
        await kube.edit(ROLLOUTS, "fraud", {"spec": {"paused": True}})
        obj = await rollouts.get(Key(kube.namespace, "fraud"))
        assert obj.spec is not None
        assert obj.spec.paused

    async def test_lists_its_namespaces_in_pages(self, kube: Kube) -> None:
        for index in range(5):
            await kube.create(ROLLOUTS, f"fraud-{index}", body())
        pages = await kube.client.list_all(ROLLOUTS, kube.namespace, page=2)
        assert [item["metadata"]["name"] for item in pages.items] == [f"fraud-{index}" for index in range(5)]
        assert int(pages.resource_version) > 0
        listed = await KubeRollouts(kube.reader, namespaces=[kube.namespace]).list()
        assert sorted(obj.key.name for obj in listed) == [f"fraud-{index}" for index in range(5)]
        everywhere = await KubeRollouts(kube.reader).list()
        assert {obj.key for obj in listed} <= {obj.key for obj in everywhere}

    async def test_status_is_written_whole_and_read_back(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        obj = await rollouts.get(Key(kube.namespace, "fraud"))
        first = await rollouts.write_status(obj, progressing(obj.generation))
        assert first.status == progressing(1)
        assert (first.generation, first.resource_version != obj.resource_version) == (1, True)
        less = replace(progressing(1), step=None, weight=None, conditions=())
        second = await rollouts.write_status(first, less)
        assert second.status == less, "what is absent now is gone from the object"
        assert await rollouts.get(obj.key) == second

    async def test_a_status_on_an_old_version_is_a_conflict(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        obj = await rollouts.get(Key(kube.namespace, "fraud"))
        await kube.edit(ROLLOUTS, "fraud", {"metadata": {"labels": {"team": "risk"}}})
        with pytest.raises(Conflict):
            await rollouts.write_status(obj, progressing(1))
        assert (await rollouts.get(obj.key)).status is None

    async def test_a_status_of_a_gone_object_is_gone(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        obj = await rollouts.get(Key(kube.namespace, "fraud"))
        await kube.other.delete(ROLLOUTS, kube.namespace, "fraud", uid=obj.uid)
        with pytest.raises(Gone):
            await rollouts.write_status(obj, progressing(1))

    @pytest.mark.parametrize("others", [[], [OTHERS]], ids=["alone", "beside-others"])
    async def test_finalizer_comes_and_goes_beside_those_of_others(self, kube: Kube, others: list[str]) -> None:
        await kube.create(ROLLOUTS, "fraud", body(finalizers=others))
        rollouts = KubeRollouts(kube.reader)
        obj = await rollouts.add_finalizer(await rollouts.get(Key(kube.namespace, "fraud")))
        assert obj.finalizer
        assert (await kube.get(ROLLOUTS, "fraud"))["metadata"]["finalizers"] == [*others, FINALIZER]
        assert await rollouts.add_finalizer(obj) == obj
        await rollouts.drop_finalizer(obj)
        left = await kube.get(ROLLOUTS, "fraud")
        assert left["metadata"].get("finalizers", []) == others
        await rollouts.drop_finalizer(await rollouts.get(obj.key))
        assert await kube.get(ROLLOUTS, "fraud") == left

    async def test_finalizer_on_an_old_version_is_a_conflict(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        old = await rollouts.get(Key(kube.namespace, "fraud"))
        await kube.edit(ROLLOUTS, "fraud", {"metadata": {"labels": {"team": "risk"}}})
        with pytest.raises(Conflict):
            await rollouts.add_finalizer(old)
        new = await rollouts.add_finalizer(await rollouts.get(old.key))
        await kube.edit(ROLLOUTS, "fraud", {"metadata": {"labels": {"team": "fraud"}}})
        with pytest.raises(Conflict):
            await rollouts.drop_finalizer(new)
        assert (await rollouts.get(old.key)).finalizer

    async def test_with_the_finalizer_dropped_a_deleted_object_goes(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        key = Key(kube.namespace, "fraud")
        await rollouts.add_finalizer(await rollouts.get(key))
        await kube.other.delete(ROLLOUTS, kube.namespace, "fraud")
        obj = await rollouts.get(key)
        assert obj.deleting
        await rollouts.drop_finalizer(obj)
        with pytest.raises(Gone):
            await rollouts.get(key)
        await rollouts.drop_finalizer(obj)

    async def test_a_namesake_is_not_mistaken_for_the_object(self, kube: Kube) -> None:
        await kube.create(ROLLOUTS, "fraud", body())
        rollouts = KubeRollouts(kube.reader)
        old = await rollouts.get(Key(kube.namespace, "fraud"))
        await kube.other.delete(ROLLOUTS, kube.namespace, "fraud")
        await kube.create(ROLLOUTS, "fraud", body(finalizers=[FINALIZER]))
        with pytest.raises(Gone):
            await rollouts.add_finalizer(old)
        await rollouts.drop_finalizer(replace(old, finalizer=True))
        assert (await rollouts.get(old.key)).finalizer

    async def test_actions_wait_until_they_have_a_result(self, kube: Kube) -> None:
        key = Key(kube.namespace, "fraud")
        actions, rollouts = CachedActions(kube.cache), KubeRollouts(kube.reader)
        for name, what in (
            ("b-abort", action("Abort")),
            ("a-pause", action("Pause")),
            ("c-other", action("Abort", rollout="other")),
        ):
            affected = kube.cache.apply("RolloutAction", await kube.create(ACTIONS, name, what))
            assert affected == (Key(kube.namespace, what["spec"]["rollout"]),)
        waiting = actions.pending(key)
        assert {(a.name, a.verb, a.reason) for a in waiting} == {
            ("a-pause", ActionVerb.PAUSE, "support tickets"),
            ("b-abort", ActionVerb.ABORT, "support tickets"),
        }
        assert [(a.created, a.name) for a in waiting] == sorted((a.created, a.name) for a in waiting)
        abort = next(a for a in waiting if a.name == "b-abort")
        result = ActionResult("b-abort", abort.uid, applied=True, message="going back to legacy")
        await rollouts.finish_action(key, result, 1_700_000_000.0)
        assert (await kube.get(ACTIONS, "b-abort"))["status"] == {
            "result": "Applied",
            "message": "going back to legacy",
            "at": "2023-11-14T22:13:20.000Z",
        }
        assert [a.name for a in actions.pending(key)] == ["a-pause"], "without waiting for the watch"
        assert actions.finished(before=4e9) == [(kube.namespace, "b-abort")]
        assert actions.finished(before=1.0) == []
        await rollouts.delete_action(kube.namespace, "b-abort")
        with pytest.raises(Gone):
            await kube.get(ACTIONS, "b-abort")
        assert actions.finished(before=4e9) == []
        await rollouts.delete_action(kube.namespace, "b-abort")

    async def test_a_result_is_for_that_very_action(self, kube: Kube) -> None:
        rollouts, key = KubeRollouts(kube.reader), Key(kube.namespace, "fraud")
        await kube.create(ACTIONS, "abort", action("Abort"))
        stranger = ActionResult("abort", "00000000-0000-4000-8000-000000000000", applied=False, message="no")
        await rollouts.finish_action(key, stranger, 1_700_000_000.0)
        assert "status" not in await kube.get(ACTIONS, "abort")
        await rollouts.finish_action(key, replace(stranger, name="none"), 1_700_000_000.0)
