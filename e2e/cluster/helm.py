"""The helm program, built from its Go module."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster.artifacts import go_binary

VERSION = "4.2.4"


def binary() -> Path:
    """helm 4; built on first use (about a minute on two cores)."""
    return go_binary(
        "helm",
        module_dir=Path(__file__).parent / "go" / "helm",
        package="helm.sh/helm/v4/cmd/helm",
        ldflags=f"-s -w -X helm.sh/helm/v4/internal/version.version=v{VERSION}",
        label=f"helm {VERSION}",
        estimate_s=65,
    )
