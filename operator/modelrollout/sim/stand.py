"""A cluster that does what it is told: one rollout, a route that obeys, workloads that are ready. Behind the ports.

What is replayed on recorded data needs a cluster only so far as the operator's decisions do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import FULL, ZERO, Key, RolloutSpec, Weight
from modelrollout.core.observation import ActionRequest, Route, RouteAbsent, RouteSeen, Workload, WorkloadSeen
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import RolloutObject

UID = "replayed"
LEGACY = WorkloadSeen("legacy", 1, 1, settled=True)
CANDIDATE = WorkloadSeen("candidate", 1, 1, settled=True)


class StandInClock:
    """`Clock` whose time is set."""

    def __init__(self, now: float) -> None:
        self.at = now

    def now(self) -> float:
        """Epoch seconds."""
        return self.at

    def monotonic(self) -> float:
        """The same: this time never jumps back."""
        return self.at


class StandIn:
    """`Rollouts`, `Routing`, `Workloads`, `Actions` and `Announcer` of one rollout, in memory. All writes succeed."""

    def __init__(self, spec: RolloutSpec, created: float, told: Callable[[Announcement], None]) -> None:
        spec = replace(spec, uid=spec.uid or UID)
        self.obj = RolloutObject(spec.key, spec.uid, "1", spec.generation, created, False, False, spec, None, None)
        self.route: Route = RouteAbsent()
        self._told = told
        self._writes = 1

    @property
    def status(self) -> RolloutStatus:
        """As stored."""
        return self.obj.status or RolloutStatus()

    async def get(self, key: Key) -> RolloutObject:
        """The object."""
        return self.obj

    async def list(self) -> Sequence[RolloutObject]:
        """The only one."""
        return [self.obj]

    async def write_status(self, obj: RolloutObject, status: RolloutStatus) -> RolloutObject:
        """Store it."""
        self.obj = replace(self.obj, status=status, resource_version=self._version())
        return self.obj

    async def add_finalizer(self, obj: RolloutObject) -> RolloutObject:
        """Store it."""
        self.obj = replace(self.obj, finalizer=True, resource_version=self._version())
        return self.obj

    async def drop_finalizer(self, obj: RolloutObject) -> None:
        """Nobody deletes what is replayed."""

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        """Nobody acts."""

    async def delete_action(self, namespace: str, name: str) -> None:
        """Nobody acts."""

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        """Nobody acts."""
        return ()

    def announce(self, obj: RolloutObject, announcements: Sequence[Announcement]) -> None:
        """Pass them on."""
        for each in announcements:
            self._told(each)

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> Route:
        """The route."""
        return self.route

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Make it."""
        return self._put(weight, FULL if weight and spec.traffic.segments else weight)

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """Change it."""
        return self._put(weight, FULL if segments else ZERO if spec.traffic.segments else weight)

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Nobody deletes what is replayed."""

    def _put(self, weight: Weight, segments: Weight) -> Route:
        self.route = RouteSeen(weight, segments, self._version(), accepted=True)
        return self.route

    def _version(self) -> str:
        self._writes += 1
        return str(self._writes)


class ReadyWorkloads:
    """`Workloads`: both arms have one ready endpoint."""

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        """Legacy and candidate."""
        return LEGACY, CANDIDATE
