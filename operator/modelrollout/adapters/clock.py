"""The machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """`Clock` of the machine it runs on."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        return time.monotonic()
