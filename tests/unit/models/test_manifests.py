"""Objects of an arm."""

import dataclasses
import json
from typing import Any

import pytest

from e2e.models.behaviour import VARIANTS, override, parse
from e2e.models.manifests import Arm, deployment, objects, service

ARM = Arm(
    name="fraud-v8",
    namespace="serving",
    rollout="fraud",
    role="candidate",
    variant="better",
    version="8",
    image="localhost/model:1",
    replicas=3,
    peers=("7", "8"),
    behaviour={"errors": 0.5},
)


def container(arm: Arm) -> dict[str, Any]:
    found: dict[str, Any] = deployment(arm)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_selector_service_and_pods_agree() -> None:
    assert [found["kind"] for found in objects(ARM)] == ["Deployment", "Service"]
    pods = deployment(ARM)["spec"]["template"]["metadata"]["labels"]
    for selector in (service(ARM)["spec"]["selector"], deployment(ARM)["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= pods.items()
    assert pods["modelrollout.dev/role"] == "candidate"
    assert pods["modelrollout.dev/rollout"] == "fraud"


def test_role_and_version_are_not_in_the_immutable_selector() -> None:
    other = dataclasses.replace(ARM, role="legacy", version="9")
    assert deployment(other)["spec"]["selector"] == deployment(ARM)["spec"]["selector"]


def test_pods_fit_the_restricted_level() -> None:
    pod = deployment(ARM)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    own = container(ARM)["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_pods_leave_without_losing_requests_and_are_ready_fast() -> None:
    assert container(ARM)["lifecycle"]["preStop"] == {"sleep": {"seconds": 2}}
    assert container(ARM)["readinessProbe"]["periodSeconds"] == 1
    # preStop, then the server's own drain, must fit.
    assert deployment(ARM)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 2 + 0.5 + 10


def test_ports_and_environment() -> None:
    ports = {port["name"]: port["containerPort"] for port in container(ARM)["ports"]}
    assert ports == {"http": 8080, "admin": 8081}
    assert [port["name"] for port in service(ARM)["spec"]["ports"]] == ["http"]
    env = {item["name"]: item.get("value") for item in container(ARM)["env"]}
    assert env["VARIANT"] == "better"
    assert env["PEER_VERSIONS"] == "7,8"
    assert override(VARIANTS["better"].behaviour, json.loads(str(env["BEHAVIOUR"]))).errors == 0.5
    assert "COHORT_SECONDS" not in env


def test_cohorts_are_told_to_the_server() -> None:
    env = container(dataclasses.replace(ARM, cohort_seconds=2))["env"]
    assert {"name": "COHORT_SECONDS", "value": "2"} in env
    assert deployment(ARM)["spec"]["replicas"] == 3


def test_behaviour_text() -> None:
    start = VARIANTS["slow"].behaviour
    assert parse("", start=start) == start
    changed = parse('{"delay_ms": 300, "crash_after": null}', start=start)
    assert (changed.delay_ms, changed.crash_after) == (300, None)
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse('{"errors": NaN}', start=start)
