"""Contract of an API server: patches and deletions, over the wire."""

from __future__ import annotations

import pytest

from modelrollout.adapters.kube.resources import HTTPROUTES, LEASES, ROLLOUTS, SERVICES, Body
from tests.contract.kube.server_writes_suite import HELD, LATER, LEASE, ROUTE, SERVICE, SPEC, fraud, without
from tests.contract.kube.wire import Answer, Wire

REFUSED = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "the server rejected our request due to an error in our request",
    "reason": "Invalid",
    "details": {},
    "code": 422,
}
"""What `failures.failure` takes for a failed `test`."""


class Patches:
    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/none/x", "value": 1},
            {"op": "test", "path": "/metadata/generation", "value": True},
            {"op": "test", "path": "/metadata/generation", "value": 1.0},
            {"op": "remove", "path": "/spec/none"},
            {"op": "remove", "path": "/spec/steps/2"},
            {"op": "add", "path": "/spec/none/x", "value": 1},
            {"op": "add", "path": "/spec/steps/9", "value": {"weight": 1}},
            {"op": "replace", "path": "/spec/steps/2", "value": {"weight": 1}},
            {"op": "replace", "path": "/spec/none/x", "value": 1},
            {"op": "move", "from": "/spec/none", "path": "/spec/port"},
            {"op": "frob", "path": "/spec/x"},
            {"op": "add", "value": 1},
            {"path": "/spec/x", "value": 1},
        ],
        ids=lambda operation: f"{operation.get('op')}-{operation.get('path')}",
    )
    async def test_an_operation_that_fails_leaves_everything_as_it_was(self, wire: Wire, operation: Body) -> None:
        made = await fraud(wire)
        before = {"op": "add", "path": "/spec/paused", "value": True}
        assert await wire.patch(ROLLOUTS, "fraud", before, operation) == Answer(422, REFUSED)
        assert (await wire.get(ROLLOUTS, "fraud")).body == made.body

    async def test_operations_are_done_in_order(self, wire: Wire) -> None:
        made = await fraud(wire)
        answer = await wire.patch(
            ROLLOUTS,
            "fraud",
            {"op": "test", "path": "/metadata/resourceVersion", "value": made.version},
            {"op": "test", "path": "/spec/steps/-1/weight", "value": 100},
            {"op": "test", "path": "/spec/port", "value": None},
            {"op": "add", "path": "/spec/port", "value": 80},
            {"op": "replace", "path": "/spec/port", "value": 81},
            {"op": "test", "path": "/spec/port", "value": 81},
            {"op": "add", "path": "/spec/steps/0", "value": {"weight": 1}},
            {"op": "add", "path": "/spec/steps/-", "value": {"weight": 7}},
            {"op": "remove", "path": "/spec/steps/3"},
            {"op": "add", "path": "/metadata/annotations", "value": {"example.com/a": "1"}},
            {"op": "copy", "from": "/metadata/annotations/example.com~1a", "path": "/metadata/annotations/b"},
            {"op": "move", "from": "/metadata/annotations/b", "path": "/metadata/annotations/c"},
        )
        assert answer.code == 200
        assert answer.body["spec"] == {**SPEC, "port": 81, "steps": [{"weight": 1}, {"weight": 5}, {"weight": 100}]}
        assert answer.metadata["annotations"] == {"example.com/a": "1", "c": "1"}
        assert (answer.metadata["generation"], int(answer.version) > int(made.version)) == (2, True)

    async def test_replace_does_not_ask_whether_a_member_is_there(self, wire: Wire) -> None:
        """Other than RFC 6902: the library of the real one does not."""
        await fraud(wire)
        answer = await wire.patch(ROLLOUTS, "fraud", {"op": "replace", "path": "/spec/paused", "value": True})
        assert (answer.code, answer.body["spec"]["paused"]) == (200, True)

    async def test_merging_adds_replaces_and_removes(self, wire: Wire) -> None:
        await fraud(wire, labels={"a": "1", "b": "1"}, annotations={"a": "1"})
        metadata = {"labels": {"a": None, "c": "1", "none": None}, "annotations": None}
        change = {"metadata": metadata, "spec": {"steps": [{"weight": 100}], "candidate": {"service": "v8"}}}
        answer = await wire.merge(ROLLOUTS, "fraud", change)
        assert (answer.metadata["labels"], "annotations" in answer.metadata) == ({"b": "1", "c": "1"}, False)
        assert answer.body["spec"]["steps"] == [{"weight": 100}]
        assert answer.body["spec"]["candidate"] == {"deployment": "fraud-v8", "service": "v8"}

    async def test_what_is_no_patch_is_refused(self, wire: Wire) -> None:
        await fraud(wire)
        assert (await wire.merge(ROLLOUTS, "fraud", [])).reason == (400, "BadRequest")
        answer = await wire.call("PATCH", ROLLOUTS, "fraud", {"op": "add"}, content="application/json-patch+json")
        assert answer.reason == (400, "BadRequest")
        for content in ("application/json", "application/strategic-merge-patch+json"):
            answer = await wire.call("PATCH", ROLLOUTS, "fraud", {}, content=content)
            assert answer.reason == (415, "UnsupportedMediaType")
        assert (await wire.merge(ROLLOUTS, "none", {})).reason == (404, "NotFound")
        test = {"op": "test", "path": "/metadata/name", "value": "none"}
        assert (await wire.patch(ROLLOUTS, "none", test)).reason == (404, "NotFound")

    async def test_applying_owns_what_it_applies(self, wire: Wire) -> None:
        async def apply(manager: str, spec: Body, *, name: str = "r", force: bool = False, **metadata: str) -> Answer:
            query = {"fieldManager": manager} if manager else {}
            whole = {"apiVersion": HTTPROUTES.api_version, "kind": "HTTPRoute", "metadata": {"name": name, **metadata}}
            return await wire.call(
                "PATCH",
                HTTPROUTES,
                name,
                {**whole, "spec": spec},
                content="application/apply-patch+yaml",
                query=query | ({"force": "true"} if force else {}),
            )

        made = await apply("one", {"hostnames": ["a.b"]})
        assert (made.code, made.metadata["generation"]) == (201, 1)
        same = await apply("one", {"hostnames": ["a.b"]})
        assert (same.code, same.version) == (200, made.version)
        refused = await apply("two", {"hostnames": ["c.d"]})
        assert refused.reason == (409, "Conflict")
        assert refused.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
        forced = await apply("two", {"hostnames": ["c.d"]}, force=True)
        assert (forced.code, forced.body["spec"]["hostnames"]) == (200, ["c.d"])
        less = await apply("two", {})
        assert (less.code, "hostnames" in less.body["spec"]) == (200, False)
        assert (await apply("two", {}, resourceVersion="7")).reason == (409, "Conflict")
        assert (await apply("two", {}, name="new", uid="7")).reason == (409, "Conflict")
        assert (await apply("", {})).causes == {("FieldValueRequired", "fieldManager")}


