"""Contract of `Routing` for `replicas`, beside what every router must keep: several writes, with pods between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.adapters.kube.resources import DEPLOYMENTS, SERVICES, SLICES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.adapters.kube.workloads import KubeWorkloads
from modelrollout.core.model import FULL, ZERO, Replicas, RolloutSpec, Weight
from modelrollout.core.observation import RouteSeen, WorkloadSeen
from modelrollout.core.pods import Pods
from modelrollout.errors import Conflict
from tests.contract.kube import pods
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.router_stage import ReplicasStage, Stage
from tests.contract.kube.router_suite import RouterSuite
from tests.contract.kube.routes import problem, seen

THIRTY, HALF = Weight(3000), Weight(5000)


class Ten:
    """Ten pods that come up when the test says so."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.routing = KubeRouting(kube.reader)

    @property
    def spec(self) -> RolloutSpec:
        made = self.kube.spec(Replicas(pods.SERVICE, 10))
        legacy = replace(made.legacy, service=pods.SERVICE)
        return replace(made, legacy=legacy, candidate=replace(made.candidate, service=pods.SERVICE))

    async def look(self) -> RouteSeen:
        return seen(await self.routing.observe(self.spec, fresh=True))

    async def order(self, weight: int) -> tuple[int, int]:
        """Order a weight once; what the Deployments want then."""
        await self.routing.set_weight(self.spec, await self.look(), Weight(weight), segments=False)
        return await pods.wanted(self.kube)


