"""Ingresses of the suites, and what is read back from them."""

from __future__ import annotations

from contextlib import suppress

from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import INGRESS_CLASSES, INGRESSES, SERVICES, Body
from modelrollout.errors import Conflict
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube

NGINX = "nginx.ingress.kubernetes.io"
HOST = "fraud.example.com"
CANARY = route_name("fraud")


def path(service: str, where: str = "/predict", *, port: int | str = PORT, kind: str = "Prefix") -> Body:
    named = {"name": port} if isinstance(port, str) else {"number": port}
    return {"path": where, "pathType": kind, "backend": {"service": {"name": service, "port": named}}}


def ingress(*paths: Body, host: str = HOST, class_name: str | None = "nginx", **annotations: str) -> Body:
    """An Ingress; `annotations` without the prefix of ingress-nginx, `_` for `-`."""
    named = {f"{NGINX}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    spec: Body = {"rules": [{"host": host, "http": {"paths": list(paths)}}]}
    return {
        "metadata": {"annotations": named},
        "spec": spec | ({"ingressClassName": class_name} if class_name else {}),
    }


async def ingress_class(kube: Kube, name: str = "nginx", controller: str = "k8s.io/ingress-nginx") -> None:
    """A class of the whole cluster, which other tests may have made."""
    body: Body = {
        "apiVersion": INGRESS_CLASSES.api_version,
        "kind": INGRESS_CLASSES.kind,
        "metadata": {"name": name},
        "spec": {"controller": controller},
    }
    with suppress(Conflict):
        await kube.other.create(INGRESS_CLASSES, "", body)


async def legacy_service(kube: Kube) -> None:
    """Legacy's Service, whose port has a name."""
    ports = [{"port": PORT, "name": "http", "targetPort": PORT, "protocol": "TCP"}]
    await kube.create(SERVICES, LEGACY, {"spec": {"ports": ports, "selector": {"app": LEGACY}}})


async def main(kube: Kube, *paths: Body, name: str = "fraud", **more: str) -> Body:
    """The Ingress of the users: one path to legacy and one to something else, unless told otherwise."""
    return await kube.create(INGRESSES, name, ingress(*(paths or (path(LEGACY), path("web", "/"))), **more))


async def canary(kube: Kube) -> Body:
    """Ours, as stored now."""
    return await kube.get(INGRESSES, CANARY)


def settings(body: Body) -> dict[str, str]:
    """Its canary annotations, without the prefix."""
    found = body["metadata"].get("annotations") or {}
    return {key.removeprefix(f"{NGINX}/"): value for key, value in found.items() if key.startswith(f"{NGINX}/")}


def backends(body: Body) -> list[tuple[str, str, str, str, int]]:
    """Host, path, type, Service and port of every path."""
    return [
        (rule.get("host", ""), p["path"], p["pathType"], service["name"], service["port"]["number"])
        for rule in body["spec"]["rules"]
        for p in rule["http"]["paths"]
        if (service := p["backend"]["service"])
    ]


OURS = [(HOST, "/predict", "Prefix", CANDIDATE, PORT)]
