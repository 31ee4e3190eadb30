"""A namespace for each tutorial: two versions of a model server, requests for an hour. Readers make the rollout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from e2e.cluster import gateway
from e2e.cluster.provider import Cluster, Running
from e2e.models import llm_image
from e2e.models.manifests import Arm
from e2e.stage import ROOT, Stage

HOUR = 3600.0
LABEL_DELAY = 60.0
"""Seconds from an answer to its true label."""
COHORT = 5
"""Seconds of predictions that are counted together."""
LABELS_RATE, LLM_RATE = 100.0, 60.0


def labels(stage: Stage) -> Running:
    """A classifier whose true labels come a minute late; its next version was trained on the wrong ones."""
    both = {"peers": ["v1", "v2"], "cohort_seconds": COHORT}
    stage.deploy(
        stage.arm("tumour-v1", "legacy", "good", "v1", **both),
        stage.arm("tumour-v2", "candidate", "inaccurate", "v2", **both),
    )
    load = stage.load(LABELS_RATE, duration=HOUR, extra=["--feedback-delay", f"{LABEL_DELAY:g}"])
    return load.running


def llm(stage: Stage) -> Running:
    """A language model; its next version waits for the first token."""
    stage.cluster.load_image(llm_image.archive())
    stage.deploy(*(_served(stage, *each) for each in (("legacy", "base", "v1"), ("candidate", "late", "v2"))))
    argv = [
        sys.executable,
        "-m",
        "e2e.models.prompts",
        "--url",
        f"http://{gateway.address(stage.cluster)}/v1/completions",
    ]
    argv += ["--host-header", stage.host, "--rate", f"{LLM_RATE:g}", "--duration", f"{HOUR:g}"]
    with (stage.directory / "prompts.log").open("wb") as log:
        return stage.cluster.popen(argv, stdout=log.fileno(), stderr=log.fileno(), env={"PYTHONPATH": str(ROOT)})


def _served(stage: Stage, role: str, variant: str, version: str) -> Arm:
    return Arm(
        name=f"chat-{version}",
        namespace=stage.namespace,
        rollout="chat",
        role="legacy" if role == "legacy" else "candidate",
        variant=variant,
        version=version,
        image=llm_image.reference(),
        model="chat",
    )


SCENES: Mapping[str, Callable[[Stage], Running]] = MappingProxyType({"labels": labels, "llm": llm})
"""By the name of the tutorial, which is that of its namespace and of its rollout in `examples/tutorials`."""


def on(cluster: Cluster) -> None:
    """What every tutorial needs of a full cluster besides the operator: its namespaces."""
    for name in SCENES:
        cluster.exec(["kubectl", "create", "namespace", name])
