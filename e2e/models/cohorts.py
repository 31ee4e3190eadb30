"""Cohorts of predictions: which time bucket a prediction belongs to, and which buckets are still exposed."""

import time
from collections.abc import Callable

LATE = "0"
"""Labels of cohorts that are no longer exposed (or never were) are counted under this one: long before any rollout."""


class Cohorts:
    """Buckets of `seconds`, exposed for `keep` seconds after they began; no cohorts at all when `seconds` is 0."""

    def __init__(self, seconds: int = 0, *, keep: float = 1980.0, clock: Callable[[], float] = time.time) -> None:
        if seconds < 0 or keep < 2 * seconds:
            raise ValueError(f"cohorts of {seconds} s can't be kept for {keep:g} s; keep them for two buckets at least")
        self._seconds, self._keep, self._clock = seconds, keep, clock

    def present(self) -> str:
        """The cohort of a prediction made now; empty without cohorts."""
        return str(int(self._clock() // self._seconds * self._seconds)) if self._seconds else ""

    def counted(self, cohort: str) -> str:
        """The cohort under which a label of `cohort` is counted; clients can't make others than those exposed."""
        if not self._seconds or not cohort:
            return ""
        known = cohort.isdecimal() and int(cohort) % self._seconds == 0 and int(cohort) <= self._clock()
        return cohort if known and self.exposed(cohort) else LATE

    def exposed(self, cohort: str) -> bool:
        """Whether a child of this cohort belongs into a scrape."""
        return cohort in ("", LATE) or int(cohort) + self._keep >= self._clock()
