"""The whole engine around an API in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from modelrollout.core.decide import decide
from modelrollout.core.model import Counts, Epoch, Key, Phase, RolloutSpec, Selector, Step, Weight
from modelrollout.core.observation import (
    Evidence,
)
from modelrollout.ports import (
    Notifier,
    RolloutObject,
)
from modelrollout.runtime.backoff import Backoff
from modelrollout.runtime.commit import Commit
from modelrollout.runtime.engine import Decide, Engine, Parts
from modelrollout.runtime.gather import Gather
from modelrollout.runtime.notices import Notices
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.profiles import Profiles
from modelrollout.runtime.queue import Priority, WorkQueue
from modelrollout.runtime.rounds import Rounds
from modelrollout.runtime.store import Store
from modelrollout.runtime.telemetry import Telemetry
from tests.engine.api import (
    FIRST,
    Api,
    FakeActions,
    FakeAnnouncer,
    FakeJournal,
    FakeRollouts,
    FakeRouting,
    FakeWorkloads,
    LoopClock,
)
from tests.engine.metrics import FakeMetrics, Load
from tests.scene import make_spec


@dataclass
class World:
    """All of it. `epoch` is the right to write; None is a standby."""

    api: Api
    metrics: FakeMetrics
    routing: FakeRouting
    announcer: FakeAnnouncer
    journal: FakeJournal
    telemetry: Telemetry
    store: Store
    queue: WorkQueue
    rounds: Rounds
    preflights: Preflights
    commit: Commit
    gather: Gather
    engine: Engine
    notices: Notices
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    epoch: Epoch | None = FIRST

    async def start(self) -> None:
        """Sync, lead, work."""
        for obj in self.api.objects.values():
            self.store.put(obj)
        self.tasks = [asyncio.create_task(self.engine.run()), asyncio.create_task(self.rounds.run())]
        self.engine.lead(True)
        await asyncio.sleep(0)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.preflights.stop()

    async def until(self, condition: Callable[[], bool], *, limit: float = 3600.0, step: float = 0.1) -> float:
        """Loop time at which the condition became true; fails after `limit` seconds of it."""
        end = asyncio.get_running_loop().time() + limit
        while not condition():
            assert asyncio.get_running_loop().time() < end, "did not happen in time"
            await asyncio.sleep(step)
        return asyncio.get_running_loop().time()


def build(
    api: Api | None = None,
    metrics: FakeMetrics | None = None,
    *,
    decider: Decide = decide,
    workers: int = 16,
    newest: Callable[[Key], Evidence] | None = None,
    clock: LoopClock | None = None,
    notifier: Notifier | None = None,
    profiles: Profiles | None = None,
) -> World:
    """A world around an API (a fresh one by default): call again with the same one for a restart."""
    api = api or Api()
    metrics = metrics or FakeMetrics()
    clock = clock or LoopClock()
    rollouts, routing, announcer, journal = FakeRollouts(api), FakeRouting(api), FakeAnnouncer(api), FakeJournal()
    telemetry, store = Telemetry(), Store(FakeRollouts(api))
    queue = WorkQueue(late=telemetry.woke)
    world: World

    def epoch() -> Epoch | None:
        return world.epoch

    rounds = Rounds(metrics, clock, queue.add, late=telemetry.evaluated)
    preflights = Preflights(metrics, clock, queue.add)
    gather = Gather(
        store=store,
        workloads=FakeWorkloads(api),
        routing=routing,
        actions=FakeActions(api),
        metrics=metrics,
        rounds=rounds,
        preflights=preflights,
        clock=clock,
        profiles=profiles,
    )
    commit = Commit(
        store=store,
        rollouts=rollouts,
        routing=routing,
        announcer=announcer,
        clock=clock,
        epoch=epoch,
        newest=newest or rounds.evidence,
        crowded=lambda: queue.depth(Priority.URGENT) > 0,
    )
    notices = Notices(notifier, clock)
    parts = Parts(
        notices=notices,
        queue=queue,
        store=store,
        gather=gather,
        commit=commit,
        rounds=rounds,
        preflights=preflights,
        journal=journal,
        clock=clock,
        telemetry=telemetry,
        epoch=epoch,
        decide=decider,
        backoff=Backoff(rng=random.Random(1)),
    )
    engine = Engine(parts, workers=workers)
    world = World(
        api,
        metrics,
        routing,
        announcer,
        journal,
        telemetry,
        store,
        queue,
        rounds,
        preflights,
        commit,
        gather,
        engine,
        notices,
    )

    def seen(obj: RolloutObject) -> None:
        if store.put(obj):
            queue.add(obj.key, Priority.URGENT if obj.deleting else Priority.NORMAL)

    api.watch = seen
    return world


COUNTS = Counts(Selector("requests_total"), Selector("requests_total", equal=(("code", "500"),)))


def spec_named(name: str, namespace: str = "serving", **changes: object) -> RolloutSpec:
    """A spec of its own Deployments.

    Its SLI is given as counts: the fake Prometheus sends as many requests as it is told, whatever the weights, and in
    an SLI of the catalogue that would be a sample ratio mismatch.
    """
    base = make_spec()
    own = replace(
        base,
        key=Key(namespace, name),
        uid=f"uid-{namespace}-{name}",
        legacy=replace(base.legacy, deployment=f"{name}-v7", service=f"{name}-v7"),
        candidate=replace(base.candidate, deployment=f"{name}-v8", service=f"{name}-v8"),
        slis=tuple(replace(sli, source=COUNTS) for sli in base.slis),
    )
    return replace(own, **changes)  # type: ignore[arg-type]  # keyword names are the fields of RolloutSpec


QUICK = tuple(Step(Weight(w * 100), 20.0, 3600.0) for w in (5, 50, 100))


def quick(name: str, namespace: str = "serving") -> RolloutSpec:
    """A rollout whose steps take at least twenty seconds each."""
    return spec_named(name, namespace, steps=QUICK)


async def running(*specs: RolloutSpec, candidate: Load | None = None) -> World:
    """A world at work on these rollouts."""
    world = build()
    for spec in specs:
        world.api.create(spec)
        world.metrics.serve(spec, candidate=candidate)
    await world.start()
    return world


def phase(world: World, key: Key) -> Phase | None:
    """As stored; None before the first status."""
    status = world.api.objects[key].status
    return status.phase if status else None
