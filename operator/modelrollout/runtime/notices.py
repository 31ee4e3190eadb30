"""Which happenings are new: compares each stored status with the one before, and hands the difference to the notifier.

Fed with what is stored, at each look of the leader and so before each of its next decisions: no transition is missed,
and none is told that was decided but not written. Nothing is kept for a restart. A new leader takes what began after
its predecessor last renewed the Lease for new, less a while in which it may not have got round to telling: near a
takeover a happening may be told twice, with the same identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType

from modelrollout.api.reading import epoch
from modelrollout.core.happenings import Happening, standing
from modelrollout.core.model import Key
from modelrollout.ports import Clock, LeaseRecord, Notifier, RolloutObject
from modelrollout.runtime.store import Store

log = logging.getLogger(__name__)

QUIET = 600.0
"""Seconds in which the same thing, coming and going, is told once."""
REMEMBERED = 4096
HANDED_OVER = 2.0
"""Seconds that a write may take which was under way when the Lease was given back."""
LOST = 60.0
"""Seconds that a leader may have been at sending what it told last, before it was lost."""
NOTHING: Mapping[str, Happening] = MappingProxyType({})


def new_since(before: LeaseRecord | None, now: float) -> float:
    """Epoch seconds from which on happenings may not have been told yet, for who takes the Lease over as `before`.

    Who gives it back has told what there was; of who was lost nobody knows how far it came.
    """
    if before is None:
        return now
    renewed = epoch(before.renewed)
    if renewed is None:
        return now - LOST
    return renewed - (HANDED_OVER if before.holder == "" else LOST)


class Notices:
    """Tells `notifier` of what begins and ends. Never raises: no decision may fail by it."""

    def __init__(self, notifier: Notifier | None = None, clock: Clock | None = None) -> None:
        self._notifier = notifier
        self._clock = clock
        self._since = float("inf")
        self._standing: dict[Key, Mapping[str, Happening]] = {}
        self._versions: dict[Key, str] = {}
        self._settling: dict[str, asyncio.TimerHandle] = {}
        self._told: OrderedDict[str, None] = OrderedDict()
        self._alike: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def lead(self, since: float | None) -> None:
        """Leadership was won: what began at `since` (epoch seconds) or later is new. None: it was lost."""
        for timer in self._settling.values():
            timer.cancel()
        self._settling.clear()
        self._standing.clear()
        self._versions.clear()
        self._since = float("inf") if since is None else since
        if self._notifier is not None:
            self._notifier.rest()

    def look(self, obj: RolloutObject) -> None:
        """The object as it is stored now."""
        if self._notifier is None or self._clock is None:
            return
        try:
            self._compare(self._notifier, obj, self._clock.now())
        except Exception:
            log.exception("%s: what has happened can't be told", obj.key)

    def catch_up(self, store: Store) -> None:
        """Look at what was written a moment ago and has not been looked at again; nothing else is unpacked."""
        for key in store:
            seen = store.glance(key)
            if seen is not None and self._versions.get(key, seen.resource_version) != seen.resource_version:
                newest = store.peek(key)
                if newest is not None:
                    self.look(newest)

    def forget(self, key: Key) -> None:
        """The object is gone, and with it what stood."""
        self._versions.pop(key, None)
        for happening in self._standing.pop(key, NOTHING).values():
            self._end(happening)

    def _compare(self, notifier: Notifier, obj: RolloutObject, now: float) -> None:
        known = self._standing.get(obj.key)
        found = {h.id: h for h in standing(obj.key, obj.uid, obj.status)}
        self._versions[obj.key] = obj.resource_version
        self._standing[obj.key] = found or NOTHING
        for identity, happening in (known or NOTHING).items():
            if identity not in found:
                self._end(happening)
        for identity, happening in found.items():
            if known is not None and identity in known:
                continue
            # Seen to begin, or begun so late that nobody else has told it.
            new = known is not None or happening.at >= self._since
            left = (happening.at or now) + happening.settle - now
            if left > 0:
                loop = asyncio.get_running_loop()
                self._settling[identity] = loop.call_later(left, self._settled, notifier, happening, new)
            else:
                self._tell(notifier, happening, new=new)

    def _settled(self, notifier: Notifier, happening: Happening, new: bool) -> None:
        del self._settling[happening.id]
        self._tell(notifier, happening, new=new)

    def _tell(self, notifier: Notifier, happening: Happening, *, new: bool) -> None:
        now = asyncio.get_running_loop().time()
        repeated = now - self._alike.get(happening.alike, float("-inf")) < QUIET or happening.id in self._told
        self._told[happening.id] = None
        if not repeated:
            self._alike[happening.alike] = now
            self._alike.move_to_end(happening.alike)
        for memory in (self._told, self._alike):
            while len(memory) > REMEMBERED:
                memory.popitem(last=False)
        notifier.begun(happening, new=new and not repeated)

    def _end(self, happening: Happening) -> None:
        timer = self._settling.pop(happening.id, None)
        if timer is not None:
            timer.cancel()
        elif self._notifier is not None and self._clock is not None:
            self._notifier.ended(happening, self._clock.now())
