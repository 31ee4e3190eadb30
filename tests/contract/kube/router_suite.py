"""Contract of `Routing` for every kind of router. A router joins by a `Stage`; what only it can do is tested beside."""

from __future__ import annotations

from typing import ClassVar

import pytest

from modelrollout.core.model import FULL, ZERO, Weight
from modelrollout.core.observation import RouteAbsent, RouteSeen
from modelrollout.errors import Conflict, Gone, SpecError
from tests.contract.kube.harness import Kube
from tests.contract.kube.router_stage import Stage
from tests.contract.kube.routes import problem, seen

TEN = Weight(1000)
HEIR = "2c0c1f9e-0000-4000-8000-00000000000b"


class RouterSuite:
    STAGE: ClassVar[type[Stage]]

    @pytest.fixture
    async def stage(self, kube: Kube) -> Stage:
        made = self.STAGE(kube)
        await made.users()
        return made

    @pytest.mark.parametrize("weight", [0, 100, 500, 3300, 9900, 10_000])
    async def test_weights_are_exact_and_seen_as_stored(self, stage: Stage, weight: int) -> None:
        route = await stage.begin(0)
        assert (route.weight, route.segments, route.exact, route.shape_ok) == (ZERO, ZERO, True, True)
        moved = seen(await stage.routing.set_weight(stage.spec(), route, Weight(weight), segments=False))
        assert (moved.weight, moved.segments, moved.exact, moved.shape_ok) == (weight, weight, True, True)
        assert stage.weights(await stage.stored()) == (100 - weight // 100, weight // 100)
        assert await stage.routing.observe(stage.spec(), fresh=True) == moved
        assert await stage.routing.observe(stage.spec()) == moved

    async def test_fractions_of_a_percent_are_exact(self, stage: Stage) -> None:
        spec = stage.spec(weights=(25, 100, 10_000))
        route = await stage.begin(0, weights=(25, 100, 10_000))
        moved = seen(await stage.routing.set_weight(spec, route, Weight(25), segments=False))
        assert (moved.weight, moved.exact) == (25, True)
        assert stage.weights(await stage.stored()) == (9975, 25)
        # Steps become whole percents while a quarter of one is set: it is still what was ordered.
        assert seen(await stage.routing.observe(stage.spec(), fresh=True)).exact
        down = seen(await stage.routing.set_weight(stage.spec(), moved, ZERO, segments=False))
        assert (down.weight, down.exact) == (ZERO, True)
        legacy, candidate = stage.weights(await stage.stored())
        assert (legacy > 0, candidate) == (True, 0)

    async def test_weights_move_and_nothing_else(self, stage: Stage) -> None:
        route = await stage.begin(0)
        before, others = await stage.stored(), await stage.mine()
        await stage.routing.set_weight(stage.spec(), route, TEN, segments=False)
        after = await stage.stored()
        assert stage.without_weights(after) == stage.without_weights(before)
        assert after["metadata"].get("ownerReferences") == before["metadata"].get("ownerReferences")
        assert await stage.mine() == others, "what users made is never written"

    async def test_a_route_that_moved_on_is_a_conflict(self, stage: Stage) -> None:
        route = await stage.begin(1000)
        await stage.annotate()
        with pytest.raises(Conflict):
            await stage.routing.set_weight(stage.spec(), route, ZERO, segments=False)
        assert stage.weights(await stage.stored()) == (90, 10)
        fresh = await stage.routing.observe(stage.spec(), fresh=True)
        assert seen(await stage.routing.set_weight(stage.spec(), fresh, ZERO, segments=False)).weight == ZERO

    async def test_a_conflict_is_found_with_a_cache_that_lags(self, stage: Stage) -> None:
        route = await stage.begin(1000)
        kind = stage.resource.kind
        stage.kube.cache.replace_all(kind, [await stage.stored(), *await stage.mine()])
        await stage.by_hand(80, 20)
        assert seen(await stage.routing.observe(stage.spec())) == route, "from the cache"
        with pytest.raises(Conflict):
            await stage.routing.set_weight(stage.spec(), route, ZERO, segments=False)
        assert seen(await stage.routing.observe(stage.spec())).weight == 2000, "the next look asks the server"

    async def test_hazard_h01_weights_of_others_are_seen_as_they_are(self, stage: Stage) -> None:
        await stage.begin(4000)
        await stage.by_hand(55, 45)
        drifted = seen(await stage.routing.observe(stage.spec(), fresh=True))
        assert (drifted.weight, drifted.exact, drifted.shape_ok) == (4500, True, True)
        await stage.by_hand(0, 100)
        assert seen(await stage.routing.observe(stage.spec(), fresh=True)).weight == FULL

    async def test_hazard_h02_what_others_added_survives_a_new_weight(self, stage: Stage) -> None:
        await stage.begin(1000)
        await stage.annotate()
        await stage.foreign_rule()
        before = await stage.stored()
        found = seen(await stage.routing.observe(stage.spec(), fresh=True))
        assert (found.weight, found.exact, found.shape_ok) == (TEN, True, True)
        await stage.routing.set_weight(stage.spec(), found, Weight(2500), segments=False)
        after = await stage.stored()
        assert stage.without_weights(after) == stage.without_weights(before)
        assert stage.weights(after) == (75, 25)

    async def test_without_a_route_there_is_nothing_to_set(self, stage: Stage) -> None:
        with pytest.raises(Gone):
            await stage.routing.set_weight(stage.spec(), RouteAbsent(), ZERO, segments=False)
        route = await stage.begin(1000)
        await stage.kube.other.delete(stage.resource, stage.kube.namespace, stage.name)
        with pytest.raises(Gone):
            await stage.routing.set_weight(stage.spec(), route, ZERO, segments=False)
        assert not isinstance(await stage.routing.observe(stage.spec()), RouteSeen)

    async def test_a_deletion_that_the_watch_missed_is_found(self, stage: Stage) -> None:
        await stage.begin(1000)
        stage.kube.cache.replace_all(stage.resource.kind, [await stage.stored(), *await stage.mine()])
        await stage.kube.other.delete(stage.resource, stage.kube.namespace, stage.name)
        assert seen(await stage.routing.observe(stage.spec())).weight == TEN, "a ghost"
        gone = await stage.routing.observe(stage.spec(), fresh=True)
        assert not isinstance(gone, RouteSeen)
        assert await stage.routing.observe(stage.spec()) == gone

    async def test_letting_go_leaves_traffic_as_it_is(self, stage: Stage) -> None:
        route = await stage.begin(10_000)
        before, others = await stage.stored(), await stage.mine()
        await stage.routing.release(stage.spec(), route)
        released = await stage.stored()
        assert not released["metadata"].get("ownerReferences")
        assert stage.weights(released) == stage.weights(before)
        assert stage.without_weights(released) == stage.without_weights(before)
        await stage.routing.release(stage.spec(), await stage.routing.observe(stage.spec()))
        assert (await stage.stored())["metadata"]["resourceVersion"] == released["metadata"]["resourceVersion"]
        assert await stage.mine() == others
        heir = stage.spec(uid=HEIR)
        found = seen(await stage.routing.observe(heir, fresh=True))
        assert (found.weight, found.shape_ok) == (FULL, not stage.made)
        if stage.made:
            assert "lost its owner" in found.detail
            assert seen(await stage.routing.shape(heir, FULL)).shape_ok
        assert stage.weights(await stage.stored()) == (0, 100)

    async def test_letting_go_of_nothing_is_nothing(self, stage: Stage) -> None:
        before = await stage.mine()
        await stage.routing.release(stage.spec(), RouteAbsent())
        assert await stage.mine() == before


class MadeRouterSuite(RouterSuite):
    """For routers whose object the operator makes."""

    async def test_there_is_none_at_first(self, stage: Stage) -> None:
        assert await stage.routing.observe(stage.spec()) == RouteAbsent()

    async def test_what_is_made_belongs_to_the_rollout_and_says_so(self, stage: Stage) -> None:
        others = await stage.mine()
        await stage.begin(0)
        metadata = (await stage.stored())["metadata"]
        assert metadata["labels"] == {
            "app.kubernetes.io/managed-by": "modelrollout",
            "modelrollout.dev/rollout": "fraud",
        }
        [owner] = metadata["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (stage.spec().uid, True, False)
        assert await stage.mine() == others

    async def test_made_in_mid_rollout_it_has_the_recorded_weight(self, stage: Stage) -> None:
        assert (await stage.begin(1000)).weight == TEN
        assert stage.weights(await stage.stored()) == (90, 10)

    async def test_what_is_right_already_is_kept(self, stage: Stage) -> None:
        first = await stage.begin(1000)
        stored = await stage.stored()
        again = await stage.begin(1000)
        assert (again.weight, again.shape_ok, again.exact, again.detail) == (TEN, True, True, first.detail)
        assert stage.without_weights(await stage.stored()) == stage.without_weights(stored)

    async def test_what_others_added_survives_a_new_shape(self, stage: Stage) -> None:
        await stage.begin(1000)
        await stage.annotate()
        await stage.foreign_rule()
        before = await stage.stored()
        again = await stage.begin(1000)
        assert again.shape_ok
        assert "annotation note" in again.detail
        assert stage.without_weights(await stage.stored()) == stage.without_weights(before)

    async def test_an_object_of_that_name_that_is_not_ours_is_left_alone(self, stage: Stage) -> None:
        await stage.begin(1000, uid="2c0c1f9e-0000-4000-8000-00000000000a")
        before = await stage.stored()
        told = problem(await stage.routing.observe(stage.spec(), fresh=True))
        assert f'{stage.resource.kind} "{stage.name}" in namespace {stage.kube.namespace}' in told
        assert "ModelRollout fraud (uid 2c0c1f9e" in told
        assert problem(await stage.routing.shape(stage.spec(), ZERO)) == told
        with pytest.raises(SpecError, match="not this rollout's"):
            await stage.routing.set_weight(
                stage.spec(), await stage.routing.observe(stage.spec()), ZERO, segments=False
            )
        assert await stage.stored() == before

    async def test_an_object_that_changed_since_it_was_looked_at_is_not_let_go(self, stage: Stage) -> None:
        looked_at = await stage.begin(0)
        await stage.annotate()
        with pytest.raises(Conflict):
            await stage.routing.release(stage.spec(), looked_at)
        assert (await stage.stored())["metadata"]["ownerReferences"]

    async def test_looking_makes_nothing(self, stage: Stage) -> None:
        await stage.begin(1000)
        await stage.kube.other.delete(stage.resource, stage.kube.namespace, stage.name)
        assert await stage.routing.observe(stage.spec(), fresh=True) == RouteAbsent()
        assert (await stage.begin(0)).weight == ZERO
