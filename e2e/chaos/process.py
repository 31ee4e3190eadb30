"""One operator process in virtual time: the operator's own composition root, killed as by SIGKILL and started again."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from e2e.chaos.apiserver.server import ApiServer
from e2e.chaos.clock import SkewedClock
from e2e.chaos.metrics import ChaosMetrics, Prometheus
from e2e.chaos.transport import Mishap, Sent, Transport, Watcher
from e2e.chaos.views import Views
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import Resource
from modelrollout.adapters.prom.sources import Sources
from modelrollout.ports import Metrics
from modelrollout.shell.app import App
from modelrollout.shell.config import load
from modelrollout.shell.outside import Outside
from modelrollout.shell.web import Check

SYSTEM, LEASE = "modelrollout", "modelrollout-operator"
"""Namespace and name of the Lease."""
RESYNC = 60.0
LOOK = 0.5
"""Seconds between two looks at which kinds are to be watched."""
PROBE = 10.0
PROBES = 3
"""Seconds between two looks of the kubelet at the liveness probe, and how many must fail."""

_OWNER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("owner", default=None)


def task_factory(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any
) -> asyncio.Task[Any]:
    """Makes tasks that belong to the process whose code made them."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    owner = _OWNER.get()
    if owner is not None:
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
    return task


@dataclass(slots=True)
class Probes:
    """Stands in for the web server: keeps the probes, serves nobody."""

    alive: Check
    ready: Check
    registry: CollectorRegistry
    address: str = ""

    async def start(self, host: str, port: int) -> None:
        """Nothing listens."""

    async def stop(self) -> None:
        """Nothing listened."""


@dataclass(eq=False)
class Process:
    """`identity` stays the same over restarts of a container; `name` is that of one life."""

    server: ApiServer
    prometheus: Prometheus
    views: Views
    identity: str
    name: str
    rng: random.Random
    meets: Callable[[Sent], Mishap | None]
    latency: Callable[[], float]
    ended: Callable[[Process], None]
    """Told when the process has ended by itself."""
    watcher: Watcher
    clock: SkewedClock = field(default_factory=SkewedClock)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    dead: bool = False
    probes: Probes | None = None
    app: App | None = None
    given_back: int = 0
    """How often it gave free memory back."""

    def start(self) -> None:
        """Begin to run."""
        context = contextvars.copy_context()
        context.run(_OWNER.set, self)
        asyncio.get_running_loop().create_task(self._main(), context=context)

    def kill(self) -> None:
        """End at once: nothing that it does any more reaches the outside."""
        self.dead = True
        for task in tuple(self.tasks):
            task.cancel()

    async def stop(self) -> None:
        """End as on SIGTERM."""
        if self.app is not None:
            await asyncio.get_running_loop().create_task(self.app.stop())
        self.kill()

    @property
    def leads(self) -> bool:
        """Whether it says that it does."""
        return self.probes is not None and self.probes.registry.get_sample_value("modelrollout_leader") == 1

    def shown(self) -> dict[tuple[str, str], str]:
        """The rollouts on `/metrics`, by namespace and name, with their phases."""
        families = self.probes.registry.collect() if self.probes is not None else ()
        phases = (family for family in families if family.name == "modelrollout_rollout_phase")
        samples = (each for family in phases for each in family.samples)
        return {(x.labels["rollout_namespace"], x.labels["rollout"]): x.labels["phase"] for x in samples if x.value}

    async def _main(self) -> None:
        transport = Transport(
            self.server,
            sender=self.name,
            meets=self.meets,
            alive=lambda: not self.dead,
            kill=self.kill,
            latency=self.latency,
            watcher=self.watcher,
        )
        client = KubeClient(transport, renew=_no_credentials)  # type: ignore[arg-type]  # takes the official client's place
        flags = {"lease_namespace": SYSTEM, "resync": RESYNC, "allow_loopback_sources": True}
        settings = load({**flags, "identity": self.identity}, {})
        outside = Outside(
            clock=self.clock, rng=self.rng, metrics=self._metrics, site=self._site, give_back=self._given_back
        )
        app = self.app = App(settings, client, outside)
        try:
            await app.start(self._broke)
        except Exception:
            logging.getLogger(__name__).critical("%s can't start", self.name, exc_info=True)
            self._broke()
            return
        app.watching()
        asyncio.get_running_loop().create_task(self._watched(app))
        await self._probed()

    async def _watched(self, app: App) -> None:
        """Watch what the operator wants watched now, as its own part that knows kopf does."""
        followed: dict[Resource, asyncio.Task[None]] = {}
        while True:
            for resource in followed.keys() - set(app.kinds):
                followed.pop(resource).cancel()
            for resource in app.kinds:
                if resource not in followed:
                    follow = self.views.follow(self, resource, app.feed.event)
                    followed[resource] = asyncio.get_running_loop().create_task(follow)
            await asyncio.sleep(LOOK)

    async def _probed(self) -> None:
        failed = 0
        while failed < PROBES:
            await asyncio.sleep(PROBE)
            failed = failed + 1 if self.probes is not None and self.probes.alive() else 0
        self._broke()

    def _broke(self) -> None:
        if not self.dead:
            self.kill()
            self.ended(self)

    def _given_back(self) -> None:
        self.given_back += 1

    def _metrics(self, sources: Sources) -> Metrics:
        return ChaosMetrics(sources, self.prometheus, self.clock)

    def _site(self, *, alive: Check, ready: Check, registry: CollectorRegistry) -> Probes:
        self.probes = Probes(alive, ready, registry)
        return self.probes


async def _no_credentials() -> Any:
    raise AssertionError("nobody asks for credentials here")
