"""The API server of a virtual world: one rollout, its route, its workloads and people's actions, behind the ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import FULL, ZERO, Key, RolloutSpec, Weight
from modelrollout.core.observation import ActionRequest, Route, RouteAbsent, RouteSeen, Workload, WorkloadSeen
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Bug
from modelrollout.ports import RolloutObject
from modelrollout.sim.scenario import Act, ArmName
from modelrollout.sim.world import START, World

UID = "simulated"


class VirtualClock:
    """`Clock` of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> float:
        """Epoch seconds of virtual time."""
        return self._world.now

    def monotonic(self) -> float:
        """The same: virtual time never jumps back."""
        return self._world.now


class VirtualCluster:
    """`Rollouts`, `Actions` and `Announcer` of one rollout. Every write works; `told` hears of announcements."""

    def __init__(self, world: World, told: Callable[[float, Announcement], None]) -> None:
        spec = replace(world.spec, uid=world.spec.uid or UID)
        self.obj = RolloutObject(spec.key, spec.uid, "1", spec.generation, START, False, False, spec, None, None)
        self._world = world
        self._told = told
        self._done: set[str] = set()
        self._version = 1

    def version(self) -> str:
        """A new resourceVersion."""
        self._version += 1
        return str(self._version)

    async def get(self, key: Key) -> RolloutObject:
        """The object."""
        return self.obj

    async def list(self) -> Sequence[RolloutObject]:
        """The only one."""
        return [self.obj]

    async def write_status(self, obj: RolloutObject, status: RolloutStatus) -> RolloutObject:
        """Store the status; the next `get` has it."""
        self.obj = replace(self.obj, status=status, resource_version=self.version())
        return self.obj

    async def add_finalizer(self, obj: RolloutObject) -> RolloutObject:
        """Store it."""
        self.obj = replace(self.obj, finalizer=True, resource_version=self.version())
        return self.obj

    async def drop_finalizer(self, obj: RolloutObject) -> None:
        """Never asked for: nobody deletes a simulated rollout."""
        raise Bug("a simulated rollout was let go", subject=str(obj.key))

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        """The action is answered."""
        self._done.add(result.uid)

    async def delete_action(self, namespace: str, name: str) -> None:
        """Never asked for by the engine."""
        raise Bug("the engine deletes no actions", subject=name)

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        """People's actions so far that have no answer."""
        acts: tuple[Act, ...] = self._world.scenario.actions
        return tuple(
            ActionRequest(f"{act.verb.lower()}-{i}", f"action-{i}", act.verb, START + act.at, reason="scenario")
            for i, act in enumerate(acts)
            if START + act.at <= self._world.now and f"action-{i}" not in self._done
        )

    def announce(self, obj: RolloutObject, announcements: Sequence[Announcement]) -> None:
        """Pass them on."""
        for each in announcements:
            self._told(self._world.now, each)


class VirtualRouting:
    """`Routing` of the only route: every write is accepted at once, the data plane follows later."""

    def __init__(self, world: World, version: Callable[[], str]) -> None:
        self._world = world
        self._version = version
        self.route: Route = RouteAbsent()

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> Route:
        """The route as stored."""
        return self.route

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Make it, or give it its weight."""
        return self._store(weight, FULL if weight and spec.traffic.segments else weight)

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """Change the weights."""
        return self._store(weight, FULL if segments else (ZERO if spec.traffic.segments else weight))

    async def release(self, spec: RolloutSpec) -> None:
        """Nobody deletes a simulated rollout."""

    def _store(self, weight: Weight, segments: Weight) -> Route:
        self.route = RouteSeen(weight, segments, self._version(), accepted=True)
        self._world.order(weight, segments)
        return self.route


class VirtualWorkloads:
    """`Workloads`: each arm has as many endpoints as pods are up."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        """Legacy and candidate."""
        legacy, candidate = self._world.scenario.replicas
        return (
            WorkloadSeen("legacy", legacy, self._world.ready(ArmName.LEGACY), True),
            WorkloadSeen("candidate", candidate, self._world.ready(ArmName.CANDIDATE), True),
        )
