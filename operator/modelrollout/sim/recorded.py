"""A rollout as it would have run on recorded data: the operator's own gather, decide, commit and evidence rounds.

The traffic split is the recorded one: the weights that are decided here move nobody. Nothing of a rule lives here; this
module only lets time pass, from one moment at which the operator would look to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from modelrollout.catalog import resolve
from modelrollout.catalog.profiles import Profile
from modelrollout.core.decide import decide
from modelrollout.core.model import Epoch, Key, Phase, RolloutSpec
from modelrollout.core.observation import Evidence, PreflightFailed
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.core.status import DecisionRecord, RolloutStatus
from modelrollout.errors import Bug, Conflict, SpecError
from modelrollout.ports import SeriesQuery, SourceSpec
from modelrollout.runtime.arms import Split, told_apart
from modelrollout.runtime.budget import counted
from modelrollout.runtime.commit import Commit
from modelrollout.runtime.gather import Gather
from modelrollout.runtime.preflight import DISCOVERY_WINDOW, RETRY, Preflights
from modelrollout.runtime.profiles import NONE, Profiles, bound
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.rounds import EVALUATED, POLL, Rounds
from modelrollout.runtime.store import Store
from modelrollout.sim.playback import RecordedMetrics
from modelrollout.sim.recording import Recording
from modelrollout.sim.stand import ReadyWorkloads, StandIn, StandInClock
from modelrollout.stats.ticks import NUDGE, read_offset

SPINS = 20
"""Decisions in a row that each changed something: more is a loop."""
ENDED = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Moment:
    """A decision that changed what the status says. `new`: decisions it recorded; `evidence`: what it was made from."""

    at: float
    status: RolloutStatus
    new: tuple[DecisionRecord, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Shares:
    """Events of one SLI in the whole recording, as (total, bad)."""

    sli: str
    legacy: tuple[float, float]
    candidate: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How it went, from `began` to `ended` (epoch seconds). `notes`: what differs from a real run."""

    spec: RolloutSpec
    began: float
    ended: float
    status: RolloutStatus
    evidence: Evidence
    moments: tuple[Moment, ...]
    shares: tuple[Shares, ...]
    notes: tuple[str, ...]


def replay(
    spec: RolloutSpec,
    recording: Recording,
    source: SourceSpec,
    *,
    lead: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
    profiles: Mapping[str, Profile] = NONE,
) -> Replayed:
    """Run the rollout from `lead` seconds after the first sample until its end or the data's. `profiles`: of the
    cluster, by name.

    `progress` hears which share of the data has been played, from 0 to 1.

    Raises SpecError when the recording does not hold what the SLIs count.
    """
    span = recording.span
    if span is None:
        raise SpecError("the recording holds no sample")
    scrape = source.scrape_interval or recording.header.scrape
    if lead is None:
        lead = max(3 * scrape, min(DISCOVERY_WINDOW, 0.1 * (span[1] - span[0])))
    if span[0] + lead >= span[1]:
        raise SpecError(
            f"the recording is {span[1] - span[0]:g} s long; the rollout can't begin {lead:g} s after its start"
        )
    source = replace(source, scrape_interval=scrape)
    spec, notes = unattended(spec)
    if recording.header.rollout != str(spec.key):
        notes = (f"the data were recorded for {recording.header.rollout}", *notes)
    shares = _shares(spec, recording, source, profiles)
    run = _Run(spec, recording, source, profiles, begin=span[0] + lead, end=span[1])
    return asyncio.run(run.run(shares, notes, progress))


def unattended(spec: RolloutSpec) -> tuple[RolloutSpec, tuple[str, ...]]:
    """The spec without what waits for people, and a sentence for each such thing."""
    notes = []
    if any(step.approval for step in spec.steps):
        notes.append("approvals are taken as given at once")
        spec = replace(spec, steps=tuple(replace(step, approval=False) for step in spec.steps))
    if spec.paused:
        notes.append("spec.paused is taken as false")
        spec = replace(spec, paused=False)
    return spec, tuple(notes)


def plans(
    spec: RolloutSpec, recording: Recording, source: SourceSpec, profiles: Mapping[str, Profile] = NONE
) -> tuple[SliPlan, ...]:
    """How each SLI is counted in a recording. Raises SpecError for the first that can't be."""
    ends = [
        Series(s.labels, (s.times[0], s.times[-1]), (s.values[0], s.values[-1])) for s in recording.series if s.times
    ]
    found = []
    spec, catalogue = bound(spec, profiles)
    for sli in told_apart(spec, source).slis:
        legacy, candidate = Split(ends).arms(spec, sli, source)
        resolved = resolve(sli, (*legacy, *candidate), catalogue)
        if isinstance(resolved, PreflightFailed):
            raise SpecError(resolved.problem)
        found.append(resolved.plan)
    return tuple(found)


