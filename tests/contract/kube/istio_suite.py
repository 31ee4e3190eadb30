"""Contract of `Routing` for `istio`, beside what every router must keep."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.resources import VIRTUAL_SERVICES, Body
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import FULL, ZERO, HeaderMatch, Istio, RolloutSpec, Segment, Subsets, Weight
from modelrollout.errors import Conflict, SpecError
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube
from tests.contract.kube.router_stage import IstioStage
from tests.contract.kube.router_suite import RouterSuite
from tests.contract.kube.routes import problem, seen
from tests.contract.kube.virtual_services import (
    NAME,
    pair,
    route,
    subsets,
    to,
    virtual_service,
    weights,
    without_weights,
)

TEN = Weight(1000)
BETA, ALPHA = (Segment((HeaderMatch("x-tier", tier),)) for tier in ("beta", "alpha"))


def spec(kube: Kube, named: str | None = None, **changes: Any) -> RolloutSpec:
    return kube.spec(Istio(NAME, named), **changes)


def by_subset(kube: Kube, named: str | None = None) -> RolloutSpec:
    return kube.spec(Istio(NAME, named, Subsets("v7", "v8")))


def asks(segment: Segment) -> Body:
    """One match for all requests of a segment."""
    return {"headers": {header.name.lower(): {"exact": header.value} for header in segment.headers}}


async def stored(kube: Kube) -> list[list[tuple[str, int]]]:
    return weights(await kube.get(VIRTUAL_SERVICES, NAME))


class IstioRoutingSuite(RouterSuite):
    STAGE = IstioStage

    async def test_what_the_owner_wrote_beside_the_weights_survives(self, kube: Kube) -> None:
        owned: dict[str, Any] = {
            "match": [{"uri": {"prefix": "/predict"}}],
            "timeout": "3s",
            "retries": {"attempts": 2},
            "headers": {"request": {"set": {"x-team": "risk"}}},
        }
        before = await virtual_service(kube, {"redirect": {"uri": "/new"}, "name": "moved"}, pair(100, 0, **owned))
        routing = KubeRouting(kube.reader)
        moved = seen(
            await routing.set_weight(spec(kube), await routing.observe(spec(kube)), Weight(3300), segments=False)
        )
        assert (moved.weight, moved.exact, moved.accepted) == (3300, True, True)
        after = await kube.get(VIRTUAL_SERVICES, NAME)
        assert weights(after) == [[], [(LEGACY, 67), (CANDIDATE, 33)]]
        assert without_weights(after) == without_weights(before)
        assert "ownerReferences" not in after["metadata"]

    async def test_hosts_are_known_by_short_and_by_full_name(self, kube: Kube) -> None:
        full = f"{CANDIDATE}.{kube.namespace}.svc.cluster.local"
        await virtual_service(kube, route(to(LEGACY, 100, port=None), to(full, 0)))
        routing = KubeRouting(kube.reader)
        await routing.set_weight(spec(kube), await routing.observe(spec(kube)), TEN, segments=False)
        assert await stored(kube) == [[(LEGACY, 90), (full, 10)]]

    @pytest.mark.parametrize(
        "form",
        [f"{CANDIDATE}.elsewhere.svc.cluster.local", "{}.{}", "{}.{}.svc", "{}.{}.svc."],
        ids=["other-namespace", "half", "no-domain", "empty-domain"],
    )
    async def test_a_host_that_istio_would_not_take_for_the_service_is_none(self, kube: Kube, form: str) -> None:
        await virtual_service(kube, route(to(LEGACY, 100), to(form.format(CANDIDATE, kube.namespace), 0)))
        told = problem(await KubeRouting(kube.reader).observe(spec(kube)))
        assert f'no http route of VirtualService "{NAME}" in namespace {kube.namespace} has both hosts' in told
        assert f"such as {LEGACY}.{kube.namespace}.svc.cluster.local" in told

    async def test_arms_that_are_subsets_of_one_host(self, kube: Kube) -> None:
        other = [to("ratings", 50, subset="v7"), to("ratings", 50, subset="v9")]
        before = await virtual_service(kube, route(*other), subsets())
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(by_subset(kube)))
        assert (found.weight, found.exact, found.accepted) == (ZERO, True, True)
        await routing.set_weight(by_subset(kube), found, Weight(2500), segments=False)
        after = await kube.get(VIRTUAL_SERVICES, NAME)
        assert weights(after) == [[("v7", 50), ("v9", 50)], [("v7", 75), ("v8", 25)]]
        assert without_weights(after) == without_weights(before)

    async def test_subsets_of_two_hosts_are_no_pair(self, kube: Kube) -> None:
        await virtual_service(kube, route(to("fraud", 100, subset="v7"), to("ratings", 0, subset="v8")))
        told = problem(await KubeRouting(kube.reader).observe(by_subset(kube)))
        assert 'has both subsets "v7" and "v8" of one host in its destinations' in told
        assert "add the missing one (weight 0 for the candidate)" in told

    async def test_absent_weights_count_as_zero(self, kube: Kube) -> None:
        await virtual_service(kube, route(to(LEGACY, 100), to(CANDIDATE)))
        found = seen(await KubeRouting(kube.reader).observe(spec(kube)))
        assert (found.weight, found.exact) == (ZERO, True)

    async def test_a_weight_below_zero_counts_as_none(self, kube: Kube) -> None:
        await virtual_service(kube, route(to(LEGACY, 100), to(CANDIDATE, -5)))
        found = seen(await KubeRouting(kube.reader).observe(spec(kube)))
        assert (found.weight, found.exact) == (ZERO, True)

    async def test_other_destinations_keep_their_weight_and_their_share(self, kube: Kube) -> None:
        await virtual_service(kube, route(to("shadow", 50), to(CANDIDATE, 0), to(LEGACY, 200)))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        await routing.set_weight(spec(kube), found, TEN, segments=False)
        assert await stored(kube) == [[("shadow", 50), (CANDIDATE, 20), (LEGACY, 180)]]

    async def test_a_common_weight_too_small_for_the_steps_is_told(self, kube: Kube) -> None:
        await virtual_service(kube, route(to("shadow", 50), to(LEGACY, 47), to(CANDIDATE, 3)))
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        assert "share a weight of 50 beside other destinations" in found.detail
        with pytest.raises(SpecError, match="add up to 100"):
            await routing.set_weight(spec(kube), found, Weight(700), segments=False)
        down = seen(await routing.set_weight(spec(kube), found, Weight(100), segments=False))
        assert down.weight == ZERO, "lowering rounds down instead"
        assert await stored(kube) == [[("shadow", 50), (LEGACY, 50), (CANDIDATE, 0)]]

    async def test_the_route_is_found_by_its_name(self, kube: Kube) -> None:
        await virtual_service(kube, pair(name="first one"), pair(name="second"))
        routing = KubeRouting(kube.reader)
        named = spec(kube, "second")
        await routing.set_weight(named, await routing.observe(named), TEN, segments=False)
        assert await stored(kube) == [[(LEGACY, 100), (CANDIDATE, 0)], [(LEGACY, 90), (CANDIDATE, 10)]]

    @pytest.mark.parametrize(
        ("routes", "named", "words"),
        [
            ([route(to(LEGACY, 100))], None, "no http route of VirtualService"),
            ([pair(), pair()], None, "http routes 0, 1 of VirtualService"),
            ([pair(name="one")], "two", 'no http route named "two" (its http routes: one)'),
            ([pair(name="one"), pair(name="one")], "one", 'http routes 0, 1 of VirtualService "fraud"'),
            ([pair(), route(to(LEGACY, 1), name="two")], "two", 'http route "two" of VirtualService'),
            ([route(to(LEGACY, 1, port=80), to(CANDIDATE, 0))], None, f"at port 80, spec.port is {PORT}"),
            ([route(to(LEGACY, 1), to(CANDIDATE, 0), to(CANDIDATE, 0))], None, '"fraud-v8" (candidate) 2 times'),
        ],
        ids=["one-arm", "two-routes", "no-such-route", "one-name-twice", "named-lacks-arm", "other-port", "twice"],
    )
    async def test_a_virtual_service_that_can_not_be_steered_is_told_with_the_fix(
        self, kube: Kube, routes: list[Body], named: str | None, words: str
    ) -> None:
        before = await virtual_service(kube, *routes)
        routing = KubeRouting(kube.reader)
        found = await routing.observe(spec(kube, named))
        told = problem(found)
        assert words in told
        assert f'VirtualService "{NAME}" in namespace {kube.namespace}' in told
        with pytest.raises(SpecError):
            await routing.set_weight(spec(kube, named), found, ZERO, segments=False)
        assert (await kube.get(VIRTUAL_SERVICES, NAME))["metadata"] == before["metadata"]

    async def test_requests_of_a_segment_go_by_its_owners_routes_as_a_whole(self, kube: Kube) -> None:
        paths = [pair(80, 0, match=[{"uri": {"prefix": path}, **asks(BETA)}]) for path in ("/predict", "/explain")]
        before = await virtual_service(kube, *paths, pair(timeout="3s"))
        routing, asked = KubeRouting(kube.reader), spec(kube, segments=(BETA,))
        found = seen(await routing.observe(asked))
        assert (found.weight, found.segments, found.exact, found.accepted) == (ZERO, ZERO, True, True)
        up = seen(await routing.set_weight(asked, found, TEN, segments=True))
        assert (up.weight, up.segments, up.exact, up.accepted) == (TEN, FULL, True, True)
        assert await stored(kube) == [*[[(LEGACY, 0), (CANDIDATE, 80)]] * 2, [(LEGACY, 90), (CANDIDATE, 10)]]
        down = seen(await routing.set_weight(asked, up, ZERO, segments=False))
        assert (down.weight, down.segments, down.exact) == (ZERO, ZERO, True)
        after = await kube.get(VIRTUAL_SERVICES, NAME)
        assert weights(after) == weights(before)
        assert without_weights(after) == without_weights(before)

    async def test_segments_have_routes_of_their_own_and_those_of_others_are_left_alone(self, kube: Kube) -> None:
        team = Segment((HeaderMatch("X-Team", "risk"), HeaderMatch("x-tier", "beta")))
        foreign = [route(to(CANDIDATE, 30), to(LEGACY, 70), match=[asks(other)]) for other in (ALPHA, Segment(()))]
        mine = [pair(0, 0, match=[asks(segment)]) for segment in (team, BETA)]
        await virtual_service(kube, *foreign, *mine, pair(name="rest"))
        routing, asked = KubeRouting(kube.reader), spec(kube, "rest", segments=(BETA, team))
        found = seen(await routing.observe(asked))
        assert (found.segments, found.exact) == (ZERO, False)
        assert seen(await routing.set_weight(asked, found, FULL, segments=True)).exact is True
        theirs, whole = [(CANDIDATE, 30), (LEGACY, 70)], [(LEGACY, 0), (CANDIDATE, 100)]
        assert await stored(kube) == [theirs, theirs, whole, whole, whole]

    async def test_segments_by_subset(self, kube: Kube) -> None:
        await virtual_service(kube, subsets(match=[asks(BETA)]), subsets())
        routing = KubeRouting(kube.reader)
        asked = kube.spec(Istio(NAME, None, Subsets("v7", "v8")), segments=(BETA,))
        await routing.set_weight(asked, await routing.observe(asked), TEN, segments=True)
        assert await stored(kube) == [[("v7", 0), ("v8", 100)], [("v7", 90), ("v8", 10)]]

    async def test_a_segment_that_somebody_splits_is_seen_with_its_largest_share(self, kube: Kube) -> None:
        await virtual_service(kube, pair(0, 100, match=[asks(BETA)]), pair(60, 40, match=[asks(BETA)]), pair())
        found = seen(await KubeRouting(kube.reader).observe(spec(kube, segments=(BETA,))))
        assert (found.weight, found.segments, found.exact) == (ZERO, FULL, False)

    @pytest.mark.parametrize(
        ("front", "behind", "words"),
        [
            ([], [], 'asks for the headers of spec.traffic.segments[0] (x-tier with exact "beta", no others) and has'),
            ([{"x-tier": {"prefix": "beta"}}], [], "asks for the headers of spec.traffic.segments[0]"),
            ([{"x-tier": {"exact": "beta"}, "x-more": {}}], [], "asks for the headers of spec.traffic.segments[0]"),
            ([{"x-tier": {"exact": "beta"}}, {}], [], "asks for the headers of spec.traffic.segments[0]"),
            ([], [{"x-tier": {"exact": "beta"}}], "and stands behind http route 0, which may take its requests"),
        ],
        ids=["none", "prefix", "one-more", "some-matches", "behind"],
    )
    async def test_a_segment_without_a_fit_route_is_told_with_the_fix_and_can_be_lowered(
        self, kube: Kube, front: list[Body], behind: list[Body], words: str
    ) -> None:
        rest = pair(90, 10, name="rest")
        routes = [pair(match=[{"headers": each} for each in asked]) for asked in (front, behind) if asked]
        await virtual_service(kube, *(routes if front else []), rest, *(routes if behind else []))
        routing, asked = KubeRouting(kube.reader), spec(kube, "rest", segments=(BETA,))
        found = seen(await routing.observe(asked))
        assert (found.weight, found.accepted) == (TEN, False), "and so it is not raised"
        assert words in found.unfit
        assert f'VirtualService "{NAME}" in namespace {kube.namespace}' in found.unfit
        down = seen(await routing.set_weight(asked, found, ZERO, segments=False))
        assert (down.weight, down.segments) == (ZERO, ZERO)

    async def test_bug_the_other_routes_of_a_segment_were_not_reverted_beside_one_that_is_no_good(
        self, kube: Kube
    ) -> None:
        bad = route(to(LEGACY, 0, port=80), to(CANDIDATE, 100), match=[asks(BETA)])
        await virtual_service(kube, bad, pair(0, 100, match=[asks(BETA)]), pair(90, 10))
        routing, asked = KubeRouting(kube.reader), spec(kube, segments=(BETA,))
        found = seen(await routing.observe(asked))
        assert (found.segments, found.accepted) == (FULL, False)
        assert "http route 0 of VirtualService" in found.unfit
        assert f"at port 80, spec.port is {PORT}" in found.unfit
        await routing.set_weight(asked, found, ZERO, segments=False)
        assert await stored(kube) == [[(LEGACY, 100), (CANDIDATE, 0)]] * 3

    async def test_a_segment_beside_a_third_destination_is_told(self, kube: Kube) -> None:
        third = route(to(LEGACY, 100), to(CANDIDATE, 0), to("shadow", 0), match=[asks(BETA)])
        await virtual_service(kube, third, pair())
        found = seen(await KubeRouting(kube.reader).observe(spec(kube, segments=(BETA,))))
        assert found.accepted is False
        assert "http route 0 of VirtualService" in found.unfit
        assert "has other destinations than the two arms: leave these two" in found.unfit

    async def test_a_missing_virtual_service_is_told(self, kube: Kube) -> None:
        told = problem(await KubeRouting(kube.reader).observe(spec(kube)))
        assert f'VirtualService "{NAME}" not found in namespace {kube.namespace}' in told
        assert "spec.traffic.istio.virtualService" in told

    async def test_is_never_shaped_and_never_released(self, kube: Kube) -> None:
        before = await virtual_service(kube, pair())
        routing = KubeRouting(kube.reader)
        with pytest.raises(SpecError, match="never created or reshaped"):
            await routing.shape(spec(kube), TEN)
        await routing.release(spec(kube), await routing.observe(spec(kube)))
        assert await kube.get(VIRTUAL_SERVICES, NAME) == before

    async def test_an_edit_in_between_is_a_conflict(self, kube: Kube) -> None:
        await virtual_service(kube, pair())
        routing = KubeRouting(kube.reader)
        found = await routing.observe(spec(kube))
        # A route in front shifts the positions: the write must not land on the wrong one.
        extra = {"op": "add", "path": "/spec/http/0", "value": route(to("web", 0), name="web")}
        await kube.change(VIRTUAL_SERVICES, NAME, extra)
        with pytest.raises(Conflict):
            await routing.set_weight(spec(kube), found, TEN, segments=False)
        fresh = await routing.observe(spec(kube), fresh=True)
        await routing.set_weight(spec(kube), fresh, FULL, segments=False)
        assert await stored(kube) == [[("web", 0)], [(LEGACY, 0), (CANDIDATE, 100)]]

    async def test_what_istios_analysis_calls_an_error_is_a_refusal(self, kube: Kube) -> None:
        made = await virtual_service(kube, pair())
        # As istiod 1.31 writes them, which names no type.
        unknown = {"level": "ERROR", "type": {"code": "IST0101"}, "documentationUrl": "https://istio.io/ist0101/"}
        harmless = {"level": "WARNING", "type": {"code": "IST0109", "name": "Conflict"}}
        status = {"observedGeneration": made["metadata"]["generation"], "validationMessages": [harmless, unknown]}
        await kube.edit(VIRTUAL_SERVICES, NAME, {"status": status}, subresource="status")
        routing = KubeRouting(kube.reader)
        found = seen(await routing.observe(spec(kube)))
        assert found.accepted is False
        assert found.detail == (
            "Istio's analysis finds errors in the VirtualService: IST0101"
            f" (`istioctl analyze -n {kube.namespace}` tells all of them)"
        )
        moved = seen(await routing.set_weight(spec(kube), found, TEN, segments=False))
        assert moved.accepted is True, "what was said of an older generation counts for nothing"

    async def test_two_releases_may_follow_each_other_in_one_virtual_service(self, kube: Kube) -> None:
        await virtual_service(kube, route(to(LEGACY, 0), to(CANDIDATE, 100), to("fraud-v9", 0)))
        routing = KubeRouting(kube.reader)
        following = spec(kube, legacy=CANDIDATE, candidate="fraud-v9")
        found = seen(await routing.observe(following))
        assert (found.weight, found.detail) == (ZERO, "")
        await routing.set_weight(following, found, TEN, segments=False)
        assert await stored(kube) == [[(LEGACY, 0), (CANDIDATE, 90), ("fraud-v9", 10)]]
