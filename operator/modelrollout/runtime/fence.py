"""The right to write, held against what is stored: a leader that was deposed must find out before it harms."""

from __future__ import annotations

from modelrollout.core.model import Epoch
from modelrollout.errors import RolloutError
from modelrollout.ports import RolloutObject


class Deposed(RolloutError):
    """We are not the leader any more, or somebody with a higher epoch has written: nothing may be written."""


def fenced(epoch: Epoch | None, obj: RolloutObject) -> Epoch:
    """`epoch` if it may write to `obj`. Raises Deposed when there is none, or a higher one has written."""
    if epoch is None:
        raise Deposed("the lease is not ours", subject=str(obj.key))
    stored = obj.status.leader_epoch if obj.status else 0
    if stored > epoch:
        raise Deposed(f"status carries leader epoch {stored}, ours is {epoch}", subject=str(obj.key))
    return epoch