def _shares(
    spec: RolloutSpec, recording: Recording, source: SourceSpec, profiles: Mapping[str, Profile]
) -> tuple[Shares, ...]:
    span = recording.span
    assert span is not None
    metrics = RecordedMetrics(recording, source)
    found = []
    for plan, sli in zip(plans(spec, recording, source, profiles), spec.slis, strict=True):
        if not plan.total:
            continue
        query = SeriesQuery(plan.metrics, span[1] - span[0] + 1.0, plan.boundaries)
        legacy, candidate = Split.once(metrics.increases(query, span[1])).arms(spec, sli, source)
        found.append(Shares(sli.name, counted(plan, legacy), counted(plan, candidate)))
    return tuple(found)


class _Run:
    def __init__(
        self,
        spec: RolloutSpec,
        recording: Recording,
        source: SourceSpec,
        profiles: Mapping[str, Profile],
        *,
        begin: float,
        end: float,
    ) -> None:
        self._spec = spec
        self._began = begin
        self._offset = read_offset(source.scrape_interval or recording.header.scrape)
        self._end = end + self._offset
        self._clock = StandInClock(begin)
        self._stand = StandIn(spec, begin, lambda announcement: None)
        metrics = RecordedMetrics(recording, source)
        store = Store(self._stand)
        store.put(self._stand.obj)
        self._store = store
        # Weights that are decided here move nobody, so the recorded split must not be held against them.
        self._rounds = Rounds(metrics, self._clock, self._hear, split=False)
        self._preflights = Preflights(metrics, self._clock, self._changed)
        self._gather = Gather(
            store=store,
            workloads=ReadyWorkloads(),
            routing=self._stand,
            actions=self._stand,
            metrics=metrics,
            rounds=self._rounds,
            preflights=self._preflights,
            clock=self._clock,
            profiles=Profiles(profiles.get),
        )
        self._commit = Commit(
            store=store,
            rollouts=self._stand,
            routing=self._stand,
            announcer=self._stand,
            clock=self._clock,
            epoch=lambda: Epoch(1),
            newest=self._rounds.evidence,
        )
        self._news = True
        self._wake: float | None = None
        self._moments: list[Moment] = []

    def _hear(self, key: Key, priority: Priority) -> None:
        self._news = True

    def _changed(self, key: Key) -> None:
        self._news = True

    async def run(
        self, shares: tuple[Shares, ...], notes: tuple[str, ...], progress: Callable[[float], None]
    ) -> Replayed:
        clock = self._clock
        while True:
            self._rounds.tick()
            await _quiet()
            while self._news:
                self._news = False
                await self._reconcile()
            if self._stand.status.phase in ENDED or clock.at >= self._end:
                break
            clock.at = min(self._end, self._next())
            self._news = self._wake is not None and self._wake <= clock.at
            progress((clock.at - self._began) / (self._end - self._began))
        evidence = (
            self._moments[-1].evidence if self._stand.status.phase in ENDED else self._rounds.evidence(self._spec.key)
        )
        return Replayed(
            self._spec, self._began, clock.at, self._stand.status, evidence, tuple(self._moments), shares, notes
        )

    def _next(self) -> float:
        """When the operator looks next."""
        now, status = self._clock.at, self._stand.status
        if status.phase in EVALUATED and status.step is not None:
            interval = self._spec.analysis.interval
            ticks = ceil((now - self._offset - status.grid) / interval + NUDGE)
            look = status.grid + ticks * interval + self._offset
        else:
            look = now + RETRY
        return max(now + POLL, look if self._wake is None else min(look, self._wake))

    async def _reconcile(self) -> None:
        """Decide until nothing changes, as the engine does."""
        self._wake = None
        key = self._spec.key
        for _ in range(SPINS):
            seen = await self._gather(key, Epoch(1))
            await _quiet()
            before = self._stand.status
            decision = decide(seen.spec, seen.obj.status, seen.observation, self._clock.at)
            try:
                committed = await self._commit(seen, decision)
            except Conflict:
                self._store.doubt(key)
                continue
            self._note(before, seen.observation.evidence)
            if not committed.changed:
                self._wake = decision.wake_at
                return
        raise Bug(f"{SPINS} decisions in a row changed something", subject=str(key))

    def _note(self, before: RolloutStatus, evidence: Evidence) -> None:
        after = self._stand.status
        new = tuple(record for record in after.decisions if record not in before.decisions)
        if new or (before.phase, before.reason) != (after.phase, after.reason):
            self._moments.append(Moment(self._clock.at, after, new, evidence))


async def _quiet() -> None:
    """Let what rounds and preflights started come to its end; nothing of it waits for real time."""
    while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # there is no one to set an event: tasks end by themselves
        await asyncio.sleep(0)
