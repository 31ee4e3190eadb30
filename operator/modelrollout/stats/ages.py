"""How long each target has been scraped: young processes are not judged."""

from __future__ import annotations

from bisect import bisect_right

from modelrollout.stats.increments import KnownTargets, Target


class Ages:
    """First and last scrape of each target since its last silence. A silence longer than `slack` makes it new again,
    so that a reader who starts in the middle sees what one who never stopped sees.
    """

    def __init__(self, *, warmup: float, slack: float) -> None:
        self._warmup = warmup
        self._slack = slack
        self._seen: dict[Target, tuple[float, float]] = {}

    def advance(self, known: KnownTargets, until: float) -> None:
        """Take notice of all scrapes up to `until`; those seen before are skipped."""
        for target, times in known.scrapes.items():
            seen = self._seen.get(target)
            for at in times[bisect_right(times, seen[1]) if seen else 0 : bisect_right(times, until)]:
                seen = (at if seen is None or at - seen[1] > self._slack else seen[0], at)
            if seen is not None:
                self._seen[target] = seen
        self._seen = {t: seen for t, seen in self._seen.items() if until - seen[1] <= self._slack}

    def ripe(self, target: Target, start: float, *, step: float) -> bool:
        """Whether the target counts in a tick that begins at `start`.

        It does when it was there as the step began (`step`), or when its first scrape is `warmup` seconds ago.
        """
        seen = self._seen.get(target)
        return seen is not None and (seen[0] <= step or seen[0] + self._warmup <= start)
