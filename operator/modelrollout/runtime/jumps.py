"""Jumps of the wall clock: whoever waits for a time that was told by the old one is looked at again."""

from __future__ import annotations

from modelrollout.ports import Clock

JUMP = 5.0
"""Seconds that the wall clock may be put right by without anyone noticing; time daemons slew less than that."""


class Jumps:
    """Compares the wall clock with the monotonic one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.monotonic()

    def since_last(self) -> float:
        """Seconds by which the wall clock has jumped since it was last asked; 0 for less than `JUMP`."""
        offset = self._clock.now() - self._clock.monotonic()
        jump = offset - self._offset
        if abs(jump) < JUMP:
            return 0.0
        self._offset = offset
        return jump
