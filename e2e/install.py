"""Puts CRDs and a MetricSource on a cluster, for an operator that runs beside it; `installed` has the chart do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from e2e.cluster.provider import Cluster
from e2e.stage import ROOT

CRDS = ROOT / "crds"


def install(cluster: Cluster, *, prometheus: str, scrape: str = "1s") -> None:
    """Apply the CRDs, wait until they serve, create MetricSource `default`."""
    cluster.exec(["kubectl", "apply", "--server-side", "-f", CRDS])
    names = [
        f"crd/{kind}.modelrollout.dev" for kind in ("modelrollouts", "metricsources", "rolloutactions", "sliprofiles")
    ]
    cluster.exec(["kubectl", "wait", "--for=condition=Established", "--timeout=30s", *names])
    cluster.exec(["kubectl", "apply", "-f", "-"], input_text=json.dumps(source(prometheus, scrape)))


def source(
    address: str, scrape: str, *, name: str = "default", headers: Mapping[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A MetricSource of a local cluster; `headers` go with every query, `spec` holds further fields."""
    prometheus = {"address": address, "timeout": "5s", **({"headers": dict(headers)} if headers else {})}
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": name},
        "spec": {"prometheus": prometheus, "arms": {"by": "pod"}, "scrapeInterval": scrape, **spec},
    }
