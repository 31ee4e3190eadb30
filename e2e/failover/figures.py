"""What a misfortune of the leader cost: from the audit log, a watch on the route and the records of the load alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from e2e.audited import Write
from e2e.models.records import Record

ROUTES = "httproutes"
ACTS = frozenset({ROUTES, "modelrollouts", "modelrollouts/status"})
LIMIT = 20.0
"""Seconds within which somebody else must act."""


@dataclass(frozen=True, slots=True)
class Run:
    """One misfortune. Times are Unix seconds: `at` its begin, `resumed` when a frozen leader went on (None: never).

    `leader`: the pod it befell; `lease` and `namespace`: where to look; `weights`: the candidate's in percent, watched
    from shortly before `at` to `ended`.
    """

    kind: str
    leader: str
    lease: str
    namespace: str
    at: float
    ended: float
    weights: tuple[int, ...]
    resumed: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds are None for what did not come about.

    led: until somebody holds the Lease anew; by another pod or not: `standby`. acted: until the first write to the
    rollout or its route. gap: longest time between the last write to the Lease by one pod and the first by the next.
    handovers: how often the Lease went to another pod. lost: requests that failed and that no candidate answered.
    raises: how often the weight rose. deposed: writes of the frozen pod to the rollout after it went on, unless it led
    again.
    """

    kind: str
    led: float | None
    standby: bool
    acted: float | None
    gap: float
    handovers: int
    requests: int
    lost: int
    raises: int
    deposed: int


def figures(run: Run, writes: Sequence[Write], seen: Iterable[Record], *, candidate: str) -> Figures:
    """Measure one run. `candidate`: the version whose failures are the model's own."""
    during = [write for write in writes if run.at <= write.at <= run.ended]
    lease = [write for write in during if write.resource == "leases" and write.name == run.lease]
    acts = [write for write in during if write.resource in ACTS and write.namespace == run.namespace]
    # The last renewal before counts for the gap, not for who leads next.
    before = [write for write in writes if write.at < run.at and write.resource == "leases" and write.name == run.lease]
    changes = [(old, new) for old, new in pairwise([*before[-1:], *lease]) if old.pod != new.pod]
    answers = [record for record in seen if run.at <= record.start <= run.ended and record.kind != "shed"]
    return Figures(
        kind=run.kind,
        led=lease[0].at - run.at if lease else None,
        standby=bool(lease) and lease[0].pod != run.leader,
        acted=acts[0].at - run.at if acts else None,
        gap=max((new.at - old.at for old, new in changes), default=0.0),
        handovers=len(changes),
        requests=len(answers),
        lost=sum(record.failed and record.version != candidate for record in answers),
        raises=sum(new > old for old, new in pairwise(run.weights)),
        deposed=_deposed(run, lease, acts),
    )


def _deposed(run: Run, lease: Sequence[Write], acts: Sequence[Write]) -> int:
    if run.resumed is None:
        return 0
    again = min((w.at for w in lease if w.pod == run.leader and w.at > run.resumed), default=run.ended)
    return sum(write.pod == run.leader and run.resumed <= write.at < again for write in acts)


def wrong(found: Figures) -> list[str]:
    """What must not be, a sentence each."""
    told = []
    if found.raises:
        told.append(f"{found.kind}: the candidate's weight rose {found.raises} times")
    if found.lost:
        told.append(f"{found.kind}: {found.lost} requests failed that the candidate did not answer")
    if found.deposed:
        told.append(f"{found.kind}: the deposed leader wrote {found.deposed} times")
    late, what = (found.gap, "led") if found.kind == "upgraded" else (found.acted, "acted")
    if late is None or late > LIMIT:
        bound = f"{LIMIT:g} s is the bound"
        told.append(f"{found.kind}: nobody {what} for {'ever' if late is None else f'{late:.1f} s'}; {bound}")
    return told


def spread(values: Iterable[float | None]) -> str:
    """Median and extremes of what came about, as `8.1 (7.9 to 12.0)`; `-` without any."""
    known = [value for value in values if value is not None]
    return f"{median(known):.1f} ({min(known):.1f} to {max(known):.1f})" if known else "-"


def rows(found: Sequence[Figures]) -> list[list[str]]:
    """A table, one row for each kind, in the order of their first runs."""
    table = []
    for kind in dict.fromkeys(each.kind for each in found):
        mine = [each for each in found if each.kind == kind]
        table.append(
            [
                kind,
                str(len(mine)),
                spread(each.led for each in mine) if kind != "upgraded" else "-",
                f"{sum(each.standby for each in mine)}" if kind != "upgraded" else "-",
                spread(each.acted for each in mine) if kind != "upgraded" else "-",
                spread(each.gap for each in mine if each.handovers),
                spread(float(each.handovers) for each in mine) if kind == "upgraded" else "-",
                f"{sum(each.lost for each in mine)} of {sum(each.requests for each in mine)}",
                str(sum(each.raises for each in mine)),
                str(sum(each.deposed for each in mine)) if kind == "frozen" else "-",
            ]
        )
    return table


HEADER = (
    *("misfortune", "runs", "Lease taken, s", "by the standby", "first act, s", "gap of the Lease, s", "handovers"),
    *("requests lost", "weights raised", "writes of the deposed"),
)
