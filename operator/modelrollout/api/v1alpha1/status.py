"""`ModelRollout.status`: what people read and what survives a restart (mirrors `core.status`).

Only bounds and types here: a schema that is narrower than what the operator writes would refuse its memory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, UniqueBy
from modelrollout.api.scalars import Count, Flag, ObservedGeneration
from modelrollout.api.v1alpha1.action import Timestamp
from modelrollout.api.v1alpha1.rollout import MAX_SLIS
from modelrollout.core.status import MAX_DECISIONS, MAX_HANDLED, MAX_HISTORY, MAX_REJECTED

MAX_NOTES = 10
MAX_CONDITIONS = 12
WORD = 64
"""Longest reason, revision, hash or pre-rendered column, in characters."""
NAME = 63
TEXT = 512
"""Longest message, in characters."""
STATE = 1024
"""Longest state of one SLI's evidence, in characters."""

Word = Annotated[str, Field(strict=True, max_length=WORD)]
Name = Annotated[str, Field(strict=True, max_length=NAME)]
Text = Annotated[str, Field(strict=True, max_length=TEXT)]
WeightText = Annotated[str, Field(strict=True, max_length=6, pattern=r"^[0-9]{1,3}(\.[0-9]{1,2})?$")]
DecimalText = Annotated[str, Field(strict=True, max_length=32, pattern=r"^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$")]
PhaseText = Literal["Idle", "Preflight", "Progressing", "Paused", "RollingBack", "RolledBack", "Promoted", "Invalid"]
VerdictText = Literal["FAIL", "PASS", "WAIT", "NO_DATA", "INVALID"]


class StepState(ApiModel):
    """The step that the rollout is at."""

    index: Count | None = Field(default=None, description="Counted from 0.")
    count: Count | None = Field(default=None, description="How many steps there are.")
    started_at: Timestamp | None = Field(default=None, description="When it began.")
    weight: WeightText | None = Field(default=None, description="Percent that it orders for the candidate.")
    route_generation: Count | None = Field(
        default=None,
        description="The route's generation as this was last ordered: while it has it, nobody has changed it.",
    )
    counted_at: Timestamp | None = Field(
        default=None,
        description="When the numbers of this step were last written: with every change, and when it is twice as old.",
    )


class Summary(ApiModel):
    """Strings for the columns."""

    step: Word | None = Field(default=None, description="Such as 2/5.")
    weight: Word | None = Field(default=None, description="Percent, at the router.")
    verdict: Word | None = Field(default=None, description="Of all critical SLIs.")
    burn: Word | None = Field(default=None, description="Worst burn, in multiples of what is allowed.")
    next: Word | None = Field(default=None, description="What comes next.")


class ArmCounts(ApiModel):
    """Events of one arm in this step."""

    total: Count | None = Field(default=None, description="All events.")
    bad: Count | None = Field(default=None, description="Bad events.")


class Interval(ApiModel):
    """A value with bounds that hold at all looks at once."""

    value: DecimalText | None = Field(default=None, description="The estimate; absent: not known.")
    low: DecimalText | None = Field(default=None, description="Lower bound, 95 %; absent: none is known.")
    high: DecimalText | None = Field(default=None, description="Upper bound, 95 %; absent: none is known.")


class StepMargin(ApiModel):
    """Candidate's bad share that is not worse: at most ratio times legacy's plus difference."""

    ratio: DecimalText | None = Field(default=None, description="Multiple of legacy's bad share.")
    difference: DecimalText | None = Field(default=None, description="Absolute part, a fraction of 1.")


class Evidence(ApiModel):
    """What the sequential tests have, as natural logarithms of odds against chance."""

    worse: DecimalText | None = Field(
        default=None, description="For worse than the SLI's margin, over the whole rollout; absent: nothing."
    )
    worse_limit: DecimalText | None = Field(default=None, description="FAIL from here on; absent: never.")
    fine: DecimalText | None = Field(
        default=None, description="For within the margin of this step, over this step; absent: nothing."
    )
    fine_limit: DecimalText | None = Field(default=None, description="PASS from here on; absent: never.")
    margin: StepMargin | None = Field(default=None, description="The margin of this step.")


class ArmEvents(ApiModel):
    """Events of one arm in its exposure, over the whole rollout."""

    events: Count | None = Field(default=None, description="Events.")
    exposure: DecimalText | None = Field(
        default=None, description="Seconds, summed over the replicas, or over the share of the traffic."
    )


class Rates(ApiModel):
    """How often each version had an event that has no total, and what speaks for harm."""

    per: Word | None = Field(default=None, description="Replicas or Weight: what exposure is.")
    candidate: ArmEvents | None = Field(default=None, description="The candidate.")
    legacy: ArmEvents | None = Field(default=None, description="Legacy.")
    ratio: DecimalText | None = Field(
        default=None, description="Candidate's rate in multiples of legacy's; absent: legacy had no event."
    )
    worse: DecimalText | None = Field(
        default=None, description="For a rate beyond the margin, as a natural logarithm of odds against chance."
    )
    worse_limit: DecimalText | None = Field(default=None, description="FAIL from here on; absent: never.")


