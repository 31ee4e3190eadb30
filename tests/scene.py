"""Builders for specs, statuses and observations, and a small world that carries decisions out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from modelrollout.core.decide import decide
from modelrollout.core.intents import (
    AddFinalizer,
    Announcement,
    Decision,
    DropFinalizer,
    Move,
    SetWeight,
    ShapeRoute,
)
from modelrollout.core.model import (
    FULL,
    ZERO,
    ActionVerb,
    Analysis,
    Arm,
    HeaderMatch,
    Key,
    ManagedRoute,
    Margin,
    ParentRef,
    ProfileRef,
    RolloutSpec,
    Segment,
    Sli,
    Step,
    Traffic,
    Verdict,
    Weight,
)
from modelrollout.core.observation import (
    ActionRequest,
    ArmCounts,
    Evidence,
    EvidencePending,
    EvidenceSeen,
    Observation,
    Preflight,
    PreflightPassed,
    Route,
    RouteAbsent,
    RouteSeen,
    SliAssessment,
    SpecProblem,
    Workload,
    WorkloadSeen,
)
from modelrollout.core.status import RolloutStatus, significant

START = 1_700_000_000.0
WIDE = Margin(2.0, 0.1)


def sli(name: str = "availability", *, critical: bool = True) -> Sli:
    """Its margin is wide, so that a minute of a few requests a second is enough for a PASS."""
    return Sli(name, ProfileRef("modelrollout", "errors"), allowed=0.01, critical=critical, margin=WIDE)


def make_spec(
    *weights: int, min_duration: float = 60.0, segments: bool = False, approval: int | None = None, **changes: object
) -> RolloutSpec:
    steps = tuple(
        Step(Weight(w * 100), min_duration, 21_600.0, approval=i == approval)
        for i, w in enumerate(weights or (5, 25, 100))
    )
    spec = RolloutSpec(
        key=Key("serving", "fraud"),
        uid="u1",
        generation=1,
        legacy=Arm("fraud-v7", "fraud-v7", "fraud", "7"),
        candidate=Arm("fraud-v8", "fraud-v8", "fraud", "8"),
        port=8080,
        traffic=Traffic(
            ManagedRoute((ParentRef("public", "infra"),), ("fraud.example.com",)),
            (Segment((HeaderMatch("x-tier", "beta"),)),) if segments else (),
        ),
        steps=steps,
        slis=(sli(),),
        analysis=Analysis(interval=5.0),
    )
    return replace(spec, **changes)  # type: ignore[arg-type]  # keyword names are the fields of RolloutSpec


def assessed(
    verdict: Verdict = Verdict.PASS,
    *,
    name: str = "availability",
    bad: int = 1,
    total: int = 500,
    critical: bool = True,
    **changes: object,
) -> SliAssessment:
    base = SliAssessment(
        name=name,
        critical=critical,
        verdict=verdict,
        candidate=ArmCounts(total, bad),
        legacy=ArmCounts(10_000, 50),
        allowed=0.01,
        burn=0.2,
        needed=383,
        sample_age=1.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # keyword names are the fields of SliAssessment


def own(found: SliAssessment) -> ArmCounts:
    """The candidate's counts of an SLI that has a total."""
    assert found.candidate is not None
    return found.candidate


READY = WorkloadSeen("candidate-template", wanted=2, endpoints=2, settled=True)
LEGACY = WorkloadSeen("legacy-template", wanted=3, endpoints=3, settled=True)


