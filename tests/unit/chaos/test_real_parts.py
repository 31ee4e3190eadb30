"""Parts of the fault suite on a real API server that need no server: plans, queries, the order of a history."""

from __future__ import annotations

import asyncio
import random

import pytest

from e2e.chaos.drive import Run
from e2e.chaos.faults import BadPlan, Crash, Span
from e2e.chaos.real.campaign import made
from e2e.chaos.real.families import FAMILIES, crashes, deposed, fails, hurts, losses, pairs, stale
from e2e.chaos.real.faults import Fault, Hurts, Needs, Plan, nearest, parse, text
from e2e.chaos.real.lagging import Relay
from e2e.chaos.real.ledger import lists, target_of
from e2e.chaos.real.oracles import check
from e2e.chaos.real.prometheus import Strange, parsed
from e2e.chaos.real.witness import Sight, history
from e2e.chaos.scene import CANDIDATE, LEGACY, ROUTE
from e2e.chaos.workloads import workloads
from e2e.chaos.world import Trigger
from modelrollout.adapters.kube.resources import HTTPROUTES, LEASES, Body
from modelrollout.adapters.prom import render
from modelrollout.ports import SeriesQuery


def test_every_fault_is_read_back_from_its_text() -> None:
    faults: list[Fault] = [*crashes(3), *fails(3), *hurts(3), *deposed(3), *losses(3)]
    faults += [first for first, *_ in stale(3)]
    assert len({text(fault) for fault in faults}) == len(faults) == 3 * (2 + 8 + 6 + 4 + 3 + 2)
    for fault in faults:
        plan = Plan("promote", (fault,))
        assert parse(str(plan)) == plan


@pytest.mark.parametrize("line", ["", "promote", "/crash+after@1", "promote/crash@", "promote/hurt+flood+1@2"])
def test_what_is_no_plan_is_told(line: str) -> None:
    with pytest.raises(BadPlan):
        parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "promote/1/fail+503+minute@2",
        "promote/edit+weight@2",
        "promote/fail+503+minute@2",
        "promote/fail+late+once@2",
    ],
)
def test_what_only_virtual_time_can_do_is_refused(line: str) -> None:
    with pytest.raises(BadPlan):
        parse(line)


def test_a_pair_is_a_crash_and_something_else_in_the_order_of_their_writes() -> None:
    drawn = list(pairs(5, random.Random(1)))
    assert len(drawn) == 10
    assert all(first.at <= second.at for first, second in drawn)
    assert all(any(isinstance(fault, Crash) for fault in pair) for pair in drawn)
    assert drawn == list(pairs(5, random.Random(1)))


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
    assert lists(path) == path.endswith(("/leases", "reviews"))


def route(percent: int) -> Body:
    refs = [{"name": LEGACY, "weight": 100 - percent}, {"name": CANDIDATE, "weight": percent}]
    return {"metadata": {}, "spec": {"rules": [{"backendRefs": refs}]}}


def test_a_history_is_in_the_order_of_the_store_and_names_its_writers() -> None:
    seen = [
        Sight(9, 2.0, HTTPROUTES, ROUTE, None),
        Sight(7, 3.0, HTTPROUTES, ROUTE, route(10)),
        Sight(5, 1.0, HTTPROUTES, ROUTE, route(0)),
    ]
    found = history(
        seen,
        "real-1",
        {("httproutes", 5): "operator#1", ("httproutes", 7): "operator#2", ("modelrollouts", 9): "operator#3"},
    )
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
    run.history = history(seen, "real-1", {("httproutes", number): f"operator#{number}" for number in (1, 2, 3)})
    run.triggers = [Trigger(3.0, "errors", evidence=True)]
    run.end = {"rollout": None, "route": None}
    assert sum("raised again to 50 %" in violation.text for violation in check(run, None)) == told


def lease(holder: str, epoch: int) -> Body:
    return {"metadata": {}, "spec": {"holderIdentity": holder, "leaseTransitions": epoch}}


