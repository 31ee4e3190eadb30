"""Pieces of work for two processes. A piece is a function of this package with plain arguments; its seed is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from rich.progress import Progress

from e2e.stats.tables import Table

PROCESSES = 2
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Job:
    """`work(*args)`; results of one `key` are collected in the order of the jobs."""

    key: str
    work: Callable[..., Any]
    args: tuple[Any, ...] = ()


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


def run(questions: Sequence[Question], runs: int) -> list[Table]:
    """Do all jobs of all questions, with a progress bar, and make the tables."""
    planned = [(question, job) for question in questions for job in question.jobs(runs)]
    results: dict[int, Any] = {}
    with Progress() as progress, ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        bar = progress.add_task("simulating", total=len(planned))
        waiting = {pool.submit(job.work, *job.args): place for place, (_, job) in enumerate(planned)}
        for done in as_completed(waiting):
            results[waiting[done]] = done.result()
            progress.advance(bar)
    tables: list[Table] = []
    for question in questions:
        collected: dict[str, list[Any]] = {}
        for place, (owner, job) in enumerate(planned):
            if owner is question:
                collected.setdefault(job.key, []).append(results[place])
        tables += question.tables(collected)
    return tables
