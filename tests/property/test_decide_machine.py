"""The decision core as a state machine: any order of events, crashes between writes, stale reads, clock jumps.

Asserts the oracles of the search (`e2e.chaos.model`) after every write and, from every reachable state, I4 and I6.
"""

from __future__ import annotations

import copy
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from e2e.chaos.model.oracles import Change, Stored
from e2e.chaos.model.oracles import broken as broken_by
from modelrollout.core.decide import decide
from modelrollout.core.intents import Move, SetWeight, ShapeRoute
from modelrollout.core.invariants import violations
from modelrollout.core.model import FULL, ZERO, ActionVerb, Outcome, Phase, Step, Verdict, Weight
from modelrollout.core.observation import (
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    NoDataCause,
    Preflight,
    PreflightFailed,
    PreflightPassed,
    PreflightUnknown,
    RouteSeen,
    WorkloadAbsent,
)
from tests.scene import LEGACY, READY, World, assessed, make_spec

REVISIONS = ("rev-a", "rev-b", "rev-c")
PLANS = ((5, 25, 100), (1, 10, 50, 100), (100,), (30, 100))
VERDICTS = tuple(Verdict)


def stored(world: World) -> Stored:
    route = world.route
    weight, segments = (route.weight, route.segments) if isinstance(route, RouteSeen) else (None, ZERO)
    return Stored(world.status, weight, segments, world.finalizer, world.deleting, world.gone)


