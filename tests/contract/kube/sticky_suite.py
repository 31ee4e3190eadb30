"""Contract of `managedRoute` with `sticky`: all that every router keeps, and users who stay with their version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.adapters.kube.buckets import ANYBODY, NOBODY, below
from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.core.model import FULL, ZERO, HeaderMatch, RolloutSpec, RouteMatch, Segment, Weight
from tests.contract.kube.harness import CANDIDATE, LEGACY, MANAGED, Kube
from tests.contract.kube.precedence import served
from tests.contract.kube.router_stage import ManagedStage
from tests.contract.kube.router_suite import MadeRouterSuite
from tests.contract.kube.routes import seen, weights, without_weights

HEADER = "x-modelrollout-bucket"
BETA = Segment((HeaderMatch("x-tier", "beta"),))
TEN, HALF = Weight(1000), Weight(5000)
BELOW, OTHERS, REST = 0, 1, 2
"""Positions of the rules."""


class StickyStage(ManagedStage):
    """`managedRoute` with `sticky.bucketHeader`: three rules that say one weight."""

    def spec(self, **changes: Any) -> RolloutSpec:
        plain = super().spec(**changes)
        return replace(plain, traffic=replace(plain.traffic, bucket_header=HEADER))

    def weights(self, body: Body) -> tuple[int, int]:
        rules = [dict(found) for found in weights(body)]
        [below_, others, rest] = [found for found in rules if set(found) >= {LEGACY, CANDIDATE}]
        some = rest[CANDIDATE] > 0
        assert (below_[LEGACY] > 0, below_[CANDIDATE] > 0) == (not some, some)
        assert others[CANDIDATE] == 0 < others[LEGACY]
        return rest[LEGACY], rest[CANDIDATE]

    def without_weights(self, body: Body) -> object:
        body = {**body, "spec": {**body["spec"], "rules": [_unexpressed(rule) for rule in body["spec"]["rules"]]}}
        return without_weights(body), body["metadata"].get("labels"), body["metadata"].get("annotations")

    async def by_hand(self, legacy: int, candidate: int) -> None:
        said = below(Weight(candidate * FULL // (legacy + candidate)))
        await self.edit(express(BELOW, said), *share(BELOW, 0, 100), *share(REST, legacy, candidate))

    async def edit(self, *operations: Body) -> None:
        """Change the route as somebody else."""
        await self.kube.change(HTTPROUTES, self.name, *operations)

    async def arm(self, bucket: str | None, **headers: str) -> dict[str, int]:
        """What the stored route gives a request with this bucket."""
        return served(await self.stored(), headers | ({} if bucket is None else {HEADER: bucket}))

    async def begin_at(self, spec: RolloutSpec, weight: Weight) -> Any:
        return seen(await self.routing.shape(spec, weight))


def _unexpressed(rule: Body) -> Body:
    matches = [
        {**match, "headers": [{k: v for k, v in h.items() if k != "value"} for h in match.get("headers", ())]}
        for match in rule.get("matches", ())
    ]
    return {**rule, "matches": matches}


def express(at: int, value: str) -> Body:
    return {"op": "replace", "path": f"/spec/rules/{at}/matches/0/headers/0/value", "value": value}


def share(at: int, legacy: int, candidate: int) -> list[Body]:
    path = f"/spec/rules/{at}/backendRefs"
    return [
        {"op": "replace", "path": f"{path}/0/weight", "value": legacy},
        {"op": "replace", "path": f"{path}/1/weight", "value": candidate},
    ]


LEGACYS, CANDIDATES = {LEGACY: 100, CANDIDATE: 0}, {LEGACY: 0, CANDIDATE: 100}


class StickyRoutingSuite(MadeRouterSuite):
    STAGE = StickyStage

    @pytest.fixture
    async def sticky(self, kube: Kube) -> StickyStage:
        return StickyStage(kube)

    async def test_users_below_the_weight_are_the_candidates_and_all_others_legacys(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        assert await sticky.arm("0000") == await sticky.arm("0999") == CANDIDATES
        assert await sticky.arm("1000") == await sticky.arm("9999") == LEGACYS

    @pytest.mark.parametrize("bucket", [None, "", "10000", "999", "x", "1000 "])
    async def test_a_request_without_a_bucket_is_split_by_the_weight(
        self, sticky: StickyStage, bucket: str | None
    ) -> None:
        await sticky.begin(1000)
        assert await sticky.arm(bucket) == {LEGACY: 90, CANDIDATE: 10}

    async def test_a_user_stays_in_while_the_weight_grows_and_all_leave_at_the_revert(
        self, sticky: StickyStage
    ) -> None:
        route = await sticky.begin(0)
        inside: set[str] = set()
        buckets = [f"{number:04d}" for number in range(0, 10_000, 37)]
        for weight in (100, 1000, 2345, 5000, 10_000):
            route = seen(
                await sticky.routing.set_weight(sticky.spec(), route, Weight(weight // 100 * 100), segments=False)
            )
            stored = await sticky.stored()
            now = {bucket for bucket in buckets if served(stored, {HEADER: bucket}) == CANDIDATES}
            assert inside < now
            assert now == {bucket for bucket in buckets if int(bucket) < route.weight}
            inside = now
        back = seen(await sticky.routing.set_weight(sticky.spec(), route, ZERO, segments=False))
        assert (back.weight, back.exact, back.shape_ok) == (ZERO, True, True)
        stored = await sticky.stored()
        assert all(served(stored, {HEADER: bucket}) == LEGACYS for bucket in buckets)
        assert served(stored, {}) == LEGACYS

    async def test_a_new_weight_is_one_write(self, sticky: StickyStage) -> None:
        route = await sticky.begin(1000)
        before = (await sticky.stored())["metadata"]["generation"]
        await sticky.routing.set_weight(sticky.spec(), route, HALF, segments=False)
        assert (await sticky.stored())["metadata"]["generation"] == before + 1

    async def test_a_fraction_of_a_percent_is_exact_for_users_too(self, sticky: StickyStage) -> None:
        spec = sticky.spec(weights=(25, 100, 10_000))
        route = await sticky.begin_at(spec, Weight(25))
        assert (route.weight, route.exact, route.shape_ok) == (25, True, True)
        assert (await sticky.arm("0024"))[LEGACY] == 0
        assert (await sticky.arm("0025"))[CANDIDATE] == 0

    async def test_every_match_of_the_route_has_rules_for_buckets(self, sticky: StickyStage) -> None:
        matches = (RouteMatch("PathPrefix", "/predict", (HeaderMatch("x-tenant", "acme"),)), RouteMatch("Exact", "/v2"))
        plain = sticky.kube.spec(replace(MANAGED, matches=matches))
        spec = replace(plain, traffic=replace(plain.traffic, bucket_header=HEADER))
        route = await sticky.begin_at(spec, TEN)
        moved = seen(await sticky.routing.set_weight(spec, route, HALF, segments=False))
        assert (moved.weight, moved.exact, moved.shape_ok) == (HALF, True, True)
        stored = await sticky.stored()
        for path, tenant in (("/predict", {"x-tenant": "acme"}), ("/v2", {})):
            assert served(stored, {HEADER: "4999", **tenant}, path) == CANDIDATES
            assert served(stored, {HEADER: "5000", **tenant}, path) == LEGACYS
            assert served(stored, tenant, path) == {LEGACY: 50, CANDIDATE: 50}
        assert served(stored, {HEADER: "0000"}) == {}, "not what the route serves"

    async def test_a_segment_is_in_whatever_its_bucket(self, sticky: StickyStage) -> None:
        spec = sticky.spec(segments=(BETA,))
        route = await sticky.begin_at(spec, ZERO)
        on = seen(await sticky.routing.set_weight(spec, route, TEN, segments=True))
        assert (on.weight, on.segments, on.detail) == (TEN, FULL, "")
        assert await sticky.arm("9999", **{"x-tier": "beta"}) == CANDIDATES
        assert await sticky.arm("9999") == LEGACYS
        off = seen(await sticky.routing.set_weight(spec, on, ZERO, segments=False))
        assert (off.weight, off.segments) == (ZERO, ZERO)
        assert await sticky.arm("0000", **{"x-tier": "beta"}) == LEGACYS

    @pytest.mark.parametrize(
        ("said", "weight"),
        [(below(Weight(2500)), 2500), (".*", FULL), ("^(?:0[0-9]{3}|2[0-9]{3})$", FULL), (NOBODY, 1000)],
        ids=["more", "all", "unknown", "none"],
    )
    async def test_hazard_h01_an_expression_of_others_never_counts_for_less_than_it_gives(
        self, sticky: StickyStage, said: str, weight: int
    ) -> None:
        await sticky.begin(1000)
        await sticky.edit(express(BELOW, said))
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (weight, False)
        assert "users by their bucket get" in found.detail
        mended = seen(await sticky.routing.shape(sticky.spec(), TEN))
        assert (mended.weight, mended.shape_ok, mended.exact, mended.detail) == (TEN, True, True, "")
        assert await sticky.arm("1000") == LEGACYS

    async def test_an_expression_of_others_is_taken_back_with_the_weight(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        await sticky.edit(express(BELOW, ".*"))
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        down = seen(await sticky.routing.set_weight(sticky.spec(), found, ZERO, segments=False))
        assert (down.weight, down.shape_ok) == (ZERO, True)
        assert await sticky.arm("0000") == LEGACYS

    async def test_other_buckets_that_others_gave_the_candidate_are_seen(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        await sticky.edit(*share(OTHERS, 50, 50))
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (5500, False), "10 % and half of 90 %"
        assert seen(await sticky.routing.set_weight(sticky.spec(), found, TEN, segments=False)).shape_ok
        assert await sticky.arm("1000") == LEGACYS

    async def test_weights_alone_are_enough_to_send_all_back_by_hand(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        await sticky.edit(*share(BELOW, 100, 0), *share(REST, 100, 0))
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, True), "whatever the expression says"
        assert await sticky.arm("0000") == await sticky.arm(None) == LEGACYS

    async def test_rules_in_another_order_are_told_and_mended(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        first, second, rest = (await sticky.stored())["spec"]["rules"]
        await sticky.edit({"op": "replace", "path": "/spec/rules", "value": [second, first, rest]})
        assert await sticky.arm("0000") == LEGACYS, "the first rule of a route wins"
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert not found.shape_ok
        assert "not in their order" in found.detail
        assert seen(await sticky.routing.shape(sticky.spec(), TEN)).shape_ok
        assert await sticky.arm("0000") == CANDIDATES

    async def test_a_second_rule_for_buckets_does_not_make_the_route_wrong_for_ever(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        first = (await sticky.stored())["spec"]["rules"][BELOW]
        await sticky.edit({"op": "add", "path": "/spec/rules/-", "value": first}, express(3, below(HALF)))
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (HALF, True), "put back as weights of others are"
        assert seen(await sticky.routing.set_weight(sticky.spec(), found, TEN, segments=False)).weight == TEN

    async def test_sticky_comes_and_goes_with_the_spec(self, sticky: StickyStage) -> None:
        plain = sticky.kube.spec()
        await sticky.routing.shape(plain, TEN)
        found = seen(await sticky.routing.observe(sticky.spec(), fresh=True))
        assert (found.weight, found.shape_ok) == (TEN, False)
        assert "the rule for buckets below the weight is missing" in found.detail
        assert seen(await sticky.routing.shape(sticky.spec(), TEN)).shape_ok
        renamed = sticky.spec()
        renamed = replace(renamed, traffic=replace(renamed.traffic, bucket_header="x-other"))
        assert not seen(await sticky.routing.observe(renamed, fresh=True)).shape_ok
        assert seen(await sticky.routing.shape(renamed, TEN)).detail == ""
        gone = seen(await sticky.routing.observe(plain, fresh=True))
        assert (gone.shape_ok, "a rule is left from an earlier spec" in gone.detail) == (False, True)
        assert seen(await sticky.routing.shape(plain, TEN)).detail == ""
        assert len((await sticky.stored())["spec"]["rules"]) == 1

    async def test_rules_for_buckets_of_an_earlier_spec_are_lowered_too(self, sticky: StickyStage) -> None:
        await sticky.begin(1000)
        plain = sticky.kube.spec()
        found = seen(await sticky.routing.observe(plain, fresh=True))
        await sticky.routing.set_weight(plain, found, ZERO, segments=False)
        assert await sticky.arm("0000") == LEGACYS

    async def test_the_next_release_takes_over_without_moving_users(self, sticky: StickyStage) -> None:
        await sticky.begin_at(sticky.spec(), FULL)
        following = sticky.spec(legacy=CANDIDATE, candidate="fraud-v9")
        found = seen(await sticky.routing.observe(following, fresh=True))
        assert (found.weight, found.shape_ok) == (ZERO, False)
        mended = seen(await sticky.routing.shape(following, ZERO))
        assert (mended.weight, mended.shape_ok, mended.detail) == (ZERO, True, "")
        for bucket in ("0000", "9999", None):
            assert await sticky.arm(bucket) == {CANDIDATE: 100, "fraud-v9": 0}

    async def test_what_is_written(self, sticky: StickyStage) -> None:
        await sticky.begin(0)
        rules = (await sticky.stored())["spec"]["rules"]
        headers = [[(h["type"], h["name"], h["value"]) for h in r["matches"][0].get("headers", ())] for r in rules]
        kind = "RegularExpression"
        assert headers == [[(kind, HEADER, NOBODY)], [(kind, HEADER, ANYBODY)], []]
