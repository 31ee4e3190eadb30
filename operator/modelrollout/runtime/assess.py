"""From ticks that were read to evidence: the arms of many rollouts compared in one go, and the news told.

What is worked out for one rollout alone takes nearly as long as for all of a group. So those that catch up one by one,
a thousand of them after a change of leader, are compared together too, a moment after they were read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from modelrollout.core.model import Key
from modelrollout.core.observation import EvidenceUnreachable
from modelrollout.ports import Clock
from modelrollout.runtime.alarm import alarming, lasting
from modelrollout.runtime.questions import Due, Watch
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.turns import Turns
from modelrollout.stats.evidence import settling

log = logging.getLogger(__name__)

TOGETHER = 64
"""Rollouts whose arms are compared in one go: enough to share the cost, few enough to tell the first ones soon."""


class Assessing:
    """Call it with what was read. `present`: whether a watch is still the one of its rollout."""

    def __init__(
        self,
        clock: Clock,
        news: Callable[[Key, Priority], None],
        present: Callable[[Watch], bool],
        *,
        late: Callable[[float], None] | None = None,
    ) -> None:
        self._clock = clock
        self._news = news
        self._present = present
        self._late = late
        self._later: list[Due] = []

    async def __call__(self, fed: Sequence[Due], turns: Turns) -> None:
        """Compare, assess, tell; those that are not present any more are left out."""
        try:
            for _ in settling([due.watch.tracker for due in fed if self._present(due.watch)]):
                await turns.rest()
        except Exception:
            # Whose fault it is shows when each is assessed by itself.
            log.exception("comparing the arms of %d rollouts at once failed", len(fed))
        now = self._clock.now()
        for due in fed:
            watch = due.watch
            if not self._present(watch):
                continue
            try:
                watch.evidence = lasting(watch.evidence, watch.tracker.assess(now))
                watch.broken = None
            except Exception:
                self.broken(watch, now)
            self.tell(due)
        await asyncio.sleep(0)

    def glanced(self, due: Due) -> None:
        """Ask the hard guard alone; nobody is told of anything but an end."""
        assert due.glance is not None
        due.glance.look(due.span, self._clock.now())
        if due.glance.seen:
            self.tell(due)

    def later(self, due: Due) -> None:
        """Compare it together with others, with the next `caught_up`. Its watch stays busy until then."""
        self._later.append(due)

    @property
    def waiting(self) -> bool:
        """Whether any waits for that."""
        return bool(self._later)

    async def caught_up(self) -> None:
        """Compare those that wait."""
        dues, self._later = self._later, []
        turns = Turns()
        try:
            for start in range(0, len(dues), TOGETHER):
                await self(dues[start : start + TOGETHER], turns)
        finally:
            for due in dues:
                due.watch.busy = False

    def tell(self, due: Due) -> None:
        """There is news, good or bad."""
        if self._late is not None:
            self._late(max(0.0, self._clock.now() - due.span.at))
        news = Priority.URGENT if alarming(due.watch.known) else Priority.NORMAL
        self._news(due.watch.spec.key, news)

    def broken(self, watch: Watch, now: float) -> None:
        """A bug in the arithmetic of one rollout freezes this rollout and no other. Call it while handling that."""
        log.exception("%s: evidence could not be computed; the weight is frozen", watch.spec.key)
        watch.broken = watch.broken or now
        watch.evidence = EvidenceUnreachable("Bug", watch.broken)
        watch.not_before = self._clock.monotonic() + watch.spec.analysis.interval
