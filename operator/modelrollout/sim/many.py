"""Many runs of one scenario in several processes, each with a seed of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from modelrollout.core.model import RolloutSpec
from modelrollout.ports import SourceSpec
from modelrollout.sim.drive import simulate
from modelrollout.sim.outcome import Result, result
from modelrollout.sim.scenario import Scenario

BATCH = 8
"""Runs that a process plays before it reports."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all runs share."""

    spec: RolloutSpec
    scenario: Scenario
    source: SourceSpec


def play(job: Job, seeds: range) -> list[Result]:
    """One run for each seed, in order."""
    return [result(simulate(job.spec, job.scenario, seed=seed, source=job.source), seed) for seed in seeds]


def play_all(job: Job, first: int, runs: int, *, processes: int) -> Iterator[list[Result]]:
    """`runs` runs with seeds from `first` on, in batches as they are done; the order of batches varies."""
    size = max(1, min(BATCH, runs // processes))
    batches = [range(at, min(at + size, first + runs)) for at in range(first, first + runs, size)]
    if processes == 1:
        for batch in batches:
            yield play(job, batch)
        return
    # Fresh processes: a fork of one with threads (a progress bar has one) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(batches)), mp_context=context) as pool:
        for done in as_completed([pool.submit(play, job, batch) for batch in batches]):
            yield done.result()
