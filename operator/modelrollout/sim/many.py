"""Many runs of one scenario in several processes, each with a seed of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from modelrollout.catalog.profiles import Profile
from modelrollout.core.model import RolloutSpec
from modelrollout.ports import SourceSpec
from modelrollout.sim.drive import simulate
from modelrollout.sim.outcome import Result, result
from modelrollout.sim.scenario import Scenario

BATCH = 4
"""Runs that a process plays before it reports."""
AHEAD = 2
"""Batches that wait for each process."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all runs share. `profiles`: of the cluster, by name."""

    spec: RolloutSpec
    scenario: Scenario
    source: SourceSpec
    profiles: Mapping[str, Profile] = field(default_factory=dict)


def play(job: Job, seeds: range) -> list[Result]:
    """One run for each seed, in order."""
    return [
        result(simulate(job.spec, job.scenario, seed=seed, source=job.source, profiles=job.profiles), seed)
        for seed in seeds
    ]


def play_all(job: Job, first: int, runs: int, *, processes: int) -> Generator[list[Result], None, None]:
    """`runs` runs with seeds from `first` on, in batches as they are done; the order of batches varies."""
    size = max(1, min(BATCH, runs // processes))
    batches = (range(at, min(at + size, first + runs)) for at in range(first, first + runs, size))
    if processes == 1:
        for batch in batches:
            yield play(job, batch)
        return
    # Fresh processes: a fork of one with threads (a progress bar has one) may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_deaf)
    try:
        under_way = {pool.submit(play, job, batch) for batch in islice(batches, AHEAD * processes)}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {pool.submit(play, job, batch) for batch in islice(batches, len(done))}
            for each in done:
                yield each.result()
    finally:
        # Whoever wants no more waits for the batches under way, not for all of them.
        pool.shutdown(cancel_futures=True)


def _deaf() -> None:
    """Ctrl-C is for the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
