"""One target that takes messages: a bounded queue and a worker that sends one after the other.

Whatever the receiver does, nobody waits for it: what does not fit drops the least severe, the oldest of those first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from modelrollout.adapters.notify import cloudevents, slack
from modelrollout.adapters.notify.pace import GIVE_UP, Means
from modelrollout.adapters.notify.wording import Outgoing
from modelrollout.api.targets import Target, TargetKind
from modelrollout.core.happenings import Happening

log = logging.getLogger(__name__)

MAX_WAITING = 100

Render = Callable[..., Outgoing]
RENDERERS: dict[TargetKind, Render] = {TargetKind.CLOUDEVENTS: cloudevents.request, TargetKind.SLACK: slack.request}


@dataclass(frozen=True, slots=True)
class _Letter:
    happening: Happening
    since: float


class Outbox:
    """`Worker` for CloudEvents and Slack. `target` may be exchanged for another of the same name at any time."""

    def __init__(self, target: Target, means: Means) -> None:
        self.target = target
        self._means = means
        self._letters: list[_Letter] = []
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._under_way: _Letter | None = None

    def begun(self, happening: Happening, *, new: bool) -> None:
        """Queue it if nobody has been told of it."""
        if not new:
            return
        self._letters.append(_Letter(happening, asyncio.get_running_loop().time()))
        if len(self._letters) > MAX_WAITING:
            least = min(range(len(self._letters)), key=lambda at: self._letters[at].happening.level.rank)
            lost = self._letters.pop(least)
            self._count("dropped")
            log.warning("notify target %s: queue is full, dropped %s", self.target.name, lost.happening.title)
        self._measure()
        self._empty.clear()
        self._arrived.set()

    def ended(self, happening: Happening, at: float) -> None:
        """Nothing: what was said was so."""

    def rest(self) -> None:
        """Nothing: what is queued has happened, and is sent."""

    async def flushed(self) -> None:
        """Return when everything was sent, or given up."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send until cancelled; what is under way then counts as dropped."""
        try:
            while True:
                while self._letters:
                    self._under_way = self._letters.pop(0)
                    self._measure()
                    await self._deliver(self._under_way)
                    self._under_way = None
                self._empty.set()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            for _ in range(len(self._letters) + (self._under_way is not None)):
                self._count("dropped")

    async def _deliver(self, letter: _Letter) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            target = self.target
            outgoing = RENDERERS[target.kind](
                letter.happening, target, self._means.context(), now=self._means.clock.now()
            )
            result = await self._means.send(outgoing, timeout=target.timeout)
            self._means.count.attempt(target.name, target.kind.value, result.answer)
            if result.ok:
                self._count("sent")
                return
            failures += 1
            pause = self._means.pause(failures, result.after)
            if not result.again or loop.time() + pause - letter.since > GIVE_UP:
                self._count("failed")
                log.error("notify target %s: %s: not sent: %s", target.name, result.answer, letter.happening.title)
                return
            log.warning("notify target %s: %s: tried again in %.0f s", target.name, result.answer, pause)
            await asyncio.sleep(pause)

    def _count(self, result: str) -> None:
        self._means.count.ended(self.target.name, self.target.kind.value, result)

    def _measure(self) -> None:
        self._means.count.waiting(self.target.name, self.target.kind.value, len(self._letters))
