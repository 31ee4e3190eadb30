"""The admission policies for objects whose weights are moved, on a real API server: weights, and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.chart import IMAGE, rendered
from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import istio_crds
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

HOME, SERVING = "modelrollout", "serving"
SET = (
    "--set",
    f"image.repository={IMAGE}",
    "--set",
    "scope=cluster",
    "--set",
    "routers.istio=true,routers.traefik=true",
)
KINDS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
OPERATOR = f"system:serviceaccount:{HOME}:modelrollout"


@dataclass(frozen=True)
class Adopted:
    """A kind, its page in docs/how-to, an object, where its weights are, and changes that are not the operator's."""

    plural: str
    page: str
    body: dict[str, Any]
    weights: tuple[str, str]
    forbidden: dict[str, dict[str, Any]]


def entry(host: str, weight: int) -> dict[str, Any]:
    return {"destination": {"host": host, "port": {"number": 8080}}, "weight": weight}


ISTIO = Adopted(
    plural="virtualservices.networking.istio.io",
    page="istio.md",
    body={
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "fraud", "namespace": SERVING, "labels": {"team": "risk"}},
        "spec": {
            "hosts": ["fraud.example.com"],
            "gateways": ["infra/public"],
            "http": [
                {"name": "predict", "route": [entry("fraud-v7", 90), entry("fraud-v8", 10)], "timeout": "3s"},
                {"name": "old", "redirect": {"uri": "/new"}},
            ],
        },
    },
    weights=("/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight"),
    forbidden={
        "hosts": {"op": "replace", "path": "/spec/hosts/0", "value": "bank.example.com"},
        "gateways": {"op": "remove", "path": "/spec/gateways"},
        "host": {"op": "replace", "path": "/spec/http/0/route/1/destination/host", "value": "evil"},
        "subset": {"op": "add", "path": "/spec/http/0/route/1/destination/subset", "value": "v9"},
        "match": {"op": "add", "path": "/spec/http/0/match", "value": [{"uri": {"prefix": "/"}}]},
        "timeout": {"op": "replace", "path": "/spec/http/0/timeout", "value": "9s"},
        "fault": {"op": "add", "path": "/spec/http/0/fault", "value": {"abort": {"httpStatus": 500}}},
        "headers": {"op": "add", "path": "/spec/http/0/route/1/headers", "value": {"request": {"remove": ["x"]}}},
        "redirect": {"op": "replace", "path": "/spec/http/1/redirect/uri", "value": "/evil"},
        "mirror": {"op": "add", "path": "/spec/http/0/mirror", "value": {"host": "evil"}},
        "route": {"op": "remove", "path": "/spec/http/1"},
        "tcp": {"op": "add", "path": "/spec/tcp", "value": [{"route": [{"destination": {"host": "evil"}}]}]},
    },
)
TRAEFIK = Adopted(
    plural="traefikservices.traefik.io",
    page="traefik.md",
    body={
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": "fraud", "namespace": SERVING, "labels": {"team": "risk"}},
        "spec": {
            "weighted": {
                "services": [
                    {"name": "fraud-v7", "port": 8080, "weight": 90},
                    {"name": "fraud-v8", "port": 8080, "weight": 10},
                ]
            }
        },
    },
    weights=("/spec/weighted/services/0/weight", "/spec/weighted/services/1/weight"),
    forbidden={
        "name": {"op": "replace", "path": "/spec/weighted/services/1/name", "value": "evil"},
        "namespace": {"op": "add", "path": "/spec/weighted/services/1/namespace", "value": "other"},
        "kind": {"op": "add", "path": "/spec/weighted/services/1/kind", "value": "TraefikService"},
        "port": {"op": "replace", "path": "/spec/weighted/services/1/port", "value": 22},
        "middlewares": {"op": "add", "path": "/spec/weighted/services/0/middlewares", "value": [{"name": "x"}]},
        "transport": {"op": "add", "path": "/spec/weighted/services/0/serversTransport", "value": "x"},
        "sticky": {"op": "add", "path": "/spec/weighted/sticky", "value": {"cookie": {"name": "arm"}}},
        "entry": {"op": "remove", "path": "/spec/weighted/services/1"},
        "mirroring": {"op": "add", "path": "/spec/mirroring", "value": {"name": "evil", "port": 80}},
        "weighted": {"op": "remove", "path": "/spec/weighted"},
    },
)
ADOPTED = (ISTIO, TRAEFIK)
METADATA: dict[str, dict[str, Any]] = {
    "label": {"op": "replace", "path": "/metadata/labels/team", "value": "x"},
    "annotation": {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
    "owner": {
        "op": "add",
        "path": "/metadata/ownerReferences",
        "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}],
    },
}
FORBIDDEN = [(kind, name, change) for kind in ADOPTED for name, change in (kind.forbidden | METADATA).items()]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[istio_crds(), traefik.crds()]) as running:
        for namespace in (HOME, SERVING):
            running.kubectl("create", "namespace", namespace)
        objects = [o for o in rendered(*SET, namespace=HOME) if o["kind"] in KINDS]
        listed = {"kind": "List", "apiVersion": "v1", "items": [*objects, *(kind.body for kind in ADOPTED)]}
        running.kubectl("apply", "-f", "-", input_text=json.dumps(listed))
        for kind in ADOPTED:
            attempts = 200
            # A new policy is compiled a moment after it was written.
            while attempts and "may not change labels" not in patch(running, kind, METADATA["label"]).stderr:
                attempts -= 1
            assert attempts, f"the policy for {kind.plural} does not hold"
        yield running


