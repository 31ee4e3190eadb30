"""How long to wait after a failure, per key: doubling, jittered, bounded; short for work that can't wait."""

from __future__ import annotations

import random
from collections.abc import Hashable

BASE = 0.1
CAP = 30.0
URGENT_CAP = 1.0
"""A rollback is tried again at least this often, so that it is done within 2 s of the API server's return."""
IMMEDIATE = 5
"""Conflicts retried at once before they count as failures: two writers would otherwise chase each other for ever."""
SLOW = 60.0
"""After a refusal that only a person can lift."""
SLOW_ROLLBACK = 5.0
"""The same, while users get bad answers."""


class Backoff:
    """Counts failures in a row per key."""

    def __init__(self, *, rng: random.Random | None = None) -> None:
        self._failures: dict[Hashable, int] = {}
        self._conflicts: dict[Hashable, int] = {}
        self._rng = rng or random.Random()

    def failed(self, key: Hashable, *, urgent: bool = False, cap: float = CAP) -> float:
        """Seconds to wait after one more failure; never less than half of the nominal time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        nominal = min(URGENT_CAP if urgent else cap, BASE * 2.0 ** min(failures, 20))
        return nominal * (0.5 + 0.5 * self._rng.random())

    def conflicted(self, key: Hashable, *, urgent: bool = False) -> float:
        """0 for the first conflicts in a row, then as for a failure."""
        conflicts = self._conflicts.get(key, 0) + 1
        self._conflicts[key] = conflicts
        return 0.0 if conflicts <= IMMEDIATE else self.failed(key, urgent=urgent)

    def reset(self, key: Hashable) -> None:
        """The key went well: forget its failures."""
        self._failures.pop(key, None)
        self._conflicts.pop(key, None)
