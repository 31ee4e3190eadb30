"""A cluster and a Prometheus in memory, behind the ports, with the engine on top. Time is the event loop's.

Every write goes through `Api.write`, which records it and lets a test fail or cut it before or after it takes effect.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from modelrollout.core.decide import decide
from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import FULL, ZERO, Counts, Epoch, Key, RolloutSpec, Selector, Weight
from modelrollout.core.observation import (
    ActionRequest,
    Evidence,
    Route,
    RouteAbsent,
    RouteSeen,
    SpecProblem,
    Workload,
)
from modelrollout.core.samples import Series
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import ApiUnavailable, Conflict, Gone
from modelrollout.ports import (
    Answer,
    ArmsByPod,
    NoAnswer,
    QueryResult,
    RolloutObject,
    SeriesQuery,
    SourceSpec,
)
from modelrollout.runtime.backoff import Backoff
from modelrollout.runtime.commit import Commit
from modelrollout.runtime.engine import Decide, Engine, Parts
from modelrollout.runtime.gather import Gather
from modelrollout.runtime.preflight import Preflights
from modelrollout.runtime.queue import Priority, WorkQueue
from modelrollout.runtime.rounds import Rounds
from modelrollout.runtime.store import Store
from modelrollout.runtime.telemetry import Telemetry
from tests.scene import LEGACY, READY, START, make_spec

SCRAPE = 1.0
FIRST = Epoch(1)


class LoopClock:
    """Wall time that starts at `START` and moves with the loop."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass(frozen=True)
class Write:
    """One write that took effect. `what`: status, finalizer, unfinalizer, route, shape, release, result."""

    what: str
    key: Key
    at: float
    weight: int | None = None
    epoch: int = 0


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Api:
    """Objects with resource versions. `fault(what, key, done)` is called before (False) and after (True) each write."""

    objects: dict[Key, RolloutObject] = field(default_factory=dict)
    routes: dict[Key, Route] = field(default_factory=dict)
    workloads: dict[Key, tuple[Workload, Workload]] = field(default_factory=dict)
    actions: dict[Key, list[ActionRequest]] = field(default_factory=lambda: defaultdict(list))
    results: list[ActionResult] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    reads: int = 0
    down: bool = False
    latency: float = 0.0
    fault: Callable[[str, Key, bool], None] | None = None
    watch: Callable[[RolloutObject], None] | None = None
    _version: int = 100

    def version(self) -> str:
        self._version += 1
        return str(self._version)

    def create(self, spec: RolloutSpec | None = None, *, key: Key | None = None, problem: str = "") -> Key:
        key = key or (spec.key if spec else Key("serving", "fraud"))
        trouble = SpecProblem("InvalidSpec", problem) if problem else None
        uid = spec.uid if spec else "u1"
        self.objects[key] = RolloutObject(key, uid, self.version(), 1, START, False, False, spec, trouble, None)
        self.workloads[key] = (LEGACY, READY)
        return key

    def edit(self, key: Key, **changes: object) -> None:
        """Somebody else changes the object."""
        changed = replace(self.objects[key], resource_version=self.version(), **changes)  # type: ignore[arg-type]
        self.store(changed)

    def route_by_hand(self, key: Key, weight: int) -> None:
        seen = self.routes[key]
        assert isinstance(seen, RouteSeen)
        self.routes[key] = replace(seen, weight=Weight(weight), resource_version=self.version())

    def weight(self, key: Key) -> int | None:
        route = self.routes.get(key)
        return route.weight if isinstance(route, RouteSeen) else None

    def status(self, key: Key) -> RolloutStatus:
        status = self.objects[key].status
        assert status is not None
        return status

    def store(self, obj: RolloutObject) -> None:
        self.objects[obj.key] = obj
        if self.watch is not None:
            self.watch(obj)

    async def reach(self) -> None:
        await asyncio.sleep(self.latency)
        if self.down:
            raise ApiUnavailable("no route to the API server")

    @asynccontextmanager
    async def write(self, what: str, key: Key, weight: int | None = None, epoch: int = 0) -> AsyncIterator[None]:
        await self.reach()
        if self.fault is not None:
            self.fault(what, key, False)
        yield
        self.writes.append(Write(what, key, asyncio.get_running_loop().time(), weight, epoch))
        if self.fault is not None:
            self.fault(what, key, True)

    def current(self, obj: RolloutObject) -> RolloutObject:
        stored = self.objects.get(obj.key)
        if stored is None or stored.uid != obj.uid:
            raise Gone(f"{obj.key} is gone")
        if stored.resource_version != obj.resource_version:
            raise Conflict(f"{obj.key} moved on")
        return stored


