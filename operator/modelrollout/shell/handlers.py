"""The kopf side: which kinds are watched, with which settings, and nothing else. The only importer of kopf."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import kopf

from modelrollout.adapters.kube.resources import DOMAIN, Body, Resource

Take = Callable[[str, str | None, Body], None]


def registry(
    kinds: Iterable[Resource],
    take: Take,
    *,
    inside: bool,
    started: Callable[[], None],
    stop: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """Handlers that pass every event of `kinds` to `take`. `inside`: credentials of the pod, else of KUBECONFIG."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) if inside else kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=made)
    async def startup(**_: Any) -> None:
        started()

    @kopf.on.cleanup(registry=made)
    async def cleanup(**_: Any) -> None:
        await stop()

    for kind in kinds:
        _watch(made, kind, take)
    return made


def _watch(made: kopf.OperatorRegistry, kind: Resource, take: Take) -> None:
    where = {"group": kind.group, "version": kind.version, "plural": kind.plural}

    # With an index per kind, kopf holds all events back until every kind is listed: the first decision sees all.
    @kopf.index(registry=made, id=f"synced-{kind.plural}", **where)  # type: ignore[arg-type]  # plain selectors
    async def synced(**_: Any) -> None:
        return None

    @kopf.on.event(registry=made, id=f"event-{kind.plural}", **where)  # type: ignore[arg-type]  # plain selectors
    async def seen(event: Any, **_: Any) -> None:
        take(kind.kind, event["type"], event["object"])


def settings() -> kopf.OperatorSettings:
    """kopf as a watcher that writes nothing, keeps nothing and never blocks for long."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.scanning.disabled = True
    made.peering.standalone = True
    made.watching.chunk_size = 500
    made.watching.server_timeout = 300
    made.watching.client_timeout = 310
    made.networking.connect_timeout = 10
    made.networking.request_timeout = 30
    made.networking.error_backoffs = [round(pause * (0.75 + random.random() / 2), 2) for pause in (0.5, 1, 2, 4)]
    made.execution.default_backoff = 1
    made.queueing.idle_timeout = 1
    made.queueing.worker_limit = None
    # Never used; a guard in case a later change makes kopf write after all.
    made.persistence.finalizer = f"{DOMAIN}/kopf"
    made.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{DOMAIN}")
    made.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=f"kopf.{DOMAIN}")
    return made


async def watch(made: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Watch until a signal comes, `stop` is set, or a watch fails for good (then it raises)."""
    await kopf.operator(
        registry=made,
        settings=settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
    )
