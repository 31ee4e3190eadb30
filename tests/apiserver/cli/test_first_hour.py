"""Mistakes of the first hour: each is told with object, field, value and fix, wherever a newcomer looks.

A real operator on a real API server with a real Prometheus; rollouts that are wrong in one thing each.
"""

from __future__ import annotations

import copy
import json
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.processes import free_ports
from e2e.cluster.programs import gateway_api_crds
from tests.apiserver.cli.test_commands import Shell
from tests.apiserver.shell.cluster import (
    ANALYSIS,
    AVAILABILITY,
    Exporter,
    Operator,
    Stage,
    gateway,
    prometheus,
    wait_until,
)

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(240)]

CRDS = Path(__file__).parents[3] / "crds"
SERVED, WITHOUT_GATEWAY, ELSEWHERE = "default", "lonely", "elsewhere"
RIGHT: Mapping[str, Any] = {
    "legacy": {"deployment": "fraud-v7"},
    "candidate": {"deployment": "fraud-v8"},
    "traffic": {"managedRoute": {"parentRefs": [{"name": "public"}]}, "settle": "1s"},
    "steps": [{"weight": 5}, {"weight": 100}],
    "slis": [AVAILABILITY],
    "analysis": ANALYSIS,
}
MISLABELLED = {"total": {"metric": "requests_total"}, "bad": {"metric": "requests_total", "match": {"status": "500"}}}


@dataclass(frozen=True)
class Mistake:
    """What is wrong in the spec, and what is said of it."""

    spec: Mapping[str, Any]
    reason: str
    message: str
    namespace: str = SERVED


MISTAKES = {
    "deployment": Mistake(
        {"legacy": {"deployment": "fraud-v6"}},
        "RefNotFound",
        'legacy.deployment "fraud-v6" not found in namespace default: create it, or correct spec.legacy.deployment',
    ),
    "port": Mistake(
        {"port": 80},
        "RefNotFound",
        'legacy.service "fraud-v7" has no port 80; its ports are 8080: set spec.port to one of them',
    ),
    "source": Mistake(
        {"analysis": {**ANALYSIS, "metricSource": "prod"}},
        "SourceNotFound",
        "analysis.metricSource 'prod' does not exist (there are: closed, default, private): name another MetricSource, "
        "or ask an administrator to create it",
    ),
    "private": Mistake(
        {"analysis": {**ANALYSIS, "metricSource": "private"}},
        "NamespaceNotAllowed",
        "analysis.metricSource 'private' may not be used from namespace 'default': ask an administrator to extend its "
        "allowedNamespaces, or name another MetricSource",
    ),
    "closed": Mistake(
        {"analysis": {**ANALYSIS, "metricSource": "closed"}},
        "MetricsPending",
        "looking for the metrics of the SLIs: metric source 'closed' does not answer (Unreachable); check "
        "spec.prometheus.address of the MetricSource, and that the operator's pod can reach it",
    ),
    "profile": Mistake(
        {"slis": [{"name": "availability", "profile": "vllm/error", "objective": "99"}]},
        "InvalidSpec",
        "spec.slis[availability].profile vllm has no 'error'; it has: ",
    ),
    "metric": Mistake(
        {"slis": [{"name": "ttft", "profile": "vllm/ttft", "threshold": "500ms", "objective": "95"}]},
        "MetricNotFound",
        "Check that the pods expose it and had requests, that Prometheus scrapes them, and that the series carry the "
        "labels namespace and pod; `modelrollout profiles check` tells which profile fits",
    ),
    "label": Mistake(
        {"slis": [{**AVAILABILITY, "counts": MISLABELLED}]},
        "MetricNotFound",
        "slis[availability]: requests_total has no label status (it has: code, ",
    ),
    "gateway": Mistake(
        {},
        "RoutePending",
        "Gateway lonely/public has not answered for the route yet: check that spec.traffic.managedRoute.parentRefs "
        "names the right one, that it is there and its controller runs, and that a listener of it takes routes from "
        "namespace lonely",
        WITHOUT_GATEWAY,
    ),
}
REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "a typo": ({"step": [{"weight": 5}]}, 'unknown field "spec.step"'),
    "the last weight": ({"steps": [{"weight": 5}, {"weight": 50}]}, "the last step must have weight 100"),
    "no router": ({"traffic": {"settle": "1s"}}, "exactly one router must be set: managedRoute, adoptRoute, "),
    "a number as text": ({"slis": [{**AVAILABILITY, "objective": 99}]}, "spec.slis[0].objective: Invalid value: "),
    "a duration": ({"stepDefaults": {"minDuration": "5 minutes"}}, "spec.stepDefaults.minDuration: Invalid value: "),
}


def rollout(name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    whole = copy.deepcopy(dict(RIGHT)) | dict(spec)
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "metadata": metadata, "spec": whole}


