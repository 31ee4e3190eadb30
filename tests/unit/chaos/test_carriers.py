"""Objects that carry a weight: what people make of them, how a share is read, and what they look like afterwards."""

from __future__ import annotations

import pytest

from e2e.chaos.apiserver.server import ApiServer
from e2e.chaos.campaign import judge
from e2e.chaos.carriers import Carrier
from e2e.chaos.drive import drive
from e2e.chaos.faults import Blurred, Plan, parse
from e2e.chaos.plans import singles
from e2e.chaos.router_workloads import ADOPTERS, PODS
from e2e.chaos.scene import People, furnish_ground

OWNED = [carrier for carrier in ADOPTERS.values() if carrier.made() is not None]


def people() -> People:
    found = People(ApiServer(now=lambda: 0.0))
    furnish_ground(found)
    return found


@pytest.mark.parametrize("carrier", OWNED, ids=lambda carrier: carrier.resource.plural)
def test_a_share_by_hand_is_read_back_and_a_deleted_object_comes_back_as_its_owner_has_it(carrier: Carrier) -> None:
    scene = people()
    carrier.furnish(scene)
    assert carrier.stored(scene) == 0.0
    carrier.by_hand(scene, 45)
    assert carrier.stored(scene) == 45.0
    body = scene.get(carrier.resource, carrier.name)
    assert body is not None
    assert carrier.wrong(body) == ""
    assert carrier.take_away(scene) > 0
    assert carrier.stored(scene) is None
    carrier.put_back(scene)
    assert carrier.stored(scene) == 0.0


@pytest.mark.parametrize("name", ADOPTERS)
def test_the_operator_follows_its_object_and_leaves_the_rest_of_it_alone(name: str) -> None:
    carrier = ADOPTERS[name]
    run = drive(Plan(f"{name}-promote", 1))
    versions = [v for v in run.history if v.resource is carrier.resource and v.place[1] == carrier.name]
    shares = [carrier.weight(version.body) for version in versions]
    # One after the other; a gateway's answer is a version too.
    assert list(dict.fromkeys(shares))[-3:] == [10.0, 50.0, 100.0]


def test_weights_that_do_not_add_up_are_told() -> None:
    carrier = ADOPTERS["traefik"]
    body = carrier.made() or {}
    body["spec"]["weighted"]["services"][0]["weight"] = 70
    assert carrier.wrong(body) == "weights [70, 0] don't add up"


def test_views_of_the_object_that_a_rollout_uses_are_blurred() -> None:
    for carrier, plurals in (
        (ADOPTERS["istio"], {"virtualservices"}),
        (ADOPTERS["nginx"], {"ingresses"}),
        (PODS, {"deployments"}),
    ):
        blurred = {fault.kinds for fault in singles(1, carrier) if isinstance(fault, Blurred)}
        assert tuple(plurals) in blurred
        assert not any("httproutes" in kinds for kinds in blurred)


@pytest.mark.parametrize(
    "line",
    [
        "istio-promote/1/blur+frozen+virtualservices+10@8",
        "traefik-fail-at-50/1/edit+route-deleted@9",
        "nginx-delete/1/edit+route-deleted@11",
        "adopted-fail-at-50/1/parted+30+30@9",
    ],
)
def test_promises_are_kept_by_what_others_own(line: str) -> None:
    assert judge(parse(line)).violations == ()


def test_bug_a_slow_leader_made_a_canary_while_another_led() -> None:
    """It reads much before: the right to write is looked at again when that takes long."""
    assert judge(parse("nginx-promote/1/slow+60@2")).violations == ()
