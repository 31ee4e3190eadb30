"""One simulated rollout: the operator's own gather, decide, commit and evidence rounds, on virtual ports.

Time jumps from one moment at which something can happen to the next. Nothing of a rule lives here: this module only
says when the operator looks, as its queue would: when evidence or a preflight has news, at the time that a decision
asked for, when pods come or go, and when a person acts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from modelrollout.catalog.profiles import Profile
from modelrollout.core.decide import decide
from modelrollout.core.intents import Announcement
from modelrollout.core.model import Epoch, Key, Phase, RolloutSpec, Weight
from modelrollout.core.observation import Evidence
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Bug, Conflict
from modelrollout.ports import SourceSpec
from modelrollout.runtime.commit import Commit
from modelrollout.runtime.gather import Gather
from modelrollout.runtime.preflight import RETRY, Preflights
from modelrollout.runtime.profiles import NONE, Profiles
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.record import entry
from modelrollout.runtime.rounds import EVALUATED, POLL, Rounds
from modelrollout.runtime.store import Store
from modelrollout.sim.cluster import VirtualClock, VirtualCluster, VirtualWorkloads
from modelrollout.sim.prometheus import VirtualMetrics
from modelrollout.sim.scenario import ArmName, Scenario
from modelrollout.sim.world import HISTORY, START, STOCK, Truth, World
from modelrollout.stats.ticks import read_offset

SPINS = 20
"""Decisions in a row that each changed something: more is a loop."""
ENDED = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Look:
    """What there was to see at one tick. `at`: seconds since creation; `truth`: counts since then, by arm and SLI."""

    at: float
    weight: Weight
    phase: Phase
    evidence: Evidence
    truth: Mapping[tuple[ArmName, str], tuple[int, int]]


@dataclass(slots=True)
class Course:
    """How one rollout went. Times in seconds since creation; `looks`, `journal`, `told` only when asked for."""

    spec: RolloutSpec
    scenario: Scenario
    status: RolloutStatus
    ended: float = 0.0
    truth: Mapping[tuple[ArmName, str], Truth] = field(default_factory=dict)
    weights: tuple[tuple[float, Weight], ...] = ()
    """Since when the data plane gave the candidate which weight."""
    looks: list[Look] = field(default_factory=list)
    journal: list[Mapping[str, object]] = field(default_factory=list)
    told: list[tuple[float, Announcement]] = field(default_factory=list)


def simulate(
    spec: RolloutSpec,
    scenario: Scenario,
    *,
    seed: int | None = None,
    source: SourceSpec,
    film: bool = False,
    profiles: Mapping[str, Profile] = NONE,
) -> Course:
    """Play a rollout to its end, or to the scenario's. `film`: keep what a chart and a journal need. `profiles`: of the
    cluster, by name.

    The same spec, scenario and seed give the same course. Raises SpecError when the SLIs can't be simulated.
    """
    rng = np.random.default_rng(scenario.seed if seed is None else seed)
    return asyncio.run(_Drive(World(spec, scenario, rng, source, profiles), source, film=film, profiles=profiles).run())


class _Drive:
    def __init__(self, world: World, source: SourceSpec, *, film: bool, profiles: Mapping[str, Profile]) -> None:
        self._world = world
        self._film = film
        self._profiles = profiles
        self._course = Course(world.spec, world.scenario, RolloutStatus())
        self._clock = VirtualClock(world)
        self._cluster = VirtualCluster(world, self._told)
        self._metrics = VirtualMetrics(
            world.storage,
            source,
            world.scenario.outages,
            self._clock.now,
            began=START,
            history=HISTORY,
            stock=STOCK,
        )
        self._key = world.spec.key
        self._news = True
        self._wakes: list[float] = []
        self._start()

    def _start(self) -> None:
        """A new operator process: it knows what the cluster stores, and nothing else."""
        world, cluster, clock, metrics = self._world, self._cluster, self._clock, self._metrics
        self._store = Store(cluster)
        self._store.put(cluster.obj)
        self._rounds = Rounds(metrics, clock, self._hear)
        self._preflights = Preflights(metrics, clock, self._changed)
        self._gather = Gather(
            store=self._store,
            workloads=VirtualWorkloads(world),
            routing=cluster,
            actions=cluster,
            metrics=metrics,
            rounds=self._rounds,
            preflights=self._preflights,
            clock=clock,
            profiles=Profiles(self._profiles.get),
        )
        self._commit = Commit(
            store=self._store,
            rollouts=cluster,
            routing=cluster,
            announcer=cluster,
            clock=clock,
            epoch=lambda: Epoch(1),
            newest=self._rounds.evidence,
        )
        self._news = True

    def _told(self, now: float, announcement: Announcement) -> None:
        if self._film:
            self._course.told.append((now - START, announcement))

    def _hear(self, key: Key, priority: Priority) -> None:
        self._news = True

    def _changed(self, key: Key) -> None:
        self._news = True

    async def run(self) -> Course:
        log = logging.getLogger("modelrollout")
        level = log.level
        log.setLevel(logging.CRITICAL)
        try:
            return await self._play()
        finally:
            log.setLevel(level)

    async def _play(self) -> Course:
        world, end = self._world, START + self._world.scenario.duration
        restarts = [START + at for at in world.scenario.restarts]
        acts = [START + act.at for act in world.scenario.actions]
        moments = sorted({*restarts, *acts})
        world.advance(START)
        while True:
            self._rounds.tick()
            await _quiet()
            if self._film and self._news:
                self._look()
            while self._news:
                self._news = False
                await self._reconcile()
            if self._status.phase in ENDED or world.now >= end:
                break
            moments = [at for at in moments if at > world.now]
            await self._pass_time(min([end, *moments, *self._planned()]))
            if any(at == world.now for at in restarts):
                await self._rounds.stop()
                self._start()
            self._news |= world.now in acts
        return self._finished()

    async def _pass_time(self, until: float) -> None:
        """Advance, but no further than to where pods come or go."""
        world = self._world
        while world.now < until:
            world.advance(min(until, world.next()))
            if world.pods_changed:
                world.pods_changed = False
                self._news = True
                return
        self._news |= any(at <= world.now for at in self._wakes)

    def _planned(self) -> list[float]:
        """When the operator looks next."""
        now, status = self._world.now, self._status
        wakes = [at for at in self._wakes if at > now]
        if status.phase in EVALUATED and status.step is not None:
            # The operator polls its trackers; a tick becomes due at its end and a moment.
            interval = self._world.spec.analysis.interval
            offset = read_offset(self._world.scenario.scrape)
            due = status.grid + (ceil((now + POLL / 2 - offset - status.grid) / interval)) * interval + offset
            wakes.append(max(ceil(due / POLL) * POLL, now + POLL))
        else:
            wakes.append(now + RETRY)
        return wakes

    @property
    def _status(self) -> RolloutStatus:
        return self._cluster.status

    async def _reconcile(self) -> None:
        """Decide until nothing changes, as the engine does."""
        self._wakes = []
        for _ in range(SPINS):
            seen = await self._gather(self._key, Epoch(1))
            await _quiet()
            now = self._world.now
            decision = decide(seen.spec, seen.obj.status, seen.observation, now)
            try:
                committed = await self._commit(seen, decision)
            except Conflict:
                self._store.doubt(self._key)
                continue
            if committed.changed and self._film:
                self._course.journal.append(entry(seen, decision, now))
            if not committed.changed:
                if decision.wake_at is not None:
                    self._wakes = [max(decision.wake_at, now + POLL)]
                return
        raise Bug(f"{SPINS} decisions in a row changed something", subject=str(self._key))

    def _look(self) -> None:
        world, status = self._world, self._status
        truth = {key: (truth.total, truth.bad) for key, truth in world.truth.items()}
        evidence = self._rounds.evidence(self._key)
        self._course.looks.append(Look(world.now - START, world.weight, status.phase, evidence, truth))

    def _finished(self) -> Course:
        course = self._course
        course.status, course.ended, course.truth = self._status, self._world.now - START, self._world.truth
        course.weights = tuple((at - START, weight) for at, weight in self._world.weights)
        return course


async def _quiet() -> None:
    """Let what rounds and preflights started come to its end; nothing of it waits for real time."""
    this = asyncio.current_task()
    while others := [task for task in asyncio.all_tasks() if task is not this]:
        await asyncio.wait(others)
