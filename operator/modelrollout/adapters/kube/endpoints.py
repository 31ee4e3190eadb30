"""Ready endpoints behind a Service, of all its pods or of those of one Deployment."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.adapters.kube.projection import SERVICE_NAME, SLICE, SliceView, slice_view
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import SLICES
from modelrollout.errors import StaleRead
from modelrollout.runtime.arms import owners


async def slices_of(reader: Reader, namespace: str, service: str, *, fresh: bool) -> list[SliceView]:
    """The Service's EndpointSlices: from the cache, or as stored now when `fresh`."""
    cache = reader.cache
    if not fresh and cache.live(SLICES.kind):
        try:
            found = [cache.find(SLICE, namespace, name) for name in cache.slices(namespace, service)]
            return [view for view in found if view is not None]
        except StaleRead:
            pass
    listing = await reader.client.list_all(SLICES, namespace, selector=f"{SERVICE_NAME}={service}")
    return [slice_view(body) for body in listing.items]


def ready_endpoints(slices: Sequence[SliceView], port: str, *, deployment: str = "") -> int:
    """Different ready endpoints that serve the port of this name, of this Deployment's pods if one is named.

    A pod with two address families counts once.
    """
    families: dict[str, set[str]] = {}
    for view in slices:
        if port in view.ports:
            ready = {pod for pod in view.ready if not deployment or deployment in owners(pod)}
            families.setdefault(view.family, set()).update(ready)
    return max((len(endpoints) for endpoints in families.values()), default=0)
