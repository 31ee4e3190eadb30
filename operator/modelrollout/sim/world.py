"""The virtual world: traffic, pods, a route that is followed after a while, and Prometheus scraping all of it.

Time stands still between calls of `advance`. Everything random comes from one seeded generator, in the order of
virtual time, so that the same scenario and seed give the same world.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from modelrollout.catalog.profiles import Profile
from modelrollout.core.model import ZERO, RolloutSpec, Weight
from modelrollout.ports import SourceSpec
from modelrollout.runtime.profiles import NONE
from modelrollout.sim import traffic
from modelrollout.sim.pods import Health, Pod
from modelrollout.sim.prometheus import Storage
from modelrollout.sim.scenario import BOTH, ArmName, Crashes, Onset, OutageKind, Scale, Scenario
from modelrollout.sim.streams import Stream, streams

START = 1_800_000_000.0
"""Epoch seconds at which the rollout is created."""
PREROLL = 300.0
"""Seconds for which Prometheus has scraped before, at least."""
HISTORY = 30 * 86_400.0
"""Seconds for which legacy has served before, as usual."""
STOCK = 3600.0
"""Seconds of that time that legacy's counters hold: its pods were restarted an hour ago."""


@dataclass(slots=True)
class Truth:
    """What really happened since the rollout was created: events and bad events."""

    total: int = 0
    bad: int = 0


