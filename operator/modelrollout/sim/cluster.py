"""The cluster of a virtual world, behind the ports: a route that is followed, pods that come and go, people who act."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import Key, RolloutSpec, Weight
from modelrollout.core.observation import ActionRequest, Route, RouteSeen, Workload, WorkloadSeen
from modelrollout.sim.scenario import Act, ArmName
from modelrollout.sim.stand import StandIn
from modelrollout.sim.world import START, World


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


class VirtualCluster(StandIn):
    """A cluster that does what it is told, with people who act and a data plane that follows the route after a while.

    `told` hears of announcements: when (epoch seconds) and what.
    """

    def __init__(self, world: World, told: Callable[[float, Announcement], None]) -> None:
        super().__init__(world.spec, START, lambda announcement: told(world.now, announcement))
        self._world = world
        self._done: set[str] = set()

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        """The action is answered."""
        self._done.add(result.uid)

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        """People's actions so far that have no answer."""
        acts: tuple[Act, ...] = self._world.scenario.actions
        return tuple(
            ActionRequest(f"{act.verb.lower()}-{i}", f"action-{i}", act.verb, START + act.at, reason="scenario")
            for i, act in enumerate(acts)
            if START + act.at <= self._world.now and f"action-{i}" not in self._done
        )

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Make the route, or give it its weight."""
        return self._ordered(await super().shape(spec, weight))

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """Change the weights."""
        return self._ordered(await super().set_weight(spec, seen, weight, segments=segments))

    def _ordered(self, route: Route) -> Route:
        assert isinstance(route, RouteSeen)
        self._world.order(route.weight, route.segments)
        return route


class VirtualWorkloads:
    """`Workloads`: each arm has as many endpoints as pods are up."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        """Legacy and candidate."""
        wanted, ready = self._world.wanted, self._world.ready
        return (
            WorkloadSeen("legacy", wanted[ArmName.LEGACY], ready(ArmName.LEGACY), True),
            WorkloadSeen("candidate", wanted[ArmName.CANDIDATE], ready(ArmName.CANDIDATE), True),
        )
