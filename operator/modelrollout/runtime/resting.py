"""Rollouts at rest, kept small: most rollouts of a cluster are, for weeks, and nobody reads their status meanwhile.

A status is 10 to 25 KiB of small objects with four SLIs, and 2 KiB when it is packed.
"""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass, replace

from modelrollout.core.model import Epoch, Phase
from modelrollout.core.situation import AT_REST
from modelrollout.ports import RolloutObject

FASTEST = 1


@dataclass(frozen=True, slots=True)
class Resting:
    """A rollout at rest: `head` is the object without its status."""

    head: RolloutObject
    packed: bytes
    phase: Phase
    epoch: Epoch


Kept = RolloutObject | Resting


def packed(obj: RolloutObject) -> Kept:
    """The object as it is to be kept: small when it is at rest, else as it is."""
    status = obj.status
    if status is None or status.phase not in AT_REST:
        return obj
    # Written and read by this process only.
    small = zlib.compress(pickle.dumps(status, pickle.HIGHEST_PROTOCOL), FASTEST)
    return Resting(replace(obj, status=None), small, status.phase, status.leader_epoch)


def unpacked(kept: Kept) -> RolloutObject:
    """The object as it was."""
    if isinstance(kept, Resting):
        return replace(kept.head, status=pickle.loads(zlib.decompress(kept.packed)))
    return kept


def head(kept: Kept) -> RolloutObject:
    """The object, without its status when it is at rest."""
    return kept.head if isinstance(kept, Resting) else kept


def same(kept: Kept, obj: RolloutObject) -> bool:
    """Whether both are one state of an object. At rest the version tells: its status is not unpacked for that."""
    if isinstance(kept, Resting):
        return kept.head == replace(obj, status=None)
    return kept == obj