class World:
    """All of it at `now` (epoch seconds). `weight`: the candidate's share that the data plane gives at present."""

    def __init__(
        self,
        spec: RolloutSpec,
        scenario: Scenario,
        rng: np.random.Generator,
        source: SourceSpec | None = None,
        profiles: Mapping[str, Profile] = NONE,
    ) -> None:
        self.spec = spec
        self.scenario = scenario
        # Labels of predictions that were made before the rollout arrive all the time.
        self.now = START - PREROLL - max([x.delay + 4 * x.spread for x in scenario.late], default=0.0)
        self.weight: Weight = ZERO
        self.segments: Weight = ZERO
        self.weights: list[tuple[float, Weight]] = [(START, ZERO)]
        """Since when (epoch seconds) the data plane has given which weight."""
        self.pods_changed = False
        self.storage = Storage()
        self.truth: dict[tuple[ArmName, str], Truth] = {
            (a, s.name): Truth() for a in BOTH for s in spec.slis if s.allowed is not None
        }
        self._rng = rng
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._named = 0
        self._begun: dict[Onset, float] = {}
        self._highest = ZERO
        self._streams = streams(spec, source, profiles)
        self._pods = self._made()
        self.wanted = dict(zip(BOTH, scenario.replicas, strict=True))
        """Pods that each Deployment is to have."""
        for pod in self._pods:
            self._discover(pod)
        for scale in scenario.scales:
            self._at(START + scale.at, partial(self._scale, scale))
        for moment in self._moments():
            self._at(moment, self._settle)
        for crashes in scenario.crashes:
            self._watch(crashes)

    def _made(self) -> list[Pod]:
        pods = []
        for arm, replicas in zip(BOTH, self.scenario.replicas, strict=True):
            for _ in range(replicas):
                pod = self._pod(arm)
                if arm is ArmName.LEGACY:
                    pod.stock(self.usual() * STOCK / replicas, self.health(arm, self.now))
                pod.born = self.now - STOCK
                pods.append(pod)
        return pods

    def _pod(self, arm: ArmName) -> Pod:
        self._named += 1
        return Pod(
            f"{getattr(self.spec, arm.value).deployment}-7c9d8f6b5-{self._named:05d}",
            arm,
            self._streams,
            {x.sli: x for x in self.scenario.late},
            born=self.now,
            dispersion=self.scenario.dispersion,
            rng=self._rng,
            tell=self._tell,
        )

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of events behind the SLIs."""
        return self._streams

    def usual(self) -> float:
        """Requests a second before the rollout."""
        return traffic.rate(self.scenario.traffic, 0.0)

    def advance(self, to: float) -> None:
        """Let time pass until `to`, epoch seconds."""
        while self._queue and self._queue[0][0] <= to:
            self.now, _, happen = heapq.heappop(self._queue)
            happen()
        self.now = to

    def next(self) -> float:
        """When something happens next."""
        return self._queue[0][0] if self._queue else float("inf")

    def order(self, weight: Weight, segments: Weight) -> None:
        """The route says so now; the data plane follows after the scenario's `settle`."""

        def follow() -> None:
            self._settle()
            self.weight, self.segments = weight, segments
            if weight != self.weights[-1][1]:
                self.weights.append((self.now, weight))
            if weight > self._highest:
                self._highest = weight
                self._reached()

        self._at(self.now + self.scenario.settle, follow)

    def ready(self, arm: ArmName) -> int:
        """Pods of an arm that take requests."""
        return sum(pod.up for pod in self._pods if pod.arm is arm)

    def share(self, arm: ArmName) -> float:
        """Share of all requests that the route sends to an arm."""
        part = self.scenario.segments if self.spec.traffic.segments else 0.0
        candidate = (part * self.segments + (1.0 - part) * self.weight) / 10_000
        return candidate if arm is ArmName.CANDIDATE else 1.0 - candidate

    def health(self, arm: ArmName, t: float) -> Health:
        """How an arm answers at `t`, epoch seconds."""
        bad = {sli.name: self.scenario.share(sli) for sli in self.spec.slis if sli.allowed is not None}
        times: dict[str, float] = {}
        for change in self.scenario.changes:
            begun = self.begun(change.onset)
            if arm in change.arms and begun is not None and begun <= t < begun + change.onset.lasts:
                bad[change.sli] = min(1.0, max(0.0, bad[change.sli] * change.ratio + change.difference))
                times[change.sli] = times.get(change.sli, 1.0) * change.times
        return Health(bad, times)

    def begun(self, onset: Onset) -> float | None:
        """When it began or will, epoch seconds; None while the weight it waits for has not been reached."""
        return START + onset.at if onset.weight is None else self._begun.get(onset)

    def _reached(self) -> None:
        onsets = [*(c.onset for c in self.scenario.changes), *(c.onset for c in self.scenario.crashes)]
        for onset in onsets:
            if onset.weight is not None and onset not in self._begun and self._highest >= onset.weight:
                self._begun[onset] = self.now + onset.at
                for moment in (self.now + onset.at, self.now + onset.at + onset.lasts):
                    self._at(moment, self._settle)
        for crashes in self.scenario.crashes:
            if crashes.onset.weight is not None and self._begun.get(crashes.onset) == self.now + crashes.onset.at:
                self._watch(crashes)

    def _moments(self) -> Iterable[float]:
        """When shares change by the clock."""
        for change in self.scenario.changes:
            if change.onset.weight is None:
                yield START + change.onset.at
                yield START + change.onset.at + change.onset.lasts

    def _at(self, t: float, happen: Callable[[], None]) -> None:
        if t < float("inf"):
            self._order += 1
            heapq.heappush(self._queue, (max(t, self.now), self._order, happen))

    def _settle(self) -> None:
        """Count everything up to now, before something changes."""
        for pod in self._pods:
            self._serve(pod)

    def _serve(self, pod: Pod) -> None:
        span = self.now - pod.until
        if span <= 0 or not pod.up:
            return
        middle = pod.until + span / 2
        each = traffic.rate(self.scenario.traffic, middle - START) * self.share(pod.arm) / self.ready(pod.arm)
        health = self.health(pod.arm, middle)
        for cold in self.scenario.cold:
            if middle < pod.born + cold.lasts:
                health.times[cold.sli] = health.times.get(cold.sli, 1.0) * cold.times
        pod.serve(each * span, self.now, health)

    def _discover(self, pod: Pod) -> None:
        """Prometheus scrapes each target at a phase of its own."""
        self._at(self.now + float(self._rng.uniform(0.0, self.scenario.scrape)), partial(self._scrape, pod))

    def _scale(self, scale: Scale) -> None:
        self._settle()
        self.pods_changed = True
        self.wanted[scale.arm] = scale.replicas
        mine = [pod for pod in self._pods if pod.arm is scale.arm]
        for pod in mine[scale.replicas :]:
            self._pods.remove(pod)
            mine[0].inherit(pod)
        for _ in range(scale.replicas - len(mine)):
            pod = self._pod(scale.arm)
            self._pods.append(pod)
            self._discover(pod)

    def _scrape(self, pod: Pod) -> None:
        if pod not in self._pods:
            return
        self._at(self.now + self.scenario.scrape, partial(self._scrape, pod))
        outages = [o for o in self.scenario.outages if START + o.start <= self.now < START + o.end]
        self._serve(pod)
        if any(o.kind is OutageKind.DOWN for o in outages):
            return
        odd = any(o.kind is OutageKind.NAN and pod.arm in o.arms for o in outages)
        self.storage.store(pod, self.spec.key.namespace, self.now, odd=odd)

    def _watch(self, crashes: Crashes) -> None:
        """Plan the first crash of each pod, if it is known when the crashing begins."""
        begun = self.begun(crashes.onset)
        if begun is None:
            return
        for pod in self._pods:
            if pod.arm is crashes.arm:
                self._plan(pod, crashes, begun)

    def _plan(self, pod: Pod, crashes: Crashes, after: float) -> None:
        begun = self.begun(crashes.onset)
        assert begun is not None
        at = after + float(self._rng.exponential(crashes.every))
        if at < begun + crashes.onset.lasts:
            self._at(at, partial(self._crash, pod, crashes))

    def _crash(self, pod: Pod, crashes: Crashes) -> None:
        if pod not in self._pods:
            return
        self._settle()
        pod.up = False
        self.pods_changed = True
        heir = next((other for other in self._pods if other.arm is pod.arm and other.up), None)
        if heir is not None:
            heir.inherit(pod)

        def back() -> None:
            self._settle()
            pod.restart(self.now)
            self.pods_changed = True
            self._plan(pod, crashes, self.now)

        self._at(self.now + crashes.downtime, back)

    def _tell(self, arm: ArmName, sli: str, total: int, bad: int) -> None:
        if self.now > START:
            truth = self.truth[arm, sli]
            truth.total += total
            truth.bad += bad
