"""Reads and writes of a router's object at exactly the version that a decision was made on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.ownership import Owned
from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import Body
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import Route, RouteSeen
from modelrollout.errors import ApiUnavailable, Conflict, Gone

V = TypeVar("V", bound=Owned)


async def read_at(reader: Reader, kind: Kind[V], namespace: str, name: str, version: str) -> V:
    """The object at exactly this resourceVersion: from the cache when it has that one. Conflict when it moved on."""
    view = await reader.read(kind, namespace, name)
    if view is None or view.resource_version != version:
        view = await reader.read(kind, namespace, name, fresh=True)
    subject = kind.resource.subject(namespace, name)
    if view is None:
        raise Gone("the route is gone", subject=subject)
    if view.resource_version != version:
        raise Conflict("the route changed since it was read", subject=subject)
    return view


async def patch(reader: Reader, kind: Kind[V], view: V, operations: Sequence[Body]) -> V:
    """Carry out all the operations, if the object is still the one in `view`. Conflict otherwise.

    Raises ApiUnavailable when the outcome is unknown; the next read then asks the server.
    """
    pinned: list[Body] = [{"op": "test", "path": "/metadata/resourceVersion", "value": view.resource_version}]
    try:
        body = await reader.client.json_patch(kind.resource, view.namespace, view.name, [*pinned, *operations])
    except (Conflict, ApiUnavailable):
        reader.doubt(kind, view.namespace, view.name)
        raise
    except Gone:
        reader.cache.vanished(kind.resource.kind, view.namespace, view.name)
        raise
    return reader.written(kind, body)


async def release(reader: Reader, kind: Kind[V], name: str, spec: RolloutSpec, seen: Route) -> None:
    """Take the rollout's ownerReference off its object, still as `seen`, so that it outlives the rollout.

    Conflict when it is not as `seen`. A no-op for an object that is not there or not this rollout's.
    """
    try:
        view = await reader.read(kind, spec.key.namespace, name, fresh=True)
    except NotServed:
        return
    if view is None or spec.uid not in view.owned:
        return
    if isinstance(seen, RouteSeen) and seen.resource_version != view.resource_version:
        raise Conflict("the route changed since it was read", subject=kind.resource.subject(view.namespace, name))
    path = f"/metadata/ownerReferences/{view.owned.index(spec.uid)}"
    try:
        await patch(
            reader,
            kind,
            view,
            [{"op": "test", "path": f"{path}/uid", "value": spec.uid}, {"op": "remove", "path": path}],
        )
    except Gone:
        return
