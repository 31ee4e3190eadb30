"""Prometheus configurations: fixed targets for tests, the pods of a cluster for the full tier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROLE_LABEL = "__meta_kubernetes_pod_label_modelrollout_dev_role"
PORT_NAME = "__meta_kubernetes_pod_container_port_name"
PORT_NUMBER = "__meta_kubernetes_pod_container_port_number"
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


def static_config(targets: Sequence[str], *, scrape_interval: str = "1s") -> str:
    """YAML that scrapes `targets` (`host:port`) as job `test`; samples up to 30 days old may be written."""
    return _document(
        [{"job_name": "test", "static_configs": [{"targets": list(targets)}]}] if targets else [],
        scrape_interval=scrape_interval,
    )


def kubernetes_config(kubeconfig: Path | None, *, scrape_interval: str = "1s") -> str:
    """YAML that scrapes every pod with a container port named `metrics` or `http`.

    Without a kubeconfig Prometheus runs in a pod and asks with its own service account.

    Annotations win: `prometheus.io/port` names the declared port to scrape, `prometheus.io/path` its path,
    `prometheus.io/scrape: "false"` keeps a pod out. A pod that has both names and no annotation is scraped on
    both ports. Labels on each series: `namespace`, `pod`, `container`, and `role` when the pod is labelled
    `modelrollout.dev/role` (else `role`).
    """
    asked: dict[str, Any] = {"role": "pod"}
    if kubeconfig is not None:
        asked["kubeconfig_file"] = str(kubeconfig)
    job = {
        "job_name": "pods",
        "kubernetes_sd_configs": [asked],
        "relabel_configs": _pod_relabeling(),
    }
    return _document([job], scrape_interval=scrape_interval)


def _document(jobs: list[dict[str, Any]], *, scrape_interval: str) -> str:
    document = {
        "global": {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval},
        "storage": {"tsdb": {"out_of_order_time_window": "30d"}},
        "scrape_configs": jobs,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _pod_relabeling() -> list[dict[str, Any]]:
    def copy(source: str, target: str, *, regex: str = "(.+)") -> dict[str, Any]:
        return {"source_labels": [source], "regex": regex, "target_label": target}

    return [
        {"action": "drop", "source_labels": [f"{ANNOTATION}scrape"], "regex": "false"},
        {
            "action": "drop",
            "source_labels": ["__meta_kubernetes_pod_phase"],
            "regex": "Pending|Succeeded|Failed",
        },
        # The port to scrape; then keep the one discovered target that has it.
        {
            "source_labels": [PORT_NAME, PORT_NUMBER],
            "regex": r"(?:metrics|http);(\d+)",
            "target_label": "__tmp_port",
        },
        copy(f"{ANNOTATION}port", "__tmp_port", regex=r"(\d+)"),
        {"action": "keep", "source_labels": ["__tmp_port"], "regex": r"\d+"},
        {"action": "keepequal", "source_labels": [PORT_NUMBER], "target_label": "__tmp_port"},
        copy(f"{ANNOTATION}path", "__metrics_path__"),
        copy("__meta_kubernetes_namespace", "namespace"),
        copy("__meta_kubernetes_pod_name", "pod"),
        copy("__meta_kubernetes_pod_container_name", "container"),
        copy("__meta_kubernetes_pod_label_role", "role"),
        copy(ROLE_LABEL, "role"),
    ]
