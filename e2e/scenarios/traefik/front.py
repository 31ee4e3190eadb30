"""A Traefik before the pods of a full cluster, and what the pages of its two routers have people put on it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import traefik
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Cluster
from e2e.models import manifests
from e2e.scenarios.rollouts.plays import QUICK
from e2e.stage import ROOT, Load, Stage, until
from tests.layout.documents import blocks

PAGE = ROOT / "docs" / "how-to" / "traefik.md"
NGINX_PAGE = ROOT / "docs" / "how-to" / "ingress-nginx.md"
ABORT = ROOT / "examples" / "actions" / "abort.yaml"
NAMESPACE, HOST = "serving", "fraud.example.com"
"""As both pages call them."""
NAME = "fraud"
LEGACY, CANDIDATE, OTHER = "fraud-v7", "fraud-v8", "fraud-v6"
V7, V8, V6 = "v7", "v8", "v6"
WEB = "127.0.0.1:8000"
ADMIN = "127.0.0.1:8001"
BY_HAND = re.compile(r"`(kubectl -n serving patch traefikservice [^`]+)`")


class Front:
    """Traefik as a program in the cluster's network, set as its page asks, and for Ingresses of ingress-nginx too."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self.cluster, self.log = cluster, log
        argv: list[str | Path] = [
            traefik.binary(),
            f"--entryPoints.web.address={WEB}",
            f"--entryPoints.traefik.address={ADMIN}",
            "--ping=true",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--providers.kubernetesCRD=true",
            "--providers.kubernetesCRD.allowEmptyServices=true",
            "--providers.kubernetesIngressNGINX=true",
        ]
        with log.open("wb") as out:
            self.running = cluster.popen(argv, stdout=out.fileno(), stderr=out.fileno())
        until("Traefik answers", self._listens, seconds=60)

    def _listens(self) -> bool:
        if self.running.poll() is not None:
            raise ClusterError(f"Traefik ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        return self.code("", f"http://{ADMIN}/ping") == "200"

    def code(self, host: str, url: str = f"http://{WEB}/predict") -> str:
        """Status code of one GET for this host; 405 is what a model server says to one."""
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", "-H", f"Host: {host}", url]
        return self.cluster.exec(argv, check=False).stdout

    def load(self, stage: Stage, rate: float, *, duration: float = 600, extra: Sequence[str] = ()) -> Load:
        """Load through Traefik at the stage's host name."""
        flags = ["--url", f"http://{WEB}/predict", "--feedback-url", "none", *extra]
        return stage.load(rate, duration=duration, extra=flags)

    def leads(self, stage: Stage) -> None:
        """Wait until requests for the stage's host name reach pods."""
        until("Traefik leads to the pods", lambda: self.code(stage.host) not in ("404", "502", "503"), seconds=30)


def page(stage: Stage, path: Path = PAGE) -> dict[str, dict[str, Any]]:
    """The page's objects by kind, in this stage's namespace and at its host name."""
    texts = [block.text.replace(HOST, stage.host) for block in blocks(path) if block.language == "yaml"]
    found = [thing for text in texts for thing in yaml.safe_load_all(text) if isinstance(thing, dict)]
    things = {thing["kind"]: thing for thing in found if "kind" in thing}
    for thing in things.values():
        assert thing["metadata"]["namespace"] == NAMESPACE
        thing["metadata"]["namespace"] = stage.namespace
    return things


def by_hand(stage: Stage) -> str:
    """Type what the page gives for the time without an operator; what it complains of."""
    (command,) = BY_HAND.findall(PAGE.read_text())
    argv = shlex.split(command.replace(f"-n {NAMESPACE} ", f"-n {stage.namespace} "))
    return stage.cluster.exec(argv, check=False).stderr


def abort(stage: Stage) -> None:
    """Create the page's Abort."""
    stage.kubectl("create", "-f", "-", stdin=ABORT.read_text().replace(NAMESPACE, stage.namespace))


def deploy(stage: Stage, *, candidate_pods: int = 1, other: bool = False) -> None:
    """The arms that the page takes for granted; with `other` a third Deployment, which is none of the rollout's."""
    made = [
        stage.arm(LEGACY, "legacy", "good", V7, rollout=NAME),
        stage.arm(CANDIDATE, "candidate", "good", V8, rollout=NAME, replicas=candidate_pods),
    ]
    stage.deploy(*made, *([stage.arm(OTHER, "legacy", "good", V6, rollout="old")] if other else []))


def opened(
    front: Front,
    stage: Stage,
    steps: Sequence[Mapping[str, Any]],
    *,
    rate: float = 100,
    candidate_pods: int = 1,
    other: int = 0,
) -> Load:
    """The page played up to its last command under load. Steps and judging are quicker than the page's.

    `other`: weight of a third entry in the TraefikService, 0 for none.
    """
    deploy(stage, candidate_pods=candidate_pods, other=bool(other))
    things = page(stage)
    if other:
        things["TraefikService"]["spec"]["weighted"]["services"].append(
            {"name": OTHER, "port": manifests.PORT, "weight": other}
        )
    routed(front, stage, things)
    load = front.load(stage, rate)
    stage.apply(quickly(things["ModelRollout"], steps))
    return load


def quickly(rollout: dict[str, Any], steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The page's rollout with these steps, judged by what can be proven within seconds."""
    spec = rollout["spec"] | {"steps": [dict(step) for step in steps], "analysis": dict(QUICK)}
    return rollout | {"spec": spec}


def routed(front: Front, stage: Stage, things: Mapping[str, Mapping[str, Any]]) -> None:
    """Apply the page's route, and wait until Traefik leads to legacy's pods."""
    stage.apply(things["TraefikService"], things["IngressRoute"])
    front.leads(stage)


def raises(status: dict[str, Any]) -> list[tuple[float, float]]:
    """Share and time of each raise, of a status. The route is written right after that."""
    made = [d for d in status["decisions"] if d["action"] == "Raise"]
    return [(float(d["weight"]) / 100, datetime.fromisoformat(d["at"]).timestamp()) for d in made]


def services(stage: Stage) -> list[tuple[str, int]]:
    """Name and weight of each entry, as stored."""
    found = json.loads(stage.kubectl("get", "traefikservice", NAME, "-o", "json"))
    return [(entry["name"], entry["weight"]) for entry in found["spec"]["weighted"]["services"]]


def weights(stage: Stage) -> list[int]:
    """Weight of each entry, as stored."""
    return [weight for _, weight in services(stage)]


def edit(stage: Stage, legacy: int, candidate: int) -> None:
    """What somebody else does to the two weights."""
    patch = [
        {"op": "replace", "path": f"/spec/weighted/services/{place}/weight", "value": value}
        for place, value in enumerate((legacy, candidate))
    ]
    stage.kubectl("patch", "traefikservice", NAME, "--type=json", "-p", json.dumps(patch))