@pytest.mark.parametrize(("writer", "told"), [("operator#1", 1), ("standby#2", 0), ("operator#3", 0)])
def test_a_write_of_a_leader_after_one_of_its_successor_is_told(writer: str, told: int) -> None:
    authors = {("leases", 1): "operator#1", ("httproutes", 2): "operator#1", ("leases", 3): "standby#2"}
    authors |= {("httproutes", 4): "standby#2", ("leases", 5): "operator#3", ("httproutes", 6): writer}
    seen = [
        Sight(1, 1.0, LEASES, "l", lease("operator-1", 1)),
        Sight(2, 2.0, HTTPROUTES, ROUTE, route(50)),
        Sight(3, 3.0, LEASES, "l", lease("standby-1", 2)),
        Sight(4, 4.0, HTTPROUTES, ROUTE, route(20)),
        Sight(5, 5.0, LEASES, "l", lease("operator-1", 3)),
        Sight(6, 6.0, HTTPROUTES, ROUTE, route(0)),
    ]
    run = Run(nearest(Plan("promote")), workloads()["promote"])
    run.history = history(seen, "real-1", authors)
    run.end = {"rollout": None, "route": None}
    assert sum("wrote after standby#2 (epoch 2)" in each.text for each in check(run, None)) == told


@pytest.mark.parametrize(("took", "told"), [(19.0, 0), (25.0, 1)])
def test_a_standby_that_takes_over_too_late_is_told(took: float, told: int) -> None:
    run = Run(nearest(Plan("promote")), workloads()["promote"])
    run.end = {"rollout": None, "route": None}
    assert sum(each.oracle == "takeover" for each in check(run, None, [took])) == told


def test_a_write_whose_answer_nobody_saw_is_the_operators_if_the_object_says_so() -> None:
    mine = {"managedFields": [{"manager": "modelrollout", "time": "1"}]}
    seen = [
        Sight(1, 1.0, HTTPROUTES, ROUTE, route(0)),
        Sight(2, 2.0, HTTPROUTES, ROUTE, route(10) | {"metadata": mine}),
        Sight(3, 3.0, HTTPROUTES, ROUTE, route(20) | {"metadata": mine}),
    ]
    found = history(seen, "real-1", {("httproutes", 1): "operator#4"})
    assert [version.agent for version in found] == ["operator#4", "operator#4", "kubectl"]


def test_a_family_is_made_for_every_write_and_drawn_by_chance() -> None:
    whole = made({"abort": 4, "delete": 3}, ["crash", "standby"], count=None, seed=1)
    assert [asked.family for asked in whole] == ["crash"] * 14 + ["standby"] * 28
    few = made({"abort": 4, "delete": 3}, ["crash", "standby"], count=5, seed=1)
    assert [asked.family for asked in few] == ["crash"] * 5 + ["standby"] * 5
    assert set(few) <= set(whole)
    assert few == made({"abort": 4, "delete": 3}, ["crash", "standby"], count=5, seed=1)


def test_who_sees_nothing_may_finish_before_it_hears_of_an_abort() -> None:
    lines = ["abort/stale+lag+20@6", "abort/hurt+frozen+20@6", "abort/hurt+slow+20@6", "abort/crash+after@6"]
    assert [parse(line).blinds for line in lines] == [True, True, False, False]


def test_what_a_plan_needs() -> None:
    needs = {name: {a.plan.needs for a in made({"abort": 2}, [name], count=None, seed=1)} for name in FAMILIES}
    assert needs.pop("stale") == {Needs.LAGGING}
    assert needs.pop("etcd") == {Needs.MEMBERS}
    assert set(map(frozenset, needs.values())) == {frozenset({Needs.SERVER})}


async def test_a_way_that_is_held_loses_nothing() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(server.sockets[0].getsockname()[1])
    await relay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"one\n")
    assert await reader.readline() == b"one\n"
    relay.hold(True)
    writer.write(b"two\n")
    line = asyncio.ensure_future(reader.readline())
    others, other = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    for _ in range(5):
        other.write(b"x\n")
        await others.readline()
    assert not line.done()
    relay.hold(False)
    assert await line == b"two\n"
    for end in (other, writer):
        end.close()
        await end.wait_closed()
    await relay.close()
    server.close()
    await server.wait_closed()
