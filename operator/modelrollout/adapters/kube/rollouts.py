"""`Rollouts` and `Actions` on the API server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import ACTIONS, FINALIZER, ROLLOUTS, Body
from modelrollout.adapters.kube.rollout_view import ACTION, ROLLOUT, ActionView, rollout_object
from modelrollout.adapters.kube.selector import EVERYTHING, LabelSelector
from modelrollout.api.status_codec import encode, encode_result
from modelrollout.core.intents import ActionResult
from modelrollout.core.model import Key
from modelrollout.core.observation import ActionRequest
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Conflict, Gone, StaleRead
from modelrollout.ports import RolloutObject


class KubeRollouts:
    """`Rollouts` port.

    Every read asks the server: what the watch has shown is kept by `runtime.store`. `namespaces` empty means all. An
    object that `selector` does not select is another shard's, and so is gone for this one.
    """

    def __init__(self, reader: Reader, *, namespaces: Sequence[str] = (), selector: LabelSelector = EVERYTHING) -> None:
        self._reader = reader
        self._selector = selector
        self._client = reader.client
        self._namespaces = tuple(namespaces) or ("",)

    async def get(self, key: Key) -> RolloutObject:
        """The object as stored now. Raises Gone."""
        body = await self._reader.fetch(ROLLOUT, key.namespace, key.name)
        if body is None:
            raise Gone("there is no such object", subject=ROLLOUTS.subject(key.namespace, key.name))
        if not self._selector.matches(body["metadata"].get("labels") or {}):
            self._reader.cache.remove(ROLLOUTS.kind, key.namespace, key.name)
            raise Gone("its labels make it another shard's", subject=ROLLOUTS.subject(key.namespace, key.name))
        return self._reader.cache.adopt(ROLLOUT, body)

    async def list(self) -> Sequence[RolloutObject]:
        """Every object in scope, as stored now."""
        text = self._selector.text
        pages = [await self._client.list_all(ROLLOUTS, namespace, selector=text) for namespace in self._namespaces]
        return [rollout_object(body) for page in pages for body in page.items]

    async def write_status(self, obj: RolloutObject, status: RolloutStatus) -> RolloutObject:
        """Replace the status if the object is still at `obj.resource_version`; returns it as stored."""
        patch: Body = {"metadata": {"resourceVersion": obj.resource_version}, "status": encode(status)}
        place = (obj.key.namespace, obj.key.name)
        try:
            body = await self._client.merge_patch(ROLLOUTS, *place, patch, subresource="status")
        except Gone:
            self._reader.cache.vanished(ROLLOUTS.kind, *place)
            raise
        return self._reader.written(ROLLOUT, body)

    async def add_finalizer(self, obj: RolloutObject) -> RolloutObject:
        """Add our finalizer if the object is still at `obj.resource_version`; a no-op when it is there."""
        if obj.finalizer:
            return obj
        body = await self._current(obj)
        if body is None:
            raise Gone("there is no such object", subject=ROLLOUTS.subject(obj.key.namespace, obj.key.name))
        if FINALIZER in (body["metadata"].get("finalizers") or ()):
            return rollout_object(body)
        if body["metadata"].get("finalizers"):
            change: Body = {"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}
        else:
            change = {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}
        return self._reader.written(ROLLOUT, await self._patch(obj, [change]))

    async def drop_finalizer(self, obj: RolloutObject) -> None:
        """Remove our finalizer under the same condition; a no-op when it or the object is gone."""
        try:
            body = await self._current(obj)
            finalizers = (body or {}).get("metadata", {}).get("finalizers") or []
            if FINALIZER not in finalizers:
                return
            path = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
            await self._patch(obj, [{"op": "test", "path": path, "value": FINALIZER}, {"op": "remove", "path": path}])
        except Gone:
            return

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        """Write the result of a `RolloutAction` of this namespace; a no-op when it, or that very one, is gone."""
        operations: list[Body] = [
            {"op": "test", "path": "/metadata/uid", "value": result.uid},
            {"op": "add", "path": "/status", "value": encode_result(result, at)},
        ]
        try:
            body = await self._client.json_patch(ACTIONS, key.namespace, result.name, operations, subresource="status")
        except (Gone, Conflict):
            # Only the uid is tested: a conflict is another action of the same name.
            self._reader.doubt(ACTION, key.namespace, result.name)
            return
        self._reader.written(ACTION, body)

    async def delete_action(self, namespace: str, name: str) -> None:
        """Delete an old finished action; a no-op when it is gone."""
        with suppress(Gone):
            await self._client.delete(ACTIONS, namespace, name)
        self._reader.cache.remove(ACTIONS.kind, namespace, name)

    async def _current(self, obj: RolloutObject) -> Body | None:
        body = await self._reader.fetch(ROLLOUT, obj.key.namespace, obj.key.name)
        if body is not None and body["metadata"]["uid"] != obj.uid:
            raise Gone("another object of that name", subject=ROLLOUTS.subject(obj.key.namespace, obj.key.name))
        return body

    async def _patch(self, obj: RolloutObject, changes: Sequence[Body]) -> Body:
        condition: Body = {"op": "test", "path": "/metadata/resourceVersion", "value": obj.resource_version}
        return await self._client.json_patch(ROLLOUTS, obj.key.namespace, obj.key.name, [condition, *changes])


class CachedActions:
    """`Actions` port: from the cache alone."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        """Those without a result, oldest first; of the same second by name."""
        views = (self._find(key.namespace, name) for name in self._cache.actions(key))
        waiting = [view.request for view in views if view is not None and view.request is not None]
        return sorted(waiting, key=lambda request: (request.created, request.name))

    def finished(self, before: float) -> Sequence[tuple[str, str]]:
        """Namespace and name of the actions created before that time that wait for nothing."""
        return [
            (view.namespace, view.name)
            for view in self._cache.every(ACTION)
            if view.request is None and view.created < before
        ]

    def _find(self, namespace: str, name: str) -> ActionView | None:
        kind: Kind[ActionView] = ACTION
        try:
            return self._cache.find(kind, namespace, name)
        except StaleRead:
            # Its result is being written, by us.
            return None
