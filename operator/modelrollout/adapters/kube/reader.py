"""Objects by name: from the cache where it can be trusted, else from the API server."""

from __future__ import annotations

from typing import TypeVar

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.resources import Body
from modelrollout.errors import Gone, StaleRead

T = TypeVar("T")


class Reader:
    """What the adapters of single ports share: one client and one cache."""

    def __init__(self, client: KubeClient, cache: ObjectCache) -> None:
        self.client = client
        self.cache = cache

    async def read(self, kind: Kind[T], namespace: str, name: str, *, fresh: bool = False) -> T | None:
        """The object's projection, or None when there is no such object.

        Asks the server when `fresh`, when the kind is not watched, and when the cache is older than our own last write.
        Raises NotServed when the server does not know the kind.
        """
        if not fresh and self.cache.live(kind.resource.kind):
            try:
                return self.cache.find(kind, namespace, name)
            except StaleRead:
                pass
        body = await self._get(kind, namespace, name)
        return None if body is None else self.cache.adopt(kind, body, fresh=True)

    async def fetch(self, kind: Kind[T], namespace: str, name: str) -> Body | None:
        """The whole object as stored now, or None."""
        body = await self._get(kind, namespace, name)
        if body is not None:
            self.cache.adopt(kind, body, fresh=True)
        return body

    def written(self, kind: Kind[T], body: Body) -> T:
        """Take over what the server answered to a write."""
        return self.cache.adopt(kind, body, fresh=True)

    def doubt(self, kind: Kind[T], namespace: str, name: str) -> None:
        """A write failed, or its outcome is unknown: the next read asks the server."""
        self.cache.doubt(kind.resource.kind, namespace, name)

    async def _get(self, kind: Kind[T], namespace: str, name: str) -> Body | None:
        try:
            return await self.client.get(kind.resource, namespace, name)
        except NotServed:
            raise
        except Gone:
            # A watch can miss a deletion; this can't.
            self.cache.vanished(kind.resource.kind, namespace, name)
            return None
