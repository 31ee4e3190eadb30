"""`doctor` and the Gateways of managed routes: the usual reasons for a rollout that waits with reason RoutePending."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelrollout.cli.findings import Finding, State
from tests.unit.cli.cluster_answers import FORBIDDEN, NOT_SERVED, Answer, Cluster
from tests.unit.cli.doctor_scene import GATEWAY, found, gateway, healthy, rollout, rollouts, states, told


def of(change: Callable[[Cluster], None], *more: Callable[[Cluster], None]) -> list[Finding]:
    cluster = healthy()
    for each in (change, *more):
        each(cluster)
    return [each for each in found(cluster) if each.check == "gateway"]


@pytest.mark.parametrize(
    ("answer", "state", "part"),
    [
        ([gateway()], State.OK, "Gateway infra/public is programmed and takes the routes of serving/fraud"),
        ([], State.ERROR, "there is no Gateway infra/public, which serving/fraud use"),
        ([gateway(space="")], State.ERROR, "no listener of Gateway infra/public takes routes from namespace serving"),
        ([gateway(space="Same")], State.ERROR, "no listener of Gateway infra/public takes routes from namespace"),
        ([gateway(space="Selector")], State.OK, "is programmed"),
        ([gateway(programmed="False")], State.WARNING, "Gateway infra/public is not programmed: no address"),
        (FORBIDDEN, State.UNKNOWN, "Gateway infra/public can't be read: forbidden"),
    ],
)
def test_the_gateway_of_a_managed_route(answer: Answer, state: State, part: str) -> None:
    (finding,) = of(told(GATEWAY, answer))
    assert (finding.state, part in finding.text) == (state, True), finding
    assert finding.fix or state in (State.OK, State.UNKNOWN)


@pytest.mark.parametrize(("listener", "state"), [("http", State.OK), ("https", State.ERROR)])
def test_a_listener_that_a_parent_names_must_be_there(listener: str, state: State) -> None:
    parent = {"name": "public", "namespace": "infra", "sectionName": "http"}
    one = rollouts(rollout(traffic={"managedRoute": {"parentRefs": [parent]}}))
    (finding,) = of(one, told(GATEWAY, [gateway(listener=listener)]))
    assert finding.state is state
    assert state is State.OK or finding.text == "Gateway infra/public has no listener http"


def test_a_gateway_of_the_rollouts_own_namespace_is_looked_for_there() -> None:
    cluster = healthy()
    rollouts(rollout(traffic={"managedRoute": {"parentRefs": [{"name": "public"}]}}))(cluster)
    own = gateway(space="Same")
    own["metadata"]["namespace"] = "serving"
    told(GATEWAY.replace("infra", "serving"), [own])(cluster)
    assert states(found(cluster), "gateway") == [State.OK]


def test_without_the_gateway_api_or_a_managed_route_nothing_is_asked() -> None:
    assert of(told("--raw /apis/gateway.networking.k8s.io/v1", NOT_SERVED)) == []
    assert of(rollouts(rollout(traffic={"traefik": {"service": "fraud"}})), told("traefik.io", NOT_SERVED)) == []
