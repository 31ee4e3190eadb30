"""The kustomize-controller of Flux as a program: objects are applied by its own code and options."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.cluster.artifacts import go_binary

SSA = "0.77.0"
"""Of fluxcd/pkg/ssa."""
API = "1.9.6"
"""Of the Kustomization that it reads: Flux 2.9."""
MANAGER = "kustomize-controller"


class FluxRefused(Exception):
    """What Flux would write into the condition Ready of its Kustomization."""


class Flux:
    """A context manager around the process. `ignore`: the field of that name of the Kustomization."""

    def __init__(self, kubeconfig: Path, ignore: Sequence[Mapping[str, Any]] = ()) -> None:
        self.ignore: Sequence[Mapping[str, Any]] = list(ignore)
        self._process = subprocess.Popen(
            [binary()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"KUBECONFIG": str(kubeconfig)}
        )

    def applies(self, objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """One reconciliation: what was done, such as `unchanged`, by `Kind/namespace/name`. Raises FluxRefused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"objects": list(objects), "ignore": self.ignore}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise FluxRefused(answer["error"])
        return dict(answer["actions"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)


def binary() -> Path:
    """The program; built on first use (half a minute of CPU)."""
    return go_binary(
        "flux",
        module_dir=Path(__file__).parent / "flux",
        package=".",
        ldflags="-s -w",
        label=f"Flux's server-side apply {SSA}",
        estimate_s=60,
    )