class SliStatus(ApiModel):
    """The last assessment of one SLI that was worth writing down."""

    name: Name = Field(description="The SLI.")
    critical: Flag | None = Field(default=None, description="Whether it decides.")
    verdict: VerdictText | None = Field(default=None, description="What the evidence says.")
    candidate: ArmCounts | None = Field(default=None, description="Events of the candidate.")
    legacy: ArmCounts | None = Field(default=None, description="Events of legacy.")
    burn: DecimalText | None = Field(
        default=None, description="Candidate's bad share in multiples of the allowed share."
    )
    needed: Count | None = Field(default=None, description="Candidate events that a PASS takes.")
    sample_age: DecimalText | None = Field(default=None, description="Seconds since the candidate's newest sample.")
    no_data: Word | None = Field(default=None, description="Why there is no data.")
    ratio: Interval | None = Field(
        default=None, description="Candidate's bad share in multiples of legacy's, compared within strata of time."
    )
    difference: Interval | None = Field(
        default=None, description="Candidate's bad share less legacy's, compared within strata of time."
    )
    effect_size: DecimalText | None = Field(default=None, description="Cohen's h of the two bad shares.")
    evidence: Evidence | None = Field(
        default=None, description="Evidence against its limits; absent: nothing to compare with."
    )
    rates: Rates | None = Field(default=None, description="Instead of counts: events that have no total.")
    counted_from: Text | None = Field(default=None, description="Metrics that were found for it, boundary in use.")
    message: Text | None = Field(default=None, description="The verdict with its numbers.")


class Budget(ApiModel):
    """What the rollout may cost of one SLI's budget and has cost, in events."""

    sli: Name = Field(description="The SLI.")
    allowed: DecimalText | None = Field(default=None, description="Bad events that the rollout may cost.")
    spent: DecimalText | None = Field(default=None, description="Bad events charged to the candidate.")
    spent_percent: DecimalText | None = Field(default=None, description="Spent, in percent of allowed.")
    exhausted_in: Word | None = Field(
        default=None, description="When allowed is gone at the present rate; absent: not within a year."
    )
    peak: DecimalText | None = Field(default=None, description="Highest value of spent.")
    variance: DecimalText | None = Field(default=None, description="Variance of spent.")
    candidate_bad: Count | None = Field(default=None, description="Bad events of the candidate.")
    candidate_total: Count | None = Field(default=None, description="Events of the candidate.")
    lower: DecimalText | None = Field(default=None, description="Lower confidence bound of spent.")
    gross_over: Flag | None = Field(default=None, description="The gross limit is passed.")
    rate: DecimalText | None = Field(default=None, description="How fast it is spent.")
    tick: Timestamp | None = Field(default=None, description="Last tick that was booked.")


class Decision(ApiModel):
    """A decision that moved traffic or changed the phase."""

    at: Timestamp | None = Field(default=None, description="When.")
    action: Word | None = Field(default=None, description="What was done.")
    reason: Word | None = Field(default=None, description="Why, in one word.")
    message: Text | None = Field(default=None, description="Why, with the numbers behind it.")
    weight: WeightText | None = Field(default=None, description="Percent of the candidate afterwards.")
    revision: Word | None = Field(default=None, description="The revision concerned.")
    generation: Count | None = Field(default=None, description="Generation of the spec it was made with.")


class HistoryEntry(ApiModel):
    """How one revision ended."""

    revision: Word | None = Field(default=None, description="The revision.")
    outcome: Word | None = Field(default=None, description="How it ended.")
    reason: Word | None = Field(default=None, description="Why, in one word.")
    message: Text | None = Field(default=None, description="Why, in a sentence.")
    started_at: Timestamp | None = Field(default=None, description="When it began.")
    ended_at: Timestamp | None = Field(default=None, description="When it ended.")


class Rejected(ApiModel):
    """A revision that was rolled back and does not start again without Retry."""

    revision: Word = Field(description="The revision.")
    reason: Word | None = Field(default=None, description="Why, in one word.")
    at: Timestamp | None = Field(default=None, description="When.")


class Incident(ApiModel):
    """The open or last revert."""

    revision: Word | None = Field(default=None, description="The revision that was reverted.")
    reason: Word | None = Field(default=None, description="Why, in one word.")
    message: Text | None = Field(default=None, description="Why, with the numbers behind it.")
    opened_at: Timestamp | None = Field(default=None, description="When the revert was decided.")
    weight: WeightText | None = Field(default=None, description="Percent that the candidate had.")
    closed_at: Timestamp | None = Field(default=None, description="When the route was seen at 0; absent: not yet.")


