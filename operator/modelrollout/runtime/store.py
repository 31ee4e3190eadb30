"""What this process knows of each rollout: the newest stored object, the last spec that was valid, and doubts.

Read-your-writes: what our own write returned counts as seen, so a watch event that is older than it is ignored
(KEP-5647's rule, without the wait). A key in doubt is read from the API server before the next decision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelrollout.core.model import NO_EPOCH, Epoch, Key, Phase, RolloutSpec
from modelrollout.errors import Gone
from modelrollout.ports import RolloutObject, Rollouts
from modelrollout.runtime.claims import Claims
from modelrollout.runtime.resting import Kept, Resting, head, packed, same, unpacked

MAX_EPOCH = 2**30
"""Far beyond what changes of leader count up to, and half of what a Lease can hold."""

GRAVES = 10_000
"""How many of the rollouts that went away last are remembered: about 1 MiB, and far more than go within a minute."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What a LIST showed that the watch had not: objects unknown here, objects gone there, objects older here."""

    missing: tuple[Key, ...]
    ghosts: tuple[Key, ...]
    stale: tuple[Key, ...]

    @property
    def count(self) -> int:
        """Objects that differed."""
        return len(self.missing) + len(self.ghosts) + len(self.stale)


def older(a: RolloutObject, b: RolloutObject) -> bool:
    """Whether `a` is surely an older state of the same object than `b`."""
    if a.uid != b.uid or a.resource_version == b.resource_version:
        return False
    try:
        return int(a.resource_version) < int(b.resource_version)
    except ValueError:
        return False


class Store:
    """Newest known state per rollout."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts
        self._objects: dict[Key, Kept] = {}
        self._specs: dict[Key, tuple[str, RolloutSpec]] = {}
        self._doubts: dict[Key, int] = {}
        self._raised = 0
        self._waiting: dict[Key, float] = {}
        self._graves: OrderedDict[str, None] = OrderedDict()
        self.claims = Claims()

    def put(self, obj: RolloutObject) -> bool:
        """Take in a state; False when it is older than what is known or the same.

        One that comes back after it was forgotten is in doubt: a list that lags brings back what was deleted a moment
        ago. It may also be true, of a rollout that another shard gave back or of a restored etcd: so it is asked for.
        """
        kept = self._objects.get(obj.key)
        known = None if kept is None else head(kept)
        if kept is not None and known is not None and (older(obj, known) or same(kept, obj)):
            return False
        if known is not None and known.uid != obj.uid:
            self._bury(known.uid)
        if obj.uid in self._graves:
            del self._graves[obj.uid]
            self.doubt(obj.key)
        self._objects[obj.key] = packed(obj)
        if obj.spec is not None:
            self._specs[obj.key] = (obj.uid, obj.spec)
            self.claims.take(obj.spec, obj.created)
        return True

    def forget(self, key: Key) -> None:
        """The object is gone."""
        known = self._objects.pop(key, None)
        self._specs.pop(key, None)
        self._doubts.pop(key, None)
        self._waiting.pop(key, None)
        self.claims.drop(key)
        if known is not None:
            self._bury(head(known).uid)

    def _bury(self, uid: str) -> None:
        self._graves[uid] = None
        if len(self._graves) > GRAVES:
            self._graves.popitem(last=False)

    def doubt(self, key: Key) -> None:
        """The next read must ask the API server: a write conflicted, or its result is unknown."""
        self._raised += 1
        self._doubts[key] = self._raised

    @property
    def doubts(self) -> int:
        """How many have been raised so far: tells `reconcile` which ones a list that begins now will answer."""
        return self._raised

    def doubted(self, key: Key) -> bool:
        """Whether the next read asks the API server."""
        return key in self._doubts

    def awaited(self, key: Key, now: float, *, every: float) -> bool:
        """Whether it is time to ask for what this rollout waits for, after the last time or the beginning (s)."""
        if now - self._waiting.setdefault(key, now) < every:
            return False
        self._waiting[key] = now
        return True

    def arrived(self, key: Key) -> None:
        """It waits for nothing."""
        self._waiting.pop(key, None)

    async def read(self, key: Key) -> RolloutObject:
        """The newest known state, or the stored one when in doubt or unknown. Raises Gone and what `get` raises."""
        known = self._objects.get(key)
        if known is not None and key not in self._doubts:
            return unpacked(known)
        try:
            obj = await self._rollouts.get(key)
        except Gone:
            self.forget(key)
            raise
        self._doubts.pop(key, None)
        # A live read is the truth, also when its version looks older (a restored etcd).
        self._objects.pop(key, None)
        self._graves.pop(obj.uid, None)
        self.put(obj)
        return obj

    def peek(self, key: Key) -> RolloutObject | None:
        """The newest known state, without asking anybody."""
        known = self._objects.get(key)
        return None if known is None else unpacked(known)

    def glance(self, key: Key) -> RolloutObject | None:
        """The same, but without the status of one at rest."""
        known = self._objects.get(key)
        return None if known is None else head(known)

    def phase(self, key: Key) -> Phase | None:
        """Its phase, as the newest known state has it."""
        known = self._objects.get(key)
        if isinstance(known, Resting):
            return known.phase
        return None if known is None or known.status is None else known.status.phase

    def valid_spec(self, obj: RolloutObject) -> RolloutSpec | None:
        """The object's spec, or the last one that this process saw valid while the present one is not."""
        if obj.spec is not None:
            return obj.spec
        uid, spec = self._specs.get(obj.key, ("", None))
        return spec if uid == obj.uid else None

    def reconcile(self, listed: Iterable[RolloutObject], known_before: frozenset[Key], doubts: int = 0) -> Drift:
        """Replace what is known by a complete LIST, keeping own newer writes; says what the watch had missed.

        `known_before`: keys known when the LIST began; what came up since is no ghost. `doubts`: how many had been
        raised when everything that a look reads began to be listed: those are settled. But a rollout that is known in
        another version than the LIST had stays in doubt, for one of the two is behind.
        """
        missing, stale = [], []
        seen: set[Key] = set()
        for obj in listed:
            seen.add(obj.key)
            known = self._objects.get(obj.key)
            if known is None:
                missing.append(obj.key)
            elif head(known).uid != obj.uid or older(head(known), obj):
                stale.append(obj.key)
            self.put(obj)
            agreed = head(self._objects[obj.key]).resource_version == obj.resource_version
            if agreed and self._doubts.get(obj.key, doubts + 1) <= doubts:
                del self._doubts[obj.key]
        ghosts = [key for key in self._objects if key not in seen and key in known_before]
        for key in ghosts:
            self.forget(key)
        return Drift(tuple(missing), tuple(ghosts), tuple(stale))

    @property
    def epoch(self) -> Epoch:
        """The highest epoch that a status carries; nonsense that no Lease can count up to is left out."""
        found = map(_epoch, self._objects.values())
        return max((epoch for epoch in found if epoch <= MAX_EPOCH), default=NO_EPOCH)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._objects))

    def __len__(self) -> int:
        return len(self._objects)


def _epoch(kept: Kept) -> Epoch:
    if isinstance(kept, Resting):
        return kept.epoch
    return NO_EPOCH if kept.status is None else kept.status.leader_epoch
