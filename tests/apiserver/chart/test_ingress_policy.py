"""The admission policy for Ingresses, on a real API server: the operator's account writes its own canaries only."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.chart import IMAGE, rendered
from e2e.cluster.apiserver import ApiServer, apiserver
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

HOME, SERVING = "modelrollout", "serving"
SET = ("--set", f"image.repository={IMAGE}", "--set", "scope=cluster", "--set", "routers.ingressNginx=true")
KINDS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
OPERATOR = f"system:serviceaccount:{HOME}:modelrollout"
NGINX = "nginx.ingress.kubernetes.io"
LABELS = {"app.kubernetes.io/managed-by": "modelrollout", "modelrollout.dev/rollout": "fraud"}
CANARY = {f"{NGINX}/canary": "true", f"{NGINX}/canary-weight": "10", f"{NGINX}/canary-weight-total": "100"}
OWNER = {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "name": "fraud", "uid": "u"}
MADE = {"name": "fraud-modelrollout", "labels": LABELS, "annotations": CANARY, "ownerReferences": [OWNER]}
WEIGHT = {"op": "replace", "path": f"/metadata/annotations/{NGINX}~1canary-weight", "value": "0"}
HOST = {"op": "replace", "path": "/spec/rules/0/host", "value": "bank.example.com"}


def ingress(**metadata: Any) -> dict[str, Any]:
    service = {"name": "fraud-v8", "port": {"number": 80}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": {"service": service}}]
    spec = {"ingressClassName": "nginx", "rules": [{"host": "fraud.example.com", "http": {"paths": paths}}]}
    whole = {"namespace": SERVING, **metadata}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": whole, "spec": spec}


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver() as running:
        for namespace in (HOME, SERVING):
            running.kubectl("create", "namespace", namespace)
        objects = [o for o in rendered(*SET, namespace=HOME) if o["kind"] in KINDS]
        listed = {"kind": "List", "apiVersion": "v1", "items": [*objects, ingress(name="fraud")]}
        running.kubectl("apply", "-f", "-", input_text=json.dumps(listed))
        attempts = 200
        # A new policy is compiled a moment after it was written.
        while attempts and "may write no Ingress" not in patch(running, "fraud", HOST).stderr:
            attempts -= 1
        assert attempts, "the policy does not hold"
        done = create(running, ingress(**MADE), dry_run=False)
        assert done.returncode == 0, done.stderr
        yield running


def create(server: ApiServer, body: dict[str, Any], *, dry_run: bool = True) -> subprocess.CompletedProcess[str]:
    flags = ("--dry-run=server",) if dry_run else ()
    argv = ("create", "-f", "-", "--as", OPERATOR, *flags)
    return server.kubectl(*argv, input_text=json.dumps(body), check=False)


def patch(
    server: ApiServer, name: str, *operations: dict[str, Any], dry_run: bool = True
) -> subprocess.CompletedProcess[str]:
    flags = ("--dry-run=server",) if dry_run else ()
    argv = ("patch", "ingress", name, "-n", SERVING, "--type=json", "-p", json.dumps(operations), "--as", OPERATOR)
    return server.kubectl(*argv, *flags, check=False)


def test_the_weight_and_the_paths_of_its_own_canary_are_the_operators(server: ApiServer) -> None:
    for operations in ([WEIGHT], [HOST, WEIGHT], [{"op": "remove", "path": "/metadata/ownerReferences"}]):
        done = patch(server, "fraud-modelrollout", *operations)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "metadata",
    [
        MADE | {"labels": {}},
        MADE | {"annotations": {}},
        MADE | {"annotations": CANARY | {f"{NGINX}/canary": "false"}},
        MADE | {"annotations": CANARY | {f"{NGINX}/configuration-snippet": "return 200;"}},
    ],
    ids=["unlabelled", "no-canary", "canary-off", "snippet"],
)
def test_it_can_make_no_other_ingress(server: ApiServer, metadata: dict[str, Any]) -> None:
    done = create(server, ingress(**metadata | {"name": "another"}))
    assert "modelrollout may" in done.stderr
    assert create(server, ingress(**MADE | {"name": "another"})).returncode == 0


@pytest.mark.parametrize(
    "operation",
    [
        HOST,
        {"op": "add", "path": "/metadata/labels", "value": LABELS},
        {"op": "add", "path": "/metadata/ownerReferences", "value": [OWNER]},
        {"op": "add", "path": "/metadata/annotations", "value": CANARY},
    ],
    ids=["host", "labels", "owner", "annotations"],
)
def test_the_users_ingress_is_never_written(server: ApiServer, operation: dict[str, Any]) -> None:
    assert "may write no Ingress that it did not make" in patch(server, "fraud", operation).stderr


def test_annotations_of_others_on_its_canary_stay_as_they_are(server: ApiServer) -> None:
    own = ("annotate", "ingress", "fraud-modelrollout", "-n", SERVING, "--overwrite")
    server.kubectl(*own, "team=risk")
    assert patch(server, "fraud-modelrollout", WEIGHT).returncode == 0
    changed = {"op": "replace", "path": "/metadata/annotations/team", "value": "x"}
    assert "may set no annotation" in patch(server, "fraud-modelrollout", changed).stderr


def test_a_canary_whose_marks_somebody_took_off_can_still_be_let_go(server: ApiServer) -> None:
    server.kubectl("create", "-f", "-", input_text=json.dumps(ingress(**MADE | {"name": "bare", "annotations": {}})))
    assert patch(server, "bare", {"op": "remove", "path": "/metadata/ownerReferences"}).returncode == 0
    assert "no Ingress but canaries" in patch(server, "bare", HOST).stderr


def test_the_way_back_by_hand_that_the_page_shows_works(server: ApiServer) -> None:
    page = (ROOT / "docs" / "how-to" / "ingress-nginx.md").read_text()
    [shown] = re.findall(r"`kubectl (-n serving annotate [^`]*)`", page)
    server.kubectl(*shown.split())
    stored = json.loads(server.kubectl("get", "ingress", "fraud-modelrollout", "-n", SERVING, "-o", "json").stdout)
    assert stored["metadata"]["annotations"][f"{NGINX}/canary-weight"] == "0"
