"""Real requests through an Envoy that a real istiod steers, while weights move: they follow, by host and by subset.

istiod takes minutes to build, so that these are skipped until `make istio` has done it.
"""

from __future__ import annotations

import time
from collections import Counter

from modelrollout.adapters.kube.resources import SERVICES, VIRTUAL_SERVICES
from modelrollout.core.model import HeaderMatch, Istio, Segment, Subsets
from tests.apiserver.istio.stage import BOTH, ENTRIES, MARKS, RULES, VERSIONS, Mesh, Visitors, fits, moved
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.virtual_services import NAME, pair, route, subsets, to, virtual_service, without_weights

pytestmark = MARKS

SETTLE_S = 5.0
"""`spec.traffic.settle` where it is absent: from then on requests are evidence."""
TEAM = {"x-team": "risk"}


async def test_real_requests_follow_the_weights_of_two_hosts_and_a_route_by_hand_stays(
    kube: Kube, mesh: Mesh, users: Visitors
) -> None:
    by_hand = route(to(CANDIDATE), match=[{"headers": {name: {"exact": told} for name, told in TEAM.items()}}])
    before = await virtual_service(kube, by_hand, pair(timeout="3s"), host=users.host)
    spec = kube.spec(Istio(NAME))
    await users.split(0)
    for percent in (10, 50, 100, 25, 0):
        await moved(kube, spec, percent * 100)
        await users.split(percent)
        assert fits(await users.asked(1000), percent)
        assert await users.asked(20, **TEAM) == Counter({CANDIDATE: 20}), "at weight 0 too: it is its owner's"
    assert without_weights(await kube.get(VIRTUAL_SERVICES, NAME)) == without_weights(before)


async def test_a_quarter_of_a_percent_reaches_the_gateway(kube: Kube, mesh: Mesh, users: Visitors) -> None:
    await virtual_service(kube, pair(), host=users.host)
    await users.split(0)
    await moved(kube, kube.spec(Istio(NAME), weights=(25, 10_000)), 25)
    while not (answered := await users.asked(500))[CANDIDATE]:
        assert answered == Counter({LEGACY: 500})
    assert [list(found.values()) for found in mesh.gateway.weights(users.host)] == [[9975, 25]]


async def test_real_requests_follow_the_weights_of_two_subsets(kube: Kube, users: Visitors) -> None:
    defined = [{"name": version, "labels": {"version": version}} for version in VERSIONS.values()]
    rule = await kube.create(RULES, BOTH, {"spec": {"host": BOTH, "subsets": defined}})
    await virtual_service(kube, subsets(BOTH), host=users.host)
    spec = kube.spec(Istio(NAME, None, Subsets(*VERSIONS.values())))
    await users.split(0)
    for percent in (10, 50, 100, 0):
        await moved(kube, spec, percent * 100)
        await users.split(percent)
    assert await kube.get(RULES, BOTH) == rule


async def test_requests_of_a_segment_go_to_one_version(kube: Kube, users: Visitors) -> None:
    segment = Segment(tuple(HeaderMatch(*each) for each in TEAM.items()))
    matches = [{"headers": {name: {"exact": value} for name, value in TEAM.items()}}]
    await virtual_service(kube, pair(match=matches), pair(), host=users.host)
    spec = kube.spec(Istio(NAME), segments=(segment,))
    await users.split(0)
    await moved(kube, spec, 1000, segments=True)
    await users.split(10)
    assert await users.asked(300, **TEAM) == Counter({CANDIDATE: 300})
    await moved(kube, spec, 0)
    await users.answered_by(LEGACY)
    assert await users.asked(300, **TEAM) == Counter({LEGACY: 300})


async def test_a_revert_is_followed_before_requests_are_evidence_again(kube: Kube, users: Visitors) -> None:
    await virtual_service(kube, pair(), host=users.host)
    spec = kube.spec(Istio(NAME))
    for _ in range(3):
        await moved(kube, spec, 5000)
        await users.split(50)
        await moved(kube, spec, 0)
        written = time.monotonic()
        assert await users.leave(CANDIDATE) - written < SETTLE_S
        assert await users.asked(300) == Counter({LEGACY: 300})


async def test_a_hash_over_a_header_keeps_nobody_on_the_candidate(kube: Kube, users: Visitors) -> None:
    for host in VERSIONS:
        policy = {"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}
        await kube.create(RULES, host, {"spec": {"host": host, "trafficPolicy": policy}})
    await virtual_service(kube, pair(), host=users.host)
    spec = kube.spec(Istio(NAME))
    await moved(kube, spec, 5000)
    await users.split(50)
    one = {"x-user": "4711"}
    assert fits(await users.asked(300, **one), 50), "each of a user's requests is drawn anew"
    await moved(kube, spec, 0)
    await users.answered_by(LEGACY, **one)


async def test_a_candidate_that_is_gone_costs_its_share_and_nobody_at_weight_0(kube: Kube, users: Visitors) -> None:
    await virtual_service(kube, pair(), host=users.host)
    spec = kube.spec(Istio(NAME))
    await users.split(0)
    await moved(kube, spec, 5000)
    await users.split(50)
    await kube.other.delete(ENTRIES, kube.namespace, CANDIDATE)
    await users.split(50, candidate="503")
    await moved(kube, spec, 0)
    await users.answered_by(LEGACY)
    await kube.other.delete(SERVICES, kube.namespace, CANDIDATE)
    await moved(kube, spec, 2000)
    await users.split(20, candidate="503")
    await moved(kube, spec, 0)
    await users.answered_by(LEGACY)
