"""Contract of an API server: writes. What every client may depend on, over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    HTTPROUTES,
    LEASES,
    ROLLOUTS,
    SERVICES,
    SLICES,
    Body,
    Resource,
)
from tests.contract.kube.rollouts_suite import body as rollout
from tests.contract.kube.wire import Answer, Wire

SPEC: Body = rollout()["spec"]
HELD = "example.com/held"
LATER = "example.com/later"
CONTAINER = {"name": "c", "image": "i"}
DEPLOYMENT: Body = {
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}},
    }
}
SERVICE: Body = {"spec": {"ports": [{"port": 80}]}}
LEASE: Body = {"spec": {"holderIdentity": "x"}}
SLICE: Body = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}
ROUTE: Body = {"spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]}}
LEFT_ALONE = (422, "Invalid")


async def fraud(wire: Wire, **metadata: object) -> Answer:
    """A new rollout."""
    answer = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC}, **metadata)
    assert answer.code == 201, answer
    return answer


def without(metadata: Body, *keys: str) -> Body:
    return {key: value for key, value in metadata.items() if key not in keys}


class Creation:
    async def test_a_new_object_gets_what_only_the_server_gives(self, wire: Wire) -> None:
        made = await wire.create(
            ROLLOUTS,
            "fraud",
            {"spec": SPEC, "status": {"phase": "Promoted"}},
            uid="mine",
            creationTimestamp="2001-01-01T00:00:00Z",
            deletionTimestamp="2001-01-01T00:00:00Z",
            generation=7,
            labels={},
            nonsense=1,
        )
        assert made.code == 201
        assert made.body["status"] == {"observedGeneration": -1}, "the CRD says so; what the client sent is not taken"
        assert without(made.metadata, "uid", "resourceVersion", "creationTimestamp") == {
            "name": "fraud",
            "namespace": wire.namespace,
            "generation": 1,
        }
        assert made.metadata["uid"] != "mine"
        assert made.metadata["creationTimestamp"] > "2020"
        assert (await wire.get(ROLLOUTS, "fraud")).body == made.body

    async def test_a_name_is_taken_once(self, wire: Wire) -> None:
        await fraud(wire)
        again = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC})
        assert again.reason == (409, "AlreadyExists")
        about = {"name": "fraud", "group": "modelrollout.dev", "kind": "modelrollouts"}
        assert again.body["details"] == about

    async def test_names_are_made_from_a_prefix(self, wire: Wire) -> None:
        whole = {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "spec": SPEC}
        names = []
        for _ in range(2):
            made = await wire.call("POST", ROLLOUTS, "", {**whole, "metadata": {"generateName": "fraud-"}})
            names.append(made.metadata["name"])
        assert [name[:6] for name in names] == ["fraud-", "fraud-"]
        assert [len(name) for name in names] == [11, 11]
        assert names[0] != names[1]

    async def test_nameless_misnamed_and_misplaced_objects_are_refused(self, wire: Wire) -> None:
        whole = {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "spec": SPEC}
        nameless = await wire.call("POST", ROLLOUTS, "", {**whole, "metadata": {}})
        assert (nameless.code, nameless.causes) == (422, {("FieldValueRequired", "metadata.name")})
        wrong = await wire.create(ROLLOUTS, "Not_A_Name", {"spec": SPEC})
        assert (wrong.code, wrong.causes) == (422, {("FieldValueInvalid", "metadata.name")})
        elsewhere = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC}, namespace="elsewhere")
        assert elsewhere.reason == (400, "BadRequest")
        kindless = await wire.call("POST", ROLLOUTS, "", {"metadata": {"name": "fraud"}, "spec": SPEC})
        assert kindless.reason == (400, "BadRequest")
        old = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC}, resourceVersion="7")
        assert (old.code, "reason" in old.body) == (500, False)
        unlabelled = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC}, labels={"a b": "c d"})
        assert (unlabelled.code, unlabelled.causes) == (422, {("FieldValueInvalid", "metadata.labels")})
        mislabelled = await wire.create(ROLLOUTS, "fraud", {"spec": SPEC}, labels={"a": 1})
        assert mislabelled.reason == (400, "BadRequest")
        assert (await wire.get(ROLLOUTS, "fraud")).code == 404

    async def test_what_is_not_there_is_told_apart_from_what_is_not_known(self, wire: Wire) -> None:
        missing = await wire.get(SERVICES, "none")
        assert missing.reason == (404, "NotFound")
        assert missing.body["details"] == {"name": "none", "kind": "services"}
        for unknown in (
            Resource("modelrollout.dev", "v1alpha1", "nones", "None"),
            Resource("modelrollout.dev", "v9", "modelrollouts", "ModelRollout"),
            Resource("none.dev", "v1", "nones", "None"),
        ):
            assert await wire.get(unknown, "x") == Answer(404, "404 page not found\n")
            assert await wire.list(unknown) == Answer(404, "404 page not found\n")
        assert (await wire.call("GET", LEASES, "none", subresource="status")).body["details"] == {}


class Versions:
    async def test_an_old_version_is_a_conflict_for_every_kind_of_write(self, wire: Wire) -> None:
        old = await fraud(wire)
        new = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"labels": {"a": "1"}}})
        assert int(new.version) > int(old.version)
        stale = {"metadata": {"resourceVersion": old.version}}
        answers = [
            await wire.put(ROLLOUTS, "fraud", old.body),
            await wire.put(ROLLOUTS, "fraud", old.body, subresource="status"),
            await wire.merge(ROLLOUTS, "fraud", {**stale, "spec": {"paused": True}}),
            await wire.merge(ROLLOUTS, "fraud", {**stale, "status": {"phase": "Idle"}}, subresource="status"),
            await wire.patch(ROLLOUTS, "fraud", {"op": "add", "path": "/metadata/resourceVersion", "value": "7"}),
        ]
        for answer in answers:
            assert answer.reason == (409, "Conflict")
            assert answer.body["details"] == {"name": "fraud", "group": "modelrollout.dev", "kind": "modelrollouts"}
        assert (await wire.get(ROLLOUTS, "fraud")).body == new.body
        assert (await wire.put(ROLLOUTS, "fraud", {**new.body, "spec": {**SPEC, "paused": True}})).code == 200

    @pytest.mark.parametrize(("resource", "body"), [(ROLLOUTS, {"spec": SPEC}), (LEASES, LEASE), (HTTPROUTES, ROUTE)])
    async def test_an_update_of_no_version_is_refused(self, wire: Wire, resource: Resource, body: Body) -> None:
        made = await wire.create(resource, "x", body)
        free = {**made.body, "metadata": {"name": "x"}}
        answers = [
            await wire.put(resource, "x", free),
            await wire.merge(resource, "x", {"metadata": {"resourceVersion": None}}),
        ]
        for answer in answers:
            assert (answer.code, answer.causes) == (422, {("FieldValueInvalid", "metadata.resourceVersion")})
            assert answer.body["details"]["kind"] == resource.plural

    async def test_some_built_in_kinds_need_no_version(self, wire: Wire) -> None:
        made = await wire.create(DEPLOYMENTS, "x", DEPLOYMENT)
        changed = await wire.put(
            DEPLOYMENTS, "x", {**made.body, "metadata": {"name": "x"}, "spec": {**made.body["spec"], "replicas": 3}}
        )
        assert (changed.code, changed.metadata["generation"]) == (200, 2)

    async def test_a_write_that_changes_nothing_keeps_the_version(self, wire: Wire) -> None:
        await fraud(wire, labels={"a": "1"})
        now = await wire.merge(ROLLOUTS, "fraud", {"status": {"phase": "Idle"}}, subresource="status")
        answers = [
            await wire.put(ROLLOUTS, "fraud", now.body),
            await wire.merge(ROLLOUTS, "fraud", {}),
            await wire.merge(ROLLOUTS, "fraud", {"spec": {"nonsense": 1}, "metadata": {"finalizers": []}}),
            await wire.merge(ROLLOUTS, "fraud", {"status": {"phase": "Idle"}}, subresource="status"),
            await wire.patch(ROLLOUTS, "fraud", {"op": "replace", "path": "/metadata/labels/a", "value": "1"}),
            await wire.patch(ROLLOUTS, "fraud"),
        ]
        assert [answer.body for answer in answers] == [now.body] * len(answers)

    async def test_what_only_the_server_sets_stays(self, wire: Wire) -> None:
        await fraud(wire)
        # The first write after the creation stores the status that the CRD has for a new object.
        made = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"labels": {"a": "0"}}})
        patch = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 77}}
        assert (await wire.merge(ROLLOUTS, "fraud", patch)).body == made.body
        uid = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"uid": "other"}})
        assert (uid.code, uid.causes) == (422, {("FieldValueInvalid", "metadata.uid")})
        deleted = await wire.merge(ROLLOUTS, "fraud", {"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}})
        assert (deleted.code, deleted.causes) == (422, {("FieldValueInvalid", "metadata.deletionTimestamp")})
        for metadata in ({"name": "other"}, {"namespace": "other"}):
            assert (await wire.merge(ROLLOUTS, "fraud", {"metadata": metadata})).reason == (400, "BadRequest")
        assert (await wire.merge(ROLLOUTS, "fraud", {"metadata": None})).reason == (400, "BadRequest")
        assert (await wire.get(ROLLOUTS, "fraud")).body == made.body

    async def test_an_update_of_another_uid_is_a_conflict(self, wire: Wire) -> None:
        made = await fraud(wire)
        other = {**made.body, "metadata": {**made.metadata, "uid": "other"}}
        for subresource in ("", "status"):
            answer = await wire.put(ROLLOUTS, "fraud", other, subresource=subresource)
            assert answer.reason == (409, "Conflict")
        gone = {"name": "gone", "uid": "other"}
        answer = await wire.put(LEASES, "gone", {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": gone})
        assert answer.reason == (409, "Conflict")

    async def test_an_update_makes_a_lease_but_no_rollout(self, wire: Wire) -> None:
        made = await wire.put(
            LEASES, "x", {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": "x"}, **LEASE}
        )
        assert made.code == 201
        missing = {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "metadata": {"name": "x"}, "spec": SPEC}
        assert (await wire.put(ROLLOUTS, "x", missing)).reason == (404, "NotFound")
        assert (await wire.merge(LEASES, "y", LEASE)).reason == (404, "NotFound")


class Generations:
    @pytest.mark.parametrize(
        ("resource", "body", "change", "moves"),
        [
            (ROLLOUTS, {"spec": SPEC}, {"spec": {"paused": True}}, [2, 2]),
            (HTTPROUTES, ROUTE, {"spec": {"hostnames": ["a.b"]}}, [2, 2]),
            (DEPLOYMENTS, DEPLOYMENT, {"spec": {"replicas": 3}}, [2, 2]),
            (SLICES, SLICE, {"endpoints": []}, [2, 3]),
            (SERVICES, SERVICE, {"spec": {"ports": [{"port": 81}]}}, [None, None]),
            (LEASES, LEASE, {"spec": {"holderIdentity": "y"}}, [None, None]),
        ],
        ids=lambda value: value.kind if isinstance(value, Resource) else "",
    )
    async def test_the_generation_moves_with_the_spec(
        self, wire: Wire, resource: Resource, body: Body, change: Body, moves: list[Any]
    ) -> None:
        await wire.create(resource, "x", body)
        changed = await wire.merge(resource, "x", change)
        labelled = await wire.merge(resource, "x", {"metadata": {"labels": {"a": "1"}}})
        assert [answer.metadata.get("generation") for answer in (changed, labelled)] == moves

    async def test_status_and_the_rest_are_written_apart(self, wire: Wire) -> None:
        made = await fraud(wire)
        beside = await wire.merge(ROLLOUTS, "fraud", {"status": {"phase": "Promoted"}})
        assert (beside.body["spec"], beside.body["status"]) == (made.body["spec"], made.body["status"])
        metadata = {"labels": {"a": "1"}, "annotations": {"a": "1"}, "finalizers": [HELD], "uid": "other"}
        change = {"metadata": metadata, "spec": {"paused": True}, "status": {"phase": "Idle"}}
        status = await wire.merge(ROLLOUTS, "fraud", change, subresource="status")
        assert status.body["status"] == {"observedGeneration": -1, "phase": "Idle"}
        assert status.body["spec"] == SPEC
        assert without(status.metadata, "resourceVersion") == without(made.metadata, "resourceVersion")
        kept = await wire.put(ROLLOUTS, "fraud", {key: status.body[key] for key in status.body if key != "status"})
        assert kept.body == status.body
        whole = {**status.body, "spec": {}, "status": {"phase": "Paused"}}
        replaced = await wire.put(ROLLOUTS, "fraud", whole, subresource="status")
        assert (replaced.body["spec"], replaced.body["status"]) == (SPEC, {"phase": "Paused"})
        gone = await wire.merge(ROLLOUTS, "fraud", {"status": None}, subresource="status")
        assert gone.body["status"] == {"observedGeneration": -1}, "as before the first write"
        assert gone.metadata["generation"] == 1

    async def test_a_deployment_takes_metadata_with_its_status_but_no_labels(self, wire: Wire) -> None:
        await wire.create(DEPLOYMENTS, "x", DEPLOYMENT, labels={"a": "1"})
        metadata = {"labels": {"b": "1"}, "annotations": {"b": "1"}, "finalizers": [HELD]}
        change = {"metadata": metadata, "spec": {"replicas": 7}, "status": {"replicas": 2}}
        answer = await wire.merge(DEPLOYMENTS, "x", change, subresource="status")
        assert (answer.body["status"], answer.body["spec"]["replicas"]) == ({"replicas": 2}, 1)
        found = [answer.metadata.get(key) for key in ("labels", "annotations", "finalizers", "generation")]
        assert found == [{"a": "1"}, {"b": "1"}, [HELD], 1]
        assert (await wire.merge(DEPLOYMENTS, "x", {"status": {"replicas": 9}})).body == answer.body

    async def test_kinds_without_a_status_of_their_own_have_no_such_subresource(self, wire: Wire) -> None:
        await wire.create(LEASES, "x", LEASE)
        answer = await wire.merge(LEASES, "x", {"status": {}}, subresource="status")
        assert (*answer.reason, answer.body["details"]) == (404, "NotFound", {})
        await wire.create(ACTIONS, "x", {"spec": {"rollout": "fraud", "action": "Abort"}})
        assert (await wire.call("GET", ACTIONS, "x", subresource="scale")).reason == (404, "NotFound")
