"""The chart's policy on ModelRollouts, on a real API server: what the operator's own token can't do to one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.chart import IMAGE, rendered
from e2e.cluster.apiserver import ApiServer, apiserver
from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import FINALIZER, ROLLOUTS
from modelrollout.adapters.kube.rollouts import KubeRollouts
from modelrollout.api.status_codec import encode
from modelrollout.core.model import Key
from modelrollout.core.status import RolloutStatus
from tests.layout.documents import ROOT
from tests.unit.api.statuses import full

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

HOME, PLACE = "modelrollout", "serving"
USER = f"system:serviceaccount:{HOME}:modelrollout"
NEEDED = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
OTHERS = "example.com/audit"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "evil", "uid": "u"}
FORBIDDEN: dict[str, list[dict[str, Any]]] = {
    "candidate": [{"op": "replace", "path": "/spec/candidate/deployment", "value": "evil"}],
    "objective": [{"op": "replace", "path": "/spec/slis/0/objective", "value": "1"}],
    "paused": [{"op": "add", "path": "/spec/paused", "value": True}],
    "steps": [{"op": "replace", "path": "/spec/steps", "value": [{"weight": 100}]}],
    "labels": [{"op": "add", "path": "/metadata/labels", "value": {"team": "evil"}}],
    "annotations": [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}],
    "owner": [{"op": "add", "path": "/metadata/ownerReferences", "value": [OWNER]}],
    "foreign-finalizer": [{"op": "remove", "path": "/metadata/finalizers/0"}],
    "all-finalizers": [{"op": "remove", "path": "/metadata/finalizers"}],
    "another-finalizer": [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/stuck"}],
    "with-its-own": [
        {"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER},
        {"op": "replace", "path": "/spec/candidate/deployment", "value": "evil"},
    ],
}


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """Account, rights and policies of the chart; the policy on rollouts holds."""
    with apiserver(crds=[ROOT / "crds"]) as running:
        for namespace in (HOME, PLACE):
            running.kubectl("create", "namespace", namespace)
        found = rendered("--set", f"image.repository={IMAGE}", "--set", f"namespaces={{{PLACE}}}")
        apply(running, *(obj for obj in found if obj["kind"] in NEEDED))
        make(running, "probe")
        attempts = 200
        # A new policy is compiled a moment after it was written, and so are new rights.
        while attempts and "modelrollout may" not in patch(running, "probe", FORBIDDEN["paused"]).stderr:
            attempts -= 1
        assert attempts, "the policy does not hold"
        yield running


def apply(server: ApiServer, *objects: dict[str, Any]) -> None:
    server.kubectl("apply", "-f", "-", input_text=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects}))


def make(server: ApiServer, name: str, example: str = "smallest.yaml") -> None:
    """A rollout with a finalizer of somebody else."""
    documents = yaml.safe_load_all((ROOT / "examples" / example).read_text())
    (body,) = (document for document in documents if document["kind"] == "ModelRollout")
    body["metadata"] = {"name": name, "namespace": PLACE, "finalizers": [OTHERS]}
    apply(server, body)


def patch(
    server: ApiServer, name: str, operations: list[dict[str, Any]], *, user: str = USER
) -> subprocess.CompletedProcess[str]:
    body = json.dumps(operations)
    argv = ("patch", "modelrollout", name, "-n", PLACE, "--type=json", "--dry-run=server", "-p", body)
    return server.kubectl(*argv, *(("--as", user) if user else ()), check=False)


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    """One that has a token of the operator's account, and nothing else."""
    config = json.loads(server.kubeconfig.read_text())
    secret = server.kubectl("create", "token", "modelrollout", "-n", HOME).stdout.strip()
    config["users"] = [{"name": each["name"], "user": {"token": secret}} for each in config["users"]]
    path = tmp_path / "operator.kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_the_operators_token_changes_nothing_of_a_rollout_but_its_finalizer(server: ApiServer, what: str) -> None:
    make(server, "kept")
    assert "modelrollout may not change" in patch(server, "kept", FORBIDDEN[what]).stderr
    assert "patched" in patch(server, "kept", FORBIDDEN[what], user="").stdout


async def test_the_operator_writes_finalizer_and_status_under_the_policy(server: ApiServer, kubeconfig: Path) -> None:
    name, key = "written", Key(PLACE, "written")
    # The largest spec there is: comparing it must stay within what the API server allows an expression to cost.
    make(server, name, "full.yaml")
    async with await KubeClient.connect(kubeconfig) as client:
        rollouts = KubeRollouts(Reader(client, ObjectCache()))
        obj = await rollouts.add_finalizer(await rollouts.get(key))
        assert finalizers(server, name) == [OTHERS, FINALIZER]
        obj = await rollouts.write_status(obj, full())
        server.kubectl("delete", "modelrollout", name, "-n", PLACE, "--wait=false")
        obj = await rollouts.write_status(await rollouts.get(key), RolloutStatus())
        assert obj.deleting
        await rollouts.drop_finalizer(obj)
    assert finalizers(server, name) == [OTHERS]


def finalizers(server: ApiServer, name: str) -> list[str]:
    stored = json.loads(server.kubectl("get", "modelrollout", name, "-n", PLACE, "-o", "json").stdout)
    found: list[str] = stored["metadata"].get("finalizers", [])
    return found


async def test_the_right_to_write_a_status_changes_nothing_else(server: ApiServer, kubeconfig: Path) -> None:
    make(server, "side")
    before = json.loads(server.kubectl("get", "modelrollout", "side", "-n", PLACE, "-o", "json").stdout)
    body = {"metadata": {"labels": {"team": "evil"}}, "spec": {"paused": True}, "status": encode(full())}
    async with await KubeClient.connect(kubeconfig) as client:
        stored = await client.merge_patch(ROLLOUTS, PLACE, "side", body, subresource="status")
    assert stored["status"]["phase"]
    assert "labels" not in stored["metadata"]
    assert stored["spec"] == before["spec"]


def test_switched_off_neither_policy_is_there() -> None:
    flags = ("--set", f"image.repository={IMAGE}", "--set", "scope=cluster")
    on = [obj["metadata"]["name"] for obj in rendered(*flags) if obj["kind"] == "ValidatingAdmissionPolicy"]
    assert on == [f"{HOME}.modelrollout", f"{HOME}.modelrollout.rollouts"]
    off = rendered(*flags, "--set", "admissionPolicy.enabled=false")
    assert not [obj for obj in off if obj["kind"].startswith("ValidatingAdmissionPolicy")]
