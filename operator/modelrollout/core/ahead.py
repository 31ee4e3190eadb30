"""Times that a leader with a wrong clock has left behind: what is said to begin in the future begins now.

Such a leader sees no metrics (their clock and its own are apart), but it starts revisions and puts routes back, and
writes when. The next one, or the same with its clock put right, would wait for these times to come, and a candidate
that turned bad would go unseen until then.
"""

from __future__ import annotations

from dataclasses import astuple, replace

from modelrollout.core.situation import grid_from
from modelrollout.core.status import Holds, RolloutStatus

APART = 10.0
"""Seconds by which clocks may be apart without anyone minding: of two leaders, of a leader and its metrics' server."""


def on_time(status: RolloutStatus, now: float, interval: float) -> RolloutStatus:
    """`status` without times of its present step that lie ahead of `now` (epoch seconds) by more than `APART`.

    `interval`: one tick, seconds. What people only read (records, conditions) stays as it was written.
    """
    latest = now + APART
    if status.grid > latest + interval:
        status = replace(status, grid=grid_from(now, interval))
    if status.step is not None and status.step.started > latest:
        status = replace(status, step=replace(status.step, started=now))
    if status.preflight_since is not None and status.preflight_since > latest:
        status = replace(status, preflight_since=now)
    since = astuple(status.holds)
    if any(at is not None and at > latest for at in since):
        status = replace(status, holds=Holds(*(None if at is None else min(at, now) for at in since)))
    return status