def patch(server: ApiServer, kind: Adopted, *operations: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    argv = ("patch", kind.plural, "fraud", "-n", SERVING, "--type=json", "-p", json.dumps(operations), "--as", OPERATOR)
    return server.kubectl(*argv, "--dry-run=server", check=False)


@pytest.mark.parametrize("kind", ADOPTED, ids=lambda kind: kind.plural)
def test_weights_are_the_operators(server: ApiServer, kind: Adopted) -> None:
    changes = [{"op": "add", "path": path, "value": 50} for path in kind.weights]
    done = patch(server, kind, *changes)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("kind", "name", "change"), FORBIDDEN, ids=lambda x: x if isinstance(x, str) else "")
def test_the_operators_token_can_not_change_anything_else(
    server: ApiServer, kind: Adopted, name: str, change: dict[str, Any]
) -> None:
    done = patch(server, kind, change)
    assert "modelrollout may " in done.stderr, (name, done.stdout)
    assert f"a {kind.body['kind']}" in done.stderr


@pytest.mark.parametrize("kind", ADOPTED, ids=lambda kind: kind.plural)
def test_it_makes_and_deletes_none(server: ApiServer, kind: Adopted) -> None:
    for verb, may in (("create", "no"), ("delete", "no"), ("update", "no"), ("patch", "yes"), ("list", "yes")):
        told = server.kubectl("auth", "can-i", verb, kind.plural, "-n", SERVING, "--as", OPERATOR, check=False)
        assert told.stdout.strip() == may, verb


@pytest.mark.parametrize("kind", ADOPTED, ids=lambda kind: kind.plural)
def test_people_are_not_held_to_it(server: ApiServer, kind: Adopted) -> None:
    (_, change), *_ = kind.forbidden.items()
    argv = ("patch", kind.plural, "fraud", "-n", SERVING, "--type=json", "-p", json.dumps([change]))
    assert server.kubectl(*argv, "--dry-run=server").returncode == 0


@pytest.mark.parametrize("kind", ADOPTED, ids=lambda kind: kind.plural)
def test_the_way_back_by_hand_that_the_page_shows_works(server: ApiServer, kind: Adopted) -> None:
    page = (ROOT / "docs" / "how-to" / kind.page).read_text()
    [shown] = re.findall(r"`kubectl (-n serving patch [^`]*)`", page)
    server.kubectl(*shlex.split(shown))
    found = json.loads(server.kubectl("get", kind.plural, "fraud", "-n", SERVING, "-o", "json").stdout)
    assert [at(found, path) for path in kind.weights] == [100, 0]


def at(body: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body
