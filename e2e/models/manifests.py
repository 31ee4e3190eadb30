"""Kubernetes objects of one arm: a Deployment and its Service, as dicts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

PORT = 8080
ADMIN_PORT = 8081
USER = 65532
PRE_STOP_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What makes one arm. `rollout` names the ModelRollout; `peers` are versions whose labels may arrive here.

    `behaviour` overrides the variant's start behaviour (`behaviour.Behaviour`). `labels` are added to the
    Deployment and its pods. `annotations` go to the pod template: changing one makes a new revision. `cohort_seconds`:
    length of the cohorts that predictions and labels are counted by; 0 for none.
    """

    name: str
    namespace: str
    rollout: str
    role: Literal["legacy", "candidate"]
    variant: str
    version: str
    image: str
    replicas: int = 1
    model: str = "tumour"
    peers: Sequence[str] = ()
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cohort_seconds: int = 0
    pull_policy: Literal["Never", "IfNotPresent"] = "IfNotPresent"

    @property
    def selector(self) -> dict[str, str]:
        """Labels that pick this arm's pods and no others; they never change."""
        return {"app.kubernetes.io/name": self.name}

    @property
    def all_labels(self) -> dict[str, str]:
        """Labels of the objects and the pods."""
        return {
            **self.selector,
            "app.kubernetes.io/part-of": self.rollout,
            "app.kubernetes.io/version": self.version,
            "modelrollout.dev/rollout": self.rollout,
            "modelrollout.dev/role": self.role,
            **self.labels,
        }


def objects(arm: Arm) -> list[dict[str, Any]]:
    """Return the Deployment and the Service of the arm."""
    return [deployment(arm), service(arm)]


def service(arm: Arm) -> dict[str, Any]:
    """Return the Service `<name>` with port `http` (8080). The admin port is not in it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": arm.name, "namespace": arm.namespace, "labels": arm.all_labels},
        "spec": {
            "selector": arm.selector,
            "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def deployment(arm: Arm) -> dict[str, Any]:
    """Return the Deployment `<name>`; fits the pod security level `restricted`."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": arm.name, "namespace": arm.namespace, "labels": arm.all_labels},
        "spec": {
            "replicas": arm.replicas,
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": arm.selector},
            "template": {
                "metadata": {
                    "labels": arm.all_labels,
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(PORT),
                        **arm.annotations,
                    },
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 15,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(arm)],
                },
            },
        },
    }


def _container(arm: Arm) -> dict[str, Any]:
    env: list[dict[str, Any]] = [
        {"name": "VARIANT", "value": arm.variant},
        {"name": "MODEL_NAME", "value": arm.model},
        {"name": "MODEL_VERSION", "value": arm.version},
        {"name": "ARM", "value": arm.role},
        {"name": "PEER_VERSIONS", "value": ",".join(arm.peers)},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    if arm.cohort_seconds:
        env.append({"name": "COHORT_SECONDS", "value": str(arm.cohort_seconds)})
    if arm.behaviour:
        env.append({"name": "BEHAVIOUR", "value": json.dumps(dict(arm.behaviour), sort_keys=True)})
    return {
        "name": "model",
        "image": arm.image,
        "imagePullPolicy": arm.pull_policy,
        "env": env,
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 2,
            "failureThreshold": 6,
        },
        # The gateway hears of the pod's end later than the pod: without this pause scaling down gives 503s.
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
