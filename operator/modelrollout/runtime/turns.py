"""Arithmetic on the event loop, in turns with all others who have some.

Whoever gives the loop away after a fixed slice gets little of it where many others are at work: of a leader's first
minute, in which thousands are looked at and their past is read, a fiftieth.
"""

from __future__ import annotations

import asyncio

SLICE = 0.005
"""Seconds of a turn."""
LONGEST = 0.1
"""Seconds that no turn exceeds, whatever the others took: the loop must answer whoever asks."""


class Turns:
    """Turns of one piece of work, from now on. `even`: each is as long as that of all others together before it."""

    def __init__(self, *, even: bool = False) -> None:
        self._time = asyncio.get_running_loop().time
        self._even = even
        self._begun = self._time()
        self._length = SLICE

    async def rest(self) -> None:
        """Give the loop to others if this turn is over."""
        given = self._time()
        if given - self._begun <= self._length:
            return
        await asyncio.sleep(0)
        self._begun = self._time()
        if self._even:
            self._length = min(max(SLICE, self._begun - given), LONGEST)
