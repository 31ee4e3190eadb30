"""`RolloutAction`: what a person orders at run time. Needs its own right, leaves an audit trail."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule
from modelrollout.api.scalars import LongText, Subdomain

Revision = Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[a-z0-9]+$")]
Timestamp = Annotated[str, Field(strict=True, max_length=35, json_schema_extra={"format": "date-time"})]


class ActionSpec(ApiModel):
    """The order; it can't be changed afterwards."""

    RULES = (Rule("self == oldSelf", "an action can't be changed: create another one"),)

    rollout: Subdomain = Field(description="Name of the ModelRollout in the same namespace.")
    action: Literal["Abort", "Promote", "Pause", "Resume", "Approve", "Retry"] = Field(
        description="Abort: back to legacy. Promote: skip the rest. Pause and Resume. Approve: the current wait."
        " Retry: a rejected revision."
    )
    revision: Revision | None = Field(
        default=None, description="Refused when the rollout is at another revision; absent: any."
    )
    reason: LongText | None = Field(default=None, description="Why, for the record.")


class ActionStatus(ApiModel):
    """What became of it."""

    result: Literal["Applied", "Refused"] | None = Field(default=None, description="Absent until it was looked at.")
    message: LongText | None = Field(default=None, description="Why it was refused, or what it did.")
    at: Timestamp | None = Field(default=None, description="When.")
