"""How a receiver is tried again, and what is counted of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from modelrollout.adapters.notify.post import Result
from modelrollout.adapters.notify.wording import Context, Outgoing
from modelrollout.api.targets import Target
from modelrollout.core.happenings import Happening
from modelrollout.ports import Clock

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
GIVE_UP = 900.0
"""Seconds after which something is no news any more: it is tried at least once, and not again beyond this age."""


class Send(Protocol):
    """Sends one request, within `timeout` seconds. Never raises."""

    async def __call__(self, outgoing: Outgoing, *, timeout: float) -> Result:
        """What came of it."""
        ...


class Count(Protocol):
    """Counts deliveries of targets, by name and kind."""

    def attempt(self, target: str, kind: str, answer: str) -> None:
        """A request ended with this answer."""
        ...

    def ended(self, target: str, kind: str, result: str) -> None:
        """A notification is `sent`, `failed` or `dropped`."""
        ...

    def waiting(self, target: str, kind: str, length: int) -> None:
        """So many wait for their turn."""
        ...

    def forget(self, target: str, kind: str) -> None:
        """The target is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What every worker needs: how to send, whom to tell of it, the time, chance, and what all messages share."""

    send: Send
    count: Count
    clock: Clock
    context: Callable[[], Context]
    rng: random.Random = field(default_factory=random.Random)

    def pause(self, failures: int, asked: float) -> float:
        """Seconds until the next try after so many failures in a row, or longer if the receiver asked for it."""
        grown = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE)
        return max(grown * (0.75 + self.rng.random() / 2), asked)


class Worker(Protocol):
    """Serves one target."""

    target: Target

    def begun(self, happening: Happening, *, new: bool) -> None:
        """It stands from now on."""
        ...

    def ended(self, happening: Happening, at: float) -> None:
        """It stands no longer, since `at` (epoch seconds)."""
        ...

    def rest(self) -> None:
        """Another replica leads."""
        ...

    async def flushed(self) -> None:
        """Return when nothing waits to be sent."""
        ...

    async def run(self) -> None:
        """Serve until cancelled."""
        ...
