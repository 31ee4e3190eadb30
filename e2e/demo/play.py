"""Plays the demo: cluster, model servers, load, operator, then one rollout after the other."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.kind import KindCluster
from e2e.cluster.provider import Cluster
from e2e.demo.look import look
from e2e.demo.story import ACTS, STEPS, Act, Figures, figures, slis
from e2e.demo.view import View
from e2e.install import install
from e2e.models import image
from e2e.stage import Load, Operator, Stage

NAME = "demo"
NAMESPACE = "tumour"
RATE = 200.0
PORT = 9464
LIMIT = 150.0
"""Seconds that one rollout of the demo may take before the demo is a failure."""


def play(console: Console, *, provider: str = "embedded") -> int:
    """Bring everything up, play the three rollouts, print the figures; 0 when each ended as it must."""
    begun = time.monotonic()
    console.print("modelrollout demo: a real Kubernetes, gateway and Prometheus on this machine; warm about 4 minutes,")
    console.print("the first time about 15 minutes more (the parts are built from pinned sources and kept).")
    cluster: Cluster = KindCluster(NAME) if provider == "kind" else EmbeddedCluster(NAME)
    cluster.down()
    cluster.up("full")
    cluster.load_image(image.archive())
    install(cluster, prometheus=cluster.prometheus_url)
    directory = Path(tempfile.gettempdir()) / f"modelrollout-{NAME}"
    shutil.rmtree(directory, ignore_errors=True)
    stage = Stage(cluster, NAMESPACE, directory)
    operator = Operator(cluster, directory / "operator.log", port=PORT)
    _prepare(console, stage, operator)
    load = stage.load(RATE, duration=3600)
    view = View(console)
    results = []
    legacy = "v1"
    for act in ACTS:
        with view.act(act.title):
            results.append(_act(stage, operator, load, view, act, legacy))
        if results[-1].outcome == "Promoted":
            legacy = act.version
    load.set(rate=20)
    _summary(console, results)
    _next_steps(console, directory)
    console.print(f"done in {time.monotonic() - begun:.0f} s; `make demo-down` ends the cluster")
    wrong = [
        f"{r.title}: {r.outcome} ({r.reason})" for r, act in zip(results, ACTS, strict=True) if r.outcome != act.ends
    ]
    for text in wrong:
        console.print(f"[bold red]not as it must be:[/] {text}")
    return 1 if wrong else 0


def _prepare(console: Console, stage: Stage, operator: Operator) -> None:
    with console.status("model servers v1 to v4 and the operator") if console.is_terminal else nullcontext():
        stage.create()
        first = stage.arm("tumour-v1", "legacy", "legacy", "v1", replicas=2, peers=["v1", "v2", "v3", "v4"])
        others = [
            stage.arm(
                f"tumour-{a.version}", "candidate", a.variant, a.version, replicas=2, peers=["v1", "v2", "v3", "v4"]
            )
            for a in ACTS
        ]
        stage.deploy(first, *others)
        operator.start()
    console.print("model servers are up, the operator runs")


def _act(stage: Stage, operator: Operator, load: Load, view: View, act: Act, legacy: str) -> Figures:
    began = time.time()
    stage.apply(
        stage.rollout(
            legacy=f"tumour-{legacy}",
            candidate=f"tumour-{act.version}",
            steps=STEPS,
            slis=slis(legacy, act.version),
            analysis={"interval": "2s", "warmup": "5s"},
        )
    )
    while True:
        stored = stage.get()
        status = stored.get("status") or {}
        ours = status.get("observedGeneration") == stored["metadata"]["generation"]
        seen = load.summary(3)
        moment = look(
            status if ours else {},
            operator.get("/metrics") or "",
            seen,
            namespace=stage.namespace,
            rollout="tumour",
            candidate=act.version,
        )
        view.show(moment)
        if ours and status.get("phase") in ("Promoted", "RolledBack"):
            break
        if time.time() - began > LIMIT:
            break
        time.sleep(0.5)
    ended = time.time()
    for _ in range(6):  # what users get afterwards belongs to the picture
        time.sleep(0.5)
        view.show(
            look(
                status,
                operator.get("/metrics") or "",
                load.summary(2),
                namespace=stage.namespace,
                rollout="tumour",
                candidate=act.version,
            )
        )
    return figures(act, status, load.records(), began=began, ended=ended)


def _summary(console: Console, results: list[Figures]) -> None:
    table = Table(title="What users got, measured by the load generator", title_justify="left")
    for name in ("rollout", "outcome", "why", "took", "first bad answer to last", "harmed", "of", "5xx by switching"):
        table.add_column(name, justify="left" if name in ("rollout", "outcome", "why") else "right")
    for r in results:
        table.add_row(
            r.title.partition(":")[0],
            r.outcome,
            r.reason,
            f"{r.seconds:.0f} s",
            "-" if r.detected_after is None else f"{r.detected_after:.1f} s",
            str(r.harmed),
            str(r.answers),
            str(r.switching_failures),
        )
    console.print(table)


def _next_steps(console: Console, directory: Path) -> None:
    python = ".venv/bin/python -m e2e.cluster exec --name demo --"
    console.print("The cluster stays up. Try:")
    for text in (
        f"{python} kubectl -n {NAMESPACE} get mr -o wide",
        f"{python} kubectl -n {NAMESPACE} describe mr tumour",
        f"{python} kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp",
        f"{python} kubectl -n {NAMESPACE} get mr tumour -o jsonpath='{{.status.incident.message}}'",
        f"{python} kubectl -n {NAMESPACE} get httproute -o yaml",
        f"{python} curl -s 127.0.0.1:{PORT}/metrics",
    ):
        console.print(f"  {text}", markup=False, soft_wrap=True)
    console.print(f"The operator's log and the records of every request are in {directory}", soft_wrap=True)
