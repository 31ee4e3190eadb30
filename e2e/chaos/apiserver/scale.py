"""The `scale` subresource of Deployments: an object of its own that shows and takes the number of replicas only."""

from __future__ import annotations

from typing import Any

from e2e.chaos.apiserver.objects import Place, copied
from e2e.chaos.apiserver.patches import merge
from e2e.chaos.apiserver.refusals import Refused, cause, invalid, unsupported
from e2e.chaos.apiserver.store import Store
from modelrollout.adapters.kube.resources import DEPLOYMENTS, Body, Resource

SCALED = frozenset({DEPLOYMENTS})
MERGE_PATCH = "application/merge-patch+json"


def scale_of(body: Body) -> Body:
    """The Scale of a stored object; a zero is left out, as the server does."""
    replicas, now = body["spec"].get("replicas", 1), body.get("status", {}).get("replicas", 0)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: body["metadata"][key] for key in kept if key in body["metadata"]},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": now},
    }


def scaled(
    store: Store, resource: Resource, place: Place, method: str, patch: Any, *, content: str, agent: str
) -> Body:
    """Read it, or merge a patch into it: conditional when the patch names a resourceVersion."""
    current = store.get(resource, place)
    if method == "GET":
        return scale_of(current)
    if method != "PATCH" or content != MERGE_PATCH:
        raise unsupported(MERGE_PATCH) if method == "PATCH" else Refused(405, "MethodNotAllowed", "not allowed")
    wanted = merge(scale_of(current), copied(patch))
    replicas = wanted["spec"].get("replicas") or 0
    if replicas < 0:
        raise invalid(resource, place[1], [cause("Invalid", "spec.replicas", f"Invalid value: {replicas}")])
    version = {"resourceVersion": wanted["metadata"]["resourceVersion"]}
    body = {**current, "metadata": current["metadata"] | version, "spec": current["spec"] | {"replicas": replicas}}
    return scale_of(store.update(resource, place, body, agent=agent, whole=False))