class FakeRollouts:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def get(self, key: Key) -> RolloutObject:
        await self._api.reach()
        self._api.reads += 1
        try:
            return self._api.objects[key]
        except KeyError:
            raise Gone(f"{key} is gone") from None

    async def list(self) -> Sequence[RolloutObject]:
        await self._api.reach()
        return list(self._api.objects.values())

    async def write_status(self, obj: RolloutObject, status: RolloutStatus) -> RolloutObject:
        async with self._api.write("status", obj.key, status.weight, status.leader_epoch):
            stored = replace(self._api.current(obj), status=status, resource_version=self._api.version())
            self._api.store(stored)
        return stored

    async def add_finalizer(self, obj: RolloutObject) -> RolloutObject:
        if obj.finalizer:
            return obj
        async with self._api.write("finalizer", obj.key):
            stored = replace(self._api.current(obj), finalizer=True, resource_version=self._api.version())
            self._api.store(stored)
        return stored

    async def drop_finalizer(self, obj: RolloutObject) -> None:
        async with self._api.write("unfinalizer", obj.key):
            stored = self._api.current(obj)
            if stored.deleting:
                del self._api.objects[obj.key]
            else:
                self._api.store(replace(stored, finalizer=False, resource_version=self._api.version()))

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        async with self._api.write("result", key):
            self._api.actions[key] = [a for a in self._api.actions[key] if a.uid != result.uid]
            self._api.results.append(result)

    async def delete_action(self, namespace: str, name: str) -> None:
        raise AssertionError("the engine deletes no actions")


class FakeRouting:
    def __init__(self, api: Api) -> None:
        self._api = api
        self.fresh_reads = 0

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> Route:
        if fresh:
            await self._api.reach()
            self.fresh_reads += 1
        return self._api.routes.get(spec.key, RouteAbsent())

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        async with self._api.write("shape", spec.key, weight):
            route = RouteSeen(weight, FULL if weight and spec.traffic.segments else weight, self._api.version())
            self._api.routes[spec.key] = replace(route, accepted=True)
        return self._api.routes[spec.key]

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        async with self._api.write("route", spec.key, weight):
            stored = self._api.routes.get(spec.key)
            if stored is None:
                raise Gone("no route")
            assert isinstance(seen, RouteSeen)
            assert isinstance(stored, RouteSeen)
            if stored.resource_version != seen.resource_version:
                raise Conflict("route moved on")
            share = FULL if segments else (ZERO if spec.traffic.segments else weight)
            self._api.routes[spec.key] = replace(
                stored, weight=weight, segments=share, resource_version=self._api.version()
            )
        return self._api.routes[spec.key]

    async def release(self, spec: RolloutSpec) -> None:
        async with self._api.write("release", spec.key):
            pass


class FakeWorkloads:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        return self._api.workloads[spec.key]


class FakeActions:
    def __init__(self, api: Api) -> None:
        self._api = api

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        return tuple(self._api.actions[key])


class FakeAnnouncer:
    """Remembers what was told, with how many writes had taken effect by then."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.told: list[tuple[int, Announcement]] = []

    def announce(self, obj: RolloutObject, announcements: Sequence[Announcement]) -> None:
        self.told.extend((len(self._api.writes), a) for a in announcements)


class FakeJournal:
    def __init__(self) -> None:
        self.entries: list[Mapping[str, object]] = []

    def append(self, entry: Mapping[str, object]) -> None:
        self.entries.append(entry)


@dataclass
class Load:
    """Requests per second and share of errors of one Deployment's only pod."""

    rate: float = 100.0
    errors: float = 0.001


