"""Contract of an API server: lists and watches, over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from modelrollout.adapters.kube.resources import LEASES, ROLLOUTS, SERVICES, Body, Resource
from tests.contract.kube.server_writes_suite import HELD, LEASE, SPEC, fraud
from tests.contract.kube.wire import Answer, Wire

Seen = tuple[str, str, str, dict[str, str]]


def names(answer: Answer) -> list[str]:
    assert answer.code == 200, answer
    return [item["metadata"]["name"] for item in answer.body["items"]]


async def lease(wire: Wire, name: str, **labels: str) -> Answer:
    return await wire.create(LEASES, name, LEASE, labels=labels)


async def take(events: AsyncIterator[Body], count: int) -> list[Body]:
    """That many events, in good time."""
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


def brief(events: list[Body]) -> list[Seen]:
    """Type, name, version and labels of each."""
    out = []
    for event in events:
        metadata = event["object"]["metadata"]
        out.append((event["type"], metadata["name"], metadata["resourceVersion"], metadata.get("labels", {})))
    return out


class Lists:
    async def test_pages_show_one_version(self, wire: Wire) -> None:
        for name in "abcd":
            await lease(wire, name)
        first = await wire.list(LEASES, limit="2")
        assert (names(first), first.metadata["remainingItemCount"]) == (["a", "b"], 2)
        await lease(wire, "bb")
        await wire.delete(LEASES, "c")
        await wire.merge(LEASES, "d", {"metadata": {"labels": {"late": "1"}}})
        second = await wire.list(LEASES, limit="2", **{"continue": first.metadata["continue"]})
        assert (names(second), second.version) == (["c", "d"], first.version)
        assert "labels" not in second.body["items"][1]["metadata"]
        assert not second.metadata.get("continue")
        now = await wire.list(LEASES)
        assert names(now) == ["a", "b", "bb", "d"]
        assert int(now.version) > int(first.version)

    async def test_items_of_built_in_kinds_do_not_say_what_they_are(self, wire: Wire) -> None:
        await lease(wire, "x")
        await fraud(wire)
        leases, rollouts = await wire.list(LEASES), await wire.list(ROLLOUTS)
        assert (leases.body["kind"], leases.body["apiVersion"]) == ("LeaseList", "coordination.k8s.io/v1")
        assert set(leases.body["items"][0]) == {"metadata", "spec"}
        assert (rollouts.body["kind"], rollouts.body["apiVersion"]) == ("ModelRolloutList", "modelrollout.dev/v1alpha1")
        assert set(rollouts.body["items"][0]) == {"metadata", "spec", "status", "kind", "apiVersion"}

    @pytest.mark.parametrize(
        ("selector", "found"),
        [
            ("n=a", "a"),
            ("n==a", "a"),
            (" n = a ", "a"),
            ("n!=a", "bc"),
            ("n", "ab"),
            ("!n", "c"),
            ("n in (a, b)", "ab"),
            ("n notin (a)", "bc"),
            ("n=a,all=1", "a"),
            ("n=a,all=2", ""),
            ("", "abc"),
        ],
    )
    async def test_labels_select(self, wire: Wire, selector: str, found: str) -> None:
        await lease(wire, "a", n="a", all="1")
        await lease(wire, "b", n="b", all="1")
        await lease(wire, "c")
        assert "".join(names(await wire.list(LEASES, labelSelector=selector))) == found

    async def test_selected_pages_do_not_count_the_rest(self, wire: Wire) -> None:
        for name in "abc":
            await lease(wire, name, n="1")
        page = await wire.list(LEASES, labelSelector="n=1", limit="1")
        assert (bool(page.metadata["continue"]), "remainingItemCount" in page.metadata) == (True, False)

    async def test_a_name_selects(self, wire: Wire) -> None:
        for name in "ab":
            await lease(wire, name)
        assert names(await wire.list(LEASES, fieldSelector="metadata.name=b")) == ["b"]

    async def test_an_old_state_will_do_for_version_nought_and_is_whole(self, wire: Wire) -> None:
        for name in "ab":
            made = await lease(wire, name)
        # Any old state will do for it, one without the second Lease too: a read "not older than" waits for the cache.
        await wire.list(LEASES, resourceVersion=made.version)
        assert names(await wire.list(LEASES, resourceVersion="0", limit="1")) == ["a", "b"]

    async def test_a_version_still_to_come_is_waited_for_in_vain(self, wire: Wire) -> None:
        await lease(wire, "a")
        for answer in (
            await wire.list(LEASES, resourceVersion="99999999"),
            await wire.get(LEASES, "a", resourceVersion="99999999"),
        ):
            assert answer.reason == (504, "Timeout")
            assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
            assert answer.body["details"]["retryAfterSeconds"] == 1

    @pytest.mark.parametrize(
        "query",
        [
            {"continue": "xyz"},
            {"limit": "x"},
            {"labelSelector": "="},
            {"labelSelector": "a b"},
            {"fieldSelector": "foo=a"},
            {"resourceVersion": "abc"},
        ],
        ids=str,
    )
    async def test_what_can_not_be_read_is_refused(self, wire: Wire, query: dict[str, str]) -> None:
        assert (await wire.list(LEASES, **query)).reason == (400, "BadRequest")


class Watches:
    async def test_every_write_is_shown_in_order(self, wire: Wire) -> None:
        made = await fraud(wire, finalizers=[HELD])
        async with wire.watch(ROLLOUTS, resourceVersion=made.version) as events:
            labelled = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"labels": {"a": "1"}}})
            await wire.merge(ROLLOUTS, "fraud", {"metadata": {"labels": {"a": "1"}}})
            other = await wire.create(ROLLOUTS, "other", {"spec": SPEC})
            deleted = await wire.delete(ROLLOUTS, "fraud")
            last = {"metadata": {"finalizers": None, "labels": {"b": "1"}}}
            assert (await wire.merge(ROLLOUTS, "fraud", last)).version == deleted.version
            await wire.delete(ROLLOUTS, "other")
            seen = await take(events, 5)
        versions = [int(version) for _, _, version, _ in brief(seen)]
        assert versions == sorted(set(versions))
        assert versions[:3] == [int(answer.version) for answer in (labelled, other, deleted)]
        assert [event["type"] for event in seen] == ["MODIFIED", "ADDED", "MODIFIED", "DELETED", "DELETED"]
        assert [event["object"] for event in seen[:3]] == [labelled.body, other.body, deleted.body]
        gone = seen[3]["object"]
        assert gone == {**deleted.body, "metadata": {**deleted.metadata, "resourceVersion": str(versions[3])}}
        assert seen[4]["object"]["spec"] == SPEC

    @pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}], ids=str)
    async def test_without_a_version_it_begins_with_what_there_is(self, wire: Wire, query: dict[str, str]) -> None:
        a, b = await lease(wire, "a"), await lease(wire, "b")
        async with wire.watch(LEASES, **query) as events:
            seen = await take(events, 2)
            c = await lease(wire, "c")
            seen += await take(events, 1)
        assert {(event["type"], event["object"]["metadata"]["name"]) for event in seen[:2]} == {
            ("ADDED", "a"),
            ("ADDED", "b"),
        }
        assert [event["object"]["metadata"]["resourceVersion"] for event in seen] == [a.version, b.version, c.version]

    async def test_the_end_of_what_there_is_is_marked(self, wire: Wire) -> None:
        made = await lease(wire, "a")
        async with wire.watch(LEASES, allowWatchBookmarks="true") as events:
            added, mark = await take(events, 2)
        assert (added["type"], mark["type"]) == ("ADDED", "BOOKMARK")
        assert (mark["object"]["kind"], mark["object"]["apiVersion"]) == ("Lease", "coordination.k8s.io/v1")
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(made.version)

    async def test_what_leaves_a_selection_is_deleted_for_it(self, wire: Wire) -> None:
        await lease(wire, "a", l="1")
        await lease(wire, "b")
        async with wire.watch(LEASES, labelSelector="l=1") as events:
            seen = await take(events, 1)
            left = await wire.merge(LEASES, "a", {"metadata": {"labels": {"l": None}}})
            await wire.merge(LEASES, "a", {"spec": {"holderIdentity": "y"}})
            came = await wire.merge(LEASES, "b", {"metadata": {"labels": {"l": "1"}}})
            stayed = await wire.merge(LEASES, "b", {"metadata": {"labels": {"l": "1", "k": "1"}}})
            await wire.delete(LEASES, "b")
            seen += await take(events, 4)
        assert brief(seen)[1:4] == [
            ("DELETED", "a", left.version, {"l": "1"}),
            ("ADDED", "b", came.version, {"l": "1"}),
            ("MODIFIED", "b", stayed.version, {"l": "1", "k": "1"}),
        ]
        assert brief(seen)[4][:2] == ("DELETED", "b")

    async def test_other_namespaces_are_not_shown(self, wire: Wire, other: Wire) -> None:
        async with wire.watch(LEASES, resourceVersion=(await wire.list(LEASES)).version) as events:
            await lease(other, "theirs")
            await lease(wire, "ours")
            seen = await take(events, 1)
        assert brief(seen)[0][1] == "ours"

    async def test_a_version_that_is_too_old_is_told_in_the_stream(self, wire: Wire) -> None:
        await fraud(wire)
        async with wire.watch(ROLLOUTS, resourceVersion="1") as events:
            seen = [event async for event in events]
        [event] = seen
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert event["object"]["kind"] == "Status"

    async def test_it_ends_when_its_time_is_over(self, wire: Wire) -> None:
        await lease(wire, "a")
        begin = asyncio.get_running_loop().time()
        async with asyncio.timeout(20), wire.watch(LEASES, timeoutSeconds="1") as events:
            seen = [event async for event in events]
        assert [event["type"] for event in seen] == ["ADDED"]
        assert asyncio.get_running_loop().time() - begin >= 0.9

    async def test_what_can_not_be_watched_is_refused(self, wire: Wire) -> None:
        wrong = {"watch": "true", "labelSelector": "a b"}
        assert (await wire.call("GET", LEASES, query=wrong)).reason == (400, "BadRequest")
        assert (await wire.call("GET", LEASES, query={"watch": "true", "resourceVersion": "abc"})).code == 500
        nobody = Resource("none.dev", "v1", "nones", "None")
        assert await wire.call("GET", nobody, query={"watch": "true"}) == Answer(404, "404 page not found\n")
        assert (await wire.call("GET", SERVICES, "none", query={"watch": "true"})).reason == (404, "NotFound")
