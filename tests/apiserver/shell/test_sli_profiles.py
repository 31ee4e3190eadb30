"""The operator as a process with profiles of the cluster, on a real API server and Prometheus: from a cluster whose
CRDs are older, over an edit in mid-rollout, to a profile that is deleted under a rollout.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.shell.cluster import Exporter, Operator, Stage, gateway, wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(300)]

CRDS = Path(__file__).parents[3] / "crds"
NEW = CRDS / "modelrollout.dev_sliprofiles.yaml"


def profile(name: str, pattern: str = "5..") -> dict[str, Any]:
    sli = {
        "name": "failures",
        "summary": "Requests that failed",
        "total": [{"names": ["score_requests_total", "requests_total"]}],
        "bad": [{"matchRegex": {"code": pattern}}],
    }
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "SliProfile",
        "metadata": {"name": name},
        "spec": {"summary": "Our server", "slis": [sli]},
    }


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    older = [path for path in sorted(CRDS.glob("*.yaml")) if path != NEW]
    with apiserver(crds=[*older, gateway_api_crds()]) as running:
        yield running


def accepted(stage: Stage, name: str) -> tuple[str, str, str]:
    """Status, reason and message of the condition, empty without one."""
    done = stage.server.kubectl("get", "sliprofile", name, "-o", "json")
    found = (json.loads(done.stdout).get("status") or {}).get("conditions") or [{}]
    return tuple(str(found[0].get(key, "")) for key in ("status", "reason", "message"))  # type: ignore[return-value]


def status(stage: Stage, name: str = "fraud") -> dict[str, Any]:
    found = stage.get("modelrollout", name).get("status") or {}
    assert isinstance(found, dict)
    return found


def test_from_an_older_cluster_to_a_profile_that_is_deleted_under_a_rollout(
    server: ApiServer, exporter: Exporter, metrics: Prometheus, tmp_path: Path
) -> None:
    stage = Stage(server)
    stage.arms()
    stage.source(metrics.url)
    operator = Operator(server.kubeconfig, tmp_path / "first.log", "--log-format", "plain")
    try:
        with gateway(stage):
            wait_until(operator.ready, limit=60, why="the operator is ready")
            assert "the cluster does not serve sliprofiles: rollouts that need them" in operator.log.read_text()
            stage.rollout(hold="120s", profile="acme-scorer/failures")
            wait_until(lambda: status(stage).get("phase") == "Invalid", limit=30, why="the rollout is told")
            assert status(stage)["reason"] == "ProfileNotFound"
            assert "install the CRDs and the rights of this release" in status(stage)["message"]
            operator.end()
            server.install_crds(NEW)
            stage.apply(profile("acme-scorer"), profile("acme-broken", pattern="[z-a]"))
            operator = Operator(server.kubeconfig, tmp_path / "second.log", "--log-format", "plain")
            wait_until(lambda: stage.weights() == (95, 5), limit=60, why="first step")
            assert accepted(stage, "acme-scorer") == ("True", "Accepted", "")
            value, reason, message = accepted(stage, "acme-broken")
            assert (value, reason) == ("False", "InvalidSpec")
            assert "spec.slis[0].bad[0].matchRegex.code: '[z-a]' is no regular expression" in message
            head, broken, scorer = server.kubectl("get", "sp").stdout.splitlines()
            assert head.split() == ["NAME", "SLIS", "ACCEPTED", "AGE"]
            assert (broken.split()[1], scorer.split()[1:3]) == ("False", ["failures", "True"])
            assert [sli["countedFrom"] for sli in status(stage)["slis"]] == ["requests_total"]

            began = status(stage)["step"]["startedAt"]
            stage.apply(profile("acme-scorer", pattern="4..|5.."))
            wait_until(lambda: status(stage)["step"]["startedAt"] != began, limit=30, why="the evidence starts anew")
            assert status(stage)["decisions"][-1]["reason"] == "SpecChanged"
            assert stage.weights() == (95, 5)

            server.kubectl("delete", "sliprofile", "acme-scorer")
            wait_until(lambda: status(stage)["reason"] == "ProfileNotFound", limit=30, why="its profile is gone")
            resolved = next(c for c in status(stage)["conditions"] if c["type"] == "ResolvedRefs")
            assert (resolved["status"], resolved["reason"]) == ("False", "ProfileNotFound")
            assert stage.weights() == (95, 5)
            exporter.traffic["v8"].turn(0.9)
            wait_until(lambda: stage.weights() == (100, 0), limit=60, why="a bad candidate goes back all the same")
            assert "Traceback" not in operator.log.read_text()
    finally:
        operator.end(signal.SIGKILL)


def test_a_name_that_is_built_in_is_refused_at_apply(server: ApiServer) -> None:
    server.install_crds(NEW)
    done = server.kubectl("apply", "-f", "-", input_text=json.dumps(profile("vllm")), check=False)
    assert done.returncode != 0
    assert "metadata.name is that of a profile that comes with modelrollout" in done.stderr
