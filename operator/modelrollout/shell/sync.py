"""Full lists of every watched kind: at start, when leadership is won, and every few minutes after.

They fill the cache before the watch has said anything, prune what the watch failed to say is gone, and count how much
it had missed.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from collections.abc import Mapping, Sequence

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import PAGE, KubeClient
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    HTTPROUTES,
    NAMESPACES,
    PROFILES,
    ROLLOUTS,
    SERVICES,
    SLICES,
    SOURCES,
    Body,
    Resource,
)
from modelrollout.adapters.kube.rollout_view import ROLLOUT
from modelrollout.adapters.kube.router_objects import MAY_BE_ABSENT, ON_DEMAND, router_kinds
from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.model import Key, RolloutSpec
from modelrollout.errors import Denied, Gone
from modelrollout.ports import RolloutObject
from modelrollout.runtime.store import Store

log = logging.getLogger(__name__)

SOURCE_KIND, ROLLOUT_KIND = SOURCES, ROLLOUTS
WATCHED: tuple[Resource, ...] = (SOURCES, PROFILES, ACTIONS, DEPLOYMENTS, SERVICES, SLICES, HTTPROUTES, ROLLOUTS)
"""In every cluster, whatever its rollouts are; the last one must be the rollouts."""
DISPENSABLE: frozenset[Resource] = MAY_BE_ABSENT | {PROFILES}
"""What the cluster may lack, also because its CRDs are older than this release."""
REFUSABLE: frozenset[Resource] = frozenset((*ON_DEMAND, PROFILES))
"""What the operator may be refused, also because its rights are older."""
SECRETS = Resource("", "v1", "secrets", "Secret")


class Unusable(Exception):
    """The cluster lacks something without which the operator can't run; the text is for the user."""