@dataclass
class World:
    """One rollout, its route and its stored status. `step()` decides once and carries the decision out in order."""

    spec: RolloutSpec = field(default_factory=make_spec)
    now: float = START
    status: RolloutStatus | None = None
    route: Route = field(default_factory=RouteAbsent)
    legacy: Workload = LEGACY
    candidate: Workload = READY
    revision: str | None = "rev-a"
    evidence: Evidence | None = None
    preflight: Preflight = field(default_factory=PreflightPassed)
    actions: list[ActionRequest] = field(default_factory=list)
    problem: SpecProblem | None = None
    deleting: bool = False
    finalizer: bool = False
    gone: bool = False
    version: int = 1
    verdict: Verdict = Verdict.PASS
    writes: list[str] = field(default_factory=list)
    told: list[Announcement] = field(default_factory=list)

    def observe(self) -> Observation:
        return Observation(
            deleting=self.deleting,
            finalizer=self.finalizer,
            legacy=self.legacy,
            candidate=self.candidate,
            route=self.route,
            evidence=self.evidence or self.present_evidence(),
            preflight=self.preflight,
            actions=tuple(self.actions),
            problem=self.problem,
            generation=self.spec.generation,
            revision=self.revision,
        )

    def present_evidence(self) -> Evidence:
        """Evidence of the present step with `self.verdict`, two ticks after it began."""
        step = self.status.step if self.status else None
        if step is None or self.now < step.started + 10:
            return EvidencePending()
        slis = tuple(assessed(self.verdict, name=s.name, critical=s.critical) for s in self.spec.slis)
        return EvidenceSeen(step.started + 5, self.now, slis)

    def decide(self) -> Decision:
        return decide(self.spec, self.status, self.observe(), self.now)

    def step(self) -> Decision:
        decision = self.decide()
        self.carry_out(decision)
        return decision

    def carry_out(self, decision: Decision, *, upto: int = 99) -> None:
        """Do the writes of a decision in their order, the first `upto` of them only (a crash after that)."""
        for write in self.plan(decision)[:upto]:
            write()
        if upto >= 99:
            self.told += decision.announcements
            done = {r.uid for r in decision.results}
            self.actions = [a for a in self.actions if a.uid not in done]

    def plan(self, decision: Decision) -> list:  # type: ignore[type-arg]  # closures without arguments
        intent = decision.intent
        status = [lambda: self._write_status(decision.status)] if significant(self.status, decision.status) else []
        match intent:
            case AddFinalizer():
                return [self._finalize]
            case DropFinalizer():
                return [*status, self._drop]
            case ShapeRoute(weight):
                return [*status, lambda: self._route(weight, FULL if weight and self.spec.traffic.segments else ZERO)]
            case SetWeight(weight, segments, move):
                full = FULL if segments else ZERO
                route = [lambda: self._route(weight, full)]
                return [*status, *route] if move is Move.RAISE else [*route, *status]
            case None:
                return status

    def _write_status(self, status: RolloutStatus) -> None:
        self.status = status
        self.writes.append("status")

    def _finalize(self) -> None:
        self.finalizer = True
        self.writes.append("finalizer")

    def _drop(self) -> None:
        self.gone = True
        self.writes.append("release")

    def _route(self, weight: Weight, segments: Weight) -> None:
        self.version += 1
        self.route = RouteSeen(weight, segments, str(self.version), accepted=True, generation=self.version)
        self.writes.append(f"route {weight}")

    def settle(self, *, rounds: int = 30) -> None:
        """Decide until nothing more is written at this moment."""
        for _ in range(rounds):
            before = len(self.writes)
            if self.gone:
                return
            self.step()
            if len(self.writes) == before:
                return
        raise AssertionError(f"not settled after {rounds} decisions: {self.writes[-12:]}")

    def run(self, seconds: float, *, every: float = 5.0) -> None:
        """Let time pass, deciding at each tick."""
        end = self.now + seconds
        while self.now < end:
            self.now += every
            self.settle()

    def edit_route(self, weight: int) -> None:
        """Somebody else changes the weight by hand."""
        self.version += 1
        self.route = RouteSeen(Weight(weight * 100), ZERO, str(self.version), accepted=True, generation=self.version)

    def act(self, verb: ActionVerb, *, revision: str | None = None, reason: str = "test") -> str:
        uid = f"uid-{len(self.writes)}-{verb}-{self.now}"
        self.actions.append(ActionRequest(f"a-{verb}".lower(), uid, verb, self.now, revision, reason))
        return uid

    @property
    def step_started(self) -> float:
        assert self.state.step is not None
        return self.state.step.started

    @property
    def route_weight(self) -> int:
        """Hundredths of a percent at the route."""
        assert isinstance(self.route, RouteSeen)
        return self.route.weight

    @property
    def weight(self) -> int:
        """Percent at the route, 0 without one."""
        return self.route.weight // 100 if isinstance(self.route, RouteSeen) else 0

    @property
    def state(self) -> RolloutStatus:
        assert self.status is not None
        return self.status


def started(*weights: int, **changes: object) -> World:
    """A world whose rollout is at its first step."""
    world = World(spec=make_spec(*weights, **changes))  # type: ignore[arg-type]  # passed on to make_spec
    world.settle()
    return world


def reasons(world: World) -> list[str]:
    """Why everything that was told so far was told."""
    return [a.reason for a in world.told]