class ReplicasRoutingSuite(RouterSuite):
    STAGE = ReplicasStage

    @pytest.fixture
    async def ten(self, kube: Kube) -> Ten:
        await pods.users(kube, legacy=10)
        return Ten(kube)

    async def test_fractions_of_a_percent_are_exact(self, stage: Stage) -> None:
        """Not here: a quarter of a percent is one pod of a hundred, as the least share there is."""
        route = await stage.begin(0)
        moved = seen(await stage.routing.set_weight(stage.spec(), route, Weight(25), segments=False))
        assert moved.weight == 100

    async def test_weights_move_and_nothing_else(self, stage: Stage) -> None:
        await super().test_weights_move_and_nothing_else(stage)
        before = await stage.kube.get(DEPLOYMENTS, LEGACY)
        await stage.begin(4000)
        after = await stage.kube.get(DEPLOYMENTS, LEGACY)
        assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (90, 60)
        assert stage.without_weights(after) == stage.without_weights(before)

    async def test_a_conflict_is_found_with_a_cache_that_lags(self, stage: Stage) -> None:
        route = await stage.begin(1000)
        kind = stage.resource.kind
        both = [await stage.kube.get(DEPLOYMENTS, name) for name in (LEGACY, CANDIDATE)]
        stage.kube.cache.replace_all(kind, both)
        await stage.by_hand(80, 20)
        assert seen(await stage.routing.observe(stage.spec())).weight == route.weight, "from the cache"
        with pytest.raises(Conflict):
            await stage.routing.set_weight(stage.spec(), route, ZERO, segments=False)
        assert seen(await stage.routing.observe(stage.spec())).weight == 2000, "the next look asks the server"

    async def test_a_deletion_that_the_watch_missed_is_found(self, stage: Stage) -> None:
        await stage.begin(1000)
        both = [await stage.kube.get(DEPLOYMENTS, name) for name in (LEGACY, CANDIDATE)]
        stage.kube.cache.replace_all(stage.resource.kind, both)
        await stage.kube.other.delete(stage.resource, stage.kube.namespace, stage.name)
        assert seen(await stage.routing.observe(stage.spec())).weight == 1000, "a ghost"
        gone = await stage.routing.observe(stage.spec(), fresh=True)
        assert not isinstance(gone, RouteSeen)
        assert await stage.routing.observe(stage.spec()) == gone

    async def test_the_candidate_comes_first_and_legacy_gives_up_a_pod_for_each_that_is_ready(self, ten: Ten) -> None:
        assert await ten.order(3000) == (10, 3)
        found = await ten.look()
        assert (found.weight, found.pods) == (2308, Pods(10, 10, 3, 10, 0))
        assert await ten.order(3000) == (10, 3), "nothing is ready yet"
        await pods.ready(ten.kube, 10, 2)
        assert await ten.order(3000) == (8, 3)
        await pods.ready(ten.kube, 8, 3)
        assert await ten.order(3000) == (7, 3)
        assert (await ten.look()).weight == THIRTY

    async def test_legacy_gets_its_part_before_the_candidate_gets_any(self, ten: Ten) -> None:
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 4}})
        await pods.ready(ten.kube, 4, 0)
        assert await ten.order(1000) == (9, 0)
        assert await ten.order(1000) == (9, 0)
        await pods.ready(ten.kube, 9, 0)
        assert await ten.order(1000) == (9, 1)

    async def test_pods_are_those_that_were_decided_on_whatever_a_silent_watch_shows(self, ten: Ten) -> None:
        """The write was left out while the cache showed legacy without pods, and the look after it decided it again."""
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 10}})
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 3}})
        await pods.ready(ten.kube, 5, 3)
        stale = (await ten.kube.other.list_all(SLICES, ten.kube.namespace)).items
        await pods.ready(ten.kube, 10, 3)
        known = await ten.look()
        ten.kube.cache.replace_all(SLICES.kind, stale)
        await ten.routing.set_weight(ten.spec, known, ZERO, segments=False)
        assert await pods.wanted(ten.kube) == (10, 0)

    async def test_a_revert_from_a_small_share_is_whole_at_once(self, ten: Ten) -> None:
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 8}})
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 2}})
        await pods.ready(ten.kube, 8, 2)
        assert await ten.order(0) == (10, 0)
        assert (await ten.look()).weight == 2000, "two pods still serve"
        await pods.ready(ten.kube, 8, 0)
        assert (await ten.look()).weight == ZERO

    async def test_a_revert_never_leaves_users_with_less_than_three_quarters_of_the_pods(self, ten: Ten) -> None:
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 0}})
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 10}})
        await pods.ready(ten.kube, 0, 10)
        assert (await ten.look()).weight == FULL
        assert await ten.order(0) == (10, 8), "two go at once, so that there is room for legacy's"
        await pods.ready(ten.kube, 5, 8)
        assert await ten.order(0) == (10, 3)
        await pods.ready(ten.kube, 8, 3)
        assert await ten.order(0) == (10, 0)

    async def test_a_candidate_that_serves_nobody_goes_at_once(self, ten: Ten) -> None:
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 0}})
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 10}})
        await pods.ready(ten.kube, 0, 0)
        assert await ten.order(0) == (10, 0)

    async def test_pods_that_come_and_go_are_no_conflict(self, ten: Ten) -> None:
        looked = await ten.look()
        status = {"observedGeneration": 1, "replicas": 10, "updatedReplicas": 10}
        for name in (LEGACY, CANDIDATE):
            await ten.kube.edit(DEPLOYMENTS, name, {"status": status}, subresource="status")
        await ten.routing.set_weight(ten.spec, looked, THIRTY, segments=False)
        assert await pods.wanted(ten.kube) == (10, 3)

    async def test_arms_behind_one_service_are_told_apart_by_their_pods(self, ten: Ten) -> None:
        await pods.ready(ten.kube, 7, 3)
        legacy, candidate = await KubeWorkloads(ten.kube.reader).observe(ten.spec)
        assert isinstance(legacy, WorkloadSeen)
        assert isinstance(candidate, WorkloadSeen)
        assert (legacy.endpoints, candidate.endpoints) == (7, 3)

    async def test_what_stands_against_it_is_said_and_a_revert_is_still_carried_out(self, ten: Ten) -> None:
        await pods.scaler(ten.kube, LEGACY)
        found = await ten.look()
        assert found.accepted is False
        assert found.detail == (
            f'HorizontalPodAutoscaler "scale-{LEGACY}" in namespace {ten.kube.namespace} scales Deployment "{LEGACY}"'
            " too, and would undo every share: delete it for the rollout, or use managedRoute"
        )
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 2}})
        assert await ten.order(0) == (10, 0)

    async def test_autoscalers_of_others_are_no_concern(self, ten: Ten) -> None:
        await pods.scaler(ten.kube, "web")
        await pods.scaler(ten.kube, CANDIDATE, kind="StatefulSet")
        assert (await ten.look()).accepted

    @pytest.mark.parametrize(
        ("patch", "said"),
        [
            (
                {"selector": {"app": LEGACY}},
                f'does not take the pods of Deployment "{CANDIDATE}", they lack app={LEGACY}:',
            ),
            ({"selector": None}, f'does not take the pods of Deployment "{LEGACY}", it has no selector:'),
            ({"sessionAffinity": "ClientIP"}, "sessionAffinity ClientIP, which keeps callers with their pod"),
        ],
    )
    async def test_a_service_that_can_not_do_it_is_refused(self, ten: Ten, patch: dict[str, object], said: str) -> None:
        await ten.kube.edit(SERVICES, pods.SERVICE, {"spec": {"selector": {"model": None}} | patch})
        if patch.get("selector") is None and "selector" not in patch:
            await ten.kube.edit(SERVICES, pods.SERVICE, {"spec": {"selector": pods.LABELS}})
        found = await ten.look()
        assert found.accepted is False
        assert said in found.detail

    async def test_more_pods_than_the_total_are_never_taken_away_to_begin_with(self, ten: Ten) -> None:
        await ten.kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 12}})
        found = await ten.look()
        assert found.accepted is False
        assert "set total to 12, or scale the Deployment to 10" in found.detail
        await ten.kube.edit(DEPLOYMENTS, CANDIDATE, {"spec": {"replicas": 1}})
        assert (await ten.look()).accepted, "in mid-rollout it is a share that others changed"

    async def test_a_service_that_is_not_there_is_told(self, ten: Ten) -> None:
        await ten.kube.other.delete(SERVICES, ten.kube.namespace, pods.SERVICE)
        told = problem(await ten.routing.observe(ten.spec, fresh=True))
        assert told.startswith(f'Service "fraud" not found in namespace {ten.kube.namespace}: create it, or correct')
