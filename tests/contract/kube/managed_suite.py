"""Contract of `Routing` for `managedRoute`, beside what every router must keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import HTTPROUTES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import FULL, ZERO, HeaderMatch, ParentRef, RouteMatch, Segment, Weight
from modelrollout.errors import SpecError
from tests.contract.kube.harness import CANDIDATE, LEGACY, MANAGED, Kube
from tests.contract.kube.router_stage import ManagedStage
from tests.contract.kube.router_suite import MadeRouterSuite
from tests.contract.kube.routes import answered, backend, problem, seen, weights, without_weights

NAME = route_name("fraud")
BETA = Segment((HeaderMatch("x-tier", "beta"),))
TEN = Weight(1000)


class ManagedRoutingSuite(MadeRouterSuite):
    STAGE = ManagedStage

    async def test_creates_the_whole_route_at_once(self, kube: Kube) -> None:
        spec = kube.spec(segments=(BETA,))
        created = seen(await KubeRouting(kube.reader).shape(spec, ZERO))
        assert (created.weight, created.segments, created.shape_ok, created.exact) == (ZERO, ZERO, True, True)
        assert created.accepted is None
        assert created.detail == ""
        route = await kube.get(HTTPROUTES, NAME)
        assert weights(route) == [[(LEGACY, 100), (CANDIDATE, 0)]] * 2
        segment, default = (r["matches"] for r in route["spec"]["rules"])
        assert segment[0]["headers"] == [{"type": "Exact", "name": "x-tier", "value": "beta"}]
        assert segment[0]["path"] == default[0]["path"] == {"type": "PathPrefix", "value": "/predict"}
        assert "headers" not in default[0]
        assert all(set(r) == {"matches", "backendRefs"} for r in route["spec"]["rules"])
        assert route["spec"]["hostnames"] == ["fraud.example.com"]
        [parent] = route["spec"]["parentRefs"]
        assert (parent["name"], parent["namespace"], parent["sectionName"]) == ("public", "infra", "http")
        assert route["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "modelrollout",
            "modelrollout.dev/rollout": "fraud",
        }
        [owner] = route["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (spec.uid, True, False)

    async def test_created_in_mid_rollout_it_has_the_recorded_weight(self, kube: Kube) -> None:
        created = seen(await KubeRouting(kube.reader).shape(kube.spec(segments=(BETA,)), TEN))
        assert (created.weight, created.segments) == (TEN, FULL)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [
            [(LEGACY, 0), (CANDIDATE, 100)],
            [(LEGACY, 90), (CANDIDATE, 10)],
        ]

    async def test_segments_go_to_one_arm_as_a_whole(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        spec = kube.spec(segments=(BETA, Segment((HeaderMatch("x-role", "tester"),))))
        route = await routing.shape(spec, ZERO)
        on = seen(await routing.set_weight(spec, route, Weight(500), segments=True))
        assert (on.weight, on.segments) == (500, FULL)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [
            [(LEGACY, 0), (CANDIDATE, 100)],
            [(LEGACY, 0), (CANDIDATE, 100)],
            [(LEGACY, 95), (CANDIDATE, 5)],
        ]
        off = seen(await routing.set_weight(spec, on, ZERO, segments=False))
        assert (off.weight, off.segments) == (ZERO, ZERO)

    async def test_hazard_h01_odd_weights_of_others_are_rounded_up(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), Weight(4000))
        path = "/spec/rules/0/backendRefs"
        await kube.change(
            HTTPROUTES,
            NAME,
            {"op": "replace", "path": f"{path}/0/weight", "value": 55},
            {"op": "replace", "path": f"{path}/1/weight", "value": 45},
        )
        drifted = seen(await routing.observe(kube.spec(), fresh=True))
        assert (drifted.weight, drifted.exact, drifted.shape_ok) == (4500, True, True)
        await kube.change(HTTPROUTES, NAME, {"op": "replace", "path": f"{path}/0/weight", "value": 1})
        odd = seen(await routing.observe(kube.spec(), fresh=True))
        assert (odd.weight, odd.exact) == (9783, False), "rounded up: 45 of 46"
        await kube.change(HTTPROUTES, NAME, {"op": "replace", "path": f"{path}/0/weight", "value": 0})
        await kube.change(HTTPROUTES, NAME, {"op": "replace", "path": f"{path}/1/weight", "value": 0})
        nothing = seen(await routing.observe(kube.spec(), fresh=True))
        assert (nothing.weight, nothing.exact) == (ZERO, False)

    async def test_hazard_h02_additions_of_others_survive_and_are_told(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        header = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]}}
        extra = {
            "matches": [{"path": {"type": "PathPrefix", "value": "/debug"}}],
            "backendRefs": [{"name": "debug", "port": 1}],
        }
        await kube.change(
            HTTPROUTES,
            NAME,
            {"op": "add", "path": "/spec/rules/0/filters", "value": [header]},
            {"op": "add", "path": "/spec/rules/-", "value": extra},
            {"op": "add", "path": "/spec/hostnames/-", "value": "alias.example.com"},
            {"op": "add", "path": "/metadata/annotations/team", "value": "risk"},
        )
        before = await kube.get(HTTPROUTES, NAME)
        drifted = seen(await routing.observe(kube.spec(), fresh=True))
        assert (drifted.weight, drifted.exact, drifted.shape_ok) == (TEN, True, True)
        for part in ("hostname alias.example.com", "rule 1", "settings on rule 0", "annotation team"):
            assert part in drifted.detail
        await routing.set_weight(kube.spec(), drifted, Weight(2500), segments=False)
        after = await kube.get(HTTPROUTES, NAME)
        assert without_weights(after) == without_weights(before)
        assert weights(after) == [[(LEGACY, 75), (CANDIDATE, 25)], [("debug", 1)]]
        # A new spec reshapes our part, with the weight, and leaves the rest.
        routes = replace(MANAGED, hostnames=("models.example.com",))
        changed = kube.spec(routes)
        assert not seen(await routing.observe(changed, fresh=True)).shape_ok
        assert seen(await routing.shape(changed, Weight(2500))).shape_ok
        mended = await kube.get(HTTPROUTES, NAME)
        assert weights(mended) == weights(after)
        assert mended["spec"]["hostnames"] == ["models.example.com", "alias.example.com"]
        assert mended["spec"]["rules"][0]["filters"] == [header]
        assert mended["spec"]["rules"][1] == after["spec"]["rules"][1]
        assert mended["metadata"]["annotations"]["team"] == "risk"

    async def test_another_backend_keeps_its_weight(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        await kube.change(
            HTTPROUTES, NAME, {"op": "add", "path": "/spec/rules/0/backendRefs/0", "value": backend("shadow", 7)}
        )
        found = seen(await routing.observe(kube.spec(), fresh=True))
        assert (found.weight, found.exact, found.shape_ok) == (TEN, True, True)
        assert "another backend in rule 0" in found.detail
        await routing.set_weight(kube.spec(), found, ZERO, segments=False)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[("shadow", 7), (LEGACY, 100), (CANDIDATE, 0)]]

    async def test_a_missing_part_is_told_and_mended_with_the_weight(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        await kube.change(HTTPROUTES, NAME, {"op": "remove", "path": "/spec/rules/0/backendRefs/0"})
        broken = seen(await routing.observe(kube.spec(), fresh=True))
        assert (broken.weight, broken.shape_ok) == (FULL, False), "the candidate has it all now"
        assert f"lacks one of the backends {LEGACY} and {CANDIDATE}" in broken.detail
        mended = seen(await routing.shape(kube.spec(), TEN))
        assert (mended.weight, mended.shape_ok, mended.exact) == (TEN, True, True)

    @pytest.mark.parametrize(
        "change",
        [
            replace(MANAGED, parent_refs=(ParentRef("internal", "infra"),)),
            replace(MANAGED, hostnames=()),
            replace(MANAGED, matches=(RouteMatch("Exact", "/predict"),)),
            replace(MANAGED, matches=()),
        ],
        ids=["parent", "no-hostname", "match", "every-path"],
    )
    async def test_a_new_spec_replaces_the_parts_of_the_old_one(self, kube: Kube, change: object) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        spec = kube.spec(change)  # type: ignore[arg-type]  # every parameter is a ManagedRoute
        assert not seen(await routing.observe(spec, fresh=True)).shape_ok
        mended = seen(await routing.shape(spec, TEN))
        assert (mended.weight, mended.shape_ok, mended.detail) == (TEN, True, "")
        route = await kube.get(HTTPROUTES, NAME)
        assert route["spec"].get("hostnames", []) == list(spec.traffic.router.hostnames)  # type: ignore[union-attr]
        assert len(route["spec"]["rules"]) == len(route["spec"]["parentRefs"]) == 1

    async def test_the_next_release_takes_over_without_moving_traffic(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), FULL)
        following = kube.spec(legacy=CANDIDATE, candidate="fraud-v9")
        found = seen(await routing.observe(following, fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, False)
        mended = seen(await routing.shape(following, ZERO))
        assert (mended.shape_ok, mended.exact, mended.detail) == (True, True, "")
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[(CANDIDATE, 100), ("fraud-v9", 0)]]

    async def test_swapped_names_are_told_apart_by_name(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), FULL)
        swapped = kube.spec(legacy=CANDIDATE, candidate=LEGACY)
        found = seen(await routing.observe(swapped, fresh=True))
        assert (found.weight, found.exact, found.shape_ok) == (ZERO, True, True)

    async def test_a_route_of_that_name_that_is_not_ours_is_left_alone(self, kube: Kube) -> None:
        await kube.create(HTTPROUTES, NAME, {"spec": {"rules": [{"backendRefs": [backend("old", 3)]}]}})
        routing = KubeRouting(kube.reader)
        assert f'HTTPRoute "{NAME}" in namespace {kube.namespace}' in problem(await routing.observe(kube.spec()))
        assert "adoptRoute" in problem(await routing.shape(kube.spec(), ZERO))
        with pytest.raises(SpecError, match="adoptRoute"):
            await routing.set_weight(kube.spec(), await routing.observe(kube.spec()), ZERO, segments=False)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[("old", 3)]]

    async def test_accepted_is_the_answer_to_this_very_generation(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), ZERO)
        route = await kube.get(HTTPROUTES, NAME)
        parents, generation = route["spec"]["parentRefs"], route["metadata"]["generation"]

        async def told(status: object) -> tuple[bool | None, str]:
            await kube.edit(HTTPROUTES, NAME, {"status": status}, subresource="status")
            found = seen(await routing.observe(kube.spec(), fresh=True))
            return found.accepted, found.detail

        assert await told(answered(parents, generation)) == (True, "")
        assert await told(answered(parents, generation - 1)) == (None, "")
        refused, why = await told(answered(parents, generation, accepted=False))
        assert refused is False
        assert "Gateway infra/public listener http did not accept the route" in why
        assert "NoMatchingListenerHostname" in why
        assert "said by the gateway" not in why
        # A stale entry of another controller at a higher generation, beside the true one.
        both = answered(parents, generation)
        both["parents"] += answered(parents, generation + 7, accepted=False, controller="example.com/gone")["parents"]
        assert await told(both) == (True, "")
        assert await told(answered([{"name": "other"}], generation)) == (None, "")

    async def test_one_controller_that_accepts_is_enough(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), ZERO)
        route = await kube.get(HTTPROUTES, NAME)
        parents, generation = route["spec"]["parentRefs"], route["metadata"]["generation"]
        status = answered(parents, generation, accepted=False, controller="example.com/other")
        status["parents"] += answered(parents, generation)["parents"]
        await kube.edit(HTTPROUTES, NAME, {"status": status}, subresource="status")
        assert seen(await routing.observe(kube.spec(), fresh=True)).accepted is True

    async def test_rules_of_an_earlier_spec_are_lowered_too(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        changed = kube.spec(replace(MANAGED, matches=(RouteMatch("Exact", "/new"),)))
        found = seen(await routing.observe(changed, fresh=True))
        assert not found.shape_ok
        await routing.set_weight(changed, found, ZERO, segments=False)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[(LEGACY, 100), (CANDIDATE, 0)]]

    async def test_a_second_reference_to_an_arm_gets_nothing(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        second = backend(CANDIDATE, 40, port=9090)
        await kube.change(HTTPROUTES, NAME, {"op": "add", "path": "/spec/rules/0/backendRefs/-", "value": second})
        found = seen(await routing.observe(kube.spec(), fresh=True))
        assert (found.weight, found.exact) == (3572, False), "50 of 140, rounded up"
        less = seen(await routing.set_weight(kube.spec(), found, Weight(500), segments=False))
        assert (less.weight, less.exact) == (500, True)
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[(LEGACY, 95), (CANDIDATE, 5), (CANDIDATE, 0)]]

    async def test_a_parent_that_others_added_survives_a_new_spec(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), TEN)
        await kube.change(HTTPROUTES, NAME, {"op": "add", "path": "/spec/parentRefs/-", "value": {"name": "internal"}})
        assert "a parent that is not ours" in seen(await routing.observe(kube.spec(), fresh=True)).detail
        await routing.shape(kube.spec(replace(MANAGED, hostnames=("models.example.com",))), TEN)
        parents = (await kube.get(HTTPROUTES, NAME))["spec"]["parentRefs"]
        assert [parent["name"] for parent in parents] == ["public", "internal"]

    async def test_without_our_record_a_former_arm_is_not_kept(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), FULL)
        await kube.edit(HTTPROUTES, NAME, {"metadata": {"annotations": None}})
        following = kube.spec(legacy=CANDIDATE, candidate="fraud-v9")
        assert seen(await routing.shape(following, ZERO)).shape_ok
        assert weights(await kube.get(HTTPROUTES, NAME)) == [[(CANDIDATE, 100), ("fraud-v9", 0)]]

    async def test_long_names_make_legal_and_different_routes(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        names = ["a" * 240 + ".x", "a" * 240 + ".y", "b." * 24 + "c" * 20]
        for name in names:
            assert seen(await routing.shape(kube.spec(name=name), TEN)).shape_ok
            assert seen(await routing.observe(kube.spec(name=name), fresh=True)).weight == TEN
        assert len({route_name(name) for name in names}) == 3
        assert all(len(route_name(name)) <= 63 for name in names)

    async def test_what_the_server_refuses_is_told_with_the_field(self, kube: Kube) -> None:
        upper = kube.spec(replace(MANAGED, hostnames=("Fraud.example.com",)))
        with pytest.raises(SpecError, match=r"refused the route: spec\.hostnames\[0\]: ") as caught:
            await KubeRouting(kube.reader).shape(upper, ZERO)
        assert caught.value.field == "spec.traffic.managedRoute"

    async def test_a_segment_that_can_never_match_is_told(self, kube: Kube) -> None:
        matches = (RouteMatch("PathPrefix", "/", (HeaderMatch("X-Tier", "gold"),)),)
        spec = kube.spec(replace(MANAGED, matches=matches), segments=(BETA,))
        assert "spec.traffic.segments[0]: segment 0 can never match" in problem(
            await KubeRouting(kube.reader).observe(spec)
        )
