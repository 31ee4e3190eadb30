"""The one JSON Patch that changes weights of an HTTPRoute. Used by every router on HTTPRoutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.adapters.kube.httproute import RouteView
from modelrollout.adapters.kube.projection import HTTPROUTE
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.errors import ApiUnavailable, Conflict, Gone

NO_GATEWAY_API = (
    "this cluster does not serve HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API CRDs and a gateway"
)


@dataclass(frozen=True, slots=True)
class Change:
    """A new weight for the Service at one position."""

    rule: int
    backend: int
    service: str
    weight: int


async def read_at(reader: Reader, namespace: str, name: str, version: str) -> RouteView:
    """The route at exactly this resourceVersion: from the cache when it has that one. Conflict when it moved on."""
    view = await reader.read(HTTPROUTE, namespace, name)
    if view is None or view.resource_version != version:
        view = await reader.read(HTTPROUTE, namespace, name, fresh=True)
    subject = HTTPROUTES.subject(namespace, name)
    if view is None:
        raise Gone("the route is gone", subject=subject)
    if view.resource_version != version:
        raise Conflict("the route changed since it was read", subject=subject)
    return view


async def set_weights(reader: Reader, view: RouteView, changes: Sequence[Change]) -> RouteView:
    """Write all the weights at once, if the route is still the one in `view`. Conflict otherwise.

    Raises ApiUnavailable when the outcome is unknown; the next read then asks the server.
    """
    operations: list[Body] = [{"op": "test", "path": "/metadata/resourceVersion", "value": view.resource_version}]
    for change in changes:
        path = f"/spec/rules/{change.rule}/backendRefs/{change.backend}"
        operations.append({"op": "test", "path": f"{path}/name", "value": change.service})
    for change in changes:
        path = f"/spec/rules/{change.rule}/backendRefs/{change.backend}"
        # `add` sets a member whether or not it is there.
        operations.append({"op": "add", "path": f"{path}/weight", "value": change.weight})
    try:
        body = await reader.client.json_patch(HTTPROUTES, view.namespace, view.name, operations)
    except (Conflict, ApiUnavailable):
        reader.doubt(HTTPROUTE, view.namespace, view.name)
        raise
    except Gone:
        reader.cache.remove(HTTPROUTES.kind, view.namespace, view.name)
        raise
    return reader.written(HTTPROUTE, body)
