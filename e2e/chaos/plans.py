"""Plans, made from what a reference run did: every write of it is a place where something can go wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator

from e2e.chaos.carriers import MANAGED, Carrier
from e2e.chaos.drive import Run
from e2e.chaos.faults import (
    Blocked,
    Blurred,
    Crash,
    Edit,
    Edited,
    Fail,
    Failure,
    Fault,
    Parted,
    Plan,
    Poison,
    Poisoned,
    Slowed,
    Span,
    Unwell,
)
from e2e.chaos.metrics import Trouble
from e2e.chaos.views import Blur

HELD = 60.0
"""Seconds for which a write is held: a successor has been elected and has reverted what the write would raise."""


def pairs(reference: Run, seed: int) -> Iterator[Plan]:
    """Two faults, or now and then three, drawn by `seed`, without end."""
    name = reference.plan.workload
    rng = random.Random(f"{name}/{seed}")
    pool = list(singles(sum(reference.writes.values()), reference.workload.carrier))
    while True:
        drawn = sorted(rng.sample(pool, 2 if rng.random() < 0.8 else 3), key=lambda fault: fault.at)
        yield Plan(name, rng.randrange(10**6), tuple(drawn))


def singles(count: int, carrier: Carrier = MANAGED) -> Iterator[Fault]:
    """All families at every write of a run of `count` writes, whose weights `carrier` has."""
    together = carrier.blurs
    everything = tuple(sorted({"rolloutactions", *(kind for kinds in together for kind in kinds)}))
    for k in range(1, count + 1):
        yield from (Crash(k, after=after) for after in (False, True))
        yield from (Fail(k, failure, span) for failure in Failure for span in Span)
        yield from (Edited(k, what) for what in Edit)
        for blur in Blur:
            seconds = 600.0 if blur is Blur.SILENT else 10.0
            yield from (Blurred(k, blur, kinds, seconds) for kinds in (*together, everything))
        yield from (Unwell(k, trouble, 60.0) for trouble in Trouble)
        yield from (Parted(k, 30.0, skew) for skew in (0.0, 30.0, -30.0, 300.0, -300.0))
        yield Parted(k, HELD, 0.0, held=True)
        yield from (Poisoned(k, what) for what in Poison)
        yield Blocked(k, 30.0)
        yield Slowed(k, 60.0)