class Deletion:
    async def test_without_finalizers_an_object_goes_at_once(self, wire: Wire) -> None:
        made = await fraud(wire)
        answer = await wire.delete(ROLLOUTS, "fraud")
        about = {"name": "fraud", "group": "modelrollout.dev", "kind": "modelrollouts", "uid": made.metadata["uid"]}
        assert answer.code == 200
        assert (answer.body["kind"], answer.body["status"], answer.body["details"]) == ("Status", "Success", about)
        assert (await wire.get(ROLLOUTS, "fraud")).code == 404
        assert (await wire.delete(ROLLOUTS, "fraud")).reason == (404, "NotFound")
        again = await fraud(wire)
        assert again.metadata["uid"] != made.metadata["uid"]
        service = await wire.create(SERVICES, "x", SERVICE)
        assert (await wire.delete(SERVICES, "x")).metadata["uid"] == service.metadata["uid"]

    async def test_only_the_one_that_is_meant_is_deleted(self, wire: Wire) -> None:
        made = await fraud(wire)
        for wrong in ({"uid": "other"}, {"resourceVersion": "7"}):
            assert (await wire.delete(ROLLOUTS, "fraud", {"preconditions": wrong})).reason == (409, "Conflict")
        right = {"uid": made.metadata["uid"], "resourceVersion": made.version}
        assert (await wire.delete(ROLLOUTS, "fraud", {"preconditions": right})).code == 200

    async def test_finalizers_hold_an_object_that_is_deleted(self, wire: Wire) -> None:
        made = await fraud(wire, finalizers=[HELD, LATER])
        deleted = await wire.delete(ROLLOUTS, "fraud")
        assert deleted.metadata["deletionTimestamp"] > "2020"
        assert (deleted.metadata["deletionGracePeriodSeconds"], deleted.metadata["generation"]) == (0, 2)
        assert int(deleted.version) > int(made.version)
        assert (await wire.delete(ROLLOUTS, "fraud")).body == deleted.body
        taken = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC})
        assert taken.reason == (409, "AlreadyExists")
        assert "being deleted" in taken.body["message"]
        metadata = {"deletionTimestamp": None, "deletionGracePeriodSeconds": None}
        assert (await wire.merge(ROLLOUTS, "fraud", {"metadata": metadata})).body == deleted.body
        changed = await wire.merge(ROLLOUTS, "fraud", {"spec": {"paused": True}})
        assert changed.metadata["generation"] == 3
        status = await wire.merge(ROLLOUTS, "fraud", {"status": {"phase": "Idle"}}, subresource="status")
        assert status.code == 200
        one = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"finalizers": [LATER]}})
        assert one.metadata["finalizers"] == [LATER]

    @pytest.mark.parametrize("finalizers", [[HELD, "example.com/more"], ["example.com/more"]])
    async def test_no_finalizer_is_added_to_what_is_deleted(self, wire: Wire, finalizers: list[str]) -> None:
        await fraud(wire, finalizers=[HELD])
        await wire.delete(ROLLOUTS, "fraud")
        answer = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"finalizers": finalizers}})
        assert (answer.code, answer.causes) == (422, {("FieldValueForbidden", "metadata.finalizers")})

    async def test_without_its_last_finalizer_it_goes(self, wire: Wire) -> None:
        await fraud(wire, finalizers=[HELD])
        deleted = await wire.delete(ROLLOUTS, "fraud")
        answer = await wire.patch(
            ROLLOUTS,
            "fraud",
            {"op": "remove", "path": "/metadata/finalizers/0"},
            {"op": "add", "path": "/metadata/labels", "value": {"last": "yes"}},
        )
        assert (answer.code, answer.version) == (200, deleted.version), "that was never stored"
        assert answer.metadata["labels"] == {"last": "yes"}
        assert without(answer.metadata, "labels") == without(deleted.metadata, "finalizers")
        assert (await wire.get(ROLLOUTS, "fraud")).code == 404

    async def test_kinds_without_a_generation_get_none_when_deleted(self, wire: Wire) -> None:
        await wire.create(LEASES, "x", LEASE, finalizers=[HELD])
        assert "generation" not in (await wire.delete(LEASES, "x")).metadata
        await wire.create(HTTPROUTES, "x", ROUTE, finalizers=[HELD])
        assert (await wire.delete(HTTPROUTES, "x")).metadata["generation"] == 2
