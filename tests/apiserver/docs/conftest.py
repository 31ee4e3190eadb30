"""Where the commands of the documentation run: bash in the checkout, kubectl first in PATH, a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import programs, traefik
from e2e.cluster.apiserver import ApiServer, apiserver
from tests.apiserver.docs.rights import credentials
from tests.apiserver.shell.cluster import Exporter, Operator, Stage, gateway, prometheus, wait_until

ROOT = Path(__file__).resolve().parents[3]
LISTED: dict[str, list[str]] = tomllib.loads((ROOT / "docs" / "commands.toml").read_text())
NAMESPACE = "serving"
LIMIT = 60.0
"""Seconds within which a command must end."""
HARM = 0.9
"""Share of the candidate's answers that are bad in the rollout that is taken back."""


class Reader:
    """A reader of the documentation who types its commands; `home` holds his credentials as ~/.kube/config."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        (home / ".kube").mkdir(parents=True)
        (home / ".kube" / "config").symlink_to(kubeconfig)
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MODELROLLOUT_", "KUBE"))},
            "HOME": str(home),
            "PATH": f"{programs.kubernetes()}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        }

    def types(self, command: str, text: str = "") -> str:
        """What the command, with `text` on its input, prints; it must end with code 0 and without a word on stderr."""
        code, printed, complaint = self._run(command, text)
        assert (code, complaint) == (0, ""), f"{command}\n{printed}\n{complaint}"
        return printed

    def refused(self, command: str, text: str = "") -> str:
        """What the command, with `text` on its input, says on stderr; it must fail."""
        code, printed, complaint = self._run(command, text)
        assert code != 0, f"{command}\n{printed}"
        return complaint

    def _run(self, command: str, text: str) -> tuple[int, str, str]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def begins(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command that does not end by itself; whoever starts it ends it."""
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Place:
    """Namespace `serving` after a rollout `fraud` was taken back; the operator still runs, with its rights only."""

    def __init__(self, server: ApiServer, home: Path) -> None:
        self.stage, self.exporter = Stage(server, NAMESPACE), Exporter(NAMESPACE)
        self._credentials, self._log = credentials(server, home / "config"), home / "operator.log"
        self.operator = self._started()

    def start(self) -> None:
        """Start the operator anew and wait until it is ready."""
        self.operator = self._started()
        wait_until(self.operator.ready, why="operator is ready")

    def _started(self) -> Operator:
        return Operator(self._credentials, self._log, "--log-format", "plain")


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML text: mappings that name a kind."""
    return [found for found in yaml.safe_load_all(text) if isinstance(found, dict) and "kind" in found]


def quick() -> dict[str, Any]:
    """The smallest example with short times and an objective that few requests decide."""
    (rollout,) = objects((ROOT / "examples" / "smallest.yaml").read_text())
    spec = rollout["spec"]
    spec["traffic"]["settle"] = "1s"
    spec["stepDefaults"] = {"minDuration": "2s"}
    spec["analysis"] = {"interval": "1s", "warmup": "0s"}
    spec["slis"][0]["objective"] = "99"
    return dict(rollout)


def public(server: ApiServer) -> None:
    """The Gateway that the examples name, as its controller would have it."""
    gateway_api = "gateway.networking.k8s.io/v1"
    made = {
        "apiVersion": gateway_api,
        "kind": "Gateway",
        "metadata": {"name": "public", "namespace": "infra"},
        "spec": {
            "gatewayClassName": "example",
            "listeners": [
                {
                    **{"name": "http", "port": 80, "protocol": "HTTP"},
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
            ],
        },
    }
    server.kubectl("create", "namespace", "infra")
    server.kubectl("create", "-f", "-", input_text=yaml.safe_dump(made))
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": ""}
    status = {"conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    patch = json.dumps({"status": status})
    server.kubectl(
        *("patch", "gateway", "public", "-n", "infra", "--subresource=status", "--type=merge", "-p", patch),
    )


def source(address: str) -> list[dict[str, Any]]:
    """A MetricSource with a token, and its Secret."""
    token = {"secret": "prometheus", "key": "token"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": token["secret"], "namespace": "default"},
            "stringData": {token["key"]: "not looked at"},
        },
        {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "MetricSource",
            "metadata": {"name": "default"},
            "spec": {"prometheus": {"address": address, "auth": {"bearerToken": token}}, "scrapeInterval": "1s"},
        },
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """An API server with what routers need and nothing of ours."""
    with apiserver(audit=True, crds=[programs.gateway_api_crds(), programs.istio_crds(), traefik.crds()]) as running:
        for namespace in ("serving", "tumour", "labels", "llm"):
            running.kubectl("create", "namespace", namespace)
        yield running


@pytest.fixture(scope="module")
def reader(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(server.kubeconfig, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def crds(server: ApiServer) -> None:
    server.install_crds(ROOT / "crds")


@pytest.fixture(scope="module")
def place(server: ApiServer, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(server, tmp_path_factory.mktemp("operator"))
    stage = made.stage
    stage.arms()
    public(server)
    try:
        with prometheus(made.exporter) as metrics, gateway(stage):
            stage.apply(*source(metrics.url))
            wait_until(made.operator.ready, why="operator is ready")
            # Client-side, as a reader applies it, or a later apply of the same file warns.
            server.kubectl("apply", "-f", "-", input_text=yaml.safe_dump(quick()))
            wait_until(lambda: stage.weights() == (95, 5), why="first step")
            made.exporter.traffic["v8"].turn(HARM)
            wait_until(lambda: stage.phase() == "RolledBack", why="taken back")
            server.kubectl("create", "-n", NAMESPACE, "-f", ROOT / "examples" / "actions" / "approve.yaml")
            answered = ("get", "rolloutactions", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.result}")
            wait_until(lambda: bool(server.kubectl(*answered).stdout), why="the action is answered")
            events = ("get", "events", "-n", NAMESPACE, "-o", "jsonpath={.items[*].reason}")
            wait_until(lambda: "RollbackCompleted" in server.kubectl(*events).stdout, why="its end is told")
            yield made
    finally:
        made.operator.end(signal.SIGKILL)
        made.exporter.close()
