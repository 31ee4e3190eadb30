"""A world whose weight is a share of pods: they come up some time after they are wanted, if there is room for them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from modelrollout.core.intents import Decision
from modelrollout.core.model import Analysis, Arm, Phase, Replicas, Traffic, Verdict, Weight
from modelrollout.core.observation import (
    Evidence,
    EvidenceSeen,
    Observation,
    RouteSeen,
    RouteUnusable,
    WorkloadAbsent,
    WorkloadSeen,
)
from modelrollout.core.pods import Pods, ahead, reached, weight_of
from modelrollout.core.reasons import Reason
from tests.scene import World, make_spec


@dataclass
class PodsWorld(World):
    """`start`: seconds until a pod is ready. `room`: pods that the cluster holds. `broken`: the candidate's never come.

    `seen`: every pair of ready pods that there was, legacy first.
    """

    total: int = 10
    counts: tuple[int, int] = (10, 0)
    start: float = 15.0
    room: int = 1000
    broken: bool = False
    problem_of_pods: str = ""
    silent: bool = False
    """Prometheus answers, and has no new samples of the candidate."""
    lost: str = ""
    """Why nothing is seen of the pods, such as a Service that is gone."""
    lingering: int = 0
    """Pods of the candidate that were told to end and still serve."""
    seen: list[tuple[int, int]] = field(default_factory=list)
    up: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def __post_init__(self) -> None:
        self.up = ([0.0] * self.counts[0], [0.0] * self.counts[1])

    @property
    def pods(self) -> Pods:
        ready = [sum(at <= self.now for at in arm) for arm in self.up]
        return Pods(self.total, *self.counts, ready[0], ready[1] + self.lingering)

    def observe(self) -> Observation:
        self.place()
        pods = self.pods
        self.seen.append((pods.legacy_ready, pods.candidate_ready))
        weight, wrong = weight_of(pods), self.problem_of_pods
        self.route = RouteSeen(weight, weight, str(self.counts), accepted=not wrong, detail=wrong, pods=pods)
        self.legacy = WorkloadSeen("legacy-template", pods.legacy, pods.legacy_ready, settled=True)
        self.candidate = WorkloadSeen("candidate-template", pods.candidate, pods.candidate_ready, settled=True)
        if self.lost:
            self.route, self.legacy, self.candidate = RouteUnusable(self.lost), WorkloadAbsent(""), WorkloadAbsent("")
        return super().observe()

    def present_evidence(self) -> Evidence:
        found = super().present_evidence()
        if not self.silent or not isinstance(found, EvidenceSeen):
            return found
        return replace(found, slis=tuple(replace(x, verdict=Verdict.WAIT, sample_age=None) for x in found.slis))

    def place(self) -> None:
        """Pods go as soon as they are not wanted, and begin as soon as there is room."""
        for arm, count in zip(self.up, self.counts, strict=True):
            del arm[count:]
        for index, (arm, count) in enumerate(zip(self.up, self.counts, strict=True)):
            while len(arm) < count and sum(map(len, self.up)) < self.room:
                arm.append(float("inf") if index and self.broken else self.now + self.start)

    def scale(self, legacy: int, candidate: int) -> None:
        """As somebody else."""
        self.counts = (legacy, candidate)
        self.place()

    def crash(self) -> None:
        """All pods of the candidate begin anew."""
        self.up[1][:] = [self.now + self.start] * len(self.up[1])

    def _route(self, weight: Weight, segments: Weight) -> None:
        before = self.counts
        self.counts = ahead(self.pods, weight).counts
        assert self.counts != before, f"a write to {weight} that changes nothing: the next decision would be the same"
        self.place()
        self.writes.append("pods {} {}".format(*self.counts))

    def until(self, seconds: float, every: float = 1.0) -> list[tuple[int, int]]:
        """Let time pass; the pairs of ready pods that there were."""
        first = len(self.seen)
        self.run(seconds, every=every)
        return self.seen[first:]


def pods_world(*weights: int, total: int = 10, **changes: object) -> PodsWorld:
    """A rollout that is about to begin; its steps have the shares that pods make."""
    router = Replicas("fraud", total, tuple(weight * 100 for weight in weights))
    spec = make_spec(*weights, traffic=Traffic(router), analysis=Analysis(interval=5.0, split_holds=False))
    spec = replace(spec, legacy=Arm("fraud-v7", "fraud"), candidate=Arm("fraud-v8", "fraud"))
    steps = tuple(replace(step, weight=reached(step.weight, total)) for step in spec.steps)
    counts = {"counts": (total, 0)} | changes
    return PodsWorld(spec=replace(spec, steps=steps), total=total, **counts)  # type: ignore[arg-type]  # its own fields


def judged(world: PodsWorld, verdict: Verdict) -> Decision:
    """The next decision with this verdict, five seconds later."""
    world.verdict = verdict
    world.now += 5
    return world.step()


def at_half(**changes: object) -> PodsWorld:
    """At 50 %, five pods each."""
    world = pods_world(10, 50, 100, **changes)  # type: ignore[arg-type]  # fields of the world
    world.settle()
    while world.counts != (5, 5) or world.state.reason == Reason.SCALING:
        world.until(5)
    return world


def phase(world: PodsWorld) -> Phase:
    return world.state.phase