class Rollout(RuleBasedStateMachine):
    """One rollout in a hostile world."""

    @initialize(plan=st.sampled_from(PLANS), segments=st.booleans(), approval=st.sampled_from((None, 0, 1)))
    def start(self, plan: tuple[int, ...], segments: bool, approval: int | None) -> None:
        self.world = World(spec=make_spec(*plan, segments=segments, approval=approval))
        self.before = copy.copy(self.world)

    # --- the world moves -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.0, 1.0, 5.0, 65.0, 700.0, 30_000.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(seconds=st.sampled_from((-3600.0, -1.0, 86_400.0)))
    def clock_jumps(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(verdict=st.sampled_from(VERDICTS))
    def verdict_turns(self, verdict: Verdict) -> None:
        self.world.evidence = None
        self.world.verdict = verdict

    @rule(kind=st.sampled_from(("pending", "unreachable", "stale", "nodata")))
    def evidence_goes(self, kind: str) -> None:
        world = self.world
        match kind:
            case "pending":
                world.evidence = EvidencePending()
            case "unreachable":
                world.evidence = EvidenceUnreachable("Timeout", world.now)
            case "stale":  # evidence of an earlier step
                world.evidence = EvidenceSeen(world.now - 1e6, world.now - 1e6 + 5, (assessed(Verdict.PASS),))
            case _:
                silent = assessed(Verdict.NO_DATA, no_data=NoDataCause.STALE)
                world.evidence = EvidenceSeen(world.now + 1, world.now + 5, (silent,))

    @rule(endpoints=st.sampled_from((0, 1, 2)))
    def candidate_changes(self, endpoints: int) -> None:
        self.world.candidate = replace(READY, endpoints=endpoints)

    @rule(endpoints=st.sampled_from((0, 3)), template=st.sampled_from(("legacy-template", "other")))
    def legacy_changes(self, endpoints: int, template: str) -> None:
        self.world.legacy = replace(LEGACY, endpoints=endpoints, template_hash=template)

    @rule(revision=st.sampled_from(REVISIONS))
    def new_template(self, revision: str) -> None:
        self.world.revision = revision
        if isinstance(self.world.candidate, WorkloadAbsent):
            self.world.candidate = READY

    @rule()
    def candidate_is_deleted(self) -> None:
        self.world.candidate = WorkloadAbsent('candidate.deployment "fraud-v8" not found')
        self.world.revision = None

    @rule(weight=st.integers(0, 100))
    def somebody_edits_the_route(self, weight: int) -> None:
        if isinstance(self.world.route, RouteSeen):
            self.world.edit_route(weight)

    @rule(verb=st.sampled_from(tuple(ActionVerb)))
    def somebody_acts(self, verb: ActionVerb) -> None:
        self.world.now += 0.001
        self.world.act(verb)

    @rule(plan=st.sampled_from(PLANS), paused=st.booleans(), then=st.sampled_from(tuple(Outcome)))
    def spec_is_edited(self, plan: tuple[int, ...], paused: bool, then: Outcome) -> None:
        spec = self.world.spec
        steps = tuple(Step(Weight(w * 100), 60.0, 21_600.0) for w in plan)
        quiet = replace(spec.analysis.inconclusive, then=then)
        self.world.spec = replace(
            spec,
            steps=steps,
            paused=paused,
            generation=spec.generation + 1,
            analysis=replace(spec.analysis, inconclusive=quiet),
        )

    @rule(kind=st.sampled_from(("passed", "failed", "unknown")))
    def preflight_turns(self, kind: str) -> None:
        outcomes: dict[str, Preflight] = {
            "passed": PreflightPassed(),
            "failed": PreflightFailed("MetricNotFound", "no such metric"),
            "unknown": PreflightUnknown(),
        }
        self.world.preflight = outcomes[kind]

    @rule()
    def object_is_deleted(self) -> None:
        self.world.deleting = self.world.finalizer

    # --- the operator works --------------------------------------------------------------------------------------

    @rule()
    def reconcile(self) -> None:
        self._carry_out(upto=99)

    @rule()
    def all_goes_well_for_a_step(self) -> None:
        world = self.world
        if world.gone or world.deleting:
            return
        world.legacy, world.candidate = LEGACY, READY
        world.evidence, world.verdict, world.preflight = None, Verdict.PASS, PreflightPassed()
        world.revision = world.revision or REVISIONS[0]
        for _ in range(14):
            world.now += 5
            self._carry_out(upto=99)

    @rule(upto=st.integers(0, 1))
    def crash_between_writes(self, upto: int) -> None:
        self._carry_out(upto=upto)

    @rule()
    def decide_on_a_stale_view(self) -> None:
        """A decision on an old view meets the resourceVersion tests: its writes are refused."""
        old = self.before
        decision = decide(old.spec, old.status, old.observe(), self.world.now)
        if old.version == self.world.version and old.writes == self.world.writes and old.spec == self.world.spec:
            return
        intent = decision.intent
        # Only a lowering may go without a fresh read, and it can only lower (reliability rule 4).
        if isinstance(intent, SetWeight) and intent.move is Move.LOWER:
            assert intent.weight <= (old.route.weight if isinstance(old.route, RouteSeen) else ZERO)

    def _carry_out(self, *, upto: int) -> None:
        world = self.world
        if world.gone:
            return
        self.before = copy.copy(world)
        self.before.writes = list(world.writes)
        self.before.actions = list(world.actions)
        obs = world.observe()
        decision = decide(world.spec, world.status, obs, world.now)
        assert decision == decide(world.spec, world.status, obs, world.now), "not deterministic"
        broken = violations(world.status, obs, decision)
        assert not broken, broken
        start = stored(world)
        world.carry_out(decision, upto=upto)
        change = Change(world.spec, start, stored(world), decision, obs, complete=upto >= 99)
        assert broken_by(change) == (), change

    # --- what must always hold -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        """I4 and I6: from here, an abort brings the weight to 0 in one pass, and then nothing more is written."""
        if not hasattr(self, "world") or self.world.gone:
            return
        world = self.world
        world.deleting = False
        world.legacy = LEGACY
        world.now += 0.001
        world.act(ActionVerb.ABORT)
        world.settle()
        if world.status and world.status.phase is not Phase.IDLE:
            assert world.weight == 0, (world.weight, world.status.phase, world.status.message)
        writes = len(world.writes)
        for _ in range(10):
            world.now += 300
            world.step()
        late = world.writes[writes:]
        assert not [w for w in late if w.startswith("route")], late
        assert len(late) <= 2, late


Rollout.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRollout = Rollout.TestCase


def test_shape_and_set_weight_are_the_only_ways_to_move_traffic() -> None:
    """The machine above checks every intent that carries a weight; a new kind must be added to it."""
    carrying = {k for k in (SetWeight, ShapeRoute) if "weight" in k.__dataclass_fields__}
    assert carrying == {SetWeight, ShapeRoute}
    assert FULL == 10_000
