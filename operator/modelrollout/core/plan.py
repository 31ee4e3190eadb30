"""How an SLI is counted: total and bad events as signed sums of counters.

`catalog` resolves the user's SLI to a plan at preflight; `stats` applies it to increments, target by target. Errors:
total = requests, bad = requests with an error code. Latency: total = requests, bad = requests - bucket(le), so that
failures (absent from the bucket) count as slow.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelrollout.core.model import Selector


@dataclass(frozen=True, slots=True)
class Term:
    """One counter in a sum: `sign` is +1 or -1; `boundary` picks the histogram bucket whose `le` equals it."""

    selector: Selector
    sign: int = 1
    boundary: float | None = None


@dataclass(frozen=True, slots=True)
class SliPlan:
    """Counters behind one SLI. No series of `total` means NO_DATA; none of `bad` means zero. Without any `total`, bad
    events are counted by themselves.

    `predicted`: of events that come as labels of predictions, the counter of all predictions by cohort.
    """

    sli: str
    total: tuple[Term, ...]
    bad: tuple[Term, ...]
    predicted: Term | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metric names, sorted, each once: the identity of the query that serves this plan."""
        names = {self.predicted.selector.metric} if self.predicted else set()
        return tuple(sorted({*self.counted, *names}))

    @property
    def counted(self) -> tuple[str, ...]:
        """Metric names of total and bad events, sorted, each once."""
        return tuple(sorted({t.selector.metric for t in (*self.total, *self.bad)}))

    @property
    def boundaries(self) -> tuple[float, ...]:
        """All histogram boundaries, ascending."""
        return tuple(sorted({t.boundary for t in (*self.total, *self.bad) if t.boundary is not None}))
