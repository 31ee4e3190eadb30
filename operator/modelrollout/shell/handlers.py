"""The kopf side: which kinds are watched, with which settings, and nothing else. The only importer of kopf."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from modelrollout.adapters.kube.credentials import Credentials
from modelrollout.adapters.kube.resources import DOMAIN, ROLLOUTS, Body, Resource
from modelrollout.errors import Denied

log = logging.getLogger(__name__)

Take = Callable[[str, str | None, Body], None]
Login = Callable[[], Awaitable[Credentials]]
"""Reads credentials anew; raises Denied when there are none."""
PAUSE = 1.0
"""Seconds before a watch that failed is begun anew."""
GRACE = 10.0
"""Seconds that kopf is given to end."""
LOOK = 0.5
"""Seconds between two looks at whether all kinds are still watched."""
ATTEMPTS = 10
WATCHER = "watcher for "
"""How kopf's tasks are named that watch one kind."""


class Stuck(RuntimeError):
    """kopf neither watches nor ends."""


class Watcher:
    """kopf on a thread and event loop of its own, begun anew when it fails.

    kopf ends itself when an outage outlasts its few retries, and at its end cancels every task of its loop, its own or
    not. The engine must outlive both: a revert is due two seconds after the API server's return, not after a restart
    of the pod. Nor does kopf always come to its end, so whether every kind is still watched is looked at from here.

    `kinds` tells what is to be watched now; when that changes the watch begins anew with the others.
    """

    def __init__(
        self,
        kinds: Callable[[], tuple[Resource, ...]],
        take: Take,
        *,
        login: Login,
        namespaces: tuple[str, ...],
        selector: str = "",
        started: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._kinds = kinds
        self._take = take
        self._login = login
        self._namespaces = namespaces
        self._selector = selector
        self._started = started
        self._failed = failed
        self._stop: Callable[[], None] | None = None

    async def run(self) -> None:
        """Watch until cancelled; `take`, `started` and `failed` are called on the caller's loop."""
        while True:
            kinds = self._kinds()
            error = await self._once(kinds)
            if error is None and self._kinds() != kinds:
                log.info("other kinds must be watched now: the watch begins anew")
            else:
                log.error("the watch has failed and begins anew: %s", type(error).__name__ if error else "it ended")
            self._failed()
            await asyncio.sleep(PAUSE * (0.75 + random.random() / 2))

    async def _once(self, kinds: tuple[Resource, ...]) -> BaseException | None:
        home = asyncio.get_running_loop()
        over: asyncio.Future[BaseException | None] = home.create_future()

        def call(function: Callable[..., None], *args: object) -> None:
            with contextlib.suppress(RuntimeError):  # the home loop has closed: nobody is interested any more
                home.call_soon_threadsafe(function, *args)

        def end(error: BaseException | None) -> None:
            if not over.done():
                over.set_result(error)

        def work() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._watch(kinds, call, stuck=lambda: call(end, Stuck())))
            except BaseException as raised:
                error = raised
            call(end, error)

        thread = threading.Thread(target=work, name="watch", daemon=True)
        thread.start()
        try:
            return await asyncio.shield(over)
        except asyncio.CancelledError:
            if self._stop is not None:
                self._stop()
            await asyncio.wait({over}, timeout=GRACE)
            raise
        finally:
            self._stop = None

    async def _watch(
        self, kinds: tuple[Resource, ...], call: Callable[..., None], *, stuck: Callable[[], None]
    ) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: _quietly(loop, stop.set)

        def take(kind: str, type: str | None, body: Body) -> None:
            call(self._take, kind, type, body)

        working = kopf.operator(
            registry=registry(kinds, take, login=self._login, started=lambda: call(self._started)),
            settings=settings(self._selector),
            memories=NoMemories(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=list(self._namespaces),
            stop_flag=stop,
        )
        main = asyncio.create_task(working, name="kopf")
        await _whole(main, lambda: self._kinds() == kinds)
        if self._kinds() != kinds:
            stop.set()
        if not await _ended(main):
            # The loop of this thread can't be closed either: it is left behind.
            stuck()
        await main


async def _whole(main: asyncio.Task[None], wanted: Callable[[], bool]) -> None:
    """Return when kopf has ended, when one of the kinds is no longer watched: then it ends, or should; or when these
    kinds are no longer `wanted`.
    """
    most = 0
    while wanted() and not main.done():
        watching = sum(1 for task in asyncio.all_tasks() if task.get_name().startswith(WATCHER))
        if watching < most:
            return
        most = watching
        await asyncio.wait({main}, timeout=LOOK)


async def _ended(main: asyncio.Task[None]) -> bool:
    """Help kopf to end: a watch that is cancelled in the middle of a request takes it for a pause and goes on."""
    for _ in range(ATTEMPTS):
        done, _ = await asyncio.wait({main}, timeout=GRACE / ATTEMPTS)
        if done:
            return True
        for task in asyncio.all_tasks():
            if task.get_name().startswith(WATCHER):
                task.cancel()
    return False


def registry(
    kinds: Iterable[Resource], take: Take, *, login: Login, started: Callable[[], None]
) -> kopf.OperatorRegistry:
    """Handlers that pass every event of `kinds` to `take`. kopf logs in at its start and whenever it meets a 401."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def enter(**_: Any) -> kopf.ConnectionInfo:
        try:
            return connection(await login())
        except Denied as error:
            raise kopf.TemporaryError(error.message, delay=PAUSE) from None

    @kopf.on.startup(registry=made)
    async def startup(**_: Any) -> None:
        started()

    for kind in kinds:
        _watch(made, kind, take)
    return made


def connection(found: Credentials) -> kopf.ConnectionInfo:
    """The credentials as kopf takes them."""
    return kopf.ConnectionInfo(
        server=found.server,
        ca_path=found.ca or None,
        insecure=not found.verify,
        scheme=found.scheme or None,
        token=found.secret or None,
        certificate_path=found.certificate or None,
        private_key_path=found.key or None,
        proxy_url=found.proxy or None,
    )


def _watch(made: kopf.OperatorRegistry, kind: Resource, take: Take) -> None:
    where = {"group": kind.group, "version": kind.version, "plural": kind.plural}

    @kopf.on.event(registry=made, id=f"event-{kind.plural}", **where)  # type: ignore[arg-type]  # plain selectors
    async def seen(event: Any, **_: Any) -> None:
        take(kind.kind, event["type"], event["object"])


def settings(selector: str = "") -> kopf.OperatorSettings:
    """kopf as a watcher that writes nothing, keeps nothing and never blocks long. `selector`: labels of rollouts."""
    made = kopf.OperatorSettings()
    if selector:
        made.watching.label_selectors[ROLLOUTS.group, ROLLOUTS.plural] = selector
    made.process.ultimate_exiting_timeout = None
    made.posting.enabled = False
    made.scanning.disabled = True
    made.peering.standalone = True
    made.watching.chunk_size = 100
    made.watching.server_timeout = 300
    made.watching.client_timeout = 310
    made.networking.connect_timeout = 10
    made.networking.request_timeout = 30
    made.networking.error_backoffs = [round(pause * (0.75 + random.random() / 2), 2) for pause in (0.5, 1, 2, 4)]
    made.execution.default_backoff = 1
    made.queueing.idle_timeout = 0.1
    made.queueing.worker_limit = None
    # Never used; a guard in case a later change makes kopf write after all.
    made.persistence.finalizer = f"{DOMAIN}/kopf"
    made.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{DOMAIN}")
    made.persistence.diffbase_storage = NoDiffBase()
    return made


class NoMemories(ResourceMemories):
    """Keeps nothing about objects: memos, throttles of failed handlers and timers are for handlers we don't have.

    kopf keeps seven objects for each one that is watched, 8 MiB for a thousand rollouts and what belongs to them.
    """

    async def recall(
        self,
        raw_body: kopf.RawBody,
        *,
        memobase: Any = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,
    ) -> ResourceMemory:
        """A new memory, forgotten with the event."""
        return await super().recall(raw_body, memobase=memobase, noticed_by_listing=noticed_by_listing, ephemeral=True)


class NoDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing: kopf would copy the whole body of every event for comparisons that nobody here asks for."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        """An essence without anything in it."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """No object was seen before."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written."""


def _quietly(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
