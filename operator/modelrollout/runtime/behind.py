"""Rollouts whose evidence is far behind, after a change of leader or an outage: which are asked for together, and when.

One question for some of them covers all their spans, and is narrowed to their pods; so its answer is about as large as
the one that all rollouts share in ordinary times. Where a server can't answer that much, or one rollout breaks the
question of all, groups become smaller.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from modelrollout.core.observation import EvidencePending
from modelrollout.runtime.questions import FEW_ROLLOUTS, Due

CATCH_UPS = 4
"""Groups of one source that are asked for at the same time."""
FAIR = 4
"""One group in so many is not of those who have it first."""
IN_TIME = 3.0
"""Seconds that a shared round may take before the reading of the past makes room for it."""
ROOM = 36_000.0
"""Rollouts of a group times seconds of its question: what a thousand share in a tick takes half a minute of each."""
BUG = "Bug"
TOO_MUCH = frozenset(
    {"TooLarge", "Partial", "Timeout", "HTTP 413", "HTTP 422", "HTTP 500", "HTTP 503", "HTTP 504", BUG}
)
"""Failures that a smaller question may not have."""


class Behind:
    """Groups, by source. A group that was begun must be `ended`."""

    def __init__(self) -> None:
        self._size: dict[str, int] = defaultdict(lambda: FEW_ROLLOUTS)
        self._open: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()

    def groups(self, name: str, dues: Iterable[Due], *, crowded: bool = False) -> Iterator[Sequence[Due]]:
        """Those that may be begun now; the others wait, and come again with newer spans.

        One at a time when `crowded`: the question that all share is late, and the present comes before the past.
        Who has not been judged yet comes before who has: where there is more to do than time, those that were caught
        up fall behind again, and would take the turns of all others. Of those not judged the least behind comes first:
        it is soonest done, it has been raised last, and who has been begun is finished before others are begun. Of the
        judged ones, who have every `FAIR`th group too, the furthest; without any that turn is the furthest's of all.
        """
        furthest = sorted(dues, key=lambda due: due.span.start)
        judged = [due for due in furthest if not isinstance(due.watch.evidence, EvidencePending)]
        new = [due for due in reversed(furthest) if isinstance(due.watch.evidence, EvidencePending)]
        most = 1 if crowded else CATCH_UPS
        while (new or judged) and self._open[name] < most:
            self._open[name] += 1
            self._begun[name] += 1
            fair = self._begun[name] % FAIR == 0
            if judged and (fair or not new):
                group = judged[: _fitting(judged[: self._size[name]])]
                del judged[: len(group)]
            else:
                ordered = new[::-1] if fair else new
                group = ordered[: _fitting(ordered[: self._size[name]])]
                del new[slice(-len(group), None) if fair else slice(len(group))]
            yield group

    def ended(self, name: str, *, asked: int, failures: Iterable[str] = ()) -> None:
        """A group of so many was answered. `failures`: the kinds of those questions that were not."""
        self._open[name] -= 1
        kinds = set(failures)
        if kinds & TOO_MUCH:
            self._size[name] = max(1, min(self._size[name], asked // 2))
        elif not kinds:
            self._size[name] = min(FEW_ROLLOUTS, self._size[name] + 1)


def _fitting(dues: Sequence[Due]) -> int:
    """How many of the first ones leave the answer small: spans that lie apart take a question over all between."""
    begin, end = float("inf"), float("-inf")
    for count, due in enumerate(dues):
        begin, end = min(begin, due.span.at - due.span.window), max(end, due.span.at)
        if count and (count + 1) * (end - begin) > ROOM:
            return count
    return len(dues)