class FakeMetrics:
    """Counters that have grown steadily since long ago, scraped every `SCRAPE` seconds; one pod per Deployment.

    A Deployment's load may change at a moment: `change(key, deployment, at, load)`.
    """

    def __init__(self, metric: str = "requests_total", label: str = "code", bad: str = "500") -> None:
        self.specs: dict[str, SourceSpec] = {"default": SourceSpec("default", ArmsByPod(), SCRAPE)}
        self.asked: list[tuple[str, SeriesQuery, float]] = []
        self.fail: dict[str, str] = {}
        self.hang: set[str] = set()
        self._loads: dict[tuple[str, str], list[tuple[float, Load]]] = {}
        self._metric, self._label, self._bad = metric, label, bad

    def serve(self, spec: RolloutSpec, *, legacy: Load | None = None, candidate: Load | None = None) -> None:
        for arm, load in ((spec.legacy, legacy), (spec.candidate, candidate)):
            self._loads[spec.key.namespace, arm.deployment] = [(START - 3600.0, load or Load())]

    def change(self, namespace: str, deployment: str, at: float, load: Load) -> None:
        self._loads[namespace, deployment].append((at, load))

    def source(self, name: str) -> SourceSpec | SpecProblem:
        return self.specs.get(name) or SpecProblem("SourceNotFound", f"MetricSource {name!r} not found")

    def allowed(self, name: str, namespace: str) -> bool:
        return True

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        self.asked.extend((name, query, at) for query in queries)
        if name in self.hang:
            await asyncio.sleep(3600)
        if name in self.fail:
            return [NoAnswer(self.fail[name])] * len(queries)
        return [Answer(tuple(self._series(query, at))) for query in queries]

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        if name in self.fail:
            return NoAnswer(self.fail[name])
        return Answer(
            tuple(
                Series(one.labels, (at,), (one.values[-1] - one.values[0],))
                for one in self._series(query, at)
                if one.times
            )
        )

    def _series(self, query: SeriesQuery, at: float) -> list[Series]:
        if self._metric not in query.metrics:
            return []
        found = []
        first = max(int((at - query.window) // SCRAPE) + 1, int((START - 3600) // SCRAPE))
        times = [k * SCRAPE for k in range(first, int(at // SCRAPE) + 1)]
        if len(times) > 1200:
            times = [times[0], times[-1]]
        for (namespace, deployment), loads in self._loads.items():
            if query.namespaces and namespace not in query.namespaces:
                continue
            for code, share in (("200", False), (self._bad, True)):
                labels = {
                    "__name__": self._metric,
                    "namespace": namespace,
                    "pod": f"{deployment}-5d9c7b6f4-x2x9z",
                    self._label: code,
                }
                found.append(Series.of(labels, tuple((t, float(_count(loads, t, share))) for t in times)))
        return found


def _count(loads: Sequence[tuple[float, Load]], t: float, bad: bool) -> int:
    total = 0
    for (start, load), end in zip(loads, [*(s for s, _ in loads[1:]), t], strict=True):
        seconds = max(0.0, min(t, end) - start)
        errors = int(seconds * load.rate * load.errors + 1e-9)
        total += errors if bad else int(seconds * load.rate + 1e-9) - errors
    return total


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
) -> World:
    """A world around an API (a fresh one by default): call again with the same one for a restart."""
    api = api or Api()
    metrics = metrics or FakeMetrics()
    clock = LoopClock()
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
    )
    commit = Commit(
        store=store,
        rollouts=rollouts,
        routing=routing,
        announcer=announcer,
        clock=clock,
        epoch=epoch,
        newest=newest or rounds.evidence,
    )
    parts = Parts(
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
