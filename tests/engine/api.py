"""An API server in memory, and the ports on top of it. Time is the event loop's.

Every write goes through `Api.write`, which records it and lets a test fail or cut it before or after it takes effect.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import FULL, ZERO, Epoch, Key, RolloutSpec, Weight
from modelrollout.core.observation import (
    ActionRequest,
    Route,
    RouteAbsent,
    RouteSeen,
    SpecProblem,
    Workload,
)
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import ApiUnavailable, Conflict, Gone
from modelrollout.ports import (
    RolloutObject,
)
from tests.scene import LEGACY, READY, START

SCRAPE = 1.0
FIRST = Epoch(1)


class LoopClock:
    """Wall time that starts at `START` and moves with the loop; `ahead` seconds of what it should be."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return START + self.ahead + asyncio.get_running_loop().time()

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

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
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
