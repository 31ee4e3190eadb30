"""Prometheus as a pod, where no program of ours may run on the node: the same program, scraping the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.cluster import prometheus, scrape
from e2e.cluster.images import build_image
from e2e.cluster.rootfs import skeleton

NAMESPACE = "monitoring"
NAME = "prometheus"
PORT = 9090
IMAGE = f"modelrollout.dev/prometheus:v{prometheus.VERSION}"
LABELS = {"app.kubernetes.io/name": NAME}
USER = 65532


def image() -> Path:
    """OCI archive of IMAGE."""
    name, tag = IMAGE.rsplit(":", 1)
    layers = [{"/": skeleton(), "/usr/local/bin/prometheus": prometheus.binary()}]
    return build_image(name, tag=tag, layers=layers, entrypoint=["/usr/local/bin/prometheus"])


def manifests(*, scrape_interval: str) -> list[dict[str, Any]]:
    """Namespace, rights to list pods, configuration, Deployment and Service `monitoring/prometheus`."""
    config = scrape.kubernetes_config(None, scrape_interval=scrape_interval)
    return [
        _object("v1", "Namespace", {"name": NAMESPACE}),
        _object("v1", "ServiceAccount", _named()),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            {"name": NAME},
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        ),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            {"name": NAME},
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
            subjects=[{"kind": "ServiceAccount", **_named()}],
        ),
        _object("v1", "ConfigMap", _named(), data={"prometheus.yml": config}),
        _object("apps/v1", "Deployment", _named(), spec=_deployment()),
        _object("v1", "Service", _named(), spec={"selector": LABELS, "ports": [{"port": PORT, "targetPort": PORT}]}),
    ]


def manifest(*, scrape_interval: str) -> str:
    """The same as one document for `kubectl apply -f -`."""
    items = manifests(scrape_interval=scrape_interval)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _deployment() -> dict[str, Any]:
    arguments = prometheus.command(config=Path("/etc/prometheus/prometheus.yml"), data=Path("/data"), listen=f":{PORT}")
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments[1:],
        # Not `http` or `metrics`: by such a name it would scrape itself.
        "ports": [{"name": "web", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "web"}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "serviceAccountName": NAME,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}


def _named() -> dict[str, Any]:
    return {"name": NAME, "namespace": NAMESPACE}


def _object(version: str, kind: str, metadata: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
