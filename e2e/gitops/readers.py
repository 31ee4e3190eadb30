"""What Argo CD, kstatus and Flux see in an object: our Lua in Argo CD's dialect, the others by their own libraries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.cluster.artifacts import go_binary
from e2e.gitops.lua import Scripts
from modelrollout.adapters.kube.resources import ROLLOUTS, Body

ROOT = Path(__file__).parents[2]
HEALTH = ROOT / "examples" / "argocd" / "modelrollout.dev" / "ModelRollout" / "health.lua"
KUSTOMIZATION = ROOT / "examples" / "flux" / "kustomization.yaml"
KSTATUS = "1.2.3"
FLUX = "0.110.3"


class Unjudged(Exception):
    """A tool could not say what it makes of an object."""


@dataclass(frozen=True, slots=True)
class View:
    """One object through the eyes of all: Argo CD's health, the status of kstatus, that of Flux's expressions."""

    argocd: str
    kstatus: str
    flux: str


def expressions() -> dict[str, str]:
    """The entry for our kind in the health expressions of the example for Flux."""
    checks = yaml.safe_load(KUSTOMIZATION.read_text())["spec"]["healthCheckExprs"]
    [own] = [check for check in checks if (check["apiVersion"], check["kind"]) == (ROLLOUTS.api_version, ROLLOUTS.kind)]
    return dict(own)


def views(objects: Sequence[Body], directory: Path) -> list[View]:
    """A view for each object. `directory` is for files. Raises Unjudged."""
    lua = Scripts()
    answers = program(objects, directory)
    wrong = [
        (answer["error"], obj["metadata"]) for answer, obj in zip(answers, objects, strict=True) if "error" in answer
    ]
    if wrong:
        raise Unjudged(f"{len(wrong)} of {len(objects)} objects, the first: {wrong[0]}")
    return [
        View(lua.run(HEALTH, obj)["status"], answer["kstatus"], answer["flux"])
        for obj, answer in zip(objects, answers, strict=True)
    ]


def binary() -> Path:
    """The program with kstatus and Flux's evaluation; built on first use (about a minute on two cores)."""
    return go_binary(
        "kstatus",
        module_dir=Path(__file__).parent / "kstatus",
        package=".",
        ldflags="-s -w",
        label=f"kstatus {KSTATUS} and Flux's health expressions {FLUX}",
        estimate_s=60,
    )


def program(objects: Sequence[Body], directory: Path) -> list[dict[str, str]]:
    """What the program says of each object: `kstatus`, `message`, `flux`, or `error`."""
    checks = directory / "expressions.json"
    checks.write_text(json.dumps(expressions()))
    lines = "".join(json.dumps(obj) + "\n" for obj in objects)
    done = subprocess.run([binary(), checks], input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unjudged(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]
