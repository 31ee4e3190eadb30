"""Everything of one run: the API server, the people, the data plane, Prometheus, and the operator's processes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from e2e.chaos.apiserver.server import ApiServer
from e2e.chaos.carriers import MANAGED, Carrier
from e2e.chaos.clock import START, SkewedClock, WorldClock
from e2e.chaos.exchanges import Exchanges
from e2e.chaos.metrics import Prometheus, Trouble
from e2e.chaos.planes import Stand
from e2e.chaos.process import Process, task_factory
from e2e.chaos.scene import NAME, People, furnish_ground, rollout
from e2e.chaos.transport import Mishap, Sent
from e2e.chaos.views import Views
from modelrollout.adapters.kube.resources import ROLLOUTS, Body

RESTART = 1.0
"""Seconds until a container that has ended is started again."""
POLL = 0.25


@dataclass(slots=True)
class Trigger:
    """Something after which the weight must go to 0. `at`: epoch seconds. `evidence`: only Prometheus can tell."""

    at: float
    what: str
    evidence: bool


@dataclass
class World:
    """Virtual time runs in the loop that `begin` is called in."""

    seed: int
    spec: Body = field(default_factory=rollout)
    meets: Callable[[Sent], Mishap | None] = lambda sent: None
    clock: WorldClock = field(default_factory=WorldClock)
    processes: list[Process] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    acted: int = 0
    carrier: Carrier = MANAGED

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.server = ApiServer(now=self.clock.now)
        self.exchanges = Exchanges(self.server)
        self.people = People(self.server)
        stand = Stand(self.server, self.people, self.clock, random.Random(f"plane/{self.seed}"))
        self.plane = self.carrier.plane(stand)
        self.traffic = self.plane.traffic
        self.prometheus = Prometheus(self.traffic, self.clock, random.Random(self.rng.random()))
        self.views = Views(self.server, random.Random(self.rng.random()))
        self._lives = 0
        self._upgrades = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Furnish the cluster and start the operator."""
        asyncio.get_running_loop().set_task_factory(task_factory)
        furnish_ground(self.people)
        self.plane.furnish()
        self.carrier.furnish(self.people)
        self.people.create(ROLLOUTS, NAME, self.spec)
        self._tasks.append(asyncio.create_task(self.plane.play()))
        self.start("operator-1")

    def end(self) -> None:
        """Kill everything."""
        for process in self.processes:
            process.kill()
        for task in self._tasks:
            task.cancel()

    def start(self, identity: str, *, skew: float = 0.0) -> Process:
        """Start a process."""
        self._lives += 1
        process = Process(
            server=self.server,
            prometheus=self.prometheus,
            views=self.views,
            identity=identity,
            name=f"{identity}#{self._lives}",
            rng=random.Random(self.rng.random()),
            meets=self.meets,
            latency=lambda: self.rng.uniform(0.0005, 0.01),
            ended=self._restart,
            clock=SkewedClock(skew),
            watcher=self.exchanges,
        )
        self.processes.append(process)
        process.start()
        return process

    def _restart(self, ended: Process) -> None:
        asyncio.get_running_loop().call_later(RESTART, self.start, ended.identity)

    def restart_later(self, name: str) -> None:
        """The process of that life is about to die: its container comes back."""
        self._restart(next(each for each in self.processes if each.name == name))

    def synchronise(self) -> None:
        """All clocks are right from now on."""
        for process in self.processes:
            process.clock.skew = 0.0

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do it then."""
        asyncio.get_running_loop().call_later(seconds, what)

    @property
    def alive(self) -> list[Process]:
        """Processes that run."""
        return [each for each in self.processes if not each.dead]

    # --- what is ---------------------------------------------------------------------------------------------------

    @property
    def route(self) -> float | None:
        """The candidate's share as the objects have it, percent; None when nothing splits."""
        return self.carrier.stored(self.people)

    @property
    def rollout(self) -> Body | None:
        """The ModelRollout as stored."""
        return self.people.get(ROLLOUTS, NAME)

    def stored(self) -> dict[tuple[str, str], str]:
        """Phases of all rollouts, by namespace and name."""
        store = self.server.store
        bodies = {place: store.look(ROLLOUTS, place) or {} for place in store.places(ROLLOUTS)}
        return {place: str((body.get("status") or {}).get("phase", "")) for place, body in bodies.items()}

    def shown(self) -> dict[tuple[str, str], str]:
        """What the leader shows of them on `/metrics`; nothing while nobody leads."""
        leaders = (each for each in self.alive if each.leads)
        return next((each.shown() for each in leaders), {})

    @property
    def phase(self) -> str:
        """Of the rollout; empty before the first status and after its end."""
        return str(((self.rollout or {}).get("status") or {}).get("phase", ""))

    @property
    def revision(self) -> str:
        """That the status is about; empty before the first one."""
        return str(((self.rollout or {}).get("status") or {}).get("revision", ""))

    @property
    def told_at(self) -> float:
        """When the rollout was written last, epoch seconds."""
        log = self.server.store.log(ROLLOUTS)
        return next((version.at for version in reversed(log) if version.place[1] == NAME), START)

    async def until(self, condition: Callable[[], bool], *, limit: float = 900.0) -> bool:
        """Wait for it; whether it came true within `limit` seconds."""
        end = self.clock.monotonic() + limit
        while not condition():
            if self.clock.monotonic() >= end:
                return False
            await asyncio.sleep(POLL)
        return True

    # --- what people do --------------------------------------------------------------------------------------------

    def act(self, verb: str, *, when: str = "") -> None:
        """Somebody creates a RolloutAction. `when`: an Abort that can't be carried out until then."""
        self.acted += 1
        self.people.act(verb, self.acted)
        # Nobody is sent to a legacy that is not there.
        if verb == "Abort" and not when and self.plane.takes_back:
            self.due("abort")

    def due(self, what: str) -> None:
        """From now on the weight must go to 0 at once."""
        self.triggers.append(Trigger(self.clock.now(), what, evidence=False))

    def break_candidate(self, errors: float = 0.5) -> None:
        """The candidate begins to fail."""
        self.traffic.fail(self.clock.now(), "candidate", errors)
        self.triggers.append(Trigger(self.clock.now(), "errors", evidence=True))

    def deploy(self, template: str) -> None:
        """Somebody deploys another candidate."""
        self.plane.deploy(template)

    def serve(self, arm: str, endpoints: int) -> None:
        """An arm has so many ready endpoints now."""
        self.plane.serve(arm, endpoints)

    def delete(self) -> None:
        """Somebody deletes the rollout."""
        self.people.delete(ROLLOUTS, NAME)
        self.due("delete")

    def edit_steps(self, weights: list[int]) -> None:
        """Somebody changes the ladder."""
        if self.rollout is not None:
            self.people.patch(ROLLOUTS, NAME, {"spec": {"steps": [{"weight": weight} for weight in weights]}})

    async def trouble_for(self, seconds: float) -> None:
        """Prometheus is down for a while."""
        self.prometheus.trouble = Trouble.DOWN
        await asyncio.sleep(seconds)
        self.prometheus.trouble = None

    async def upgrade(self) -> None:
        """A rolling upgrade: a new process comes up, then the old ones are asked to end."""
        old = self.alive
        self._upgrades += 1
        self.start(f"operator-{self._upgrades + 1}")
        await asyncio.sleep(3)
        for process in old:
            await process.stop()
