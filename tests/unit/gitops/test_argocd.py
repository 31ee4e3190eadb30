"""Health and actions for Argo CD, run by a Lua 5.1 interpreter over statuses that the operator wrote in whole runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from e2e.chaos.campaign import reference
from e2e.chaos.scene import NAME
from e2e.gitops.lua import Scripts
from modelrollout.adapters.kube.resources import ROLLOUTS
from modelrollout.api.convert import to_action
from modelrollout.core.model import Phase
from tests.layout.documents import DOCS, ROOT, blocks

SCRIPTS = ROOT / "examples" / "argocd" / "modelrollout.dev" / "ModelRollout"
VERBS = ("Abort", "Approve", "Pause", "Promote", "Resume", "Retry")
SHOWN = {
    Phase.IDLE: "Healthy",
    Phase.PREFLIGHT: "Progressing",
    Phase.PROGRESSING: "Progressing",
    Phase.PAUSED: "Suspended",
    Phase.ROLLING_BACK: "Progressing",
    Phase.ROLLED_BACK: "Degraded",
    Phase.PROMOTED: "Healthy",
    Phase.INVALID: "Degraded",
}


def run(script: str, obj: Mapping[str, Any]) -> Any:
    """What a script returns for an object."""
    return Scripts().run(SCRIPTS / script, obj)


@cache
def stored() -> tuple[dict[str, Any], ...]:
    """Every version of the rollout in runs that go through all phases."""
    workloads = ("promote", "fail-at-50", "pause-resume", "candidate-away", "delete")
    return tuple(
        copy.deepcopy(dict(version.body))
        for name in workloads
        for version in reference(name).history
        if version.resource is ROLLOUTS and version.place[1] == NAME and version.body is not None
    )


def seen() -> Iterator[tuple[Phase, dict[str, Any]]]:
    for obj in stored():
        status = obj.get("status") or {}
        if status.get("phase") and status.get("observedGeneration") == obj["metadata"]["generation"]:
            yield Phase(status["phase"]), obj


def invalid() -> dict[str, Any]:
    obj = next(copy.deepcopy(obj) for phase, obj in seen() if phase is Phase.PREFLIGHT)
    obj["status"] |= {"phase": "Invalid", "message": "spec.steps: must not be empty"}
    return obj


def test_every_phase_is_shown_as_the_table_says() -> None:
    found: dict[Phase, set[str]] = {Phase.INVALID: {run("health.lua", invalid())["status"]}}
    for phase, obj in seen():
        if "deletionTimestamp" not in obj["metadata"]:
            found.setdefault(phase, set()).add(run("health.lua", obj)["status"])
    assert found == {phase: {health} for phase, health in SHOWN.items() if phase in found}
    assert set(SHOWN) - set(found) <= {Phase.IDLE, Phase.ROLLING_BACK}
    documented = (DOCS / "how-to" / "gitops.md").read_text()
    for phase, health in SHOWN.items():
        assert f"| `{phase.value}` | {health} |" in documented


def test_a_version_that_the_operator_has_not_seen_is_never_healthy() -> None:
    promoted = next(copy.deepcopy(obj) for phase, obj in seen() if phase is Phase.PROMOTED)
    assert run("health.lua", promoted)["status"] == "Healthy"
    promoted["metadata"]["generation"] += 1
    assert run("health.lua", promoted)["status"] == "Progressing"
    del promoted["status"]
    assert run("health.lua", promoted)["status"] == "Progressing"


def test_a_rollout_on_its_way_out_is_not_healthy() -> None:
    going = [obj for obj in stored() if "deletionTimestamp" in obj["metadata"]]
    assert going
    assert {run("health.lua", obj)["status"] for obj in going} == {"Progressing"}


def test_a_rollback_tells_its_reason() -> None:
    back = next(obj for phase, obj in seen() if phase is Phase.ROLLED_BACK)
    assert "availability" in run("health.lua", back)["message"]


def test_waves_need_not_wait_but_a_rollback_is_never_hidden() -> None:
    for phase, obj in seen():
        if "deletionTimestamp" in obj["metadata"]:
            continue
        hinted = copy.deepcopy(obj)
        hinted["metadata"]["annotations"] = {"modelrollout.dev/argocd-waits": "false"}
        bad = phase in (Phase.ROLLED_BACK, Phase.ROLLING_BACK)
        assert run("health.lua", hinted)["status"] == (SHOWN[phase] if bad else "Healthy")


@pytest.mark.parametrize("verb", VERBS)
def test_an_action_creates_what_the_operator_takes(verb: str) -> None:
    _, obj = next(seen())
    (impact,) = run(f"actions/{verb.lower()}/action.lua", obj)
    assert impact["operation"] == "create"
    made = impact["resource"]
    assert made["metadata"]["name"].startswith(f"{NAME}-{verb.lower()}-")
    assert made["spec"]["action"] == verb
    body = made | {"metadata": made["metadata"] | {"uid": "u", "creationTimestamp": "2027-01-15T08:00:00Z"}}
    request = to_action(body)
    assert request is not None
    assert request.verb == verb


def test_only_what_makes_sense_is_offered() -> None:
    def offered(obj: Mapping[str, Any]) -> set[str]:
        return {name for name, action in run("actions/discovery.lua", obj).items() if not action["disabled"]}

    assert {verb.lower() for verb in VERBS} == set(run("actions/discovery.lua", next(seen())[1]))
    by_phase = {phase: offered(obj) for phase, obj in seen()}
    assert by_phase[Phase.PROGRESSING] == {"abort", "approve", "pause", "promote"}
    assert by_phase[Phase.PAUSED] == {"abort", "approve", "pause", "promote", "resume"}
    assert by_phase[Phase.ROLLED_BACK] == {"retry"}
    assert by_phase[Phase.PROMOTED] == set()


def test_the_page_shows_the_script() -> None:
    shown = [block.text.strip() for block in blocks(DOCS / "how-to" / "gitops.md") if block.language == "lua"]
    assert shown == [(SCRIPTS / "health.lua").read_text().strip()]
