"""Plays the demo: cluster, model servers, load, the operator from its chart, then one rollout after the other."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.cluster.providers import Provider, open_cluster
from e2e.demo import scene
from e2e.demo.look import look
from e2e.demo.scene import NAMESPACE
from e2e.demo.story import ACTS, FIRST, Act, Figures, figures
from e2e.demo.view import View
from e2e.installed import HOME, Release, prepare
from e2e.stage import Load, Stage

NAME = "demo"
RATE = 200.0
LIMIT = 150.0
"""Seconds that one rollout of the demo may take before the demo is a failure."""


def play(console: Console, *, provider: Provider | None = None) -> int:
    """Bring everything up, play the three rollouts, print the figures; 0 when each ended as it must."""
    begun = time.monotonic()
    console.print("modelrollout demo: a real Kubernetes, gateway and Prometheus on this machine; warm about 4 minutes,")
    console.print("the first time about 15 minutes more (the parts are built from pinned sources and kept).")
    cluster = open_cluster(NAME, provider=provider)
    cluster.down()
    cluster.up("full")
    prepare(cluster)
    directory = Path(tempfile.gettempdir()) / f"modelrollout-{NAME}"
    shutil.rmtree(directory, ignore_errors=True)
    stage = Stage(cluster, NAMESPACE, directory)
    operator = Release(cluster)
    _prepare(console, stage, operator)
    load = stage.load(RATE, duration=3600)
    view = View(console)
    results = []
    legacy = FIRST
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


def _prepare(console: Console, stage: Stage, operator: Release) -> None:
    with console.status("model servers v1 to v4 and the operator") if console.is_terminal else nullcontext():
        stage.create()
        stage.deploy(*scene.arms(stage).values())
        operator.install(namespaces=[NAMESPACE], scrape="1s")
    console.print("model servers are up, the operator runs")


def _act(stage: Stage, operator: Release, load: Load, view: View, act: Act, legacy: str) -> Figures:
    # Asked for once: a look takes place every half second.
    pods = operator.addresses()
    began = time.time()
    stage.apply(scene.rollout(stage, act, legacy))
    while True:
        stored = stage.get()
        status = stored.get("status") or {}
        ours = status.get("observedGeneration") == stored["metadata"]["generation"]
        seen = load.summary(3)
        moment = look(
            status if ours else {},
            operator.metrics(pods),
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
                operator.metrics(pods),
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


def next_steps(name: str) -> tuple[str, ...]:
    """Commands worth trying on cluster `name` after the demo."""
    run = f".venv/bin/python -m e2e.cluster exec --name {name} --"
    kubectl = f"{run} kubectl -n {NAMESPACE}"
    ours = "--field-selector involvedObject.kind=ModelRollout --sort-by=.metadata.creationTimestamp"
    return (
        f"{kubectl} get mr -o wide",
        f"{kubectl} describe mr tumour",
        f"{kubectl} get events {ours}",
        f"{kubectl} get mr tumour -o jsonpath='{{.status.incident.message}}{{\"\\n\"}}'",
        f"{kubectl} get httproute -o yaml",
        f"{run} kubectl -n {HOME} get pods,lease",
        f"{run} kubectl -n {HOME} logs deployment/modelrollout --all-pods --tail=20",
    )


def _next_steps(console: Console, directory: Path) -> None:
    console.print("The cluster stays up. Try (and docs/tutorial/first-rollout.md goes on from here):")
    for text in next_steps(NAME):
        console.print(f"  {text}", markup=False, soft_wrap=True)
    console.print(f"The records of every request are in {directory}", soft_wrap=True)
