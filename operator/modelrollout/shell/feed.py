"""What the watches tell, handed to cache, store and queue: no I/O, no decision, a few dozen microseconds an event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.resources import ACTIONS, PROFILES, ROLLOUTS, SOURCES, Body
from modelrollout.adapters.kube.rollout_view import ROLLOUT
from modelrollout.core.model import ActionVerb, Key, RolloutSpec
from modelrollout.runtime.engine import Engine
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.store import Store

log = logging.getLogger(__name__)


class Feed:
    """Takes watch events. What needs I/O goes to `sources` and `strangers`, which a task of the shell works off.

    `strangers`: namespaces with a rollout whose labels have not been read yet. `spec_seen` is told of the valid spec in
    each new state of a rollout, `profile_seen` that a SliProfile is new or changed.
    """

    def __init__(
        self,
        *,
        cache: ObjectCache,
        store: Store,
        engine: Engine,
        namespace_known: Callable[[str], bool],
        spec_seen: Callable[[RolloutSpec], None],
    ) -> None:
        self._cache = cache
        self._store = store
        self._engine = engine
        self._namespace_known = namespace_known
        self._spec_seen = spec_seen
        self.profile_seen: Callable[[], None] = lambda: None
        self.sources: asyncio.Queue[tuple[str, Body | None]] = asyncio.Queue()
        self.strangers: asyncio.Queue[str] = asyncio.Queue()
        self.last = float("-inf")
        """Loop time of the newest event."""

    def event(self, kind: str, type: str | None, body: Body) -> None:
        """One watch event; `type` None is an object of the watch's own LIST."""
        self.last = asyncio.get_running_loop().time()
        try:
            if type == "DELETED":
                self._removed(kind, body)
            else:
                self._seen(kind, body)
        except Exception:
            # One object that can't be read must not end the watch of the others.
            metadata = body.get("metadata") or {}
            log.exception("%s %s/%s can't be taken in", kind, metadata.get("namespace", ""), metadata.get("name", ""))

    def _seen(self, kind: str, body: Body) -> None:
        if kind == ROLLOUTS.kind:
            obj = self._cache.adopt(ROLLOUT, body)
            if not self._store.put(obj):
                return
            if not self._namespace_known(obj.key.namespace):
                self.strangers.put_nowait(obj.key.namespace)
            if obj.spec is not None:
                self._spec_seen(obj.spec)
            self._engine.enqueue(obj.key, Priority.URGENT if obj.deleting else Priority.NORMAL)
            return
        keys = self._cache.apply(kind, body)
        if kind == SOURCES.kind:
            self.sources.put_nowait((str(body["metadata"]["name"]), body))
        if kind == PROFILES.kind:
            self.profile_seen()
        self._look(keys, Priority.URGENT if kind == ACTIONS.kind and _aborts(body) else Priority.NORMAL)

    def _removed(self, kind: str, body: Body) -> None:
        metadata = body["metadata"]
        namespace, name = str(metadata.get("namespace", "")), str(metadata["name"])
        keys = self._cache.remove(kind, namespace, name, str(metadata.get("resourceVersion", "")))
        if kind == ROLLOUTS.kind:
            key = Key(namespace, name)
            known = self._store.glance(key)
            if known is None or known.uid == metadata.get("uid"):
                self._engine.forget(key)
            return
        if kind == SOURCES.kind:
            self.sources.put_nowait((name, None))
        self._look(keys, Priority.NORMAL)

    def _look(self, keys: tuple[Key, ...], priority: Priority) -> None:
        for key in keys:
            self._engine.enqueue(key, priority)


def _aborts(body: Body) -> bool:
    spec = body.get("spec") or {}
    return spec.get("action") == ActionVerb.ABORT.value and not (body.get("status") or {}).get("result")
