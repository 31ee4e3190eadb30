"""Pieces of work for some processes. A piece is a function of this package with plain arguments; its seed is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from rich.progress import Progress

from e2e.stats.parts import Parts
from e2e.stats.tables import Table

PROCESSES = 2
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Job:
    """`work(*args)`; results of one `key` are collected in the order of the jobs. `seeded`: always the same result."""

    key: str
    work: Callable[..., Any]
    args: tuple[Any, ...] = ()
    seeded: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """Jobs for a number of runs, and tables from their results by key."""

    name: str
    jobs: Callable[[int], Sequence[Job]]
    tables: Callable[[Mapping[str, list[Any]]], Sequence[Table]]


def chunks(key: str, work: Callable[..., Any], runs: int, *args: Any, size: int = CHUNK) -> list[Job]:
    """`work(seed, runs, *args)` in pieces of `size` runs, each with a seed of its own."""
    parts = [min(size, runs - begun) for begun in range(0, runs, size)]
    return [Job(key, work, (index + 1, part, *args)) for index, part in enumerate(parts)]


def seeded(seed: int, *names: object) -> np.random.Generator:
    """A generator that depends on the seed and on what it is for."""
    return np.random.default_rng([seed, *(ord(letter) for letter in "/".join(map(str, names)))])


def run(
    asked: Sequence[tuple[Question, int]], *, workers: int, parts: Parts, told: Callable[[Question, list[Table]], None]
) -> None:
    """Do all jobs of all questions, each for its number of runs, with a progress bar; `told` of a question's tables as
    soon as its last job is done. What `parts` knows is not done again.
    """
    planned = [(question, job) for question, runs in asked for job in question.jobs(runs)]
    left = Counter(question.name for question, _ in planned)
    results: dict[int, Any] = {}

    def finish(place: int, result: Any) -> None:
        results[place] = result
        question = planned[place][0]
        left[question.name] -= 1
        if left[question.name]:
            return
        collected: dict[str, list[Any]] = {}
        for other, (owner, job) in enumerate(planned):
            if owner is question:
                collected.setdefault(job.key, []).append(results[other])
        told(question, list(question.tables(collected)))

    with Progress() as progress, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        bar = progress.add_task("simulating", total=len(planned))
        waiting = {}
        for place, (question, job) in enumerate(planned):
            known = parts.known(question.name, job.key, job.args) if job.seeded else None
            if known is None:
                waiting[pool.submit(job.work, *job.args)] = place
            else:
                finish(place, known)
                progress.advance(bar)
        for done in as_completed(waiting):
            question, job = planned[waiting[done]]
            if job.seeded:
                parts.keep(done.result(), question.name, job.key, job.args)
            finish(waiting[done], done.result())
            progress.advance(bar)
