"""Rights and admission policy for `replicas`, on a real API server: the operator's account scales and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping

import pytest

from e2e.chart import IMAGE, rendered
from e2e.cluster.apiserver import ApiServer, apiserver
from tests.contract.kube.pods import deployment
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

HOME, SERVING = "modelrollout", "serving"
SET = ("--set", f"image.repository={IMAGE}", "--set", "scope=cluster", "--set", "routers.replicas=true")
KINDS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
OPERATOR = f"system:serviceaccount:{HOME}:modelrollout"
TOO_MANY, WIDER = "may scale no Deployment beyond 1000 replicas", "may change nothing of a Deployment but its number"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver() as running:
        for namespace in (HOME, SERVING):
            running.kubectl("create", "namespace", namespace)
        objects = [o for o in rendered(*SET, namespace=HOME) if o["kind"] in KINDS]
        both = [deployment(name, 10) for name in ("fraud-v7", "fraud-v8")]
        for body, name in zip(both, ("fraud-v7", "fraud-v8"), strict=True):
            body |= {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": SERVING}}
            objects.append(body)
        running.kubectl(
            "apply", "-f", "-", input_text=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        )
        # kubectl reads what it patches; the operator does not.
        grant(running, "reads", "--verb=get", "--resource=deployments.apps/scale")
        attempts = 200
        # A new policy is compiled a moment after it was written.
        while attempts and TOO_MANY not in patch(running, {"replicas": 1001}, "--subresource=scale").stderr:
            attempts -= 1
        assert attempts, "the policy does not hold"
        yield running


def grant(server: ApiServer, name: str, *rights: str) -> None:
    """Give the operator's account further rights."""
    server.kubectl("create", "clusterrole", name, *rights)
    account = f"--serviceaccount={HOME}:modelrollout"
    server.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)


def patch(
    server: ApiServer, spec: Mapping[str, object], *flags: str, of: str = OPERATOR
) -> subprocess.CompletedProcess[str]:
    argv = ("patch", "deployment", "fraud-v7", "-n", SERVING, "--type=merge", "-p", json.dumps({"spec": spec}))
    return server.kubectl(*argv, "--as", of, "--dry-run=server", *flags, check=False)


@pytest.mark.parametrize("replicas", [0, 1, 1000])
def test_the_number_of_replicas_is_the_operators(server: ApiServer, replicas: int) -> None:
    done = patch(server, {"replicas": replicas}, "--subresource=scale")
    assert done.returncode == 0, done.stderr


def test_the_deployment_itself_is_not_its_to_write(server: ApiServer) -> None:
    assert "cannot patch resource" in patch(server, {"replicas": 5}).stderr
    # With rights from elsewhere the policy still holds.
    grant(server, "wide", "--verb=*", "--resource=deployments.apps")
    for spec in ({"replicas": 5}, {"paused": True}):
        assert WIDER in patch(server, spec).stderr
    own = ("delete", "deployment", "fraud-v8", "-n", SERVING, "--as", OPERATOR, "--dry-run=server")
    assert WIDER in server.kubectl(*own, check=False).stderr
    others = patch(server, {"paused": True}, of="admin")
    assert WIDER not in others.stderr


def test_the_way_back_by_hand_that_the_page_shows_works(server: ApiServer) -> None:
    page = (ROOT / "docs" / "how-to" / "share-of-pods.md").read_text()
    shown = re.findall(r"`kubectl (-n serving scale [^`]*)`", page)
    for command in shown:
        server.kubectl(*command.split())
    counts = [
        json.loads(server.kubectl("get", "deployment", name, "-n", SERVING, "-o", "json").stdout)["spec"]["replicas"]
        for name in ("fraud-v7", "fraud-v8")
    ]
    assert (len(shown), counts) == (2, [10, 0])
