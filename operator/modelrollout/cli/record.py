"""`modelrollout record`: raw samples of a rollout's SLIs from Prometheus into a file."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from modelrollout.cli.exits import ERROR, USAGE, fail
from modelrollout.cli.profile_files import Files
from modelrollout.cli.reader import Address, CaFile, Timeout, TokenFile, open_reader

if TYPE_CHECKING:
    from rich.progress import Progress

    from modelrollout.adapters.prom.ranges import RangeReader, Stretch
    from modelrollout.cli.manifest import Manifest
    from modelrollout.ports import SourceSpec
    from modelrollout.sim.recording import Recording

WIDEST = 31 * 86400.0


class Format(StrEnum):
    """Format of a recording."""

    JSONL = "jsonl"
    CSV = "csv"


def record(
    manifest: Annotated[
        Path, typer.Argument(help="ModelRollout whose SLIs are recorded; its MetricSource may be in the same file.")
    ],
    prometheus: Address,
    start: Annotated[str, typer.Option(help="2026-11-21T18:25:00Z, epoch seconds, or now-2h.")],
    end: Annotated[str, typer.Option(help="The same forms.")] = "now",
    out: Annotated[
        Path | None, typer.Option(help="File, or a directory for <name>.jsonl or .csv. Default: here.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="jsonl: raw samples; csv: counts per tick.")
    ] = Format.JSONL,
    scrape: Annotated[
        float | None, typer.Option(help="Seconds between scrapes. Default: the MetricSource's, else as found.")
    ] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    timeout: Timeout = 30.0,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    profiles: Files = None,
) -> None:
    """Record the raw samples that a rollout's SLIs are counted from, for `modelrollout replay`.

    Exit codes: 0 recorded, 1 it can't be, 2 usage.
    """
    from modelrollout.cli.manifest import load
    from modelrollout.errors import MetricsUnavailable, SpecError

    begin, until = _range(start, end)
    try:
        found = load(manifest, profiles or ())
        target = _target(out, found.spec.key.name, output, force=force)
        reader = open_reader(prometheus, token_file=token_file, ca_file=ca_file, timeout=timeout)
    except SpecError as error:
        fail(f"{error.field}: {error}" if error.field else str(error))
    try:
        series, samples = _record(found, reader, target, begin, until, scrape=scrape, csv=output is Format.CSV)
    except MetricsUnavailable as error:
        fail(f"{prometheus} does not answer in a usable way ({error.kind}); nothing was written")
    except SpecError as error:
        fail(f"{error}; nothing was written")
    except OSError as error:
        fail(f"{target}: {error.strerror or type(error).__name__}; name a file that can be written with --out")
    except KeyboardInterrupt:
        fail("stopped; nothing was written")
    finally:
        reader.close()
    typer.echo(f"{target}: {samples} samples of {series} series of {found.spec.key}, {until - begin:g} s")


def _range(start: str, end: str) -> tuple[float, float]:
    from modelrollout.cli.moments import parse_moment

    now = time.time()
    moments = []
    for name, text in (("--start", start), ("--end", end)):
        try:
            moments.append(parse_moment(text, now))
        except ValueError as error:
            fail(f"{name}: {error}", USAGE)
    begin, until = moments
    if begin >= until:
        fail(f"--start {start} is not before --end {end}", USAGE)
    if until - begin > WIDEST:
        fail(f"--start and --end are {(until - begin) / 86400:.0f} days apart; record at most 31 days at once", USAGE)
    return begin, until


def _target(out: Path | None, name: str, output: Format, *, force: bool) -> Path:
    place = out or Path()
    target = place / f"{name}.{output.value}" if place.is_dir() else place
    if target.exists() and not force:
        fail(f"{target} is there already; --force writes over it, --out names another", ERROR)
    return target


def _record(
    found: Manifest, reader: RangeReader, target: Path, begin: float, until: float, *, scrape: float | None, csv: bool
) -> tuple[int, int]:
    """Write the file as a whole or not at all; how many series and samples it holds."""
    from modelrollout.errors import SpecError
    from modelrollout.ports import ArmsByLabel, ArmsByPod, SourceSpec
    from modelrollout.sim import counts
    from modelrollout.sim.recording import Header, Recording, header_line, series_line
    from modelrollout.sim.tally import tally
    from modelrollout.stats.increments import PROCESS_START, UP

    source = found.source or SourceSpec(found.spec.analysis.metric_source, ArmsByPod(), None)
    arms = source.arms if isinstance(source.arms, ArmsByLabel) else None
    every = scrape or source.scrape_interval
    recording: Recording | None = None
    series: set[tuple[tuple[str, str], ...]] = set()
    samples, judged = 0, False
    with _whole(target) as file:
        for stretch in _stretches(found, reader, source, begin, until):
            if not any(one.times for one in stretch.series):
                continue
            every = every or _usual_gap(stretch)
            if recording is None:
                recording = Recording(Header(str(found.spec.key), begin, until, every, arms))
                if not csv:
                    file.write(header_line(recording.header))
            for one in stretch.series:
                series.add(tuple(sorted(one.labels.items())))
                samples += len(one.times)
                judged |= one.labels.get("__name__") not in (UP, PROCESS_START)
                if csv:
                    recording.add(one)
                else:
                    file.write(series_line(one))
        if recording is None or not judged:
            raise SpecError(
                "there is no sample of the SLIs' metrics from the pods of legacy or candidate in that time; check the "
                "times, and that the series carry the labels namespace and pod"
            )
        if csv:
            file.writelines(counts.lines(tally(found.spec, recording, source, found.profiles)))
    return len(series), samples


def _stretches(
    found: Manifest, reader: RangeReader, source: SourceSpec, begin: float, until: float
) -> Iterator[Stretch]:
    from modelrollout.catalog import alternatives
    from modelrollout.core.observation import SpecProblem
    from modelrollout.errors import SpecError
    from modelrollout.ports import SeriesQuery
    from modelrollout.runtime.arms import pods_of, told_apart
    from modelrollout.runtime.profiles import bound
    from modelrollout.stats.increments import PROCESS_START, UP

    meant, catalogue = bound(found.spec, found.profiles)
    spec = told_apart(meant, source)
    metrics: list[str] = []
    for sli in spec.slis:
        names = alternatives(sli, catalogue)
        if isinstance(names, SpecProblem):
            raise SpecError(names.problem)
        metrics += names
    pods = [pods_of(spec, sli, source) for sli in spec.slis]
    narrow = "|".join(dict.fromkeys(pods)) if all(pods) else ""
    query = SeriesQuery((*dict.fromkeys(metrics), UP, PROCESS_START), 1.0, (), (spec.key.namespace,), narrow)
    with _progress() as progress:
        task = progress.add_task(str(spec.key), total=until - begin)
        for stretch in reader.read(query, begin, until):
            yield stretch
            progress.update(task, completed=stretch.end - begin)


def _usual_gap(stretch: Stretch) -> float:
    from itertools import pairwise
    from statistics import median

    from modelrollout.runtime.preflight import DEFAULT_SCRAPE

    gaps = [b - a for one in stretch.series for a, b in pairwise(one.times)]
    return round(median(gaps), 3) if gaps else DEFAULT_SCRAPE


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def _whole(target: Path) -> Iterator[TextIO]:
    """A file that appears at `target` when it is complete, and never in part."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        Path(name).chmod(0o644)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
