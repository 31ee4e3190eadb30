"""What the acts are played on: the model servers, and the rollout of one act. The tutorial's test plays on it too."""

from __future__ import annotations

from typing import Any

from e2e.demo.story import ACTS, FIRST, STEPS, Act, slis
from e2e.models.manifests import Arm
from e2e.stage import Stage

NAMESPACE = "tumour"
REPLICAS = 2


def arms(stage: Stage) -> dict[str, Arm]:
    """The model servers of the story by version; each takes the labels of all."""
    variants = {FIRST: "legacy"} | {act.version: act.variant for act in ACTS}
    return {
        version: stage.arm(
            f"tumour-{version}",
            "legacy" if version == FIRST else "candidate",
            variant,
            version,
            replicas=REPLICAS,
            peers=list(variants),
        )
        for version, variant in variants.items()
    }


def rollout(stage: Stage, act: Act, legacy: str) -> dict[str, Any]:
    """The ModelRollout of an act, from version `legacy` to the act's."""
    return stage.rollout(
        legacy=f"tumour-{legacy}",
        candidate=f"tumour-{act.version}",
        steps=STEPS,
        slis=slis(legacy, act.version),
        # A demo lasts minutes: its margin is what a few hundred requests can prove.
        analysis={
            "interval": "2s",
            "warmup": "5s",
            "margin": {"ratio": "1.5", "difference": "0.02"},
            "tolerance": "2%",
        },
    )
