"""Who wrote what, out of audit events made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.audited import Write, writes

HOME, PLACE = "modelrollout", "failover"
A = "modelrollout-a"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "stage": "ResponseComplete",
        "verb": "patch",
        "requestReceivedTimestamp": "2026-11-22T12:00:01.500000Z",
        "user": {
            "username": f"system:serviceaccount:{HOME}:modelrollout",
            "extra": {"authentication.kubernetes.io/pod-name": [A]},
        },
        "objectRef": {"resource": "modelrollouts", "subresource": "status", "namespace": PLACE, "name": "tumour"},
        "responseStatus": {"code": 200},
    } | changes


def test_a_write_is_read_from_an_event() -> None:
    found = writes([event()], home=HOME)
    assert found == [Write(1795348801.5, "modelrollout", A, "modelrollouts/status", PLACE, "tumour")]


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": "get"},
        {"stage": "ResponseStarted"},
        {"responseStatus": {"code": 409}},
        {"user": {"username": "admin"}},
        {"user": {"username": "system:serviceaccount:kube-system:modelrollout"}},
        {"objectRef": {"resource": "events", "namespace": PLACE}},
    ],
)
def test_what_is_no_write_of_an_operator_is_left_out(changes: dict[str, Any]) -> None:
    assert writes([event(**changes)], home=HOME) == []
