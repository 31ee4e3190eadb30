"""Contract of `Routing` for `adoptRoute`, beside what every router must keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import HTTPROUTES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import FULL, ZERO, AdoptRoute, Weight
from modelrollout.errors import Conflict, SpecError
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.router_stage import AdoptedStage
from tests.contract.kube.router_suite import RouterSuite
from tests.contract.kube.routes import answered, backend, pair, problem, rule, seen, shop, weights, without_weights

TEN = Weight(1000)


class AdoptedRoutingSuite(RouterSuite):
    STAGE = AdoptedStage

    @pytest.mark.parametrize("weight", [0, 100, 3300, 10_000])
    async def test_moves_the_two_weights_and_nothing_else(self, kube: Kube, weight: int) -> None:
        timeouts = {"request": "3s"}
        before = await shop(
            kube, rule(backend("web", 3), path="/shop"), pair(100, 0, path="/predict", timeouts=timeouts)
        )
        routing = KubeRouting(kube.reader)
        found = await routing.observe(kube.adopting())
        moved = seen(await routing.set_weight(kube.adopting(), found, Weight(weight), segments=False))
        assert (moved.weight, moved.segments, moved.exact) == (weight, weight, True)
        after = await kube.get(HTTPROUTES, "shop")
        percent = weight // 100
        assert weights(after) == [[("web", 3)], [(LEGACY, 100 - percent), (CANDIDATE, percent)]]
        assert without_weights(after) == without_weights(before)
        assert after["metadata"].get("labels") == before["metadata"].get("labels")
        assert "ownerReferences" not in after["metadata"]

    async def test_absent_weights_count_as_one_each(self, kube: Kube) -> None:
        await shop(kube, pair(None, None))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(kube.adopting()))
        assert (found.weight, found.exact) == (5000, False)
        moved = seen(await routing.set_weight(kube.adopting(), found, ZERO, segments=False))
        assert (moved.weight, moved.exact) == (ZERO, True)
        assert weights(await kube.get(HTTPROUTES, "shop")) == [[(LEGACY, 100), (CANDIDATE, 0)]]

    async def test_two_zeros_are_no_traffic_and_not_exact(self, kube: Kube) -> None:
        await shop(kube, pair(0, 0))
        found = seen(await KubeRouting(kube.reader).observe(kube.adopting()))
        assert (found.weight, found.exact) == (ZERO, False)

    async def test_other_backends_keep_their_weight_and_their_share(self, kube: Kube) -> None:
        await shop(kube, rule(backend("shadow", 50), backend(CANDIDATE, 0), backend(LEGACY, 200)))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(kube.adopting()))
        assert (found.weight, found.exact, found.detail) == (ZERO, True, "")
        moved = seen(await routing.set_weight(kube.adopting(), found, TEN, segments=False))
        assert (moved.weight, moved.exact) == (TEN, True)
        assert weights(await kube.get(HTTPROUTES, "shop")) == [[("shadow", 50), (CANDIDATE, 20), (LEGACY, 180)]]

    async def test_a_common_weight_too_small_for_the_steps_is_told(self, kube: Kube) -> None:
        await shop(kube, rule(backend("shadow", 50), backend(LEGACY, 7), backend(CANDIDATE, 3)))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(kube.adopting()))
        assert "share a weight of 10 beside other backends" in found.detail
        with pytest.raises(SpecError, match="add up to 100"):
            await routing.set_weight(kube.adopting(), found, Weight(4500), segments=False)
        down = seen(await routing.set_weight(kube.adopting(), found, Weight(500), segments=False))
        assert down.weight == ZERO, "lowering rounds down instead"
        assert weights(await kube.get(HTTPROUTES, "shop")) == [[("shadow", 50), (LEGACY, 10), (CANDIDATE, 0)]]

    async def test_the_rule_is_found_by_its_name(self, kube: Kube) -> None:
        await shop(kube, pair(100, 0, path="/a", name="first"), pair(100, 0, path="/b", name="second"))
        routing = KubeRouting(kube.reader)
        spec = kube.adopting("second")
        moved = seen(await routing.set_weight(spec, await routing.observe(spec), TEN, segments=False))
        assert moved.weight == TEN
        assert weights(await kube.get(HTTPROUTES, "shop")) == [
            [(LEGACY, 100), (CANDIDATE, 0)],
            [(LEGACY, 90), (CANDIDATE, 10)],
        ]

    async def test_two_rules_with_the_pair_are_ambiguous(self, kube: Kube) -> None:
        await shop(kube, pair(path="/a"), rule(backend("web", 1), path="/c"), pair(path="/b"))
        said = problem(await KubeRouting(kube.reader).observe(kube.adopting()))
        assert "rules 0, 2 of HTTPRoute" in said
        assert "spec.traffic.adoptRoute.rule" in said

    @pytest.mark.parametrize(
        ("rules", "named", "words"),
        [
            ([rule(backend(LEGACY, 1))], None, "no rule of HTTPRoute"),
            ([pair(name="one")], "two", 'no rule named "two" (its rules: one)'),
            ([pair()], "two", "none has a name"),
            ([rule(backend(LEGACY, 1), name="two"), pair(path="/b")], "two", 'rule "two" of HTTPRoute'),
            ([rule(backend(LEGACY, 1), backend(CANDIDATE, 0, namespace="elsewhere"))], None, "no rule of HTTPRoute"),
            ([rule(backend(LEGACY, 1, port=80), backend(CANDIDATE, 0))], None, "at port 80, spec.port is 8080"),
            ([rule(backend(LEGACY, 1), backend(CANDIDATE, 0), backend(CANDIDATE, 0, port=81))], None, "2 times"),
        ],
        ids=["one-arm", "no-such-rule", "unnamed", "named-lacks-arm", "other-namespace", "other-port", "twice"],
    )
    async def test_a_route_that_can_not_be_steered_is_told_with_the_fix(
        self, kube: Kube, rules: list[dict[str, object]], named: str | None, words: str
    ) -> None:
        before = await shop(kube, *rules)
        routing = KubeRouting(kube.reader)
        found = await routing.observe(kube.adopting(named))
        said = problem(found)
        assert words in said
        assert f'HTTPRoute "shop" in namespace {kube.namespace}' in said
        with pytest.raises(SpecError):
            await routing.set_weight(kube.adopting(named), found, ZERO, segments=False)
        assert (await kube.get(HTTPROUTES, "shop"))["metadata"] == before["metadata"]

    async def test_bug_a_route_that_another_rollout_manages_was_adopted(self, kube: Kube) -> None:
        routing = KubeRouting(kube.reader)
        await routing.shape(kube.spec(), ZERO)
        young = replace(kube.adopting(), uid="2c0c1f9e-0000-4000-8000-00000000000c")
        young = replace(young, traffic=replace(young.traffic, router=AdoptRoute(route_name("fraud"))))
        assert 'is managed by ModelRollout "fraud"' in problem(await routing.observe(young))

    async def test_a_missing_route_is_told(self, kube: Kube) -> None:
        said = problem(await KubeRouting(kube.reader).observe(kube.adopting()))
        assert f'HTTPRoute "shop" not found in namespace {kube.namespace}' in said

    async def test_is_never_shaped_and_never_released(self, kube: Kube) -> None:
        before = await shop(kube, pair())
        routing = KubeRouting(kube.reader)
        with pytest.raises(SpecError, match="never created or reshaped"):
            await routing.shape(kube.adopting(), TEN)
        await routing.release(kube.adopting(), await routing.observe(kube.adopting()))
        assert await kube.get(HTTPROUTES, "shop") == before

    async def test_an_edit_in_between_is_a_conflict(self, kube: Kube) -> None:
        await shop(kube, pair())
        routing = KubeRouting(kube.reader)
        found = await routing.observe(kube.adopting())
        # A rule in front shifts the positions: the write must not land on the wrong rule.
        extra = rule(backend("web", 1), path="/web")
        await kube.change(HTTPROUTES, "shop", {"op": "add", "path": "/spec/rules/0", "value": extra})
        with pytest.raises(Conflict):
            await routing.set_weight(kube.adopting(), found, TEN, segments=False)
        fresh = await routing.observe(kube.adopting(), fresh=True)
        await routing.set_weight(kube.adopting(), fresh, FULL, segments=False)
        assert weights(await kube.get(HTTPROUTES, "shop")) == [[("web", 1)], [(LEGACY, 0), (CANDIDATE, 100)]]

    async def test_accepted_asks_every_parent(self, kube: Kube) -> None:
        route = await shop(kube, pair())
        generation = route["metadata"]["generation"]
        await kube.edit(
            HTTPROUTES,
            "shop",
            {"status": answered([{"name": "public", "namespace": "infra"}], generation)},
            subresource="status",
        )
        assert seen(await KubeRouting(kube.reader).observe(kube.adopting())).accepted is True
        await kube.change(HTTPROUTES, "shop", {"op": "add", "path": "/spec/parentRefs/-", "value": {"name": "second"}})
        assert seen(await KubeRouting(kube.reader).observe(kube.adopting(), fresh=True)).accepted is None
