"""Parts of the fault suite on a real API server that need no server: plans, queries, the order of a history."""

from __future__ import annotations

import random

import pytest

from e2e.chaos.drive import Run
from e2e.chaos.faults import BadPlan, Crash, Span
from e2e.chaos.real.campaign import combinations
from e2e.chaos.real.faults import Hurts, Plan, crashes, nearest, others, parse, text
from e2e.chaos.real.oracles import check
from e2e.chaos.real.prometheus import Strange, parsed
from e2e.chaos.real.proxy import target_of
from e2e.chaos.real.witness import Sight, history
from e2e.chaos.scene import CANDIDATE, LEGACY, ROUTE
from e2e.chaos.workloads import workloads
from e2e.chaos.world import Trigger
from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.adapters.prom import render
from modelrollout.ports import SeriesQuery


def test_every_fault_is_read_back_from_its_text() -> None:
    faults = [*crashes(3), *others(3)]
    assert len({text(fault) for fault in faults}) == len(faults) == 3 * (2 + 8 + 5)
    for fault in faults:
        plan = Plan("promote", (fault,))
        assert parse(str(plan)) == plan


@pytest.mark.parametrize("line", ["", "promote", "/crash+after@1", "promote/crash@", "promote/hurt+flood+1@2"])
def test_what_is_no_plan_is_told(line: str) -> None:
    with pytest.raises(BadPlan):
        parse(line)


@pytest.mark.parametrize("line", ["promote/1/fail+503+minute@2", "promote/edit+weight@2", "promote/fail+503+minute@2"])
def test_what_only_virtual_time_can_do_is_refused(line: str) -> None:
    with pytest.raises(BadPlan):
        parse(line)


def test_a_pair_is_a_crash_and_something_else_in_the_order_of_their_writes() -> None:
    pairs = combinations("pairs", 5, random.Random(1))
    assert len(pairs) == 10
    assert all(first.at <= second.at for first, second in pairs)
    assert all(any(isinstance(fault, Crash) for fault in pair) for pair in pairs)
    assert pairs == combinations("pairs", 5, random.Random(1))


def test_the_oracles_get_as_many_faults_as_there_are() -> None:
    plan = parse("abort/crash+after@2,hurt+storm+20@3")
    known = nearest(plan)
    assert [fault.at for fault in known.faults] == [2, 3]
    assert isinstance(plan.faults[1], Hurts)
    assert getattr(known.faults[1], "span", None) is Span.MINUTE


@pytest.mark.parametrize(
    "query",
    [
        SeriesQuery(("requests_total",), 10.0),
        SeriesQuery(("up", "requests_total"), 1.5, namespaces=("real-1",), pods="fraud-v7-[a-z0-9]+-[a-z0-9]{5}"),
        SeriesQuery(("up",), 60.0, namespaces=("real-1", "real-2"), pods=r"a\.b"),
    ],
)
def test_the_operators_own_queries_are_understood(query: SeriesQuery) -> None:
    assert parsed(render.samples(query)) == (query, False)
    assert parsed(render.increases(query)) == (query, True)


def test_any_other_query_is_strange() -> None:
    with pytest.raises(Strange):
        parsed("sum(rate(requests_total[5m]))")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/apis/modelrollout.dev/v1alpha1/namespaces/real-1/modelrollouts/fraud/status", "modelrollouts/status"),
        ("/apis/gateway.networking.k8s.io/v1/namespaces/real-1/httproutes/fraud-modelrollout", "httproutes"),
        ("/apis/coordination.k8s.io/v1/namespaces/real-1/leases", "leases"),
        ("/api/v1/namespaces/real-1", "namespaces"),
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "selfsubjectaccessreviews"),
    ],
)
def test_what_a_write_is_about(path: str, target: str) -> None:
    assert target_of(path) == target


def route(percent: int) -> Body:
    refs = [{"name": LEGACY, "weight": 100 - percent}, {"name": CANDIDATE, "weight": percent}]
    return {"metadata": {}, "spec": {"rules": [{"backendRefs": refs}]}}


def test_a_history_is_in_the_order_of_the_store_and_names_its_writers() -> None:
    seen = [
        Sight(9, 2.0, HTTPROUTES, ROUTE, None),
        Sight(7, 3.0, HTTPROUTES, ROUTE, route(10)),
        Sight(5, 1.0, HTTPROUTES, ROUTE, route(0)),
    ]
    found = history(seen, "real-1", {("httproutes", 5): 1, ("httproutes", 7): 2, ("modelrollouts", 9): 3})
    assert [(v.number, v.agent, v.event) for v in found] == [
        (5, "operator#1", "ADDED"),
        (7, "operator#2", "MODIFIED"),
        (9, "kubectl", "DELETED"),
    ]


@pytest.mark.parametrize(("again", "told"), [(0, 0), (50, 1)])
def test_a_weight_that_goes_up_again_after_a_revert_is_told(again: int, told: int) -> None:
    weights = [(1, 1.0, 50), (2, 5.0, 0), (3, 9.0, again)]
    seen = [Sight(number, at, HTTPROUTES, ROUTE, route(percent)) for number, at, percent in weights]
    run = Run(nearest(Plan("fail-at-50")), workloads()["fail-at-50"])
    run.history = history(seen, "real-1", {("httproutes", number): number for number in (1, 2, 3)})
    run.triggers = [Trigger(3.0, "errors", evidence=True)]
    run.end = {"rollout": None, "route": None}
    assert sum("raised again to 50 %" in violation.text for violation in check(run, None)) == told
