"""Contract of an API server: what a CRD's schema makes of objects, over the wire. Rules in CEL are not part of it."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.adapters.kube.resources import ACTIONS, HTTPROUTES, ROLLOUTS, SERVICES, SLICES, Body
from tests.contract.kube.server_writes_suite import ROUTE, SERVICE, SLICE, SPEC, fraud
from tests.contract.kube.wire import Wire

CONDITION: Body = {
    "type": "Ready",
    "status": "True",
    "reason": "Promoted",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
TYPE, VALUE, MISSING = "FieldValueTypeInvalid", "FieldValueInvalid", "FieldValueRequired"
UNKNOWN, LONG, MANY, TWICE = "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany", "FieldValueDuplicate"


def number(value: object) -> str:
    # Sets have another order in each process, and test runners side by side must agree on names.
    return str(sorted(value) if isinstance(value, set) else value)[:40]


class Schemas:
    async def test_unknown_fields_are_pruned(self, wire: Wire) -> None:
        spec = {**SPEC, "nonsense": {"a": 1}, "legacy": {"deployment": "fraud-v7", "nonsense": 1}}
        made = await wire.create(ROLLOUTS, "fraud", {"spec": spec, "nonsense": 1})
        assert (made.code, made.body["spec"], "nonsense" in made.body) == (201, SPEC, False)
        status = {"phase": "Idle", "nonsense": 1, "step": {"index": 0, "nonsense": 1}}
        answer = await wire.merge(ROLLOUTS, "fraud", {"status": status}, subresource="status")
        assert answer.body["status"] == {"observedGeneration": -1, "phase": "Idle", "step": {"index": 0}}

    async def test_null_where_there_may_be_none_is_pruned(self, wire: Wire) -> None:
        made = await wire.create(ROLLOUTS, "fraud", {"spec": {**SPEC, "paused": None, "port": None}})
        assert (made.code, made.body["spec"]) == (201, SPEC)

    async def test_a_whole_number_may_be_written_with_a_fraction(self, wire: Wire) -> None:
        await fraud(wire)
        answer = await wire.merge(ROLLOUTS, "fraud", {"status": {"observedGeneration": 2.0}}, subresource="status")
        assert answer.body["status"] == {"observedGeneration": 2}
        assert isinstance(answer.body["status"]["observedGeneration"], int)

    @pytest.mark.parametrize(
        ("change", "causes"),
        [
            ({"traffic": None}, {(MISSING, "spec.traffic")}),
            ({"traffic": "all"}, {(TYPE, "spec.traffic")}),
            ({"candidate": {}}, {(MISSING, "spec.candidate.deployment")}),
            ({"legacy": {"deployment": "a" * 254}}, {(LONG, "spec.legacy.deployment")}),
            ({"legacy": {"deployment": 7}}, {(TYPE, "spec.legacy.deployment")}),
            ({"legacy": {"deployment": "Bad Name", "service": "a"}}, {(VALUE, "spec.legacy.deployment")}),
            ({"steps": []}, {(VALUE, "spec.steps")}),
            ({"steps": [{"weight": index + 1} for index in range(21)]}, {(MANY, "spec.steps")}),
            ({"steps": [{"weight": "5"}, {"weight": True}]}, {(TYPE, "spec.steps[1].weight")}),
            ({"steps": [{"weight": {}}, {"weight": 1.5}]}, {(TYPE, f"spec.steps[{i}].weight") for i in (0, 1)}),
            ({"steps": [{"weight": "1234567"}]}, {(LONG, "spec.steps[0].weight")}),
            ({"steps": [None]}, {(TYPE, "spec.steps[0]")}),
            ({"port": 70_000}, {(VALUE, "spec.port")}),
            ({"port": 0}, {(VALUE, "spec.port")}),
            ({"port": "80"}, {(TYPE, "spec.port")}),
            ({"port": 80.5}, {(TYPE, "spec.port")}),
            ({"paused": "yes"}, {(TYPE, "spec.paused")}),
            ({"slis": [*SPEC["slis"], *SPEC["slis"]]}, {(TWICE, "spec.slis[1]")}),
        ],
        ids=number,
    )
    async def test_a_wrong_spec_is_refused(self, wire: Wire, change: Body, causes: set[tuple[str, str]]) -> None:
        answer = await wire.create(ROLLOUTS, "fraud", {"spec": {**SPEC, **change}})
        assert (*answer.reason, answer.causes) == (422, "Invalid", causes)
        about = {key: answer.body["details"][key] for key in ("name", "group", "kind")}
        assert about == {"name": "fraud", "group": "modelrollout.dev", "kind": "ModelRollout"}
        assert (await wire.get(ROLLOUTS, "fraud")).code == 404

    @pytest.mark.parametrize(
        ("spec", "cause"), [(None, (MISSING, "spec")), ([], (TYPE, "spec")), ("x", (TYPE, "spec"))]
    )
    async def test_there_must_be_a_spec(self, wire: Wire, spec: object, cause: tuple[str, str]) -> None:
        assert (await wire.create(ROLLOUTS, "fraud", {"spec": spec})).causes == {cause}
        await fraud(wire)
        assert (await wire.merge(ROLLOUTS, "fraud", {"spec": spec})).causes == {cause}

    @pytest.mark.parametrize(
        ("status", "causes"),
        [
            ("done", {(TYPE, "status")}),
            ({"phase": "Done"}, {(UNKNOWN, "status.phase")}),
            ({"observedGeneration": "1"}, {(TYPE, "status.observedGeneration")}),
            (
                {"observedGeneration": -2, "message": "x" * 513},
                {(VALUE, "status.observedGeneration"), (LONG, "status.message")},
            ),
            ({"conditions": [None]}, {(TYPE, "status.conditions[0]")}),
            ({"conditions": [CONDITION, CONDITION]}, {(TWICE, "status.conditions[1]")}),
            (
                {"conditions": [{**CONDITION, "lastTransitionTime": "now"}]},
                {(TYPE, "status.conditions[0].lastTransitionTime")},
            ),
            (
                {"conditions": [{"type": "Ready", "status": "True"}]},
                {(MISSING, f"status.conditions[0].{name}") for name in ("reason", "message", "lastTransitionTime")},
            ),
        ],
        ids=number,
    )
    async def test_a_wrong_status_is_refused(self, wire: Wire, status: Any, causes: set[tuple[str, str]]) -> None:
        made = await fraud(wire)
        answer = await wire.merge(ROLLOUTS, "fraud", {"status": status}, subresource="status")
        assert (*answer.reason, answer.causes) == (422, "Invalid", causes)
        assert (await wire.get(ROLLOUTS, "fraud")).body == made.body
        beside = await wire.merge(ROLLOUTS, "fraud", {"status": status})
        assert (beside.code, beside.body["status"]) == (200, made.body["status"])

    async def test_a_text_is_measured_in_characters(self, wire: Wire) -> None:
        await fraud(wire)
        answer = await wire.merge(ROLLOUTS, "fraud", {"status": {"message": "模" * 512}}, subresource="status")
        assert answer.code == 200

    async def test_actions_have_a_schema_too(self, wire: Wire) -> None:
        wrong = await wire.create(ACTIONS, "x", {"spec": {"rollout": "fraud", "action": "Frob"}})
        assert wrong.causes == {(UNKNOWN, "spec.action")}
        await wire.create(ACTIONS, "x", {"spec": {"rollout": "fraud", "action": "Abort"}})
        changed = await wire.merge(ACTIONS, "x", {"spec": {"action": "Promote"}})
        assert (changed.code, changed.causes) == (422, {(VALUE, "spec")})
        late = {"op": "add", "path": "/status", "value": {"result": "Frobbed"}}
        assert (await wire.patch(ACTIONS, "x", late, subresource="status")).causes == {(UNKNOWN, "status.result")}

    async def test_defaults_are_there_after_a_write(self, wire: Wire) -> None:
        route = await wire.create(HTTPROUTES, "x", ROUTE)
        ref = {"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1}
        match = {"path": {"type": "PathPrefix", "value": "/"}}
        assert route.body["spec"] == {"rules": [{"matches": [match], "backendRefs": [ref]}]}
        empty = await wire.create(HTTPROUTES, "y", {"spec": {"parentRefs": [{"name": "g"}]}})
        gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"}
        assert empty.body["spec"] == {"parentRefs": [gateway], "rules": [{"matches": [match]}]}
        service = await wire.create(SERVICES, "x", SERVICE)
        assert service.body["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
        slices = await wire.create(SLICES, "x", SLICE)
        assert slices.body["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
