"""One Alertmanager: told of what stands at once, and again each minute; of an end until it has taken it.

There is no queue: a request carries all that stands, so one that gets through makes up for those that did not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

from modelrollout.adapters.notify.alertmanager import LASTS, RESEND, request
from modelrollout.adapters.notify.pace import Means
from modelrollout.api.targets import Target
from modelrollout.core.happenings import Happening

log = logging.getLogger(__name__)

MAX_STANDING = 2000
MAX_OVER = 500


class Alerts:
    """`Worker` for Alertmanager. `target` may be exchanged for another of the same name at any time."""

    def __init__(self, target: Target, means: Means) -> None:
        self.target = target
        self._means = means
        self._standing: OrderedDict[str, Happening] = OrderedDict()
        self._over: OrderedDict[str, tuple[Happening, float]] = OrderedDict()
        self._unsent: set[str] = set()
        self._changed = asyncio.Event()
        self._heard = asyncio.Event()
        self._heard.set()

    def begun(self, happening: Happening, *, new: bool) -> None:
        """It stands from now on, whoever has told it before; a moment is no alert."""
        if not happening.ends:
            return
        self._standing[happening.id] = happening
        self._over.pop(happening.id, None)
        if new:
            self._unsent.add(happening.id)
        if len(self._standing) > MAX_STANDING:
            least = min(self._standing.values(), key=lambda h: h.level.rank)
            del self._standing[least.id]
            self._unsent.discard(least.id)
            self._count("dropped")
        self._stir()

    def ended(self, happening: Happening, at: float) -> None:
        """It is over, which is told until it was heard, or the alert has ended by itself."""
        if self._standing.pop(happening.id, None) is None:
            return
        self._over[happening.id] = (happening, at)
        if len(self._over) > MAX_OVER:
            self._over.popitem(last=False)
        self._stir()

    def rest(self) -> None:
        """Another replica leads and sends the same alerts: they are neither sent nor ended here."""
        self._standing.clear()
        self._over.clear()
        self._unsent.clear()

    async def flushed(self) -> None:
        """Return when everything that is new was heard."""
        await self._heard.wait()

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            pause = RESEND
            if self._standing or self._over:
                asked, failures = await self._send(failures)
                pause = min(self._means.pause(failures, asked), RESEND) if failures else RESEND
            else:
                self._changed.clear()
                self._heard.set()
            try:
                async with asyncio.timeout(pause):
                    # After a failure news have to wait like the rest.
                    await (asyncio.sleep(pause) if failures else self._changed.wait())
            except TimeoutError:
                continue

    async def _send(self, failures: int) -> tuple[float, int]:
        """Seconds that the receiver asks to be left alone, and failures in a row."""
        now, target = self._means.clock.now(), self.target
        standing, over = tuple(self._standing.values()), tuple(self._over.values())
        unsent = self._unsent & {h.id for h in standing} | self._unsent & {h.id for h, _ in over}
        self._changed.clear()
        outgoing = request(standing, over, target, self._means.context(), now=now)
        result = await self._means.send(outgoing, timeout=target.timeout)
        self._means.count.attempt(target.name, target.kind.value, result.answer)
        if not result.ok:
            self._changed.set()
            log.warning("notify target %s: %s", target.name, result.answer)
            for identity, (_, at) in tuple(self._over.items()):
                if now - at > LASTS:
                    del self._over[identity]
            return result.after, failures + 1
        for happening, at in over:
            if self._over.get(happening.id) == (happening, at):
                del self._over[happening.id]
        for _ in unsent:
            self._count("sent")
        self._unsent -= unsent
        self._measure()
        if not self._changed.is_set():
            self._heard.set()
        return 0.0, 0

    def _stir(self) -> None:
        self._changed.set()
        self._heard.clear()
        self._measure()

    def _count(self, result: str) -> None:
        self._means.count.ended(self.target.name, self.target.kind.value, result)

    def _measure(self) -> None:
        self._means.count.waiting(self.target.name, self.target.kind.value, len(self._unsent))
