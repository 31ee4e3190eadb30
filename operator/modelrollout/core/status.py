"""The memory of a rollout: what is written to `.status` and read back, as frozen values.

`api.status_codec` turns it into JSON and back without loss (times are kept to the millisecond).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelrollout.core.model import NO_EPOCH, Epoch, Phase, Verdict, Weight
from modelrollout.core.observation import ArmCounts, Effect, LedgerState, NoDataCause, Odds, SliCheckpoint
from modelrollout.core.rates import Rates
from modelrollout.core.reasons import Reason

UNSEEN = -1
"""Observed generation of a rollout that nobody has looked at yet: what its readers see until the first write.

No generation is negative, so whoever compares the two never takes a new object for one that is done.
"""
MAX_DECISIONS = 20
MAX_HISTORY = 10
MAX_REJECTED = 10
MAX_HANDLED = 20


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `.status.conditions`; `status` is "True", "False" or "Unknown"."""

    type: str
    status: str
    reason: str
    message: str
    since: float
    generation: int


@dataclass(frozen=True, slots=True)
class StepState:
    """The step a rollout is at. `weight` is what this step orders from the router.

    `route`: the route's generation as it was last decided to set this weight; 0 when unknown. `counted`: when the
    numbers of this step were last written; 0 when they never were.
    """

    index: int
    count: int
    started: float
    weight: Weight
    route: int = 0
    counted: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Pre-rendered strings for the printer columns."""

    step: str = ""
    weight: str = ""
    verdict: str = ""
    burn: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class SliStatus:
    """The newest assessment of one SLI that was worth writing down."""

    name: str
    critical: bool
    verdict: Verdict
    candidate: ArmCounts | None
    legacy: ArmCounts | None
    burn: float | None
    needed: int
    sample_age: float | None
    message: str
    no_data: NoDataCause | None = None
    effect: Effect | None = None
    odds: Odds | None = None
    rates: Rates | None = None
    counted: str = ""
    """What it is counted from, as discovery found it."""


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision that moved traffic or changed the phase, with the numbers behind it."""

    at: float
    action: str
    reason: str
    message: str
    weight: Weight
    revision: str
    generation: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """How one revision ended."""

    revision: str
    outcome: str
    reason: str
    message: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Incident:
    """The open or last revert: when, why, at which weight, and when the route was seen at 0."""

    revision: str
    reason: str
    message: str
    opened: float
    weight: Weight
    closed: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A revision that was rolled back and does not start again without `Retry`."""

    revision: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Holds:
    """When each kind of waiting began (epoch seconds); None while it does not last.

    `attribution`: a burn tier fired and legacy's part is unclear. `elevated`: the pausing tier is true.
    `unready`: the candidate has had too few ready endpoints. `blocked`: traffic can't go back because legacy has no
    ready endpoint. `foreign`: somebody else changed the route and it was put back at this time.
    """

    no_data: float | None = None
    unreachable: float | None = None
    inconclusive: float | None = None
    attribution: float | None = None
    elevated: float | None = None
    unready: float | None = None
    blocked: float | None = None
    foreign: float | None = None


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """Everything that must survive a restart, and what people read.

    `weight` never claims less candidate traffic than the router gives: it is raised before the route and lowered
    after it. `grid`: origin of the tick grid, set when the revision starts. `plan`: hash of steps, SLIs and error
    rates. `handled`: uids of actions already carried out. `approved`: highest step index a person approved for this
    revision. `overridden`: a person approved starting on a spent budget. `lapses`: how often the candidate lost all
    its ready endpoints at this step.
    """

    observed_generation: int = UNSEEN
    phase: Phase = Phase.IDLE
    reason: str = ""
    message: str = ""
    revision: str = ""
    attempt: int = 0
    grid: float = 0.0
    plan: str = ""
    legacy_hash: str = ""
    backends: tuple[str, str] = ("", "")
    step: StepState | None = None
    weight: Weight | None = None
    paused_by_action: bool = False
    skip: bool = False
    approved: int = -1
    overridden: bool = False
    lapses: int = 0
    preflight_since: float | None = None
    holds: Holds = Holds()
    summary: Summary = Summary()
    slis: tuple[SliStatus, ...] = ()
    notes: tuple[str, ...] = ()
    budget: tuple[LedgerState, ...] = ()
    checkpoints: tuple[SliCheckpoint, ...] = ()
    """The evidence as it was when the step began; whoever takes over reads the ticks since."""
    decisions: tuple[DecisionRecord, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    incident: Incident | None = None
    conditions: tuple[Condition, ...] = ()
    handled: tuple[str, ...] = ()
    leader_epoch: Epoch = NO_EPOCH

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return next((c for c in self.conditions if c.type == kind), None)

    def is_rejected(self, revision: str) -> bool:
        """Whether this revision was rolled back and not retried."""
        return any(r.revision == revision for r in self.rejected)


def recorded(status: RolloutStatus, record: DecisionRecord) -> RolloutStatus:
    """`status` with one more decision, the oldest dropped beyond the bound."""
    return replace(status, decisions=(*status.decisions, record)[-MAX_DECISIONS:])


def significant(old: RolloutStatus | None, new: RolloutStatus) -> bool:
    """Whether a reader would care about the difference; counts that move every tick are not worth a write."""
    return old is None or _face(old) != _face(new)


def _face(status: RolloutStatus) -> tuple[object, ...]:
    # WAIT to PASS is the normal course of every step and is told by the next step's write, as is the ledger: whoever
    # takes over in mid-step reads the step's samples again.
    slis = tuple(
        (s.name, Verdict.PASS if s.verdict is Verdict.WAIT else s.verdict, s.no_data, s.counted) for s in status.slis
    )
    return (
        status.observed_generation,
        status.phase,
        status.reason,
        # Which pods are awaited is all there is to know meanwhile.
        status.message if status.reason == Reason.SCALING else "",
        status.revision,
        status.attempt,
        status.plan,
        status.legacy_hash,
        status.backends,
        status.step,
        status.weight,
        status.paused_by_action,
        status.skip,
        status.approved,
        status.overridden,
        status.lapses,
        status.preflight_since,
        status.holds,
        slis,
        status.notes,
        status.decisions,
        status.history,
        status.rejected,
        status.incident,
        tuple((c.type, c.status, c.reason, c.generation) for c in status.conditions),
        status.handled,
        status.leader_epoch,
    )
