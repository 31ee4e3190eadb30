"""What the operator needs to know of an Ingress and its class, in little memory. Pure.

The canary annotations are read as ingress-nginx reads them (its `annotations/canary` and `balancer.lua`): a weight that
is no number is 0, a total of up to 100 is 100, and a header's rule comes before a cookie's, and that before the weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from modelrollout.adapters.kube.ownership import (
    APPLIED,
    KUBECTL_APPLIED,
    MANAGER_LABEL,
    Owned,
    known,
)
from modelrollout.adapters.kube.resources import Body
from modelrollout.adapters.kube.weights import share
from modelrollout.core.model import ZERO, Weight

NGINX = "nginx.ingress.kubernetes.io"
CANARY = f"{NGINX}/canary"
WEIGHT = f"{NGINX}/canary-weight"
TOTAL = f"{NGINX}/canary-weight-total"
HEADER = f"{NGINX}/canary-by-header"
HEADER_VALUE = f"{NGINX}/canary-by-header-value"
AFFINITY = f"{NGINX}/affinity"
OURS = frozenset({CANARY, WEIGHT, TOTAL, APPLIED})
"""Annotations of a canary Ingress that are the operator's, and nobody else's."""

PERCENT = 100
EXACT, PREFIX = "Exact", "Prefix"

PathKey = tuple[str, str, str]
"""Host (empty: every host), path and type: where nginx looks for the main Ingress of a canary."""


@dataclass(frozen=True, slots=True)
class Path:
    """One path of one host. `service` None: not a Service. `port`: number, or name as the Service calls it."""

    key: PathKey
    service: str | None
    port: int | str | None


@dataclass(frozen=True, slots=True)
class Canary:
    """The canary annotations. `weight` and `total`: None when absent or no number; `header`: name and value, if any."""

    enabled: bool
    weight: int | None
    total: int | None
    header: tuple[str, str] | None

    @property
    def share(self) -> Weight:
        """What nginx gives it of the requests that no header or cookie decides about."""
        total = self.total if self.total is not None and self.total > PERCENT else PERCENT
        return share(min(max(self.weight or 0, 0), total), total) if self.enabled else ZERO


@dataclass(frozen=True, slots=True)
class IngressView(Owned):
    """An Ingress as stored.

    `annotations`: names of those that others gave to an object of ours; of other objects none. `applied`: digests of
    the parts that we wrote last. `sticky`: nginx keeps users where they are. `default`: the default backend's Service.
    """

    applied: tuple[str, ...]
    annotations: tuple[str, ...]
    class_name: str | None
    canary: Canary | None
    sticky: bool
    paths: tuple[Path, ...]
    default: str | None

    @property
    def is_canary(self) -> bool:
        """Whether nginx takes it for a canary of another Ingress."""
        return self.canary is not None and self.canary.enabled


@dataclass(frozen=True, slots=True)
class ClassView:
    """An IngressClass: who serves its Ingresses."""

    controller: str


def ingress_view(body: Body) -> IngressView:
    """The view of an Ingress body."""
    metadata = body.get("metadata") or {}
    spec = body.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    about = known(metadata)
    foreign = (a for a in annotations if a not in OURS and a != KUBECTL_APPLIED)
    class_name = spec.get("ingressClassName")
    return IngressView(
        **about,
        applied=tuple(intern(mark) for mark in str(annotations.get(APPLIED, "")).split()),
        annotations=tuple(sorted(foreign)) if about["managed_by"] == MANAGER_LABEL else (),
        class_name=None if class_name is None else intern(str(class_name)),
        canary=_canary(annotations),
        sticky=AFFINITY in annotations,
        paths=tuple(
            path_of(str(rule.get("host") or ""), path)
            for rule in spec.get("rules") or ()
            for path in (rule.get("http") or {}).get("paths") or ()
        ),
        default=_backend(spec.get("defaultBackend") or {})[0],
    )


def class_view(body: Body) -> ClassView:
    """The view of an IngressClass body."""
    return ClassView(str((body.get("spec") or {}).get("controller", "")))


def path_of(host: str, path: Mapping[str, Any]) -> Path:
    """One entry of a rule's paths."""
    service, port = _backend(path.get("backend") or {})
    key = (intern(host), intern(str(path.get("path") or "")), str(path.get("pathType") or ""))
    return Path(key, None if service is None else intern(service), port)


def where(key: PathKey) -> str:
    """How messages call a path."""
    host, path, _ = key
    return f"path {path or '/'} of {f'host {host}' if host else 'every host'}"


def _backend(backend: Mapping[str, Any]) -> tuple[str | None, int | str | None]:
    service = backend.get("service")
    if not service:
        return None, None
    port = service.get("port") or {}
    return str(service.get("name", "")), port.get("number") or port.get("name")


def _canary(annotations: Mapping[str, Any]) -> Canary | None:
    if not annotations.keys() & {CANARY, WEIGHT, HEADER}:
        return None
    header = annotations.get(HEADER)
    return Canary(
        enabled=str(annotations.get(CANARY, "")).lower() in ("true", "1", "t"),
        weight=_number(annotations.get(WEIGHT)),
        total=_number(annotations.get(TOTAL)),
        header=(str(header), str(annotations.get(HEADER_VALUE, ""))) if header else None,
    )


def _number(text: object) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None