def sources(address: str) -> list[dict[str, Any]]:
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    found: dict[str, dict[str, Any]] = {
        "default": {},
        "closed": {},
        "private": {"allowedNamespaces": {"matchLabels": {"ml": "true"}}},
    }
    return [
        {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "MetricSource",
            "metadata": {"name": name},
            "spec": {
                "prometheus": {"address": closed if name == "closed" else address},
                "scrapeInterval": "1s",
                **more,
            },
        }
        for name, more in found.items()
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[CRDS, gateway_api_crds()]) as running:
        yield running


@pytest.fixture(scope="module")
def hour(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All mistakes, each told by the operator."""
    stage, exporter = Stage(server, SERVED), Exporter(SERVED)
    for namespace in (WITHOUT_GATEWAY, ELSEWHERE):
        server.kubectl("create", "namespace", namespace)
    for namespace in (SERVED, WITHOUT_GATEWAY):
        Stage(server, namespace).arms()
    operator = Operator(
        *(server.kubeconfig, tmp_path_factory.mktemp("operator") / "log", "--log-format", "plain"),
        *("--namespace", SERVED, "--namespace", WITHOUT_GATEWAY),
    )
    try:
        with prometheus(exporter) as metrics, gateway(stage):
            stage.apply(*sources(metrics.url))
            wait_until(operator.ready, limit=150, why="operator is ready")
            for name, each in MISTAKES.items():
                stage.apply(rollout(name, each.namespace, each.spec))
            stage.apply(rollout("unseen", ELSEWHERE, {}))

            def untold() -> list[str]:
                return [name for name, each in MISTAKES.items() if status(server, name)["reason"] != each.reason]

            wait_until(lambda: not untold(), limit=90, why="all are told")
            yield stage
    finally:
        operator.end(signal.SIGKILL)
        exporter.close()


def status(server: ApiServer, name: str) -> dict[str, Any]:
    found = Stage(server, MISTAKES[name].namespace).get("modelrollout", name).get("status") or {}
    return {"reason": "", "message": "", **found}


@pytest.fixture
def shell(server: ApiServer, tmp_path: Path) -> Shell:
    return Shell(server.kubeconfig, tmp_path)


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_mistake_is_told_wherever_one_looks(hour: Stage, shell: Shell, name: str) -> None:
    mistake, where = MISTAKES[name], ("-n", MISTAKES[name].namespace)
    told = status(hour.server, name)
    assert mistake.message in told["message"]
    wide = hour.server.kubectl("get", "mr", name, *where, "-o", "wide").stdout
    assert mistake.reason in wide.splitlines()[1].split()
    code, out, err = shell.types("explain", name, *where)
    assert (code, err) == (0, "")
    assert flat(told["message"])[:200] in flat(out)
    described = hour.server.kubectl("describe", "mr", name, *where).stdout
    assert flat(told["message"])[:100] in flat(described)


def test_a_wrong_name_is_an_error_to_the_doctor_and_to_a_pipeline(hour: Stage, shell: Shell) -> None:
    _, out, _ = shell.types("doctor", "deployment", "-n", SERVED, "-o", "json")
    conditions = [each for each in json.loads(out)["findings"] if each["check"] == "conditions"]
    message = MISTAKES["deployment"].message
    assert any(message in each["text"] for each in conditions if each["state"] == "error")
    assert shell.types("status", "deployment", "-n", SERVED)[0] == 5


def test_the_doctor_knows_why_no_gateway_answers(hour: Stage, shell: Shell) -> None:
    _, out, _ = shell.types("doctor", "gateway", "-n", WITHOUT_GATEWAY, "-o", "json")
    (found,) = (each for each in json.loads(out)["findings"] if each["check"] == "gateway")
    assert (found["state"], found["text"]) == (
        "error",
        "there is no Gateway lonely/public, which lonely/gateway use",
    )
    assert found["fix"] == "create it, or correct spec.traffic.managedRoute.parentRefs"


def test_a_namespace_that_no_operator_serves_is_told(hour: Stage, shell: Shell) -> None:
    assert "No operator has looked at this version yet: " in flat(shell.types("explain", "unseen", "-n", ELSEWHERE)[1])
    assert "NotSeenYet" in shell.types("list", "-n", ELSEWHERE)[1]
    _, out, _ = shell.types("doctor", "-n", ELSEWHERE, "-o", "json")
    assert any(each["check"] == "seen" and each["state"] == "error" for each in json.loads(out)["findings"])


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_the_api_server_refuses_names_the_field(server: ApiServer, name: str) -> None:
    spec, told = REFUSED[name]
    text = yaml.safe_dump(rollout("wrong", SERVED, spec))
    done = server.kubectl("apply", "--dry-run=server", "-f", "-", input_text=text, check=False)
    assert done.returncode != 0
    assert told in done.stderr
