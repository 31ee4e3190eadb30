"""Many plans on all cores: which ones, and what came of them."""

from __future__ import annotations

import logging
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import islice, zip_longest

from e2e.chaos.drive import Run, drive
from e2e.chaos.faults import Plan, parse, text
from e2e.chaos.kept import KEPT
from e2e.chaos.oracles import check
from e2e.chaos.plans import pairs, singles
from e2e.chaos.reverts import Violation

REFERENCE_SEED = 1
BATCH = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a plan. `versions`: of objects that were checked; `seconds`: of virtual time."""

    plan: str
    families: tuple[str, ...]
    violations: tuple[Violation, ...]
    versions: int
    requests: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """What came of many."""

    plans: int = 0
    versions: int = 0
    requests: int = 0
    virtual: float = 0.0
    took: float = 0.0
    families: Counter[str] = field(default_factory=Counter)
    workloads: Counter[str] = field(default_factory=Counter)
    failed: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one more."""
        self.plans += 1
        self.versions += verdict.versions
        self.requests += verdict.requests
        self.virtual += verdict.seconds
        self.families.update(set(verdict.families))
        self.workloads[verdict.plan.partition("/")[0]] += 1
        if verdict.violations:
            self.failed.append(verdict)

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        failed = [{"plan": v.plan, "violations": [f"{x.oracle}: {x.text}" for x in v.violations]} for v in self.failed]
        return found | {"failed": failed}


@cache
def reference(workload: str) -> Run:
    """The workload when nothing goes wrong."""
    return drive(Plan(workload, REFERENCE_SEED))


def judge(plan: Plan) -> Verdict:
    """Run a plan and check it."""
    # What the operator logs is heard by the run; nobody else wants to read it.
    logging.lastResort = None
    families = tuple(text(fault).partition("@")[0].rpartition("+")[0] or text(fault) for fault in plan.faults)
    try:
        known = reference(plan.workload)
        run = drive(plan)
    except Exception as error:
        broken = Violation("harness", f"{type(error).__name__}: {error}")
        return Verdict(str(plan), families, (broken,), 0, 0, 0.0)
    first, last = (run.history[0].at, run.history[-1].at) if run.history else (0.0, 0.0)
    return Verdict(str(plan), families, tuple(check(run, known)), len(run.history), run.sent, last - first)


def chosen(names: Sequence[str], *, seed: int, count: int | None) -> list[Plan]:
    """`count` plans over these workloads: those kept, all single faults if they fit, else some of each; then pairs.

    Without `count` every single fault, and as many pairs and triples.
    """
    rng = random.Random(seed)
    kept = [plan for plan in map(parse, KEPT) if plan.workload in names]
    runs = {name: reference(name) for name in names}
    everything = {name: list(singles(sum(run.writes.values()), run.workload.carrier)) for name, run in runs.items()}
    alone = [Plan(name, REFERENCE_SEED, (fault,)) for name, faults in everything.items() for fault in faults]
    if count is None:
        return [*kept, *alone, *_pairs(names, seed, len(alone))]
    kept = kept[:count]
    rng.shuffle(alone)
    count -= len(kept)
    together = max(count // 4, count - len(alone))
    return [*kept, *islice(_in_turn(alone), count - together), *_pairs(names, seed, together)]


def _in_turn(plans: Iterable[Plan]) -> Iterator[Plan]:
    """One of each family, then the next of each: a family with few forms is not lost among those with many."""
    families: dict[str, list[Plan]] = {}
    for plan in plans:
        families.setdefault(text(plan.faults[0]).partition("+")[0], []).append(plan)
    for row in zip_longest(*families.values()):
        yield from (plan for plan in row if plan is not None)


def _pairs(names: Sequence[str], seed: int, count: int) -> Iterator[Plan]:
    for index, name in enumerate(names):
        share = count // len(names) + (index < count % len(names))
        yield from islice(pairs(reference(name), seed), share)


def campaign(todo: Iterable[Plan], *, workers: int, until: float | None = None) -> Iterator[Verdict]:
    """Judge plans as they get done; stops to begin new ones at `until` (monotonic seconds)."""

    left = iter(todo)
    # A fresh process knows nothing of what the parent's loop or logging left behind.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        # In batches, so that the clock is asked now and then: a pool takes all that it is given at once.
        while batch := list(islice(left, workers * BATCH)):
            if until is not None and time.monotonic() >= until:
                return
            yield from pool.imap_unordered(judge, batch)