class Sync:
    """Lists everything in scope.

    `namespaces` empty means all; `selector`: labels of the rollouts; `page`: objects per request.
    """

    def __init__(
        self,
        *,
        client: KubeClient,
        cache: ObjectCache,
        store: Store,
        sources: Sources,
        labels: NamespaceLabels,
        namespaces: Sequence[str],
        selector: str = "",
        page: int = PAGE,
    ) -> None:
        self._client = client
        self._cache = cache
        self._store = store
        self._sources = sources
        self._labels = labels
        self._namespaces = tuple(namespaces)
        self._selector = selector
        self._page = page
        self._known_sources: set[str] = set()
        self._asked: frozenset[Resource] = frozenset()
        self._absent: set[Resource] = set()
        self._one_at_a_time = asyncio.Lock()

    @property
    def kinds(self) -> tuple[Resource, ...]:
        """The kinds that must be watched: those of `WATCHED` and those that a rollout uses, if the cluster has them."""
        asked = (*WATCHED, *(resource for resource in ON_DEMAND if resource in self._asked))
        return tuple(resource for resource in asked if resource not in self._absent)

    def overlooks(self, spec: RolloutSpec) -> bool:
        """Whether this rollout's router uses a kind that was not asked for at the last list."""
        return not router_kinds(spec) <= self._asked.union(WATCHED)

    async def __call__(self) -> tuple[int, tuple[Key, ...]]:
        """List every kind; returns the drift and the rollouts concerned.

        Raises Unusable when a kind is not served or must not be listed, and what the client raises. A kind of some
        routers may be missing: what is not listed is not live in the cache, and who needs it asks the server.
        """
        async with self._one_at_a_time:
            doubts = self._store.doubts
            drift = 0
            concerned: dict[Key, None] = {}
            used = self._used()
            *others, rollouts = WATCHED
            for resource in (*others, *used, rollouts):
                missed, keys = await self._list(resource, doubts)
                drift += missed
                concerned.update(dict.fromkeys(keys))
            now = self._used()
            for resource in now:
                if resource not in used:  # rollouts of this very list use it
                    missed, keys = await self._list(resource, doubts)
                    drift += missed
                    concerned.update(dict.fromkeys(keys))
            for resource in self._asked.difference(now):
                self._cache.clear(resource.kind)
            self._asked = frozenset(now)
            await self._labels.load({key.namespace for key in self._store})
            return drift, tuple(concerned)

    def _used(self) -> tuple[Resource, ...]:
        known = (self._store.glance(key) for key in self._store)
        kinds = {kind for obj in known if obj is not None and obj.spec is not None for kind in router_kinds(obj.spec)}
        return tuple(resource for resource in ON_DEMAND if resource in kinds)

    def _without(self, resource: Resource, why: str) -> tuple[int, tuple[Key, ...]]:
        """Go on without a kind that only some routers need: it is not live in the cache, so readers ask the server."""
        if resource not in self._absent:
            log.warning("%s: rollouts that need them are told so", why)
        self._absent.add(resource)
        self._cache.suspend(resource.kind)
        return 0, ()

    async def _list(self, resource: Resource, doubts: int) -> tuple[int, tuple[Key, ...]]:
        scopes = self._namespaces if resource.namespaced and self._namespaces else ("",)
        before = frozenset(self._store)
        rollouts: list[RolloutObject] = []
        sources: list[Body] = []
        drift = 0
        concerned: list[Key] = []
        for namespace in scopes:
            refill = self._cache.refill(resource.kind, namespace)
            version = ""
            seen: list[RolloutObject] = []
            try:
                selector = self._selector if resource is ROLLOUT_KIND else ""
                async for page in self._client.pages(resource, namespace, selector=selector, page=self._page):
                    if page.first:
                        refill.again()
                        seen.clear()
                        sources.clear()
                    refill.add(page.items)
                    version = page.resource_version
                    if resource is ROLLOUT_KIND:
                        seen.extend(self._cache.adopt(ROLLOUT, body) for body in page.items)
                    elif resource is SOURCE_KIND:
                        sources.extend(page.items)
            except NotServed as error:
                if resource in DISPENSABLE:
                    return self._without(resource, f"the cluster does not serve {resource.plural}")
                raise Unusable(_not_served(resource)) from error
            except Denied as error:
                where = f"in namespace {namespace}" if namespace else "in the whole cluster"
                if resource in REFUSABLE:
                    return self._without(resource, f"the operator may not list {resource.plural} {where}")
                raise Unusable(
                    f"the operator may not list {resource.plural} {where}: grant it, or restrict it with --namespace"
                ) from error
            missed, keys = refill.done(version)
            rollouts.extend(seen)
            drift += missed
            concerned.extend(keys)
        self._absent.discard(resource)
        if resource is ROLLOUT_KIND:
            # The last kind: with it everything has been read that a look at a rollout reads.
            found = self._store.reconcile(rollouts, before, doubts)
            concerned.extend((*found.missing, *found.stale, *found.ghosts))
        if resource is SOURCE_KIND:
            await self._take_sources(sources)
        return drift, tuple(concerned)

    async def _take_sources(self, bodies: Sequence[Body]) -> None:
        listed = {str(body["metadata"]["name"]) for body in bodies}
        for name in self._known_sources - listed:
            self._sources.remove(name)
        self._known_sources = listed
        for body in bodies:
            await self._sources.update(body)


class NamespaceLabels:
    """Labels of the namespaces that have rollouts, read when needed; MetricSources select by them."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: dict[str, Mapping[str, str]] = {}

    def __call__(self, namespace: str) -> Mapping[str, str] | None:
        """The labels, or None while they are unknown."""
        return self._known.get(namespace)

    def known(self, namespace: str) -> bool:
        """Whether the labels have been read."""
        return namespace in self._known

    async def load(self, namespaces: set[str]) -> None:
        """Read them (again). Raises what the client raises; a namespace that may not be read has no labels."""
        for namespace in sorted(namespaces):
            try:
                body = await self._client.get(NAMESPACES, "", namespace)
            except Gone:
                self._known.pop(namespace, None)
                continue
            except Denied:
                if namespace not in self._known:
                    log.warning("namespace %s may not be read: MetricSources that select by label refuse it", namespace)
                self._known[namespace] = {"kubernetes.io/metadata.name": namespace}
                continue
            self._known[namespace] = dict(body["metadata"].get("labels") or {})


class Secrets:
    """Reads keys of Secrets in the operator's own namespace; keeps nothing."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def __call__(self, name: str, key: str) -> str | None:
        """The text of a key, or None when there is no such Secret or key, or no text in it."""
        try:
            body = await self._client.get(SECRETS, self._namespace, name)
        except Gone:
            return None
        value = (body.get("data") or {}).get(key)
        try:
            return None if value is None else b64decode(value, validate=True).decode()
        except ValueError:
            return None


def _not_served(resource: Resource) -> str:
    fix = "install the CRDs of this release (kubectl apply -f crds/, or the chart with crds.enabled=true)"
    return f"the cluster does not serve {resource.plural} ({resource.api_version}): {fix}"
