"""The composition root: builds every part from settings and knows which part is which. No rule of a rollout is here."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine

from modelrollout import __version__
from modelrollout.adapters.addresses import AddressPolicy, addresses_of_pod
from modelrollout.adapters.journal import FileJournal
from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.events import EventAnnouncer
from modelrollout.adapters.kube.lease import KubeLeaseStore
from modelrollout.adapters.kube.profiles import ProfileStatus, cluster_profiles
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import Resource
from modelrollout.adapters.kube.rollouts import CachedActions, KubeRollouts
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.adapters.kube.selector import LabelSelector
from modelrollout.adapters.kube.workloads import KubeWorkloads
from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.model import RolloutSpec
from modelrollout.errors import RolloutError
from modelrollout.runtime.backoff import Backoff
from modelrollout.runtime.commit import Commit
from modelrollout.runtime.engine import Engine, Parts
from modelrollout.runtime.gather import Gather
from modelrollout.runtime.leader import Leader
from modelrollout.runtime.measured import MeasuredMetrics
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.queue import Priority, WorkQueue
from modelrollout.runtime.rounds import Rounds
from modelrollout.runtime.store import Store
from modelrollout.runtime.telemetry import Telemetry
from modelrollout.shell.config import Settings
from modelrollout.shell.feed import Feed
from modelrollout.shell.notify import Notify
from modelrollout.shell.outside import Outside
from modelrollout.shell.renewal import Renewal
from modelrollout.shell.sync import NamespaceLabels, Secrets, Sync, Unusable
from modelrollout.shell.tidy import ACTIONS_KEPT, tidy

log = logging.getLogger(__name__)

HEARTBEAT_LIMIT = 60.0
SILENCE_LIMIT = 900.0
"""Seconds without an event and without a full list after which the process is restarted."""
FIRST_SYNC_PAUSE = 2.0
LISTING = 5.0
"""Seconds that a new leader waits for its full list before it reads the objects of each rollout by themselves."""


class App:
    """One operator process, without the watch."""

    def __init__(self, settings: Settings, client: KubeClient, outside: Outside | None = None) -> None:
        outside = outside or Outside()
        self._settings = settings
        self._client = client
        self._rng = outside.rng
        self._give_back = outside.give_back
        clock = self._clock = outside.clock
        cache = ObjectCache()
        reader = Reader(client, cache)
        telemetry = self._telemetry = Telemetry()
        self._labels = NamespaceLabels(client)
        self._sources = Sources(
            read_secret=Secrets(client, settings.lease_namespace),
            namespace_labels=self._labels,
            allow_loopback=settings.allow_loopback_sources,
            denied=addresses_of_pod(os.environ),
        )
        policy = AddressPolicy(settings.allow_loopback_sources, frozenset(addresses_of_pod(os.environ)))
        self._post = outside.post(policy)
        self._notify = Notify(
            settings.notify_file, policy=policy, send=self._post, clock=clock, registry=telemetry.registry
        )
        metrics = MeasuredMetrics(outside.metrics(self._sources), telemetry)
        rollouts = self._rollouts = KubeRollouts(
            reader, namespaces=settings.namespace, selector=LabelSelector.parse(settings.selector)
        )
        routing, actions = KubeRouting(reader), CachedActions(cache)
        self._actions = actions
        self._store = Store(rollouts)
        queue = self._queue = WorkQueue(late=telemetry.woke)
        self._rounds = Rounds(metrics, clock, queue.add, late=telemetry.evaluated)
        self._preflights = Preflights(metrics, clock, queue.add)
        self._announcer = EventAnnouncer(client, clock, instance=settings.identity)
        self._leader = Leader(
            KubeLeaseStore(client, settings.lease_namespace, settings.lease_name),
            clock,
            settings.identity,
            self._led,
            known=lambda: self._store.epoch,
        )
        gather = Gather(
            store=self._store,
            workloads=KubeWorkloads(reader),
            routing=routing,
            actions=actions,
            metrics=metrics,
            rounds=self._rounds,
            preflights=self._preflights,
            clock=clock,
            profiles=cluster_profiles(cache),
        )
        self._verdicts = ProfileStatus(client, cache, clock, lambda: self._leader.epoch() is not None)
        commit = Commit(
            store=self._store,
            rollouts=rollouts,
            routing=routing,
            announcer=self._announcer,
            clock=clock,
            epoch=self._leader.epoch,
            newest=self._rounds.evidence,
            crowded=lambda: queue.depth(Priority.URGENT) > 0,
        )
        parts = Parts(
            queue=queue,
            store=self._store,
            gather=gather,
            commit=commit,
            rounds=self._rounds,
            preflights=self._preflights,
            journal=FileJournal(settings.journal) if settings.journal else None,
            clock=clock,
            telemetry=telemetry,
            notices=self._notify.notices,
            epoch=self._leader.epoch,
            backoff=Backoff(rng=outside.rng),
        )
        self._engine = Engine(parts, workers=settings.workers)
        self._sync = Sync(
            client=client,
            cache=cache,
            store=self._store,
            sources=self._sources,
            labels=self._labels,
            namespaces=settings.namespace,
            selector=settings.selector,
        )
        self._relist = asyncio.Event()
        store, known = self._store, self._labels.known
        self.feed = Feed(cache=cache, store=store, engine=self._engine, namespace_known=known, spec_seen=self._needs)
        self.feed.profile_seen = self._verdicts.look
        self._site = outside.site(alive=self._alive, ready=self._ready, registry=telemetry.registry)
        self._synced_at = float("-inf")
        self._watching = False
        self._newly = False
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: Callable[[], None] = lambda: None
        telemetry.watch_queue(queue)
        telemetry.watch_freshness(self._silence)

    async def start(self, failed: Callable[[], None]) -> None:
        """List everything, then work. Returns when the first list is in.

        `failed` is called when a part ends that never should. Raises Unusable, and OSError for the web address.
        """
        self._failed = failed
        await self._site.start(self._settings.web_host, self._settings.web_port)
        log.info("modelrollout %s, web at %s, identity %s", __version__, self._site.address, self._settings.identity)
        await self._first_sync()
        for work in (
            self._engine.run(),
            self._rounds.run(),
            self._announcer.run(),
            self._notify.run(),
            self._resyncs(),
            self._follow_sources(),
            Renewal(self._sources, self._source_changed).run(),
            self._greet_strangers(),
            self._verdicts.run(),
            self._leader.run(),
        ):
            self._spawn(work)

    @property
    def kinds(self) -> tuple[Resource, ...]:
        """The kinds to watch: every one that the cluster has and a rollout may need."""
        return self._sync.kinds

    def watching(self) -> None:
        """The watch has started."""
        self._watching = True

    def watch_failed(self) -> None:
        """The watch has ended and begins anew: what it missed meanwhile is listed."""
        self._telemetry.watch_failed()
        self._relist.set()

    async def stop(self) -> None:
        """Give the Lease back, end everything. Traffic stays as it is."""
        await self._leader.release()
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._preflights.stop()
        await self._notify.close()
        await self._post.close()
        self._sources.close()
        await self._site.stop()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("a part of the operator has ended", exc_info=task.exception())
            self._failed()

    def _needs(self, spec: RolloutSpec) -> None:
        """A router's kind that nobody has used so far is listed, and then watched."""
        if self._sync.overlooks(spec):
            self._relist.set()

    def _led(self, leading: bool) -> None:
        self._notify.lead(leading, self._leader.before, self._store)
        self._engine.lead(leading, listing=LISTING if leading else 0.0)
        self._newly = leading
        if leading:
            self._relist.set()

    async def _first_sync(self) -> None:
        while True:
            try:
                await self._sync()
            except RolloutError as error:
                log.warning("the first list failed: %s", error)
                await asyncio.sleep(FIRST_SYNC_PAUSE)
            else:
                self._synced_at = self._clock.monotonic()
                self._telemetry.resynced(0, self._clock.now())
                return

    async def _resyncs(self) -> None:
        while True:
            pause = self._settings.resync * (0.9 + 0.2 * self._rng.random())
            try:
                async with asyncio.timeout(pause):
                    await self._relist.wait()
            except TimeoutError:
                pass
            self._relist.clear()
            try:
                await self._resync()
            except (RolloutError, Unusable) as error:
                log.warning("full list failed: %s", error)

    async def _resync(self) -> None:
        newly = self._newly
        drift, concerned = await self._sync()
        self._give_back()
        self._verdicts.look()
        self._synced_at = self._clock.monotonic()
        self._telemetry.resynced(drift, self._clock.now())
        if drift:
            log.warning("the watch had missed %d objects", drift)
        if newly and self._newly:
            self._newly = False
            self._engine.listed()
        for key in (*concerned, *self._store):
            self._engine.enqueue(key, Priority.RESYNC)
        if self._leader.epoch() is not None:
            await tidy(self._actions.finished(self._clock.now() - ACTIONS_KEPT), self._rollouts)

    async def _follow_sources(self) -> None:
        while True:
            name, body = await self.feed.sources.get()
            if body is None:
                self._sources.remove(name)
            else:
                await self._sources.update(body)
            self._source_changed(name)

    def _source_changed(self, name: str) -> None:
        for key in self._store:
            obj = self._store.glance(key)
            if obj is not None and obj.spec is not None and obj.spec.analysis.metric_source == name:
                self._engine.enqueue(key)

    async def _greet_strangers(self) -> None:
        while True:
            namespace = await self.feed.strangers.get()
            if self._labels.known(namespace):
                continue
            try:
                await self._labels.load({namespace})
            except RolloutError as error:
                log.warning("namespace %s could not be read: %s", namespace, error)
                await asyncio.sleep(1.0)
                self.feed.strangers.put_nowait(namespace)
                continue
            for key in self._store:
                if key.namespace == namespace:
                    self._engine.enqueue(key)

    def _silence(self) -> float:
        last = max(self.feed.last, self._synced_at)
        return self._clock.monotonic() - last if last > float("-inf") else 0.0

    def _alive(self) -> str | None:
        if not self._tasks:
            return None  # still starting
        age = asyncio.get_running_loop().time() - self._engine.heartbeat
        if age > HEARTBEAT_LIMIT:
            return f"the engine has not moved for {age:.0f} s"
        if self._silence() > SILENCE_LIMIT:
            return f"neither event nor full list for {self._silence():.0f} s"
        return None

    def _ready(self) -> str | None:
        return None if self._watching else "still listing the cluster"
