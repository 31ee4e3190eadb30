"""What an operator could know as it sent a write."""

from __future__ import annotations

from dataclasses import replace

from e2e.chaos.apiserver.server import ApiServer, Request, Wired
from e2e.chaos.exchanges import Exchange, Exchanges, expected, out_of_date, out_of_office
from e2e.chaos.process import LEASE, SYSTEM
from e2e.chaos.transport import Sent
from modelrollout.adapters.kube.resources import LEASES, ROLLOUTS, SERVICES, SOURCES, Body

ROUTE = Exchange("a#1", "PATCH", "routes/fraud", "httproutes", at=5.0, holder="a", version="7")


def test_a_write_while_another_leads_is_told() -> None:
    writes = [ROUTE, replace(ROUTE, holder=""), replace(ROUTE, holder="b", sender="b#2")]
    assert list(out_of_office(writes)) == []
    assert list(out_of_office([replace(ROUTE, holder="b")])) == ["+5.00 s: a#1 writes routes/fraud while b leads"]


def test_who_contends_for_the_lease_or_tells_what_was_done_needs_no_office() -> None:
    assert list(out_of_office([replace(ROUTE, holder="b", target=target) for target in ("leases", "events")])) == []


def test_a_write_at_a_version_older_than_its_own_last_write_is_told() -> None:
    mine = replace(ROUTE, heard=6.0, stored="10")
    again = replace(ROUTE, at=7.0, version="9")
    assert list(out_of_date([mine, again])) == ["+7.00 s: a#1 writes routes/fraud at 9, which it knew to be old"]
    assert list(out_of_date([mine, replace(again, version="10")])) == []
    assert list(out_of_date([mine, replace(again, at=5.5)])) == [], "the answer had not come yet"
    assert list(out_of_date([mine, replace(again, sender="a#2")])) == [], "another life knows nothing of it"
    assert list(out_of_date([mine, replace(again, name="routes/other")])) == []
    assert list(out_of_date([mine, replace(again, version="")])) == []


def test_a_write_that_is_sent_again_after_a_conflict_without_a_look_is_told() -> None:
    refused = replace(ROUTE, heard=6.0, old=True)
    assert len(list(out_of_date([refused, replace(ROUTE, at=7.0)]))) == 1
    assert list(out_of_date([refused, replace(ROUTE, at=7.0, version="8")])) == []
    assert list(out_of_date([replace(refused, old=False), replace(ROUTE, at=7.0)])) == [], "refused for another reason"


def test_the_version_that_a_write_asks_for() -> None:
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert expected([{"op": "test", "path": "/metadata/name", "value": "x"}, test]) == "7"
    assert expected({"metadata": {"resourceVersion": "9"}}) == "9"
    bodies: tuple[object, ...] = ([], {}, None, {"metadata": None})
    assert [expected(body) for body in bodies] == [""] * 4


def test_an_object_has_one_name_whichever_part_is_written() -> None:
    named = ApiServer(now=lambda: 0.0).named
    rollout, source = ROLLOUTS.path("n", "fraud"), SOURCES.path("", "x")
    assert named(rollout) == named(f"{rollout}/status") == "modelrollouts n/fraud"
    assert named(f"{source}/status") == "metricsources /x"
    assert named("/version") == "/version"


def test_answers_and_the_holder_are_taken_down() -> None:
    server = ApiServer(now=lambda: 0.0)
    lease: Body = {"metadata": {"name": LEASE}, "spec": {"holderIdentity": "a", "leaseTransitions": 1}}
    server.store.create(LEASES, SYSTEM, lease)
    made = Exchanges(server)
    path = f"{SERVICES.path(SYSTEM)}/x"
    patch = Sent("a#1", Request("PATCH", path, body={"metadata": {"resourceVersion": "7"}}), 1.0)
    read = Sent("a#1", Request("GET", path), 1.0)
    for sent in (patch, read):
        made.sending(sent)(Wired(409, b"", {}), "8", 2.0)
    [exchange] = made.all
    assert (exchange.holder, exchange.version, exchange.heard, exchange.old) == ("a", "7", 2.0, True)
    made.sending(patch)(Wired(200, b"", {}, "9"), "7", 3.0)
    assert (made.all[1].stored, made.all[1].old) == ("9", False)