class Condition(ApiModel):
    """One aspect of the rollout's state, for automation."""

    type: Word = Field(description="The aspect.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Word = Field(description="Why, in one word.")
    message: Text = Field(description="Why, in a sentence.")
    last_transition_time: Timestamp = Field(description="When status last changed.")
    observed_generation: Count | None = Field(default=None, description="Generation of the spec it is about.")


class Holds(ApiModel):
    """When each kind of waiting began; absent while it does not last."""

    no_data: Timestamp | None = Field(default=None, description="Metrics have had no data since then.")
    unreachable: Timestamp | None = Field(default=None, description="Prometheus has not answered since then.")
    inconclusive: Timestamp | None = Field(default=None, description="The step has been undecided since then.")
    attribution: Timestamp | None = Field(
        default=None, description="A burn tier has been true since then, cause unclear."
    )
    elevated: Timestamp | None = Field(default=None, description="The pausing burn tier has been true since then.")
    unready: Timestamp | None = Field(
        default=None, description="The candidate has had too few ready endpoints since then."
    )
    blocked: Timestamp | None = Field(default=None, description="Legacy has had no ready endpoint to go back to.")
    foreign: Timestamp | None = Field(default=None, description="A foreign change of the route was put back then.")


class Backends(ApiModel):
    """Services that the route was last given."""

    legacy: Name | None = Field(default=None, description="Legacy's Service.")
    candidate: Name | None = Field(default=None, description="The candidate's Service.")


class SliCheckpoint(ApiModel):
    """Evidence of one SLI as it was when the step began."""

    sli: Name = Field(description="The SLI.")
    tick: Timestamp | None = Field(default=None, description="Newest tick in it.")
    state: Annotated[str, Field(strict=True, max_length=STATE)] | None = Field(
        default=None, description="Base64 of little-endian float64 values."
    )


class Checkpoint(ApiModel):
    """The operator's own memory; not meant for reading, never to be edited."""

    grid: Timestamp | None = Field(default=None, description="Origin of the tick grid.")
    evidence: list[SliCheckpoint] | None = Field(
        default=None, max_length=MAX_SLIS, description="Per SLI, at the start of the step."
    )
    plan: Word | None = Field(default=None, description="Hash of steps, SLIs and error rates.")
    legacy_hash: Word | None = Field(default=None, description="Hash of legacy's pod template.")
    backends: Backends | None = Field(default=None, description="Services that the route was last given.")
    paused_by_action: Flag | None = Field(default=None, description="A RolloutAction Pause is in force.")
    skip: Flag | None = Field(default=None, description="A RolloutAction Promote is in force.")
    approved: Annotated[int, Field(strict=True, ge=-1, le=1000)] | None = Field(
        default=None, description="Highest step that was approved; -1: none."
    )
    overridden: Flag | None = Field(default=None, description="Starting on a spent budget was approved.")
    lapses: Count | None = Field(
        default=None, description="How often the candidate lost all its ready endpoints at this step."
    )
    preflight_since: Timestamp | None = Field(default=None, description="When the checks before the start began.")
    holds: Holds | None = Field(default=None, description="When each kind of waiting began.")


class RolloutStatus(ApiModel):
    """Where the rollout stands; written by the operator only."""

    observed_generation: ObservedGeneration | None = Field(
        default=None, description="Generation of the spec that this is about; -1: nobody has looked yet."
    )
    phase: PhaseText | None = Field(
        default=None, description="Where it stands, for people; automation reads conditions."
    )
    reason: Word | None = Field(default=None, description="Why it is in this phase, in one word.")
    message: Text | None = Field(default=None, description="The same in a sentence.")
    revision: Word | None = Field(default=None, description="Hash of the candidate's pod template and model.")
    attempt: Count | None = Field(default=None, description="How often this revision was started.")
    weight: WeightText | None = Field(default=None, description="Percent of the candidate at the router.")
    step: StepState | None = Field(default=None, description="The step it is at.")
    summary: Summary | None = Field(default=None, description="Strings for the columns.")
    slis: list[SliStatus] | None = Field(default=None, max_length=MAX_SLIS, description="Per SLI.")
    notes: list[Text] | None = Field(
        default=None, max_length=MAX_NOTES, description="Facts about the spec worth knowing."
    )
    budget: list[Budget] | None = Field(default=None, max_length=MAX_SLIS, description="Cost per SLI, in events.")
    decisions: list[Decision] | None = Field(default=None, max_length=MAX_DECISIONS, description="Newest last.")
    history: list[HistoryEntry] | None = Field(
        default=None, max_length=MAX_HISTORY, description="Revisions, newest last."
    )
    rejected_revisions: list[Rejected] | None = Field(
        default=None, max_length=MAX_REJECTED, description="Revisions that do not start again without Retry."
    )
    incident: Incident | None = Field(default=None, description="The open or last revert.")
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS), UniqueBy("type")] | None = Field(
        default=None, description="Aspects of the state, by type."
    )
    handled_actions: list[Word] | None = Field(
        default=None, max_length=MAX_HANDLED, description="Uids of RolloutActions already carried out."
    )
    leader_epoch: Count | None = Field(default=None, description="Epoch of the operator that wrote this; grows.")
    checkpoint: Checkpoint | None = Field(default=None, description="The operator's own memory.")
