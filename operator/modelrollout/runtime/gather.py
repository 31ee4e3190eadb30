"""Builds the one `Observation` a decision may use. The only reader of the ports in a reconcile."""

from __future__ import annotations

from dataclasses import dataclass

from modelrollout.core.model import Epoch, Key, Phase, RolloutSpec, Verdict
from modelrollout.core.observation import (
    ArmCounts,
    Evidence,
    EvidencePending,
    EvidenceSeen,
    EvidenceUnreachable,
    NoDataCause,
    Observation,
    PreflightFailed,
    RouteAbsent,
    RouteUnusable,
    SliAssessment,
    SpecProblem,
    WorkloadAbsent,
)
from modelrollout.core.reasons import Reason
from modelrollout.core.revision import revision_of
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import Actions, Clock, Metrics, RolloutObject, Routing, SourceSpec, Workloads
from modelrollout.runtime.claims import claimed, contested
from modelrollout.runtime.preflight import NOT_LOOKED, Found, Preflights
from modelrollout.runtime.profiles import Profiles
from modelrollout.runtime.rounds import EVALUATED, Rounds
from modelrollout.runtime.store import Store

AWAITED = 10.0
"""Seconds between looks past the watches at pods that a way back waits for."""
ASKING = frozenset({Phase.PREFLIGHT, Phase.INVALID, Phase.PROGRESSING, Phase.PAUSED})
"""Phases in which the metrics matter."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """One rollout as seen: `spec` is the last valid one, None when there never was one."""

    obj: RolloutObject
    spec: RolloutSpec | None
    observation: Observation


class Gather:
    """Reads caches, and the API server for a key in doubt."""

    def __init__(
        self,
        *,
        store: Store,
        workloads: Workloads,
        routing: Routing,
        actions: Actions,
        metrics: Metrics,
        rounds: Rounds,
        preflights: Preflights,
        clock: Clock,
        profiles: Profiles | None = None,
    ) -> None:
        self._store = store
        self._workloads = workloads
        self._routing = routing
        self._actions = actions
        self._metrics = metrics
        self._rounds = rounds
        self._preflights = preflights
        self._clock = clock
        self._profiles = profiles or Profiles()

    async def __call__(self, key: Key, epoch: Epoch) -> Gathered:
        """What a decision about `key` may use. Raises Gone and the transient errors of the ports."""
        fresh = self._store.doubted(key)
        obj = await self._store.read(key)
        fresh = self._awaited(obj) or fresh
        spec = self._store.valid_spec(obj)
        actions = tuple(self._actions.pending(key))
        if spec is None:
            absent = WorkloadAbsent("the object can't be read")
            observation = Observation(
                obj.deleting,
                obj.finalizer,
                absent,
                absent,
                RouteAbsent(),
                EvidencePending(),
                NOT_LOOKED.preflight,
                actions,
                _problem(obj),
                epoch,
                obj.generation,
            )
            return Gathered(obj, None, observation)
        legacy, candidate = await self._workloads.observe(spec, fresh=fresh)
        route = self._contested(spec) or await self._routing.observe(spec, fresh=fresh)
        revision = revision_of(candidate, spec.candidate)
        meant = self._profiles.bind(spec)
        spec = meant.spec
        source = self._source(spec)
        found = NOT_LOOKED
        evidence: Evidence = EvidencePending()
        status = obj.status
        asked = status is not None and status.phase in ASKING and revision is not None and meant.whole
        if asked and isinstance(source, SourceSpec) and status is not None and revision is not None:
            begun = status.step is not None
            found = self._preflights.look(
                spec, source, revision=revision, phase=status.phase, begun=begun, catalogue=meant.catalogue
            )
            self._rounds.follow(spec, status, source, found.plans, found.scrape)
            evidence = self._evidence(spec, status, found)
        else:
            self._rounds.drop(key)
        observation = Observation(
            obj.deleting,
            obj.finalizer,
            legacy,
            candidate,
            route,
            evidence,
            found.preflight,
            actions,
            _problem(obj) or meant.problem or (source if isinstance(source, SpecProblem) else None),
            epoch,
            obj.generation,
            revision,
        )
        return Gathered(obj, spec, observation)

    def _awaited(self, obj: RolloutObject) -> bool:
        """A way back that waits for pods asks for them now and then: a watch may stand and tell nothing."""
        if obj.status is None or obj.status.holds.blocked is None:
            self._store.arrived(obj.key)
            return False
        return self._store.awaited(obj.key, self._clock.monotonic(), every=AWAITED)

    def _contested(self, spec: RolloutSpec) -> RouteUnusable | None:
        # The claim is that of the newest spec; this one may have been overtaken while its workloads were read.
        elder = self._store.claims.elder(spec.key) if claimed(spec) else None
        return None if elder is None else RouteUnusable(contested(spec, elder))

    def _source(self, spec: RolloutSpec) -> SourceSpec | SpecProblem:
        name = spec.analysis.metric_source
        source = self._metrics.source(name)
        if isinstance(source, SourceSpec) and not self._metrics.allowed(name, spec.key.namespace):
            return SpecProblem(
                Reason.NAMESPACE_NOT_ALLOWED,
                f"analysis.metricSource {name!r} may not be used from namespace {spec.key.namespace!r}: "
                "ask an administrator to extend its allowedNamespaces, or name another MetricSource",
            )
        return source

    def _evidence(self, spec: RolloutSpec, status: RolloutStatus, found: Found) -> Evidence:
        if found.plans or status.phase not in EVALUATED or status.step is None:
            return self._rounds.evidence(spec.key)
        # A new leader in mid-step that finds no metrics: the step must not wait for ever as if it had just begun.
        now = self._clock.now()
        if found.unreachable:
            return EvidenceUnreachable(found.unreachable, status.holds.unreachable or now)
        if isinstance(found.preflight, PreflightFailed):
            return EvidenceSeen(status.step.started, now, tuple(_missing(spec, found.preflight.problem)))
        return EvidencePending()


def _problem(obj: RolloutObject) -> SpecProblem | None:
    if obj.spec is None and obj.problem is None:
        return SpecProblem(Reason.INVALID_SPEC, "the object can't be read")
    return obj.problem


def _missing(spec: RolloutSpec, problem: str) -> list[SliAssessment]:
    return [
        SliAssessment(
            sli.name,
            sli.critical,
            Verdict.NO_DATA,
            None if sli.allowed is None else ArmCounts(0, 0),
            None if sli.allowed is None else ArmCounts(0, 0),
            sli.allowed,
            no_data=NoDataCause.MISSING,
            note=problem,
        )
        for sli in spec.slis
    ]
