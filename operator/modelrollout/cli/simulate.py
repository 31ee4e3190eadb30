"""`modelrollout simulate`: a rollout in a virtual cluster, once with a chart or many times with shares."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import ERROR, INVALID, OK, ROLLED_BACK, UNDECIDED, fail
from modelrollout.cli.profile_files import Files

if TYPE_CHECKING:
    from modelrollout.sim.many import Job
    from modelrollout.sim.outcome import Outcome, Result

MAX_RUNS = 1_000_000


class Output(StrEnum):
    """Format of a report."""

    TEXT = "text"
    JSON = "json"


def simulate(
    file: Annotated[Path, typer.Argument(help="YAML with one ModelRollout, and its MetricSource if it has one.")],
    scenario: Annotated[
        Path | None, typer.Option(help="YAML of what happens. Default: nothing, at 20 requests a second.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of chance; default: the scenario's.", min=0)] = None,
    runs: Annotated[int, typer.Option(help="How often, with seeds counted up.", min=1, max=MAX_RUNS)] = 1,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    svg: Annotated[Path | None, typer.Option(help="Write a chart of the run to this SVG file.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a chart of the run to this PNG file.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Write the run's decisions to this file, for `modelrollout replay`.")
    ] = None,
    profiles: Files = None,
) -> None:
    """Play a rollout against a scenario with the operator's own decisions and evidence, in virtual time.

    Exit codes of one run: 0 promoted, 3 rolled back, 4 neither by the scenario's end. Of many: 0.
    Always: 1 a file can't be read or written, 2 usage, 5 the rollout or the scenario is not valid.
    """
    if runs > 1 and (svg or png or journal):
        raise typer.BadParameter("--svg, --png and --journal show one run; leave out --runs, choose a --seed")
    from modelrollout.errors import SpecError

    job = _read(file, scenario, profiles or [])
    first = job.scenario.seed if seed is None else seed
    try:
        if runs > 1:
            _many(job, first, runs, output)
            return
        _one(job, first, output, svg, png, journal)
    except SpecError as error:  # SLIs that nothing can be made up for
        fail(str(error), INVALID)


def _read(file: Path, scenario: Path | None, profiles: list[Path]) -> Job:
    from modelrollout.cli.manifest import load
    from modelrollout.errors import SpecError
    from modelrollout.ports import ArmsByPod, SourceSpec
    from modelrollout.sim.many import Job
    from modelrollout.sim.reading import read_scenario
    from modelrollout.sim.scenario import Scenario

    try:
        manifest = load(file, profiles)
        spec = manifest.spec
        source = manifest.source or SourceSpec(spec.analysis.metric_source, ArmsByPod(), None)
        chosen = Scenario(scrape=source.scrape_interval or Scenario().scrape)
        if scenario is not None:
            text = _text(scenario)
            try:
                chosen = read_scenario(text, spec, replace(chosen, name=scenario.stem))
            except SpecError as error:
                raise SpecError(error.message, subject=str(scenario)) from None
    except SpecError as error:
        fail(str(error), INVALID)
    return Job(spec, chosen, source, manifest.profiles)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        fail(f"{path}: {why}; name a YAML file that can be read", ERROR)


def _one(job: Job, seed: int, output: Output, svg: Path | None, png: Path | None, journal: Path | None) -> None:
    from modelrollout.cli import simulate_report as report
    from modelrollout.sim.chart import chart
    from modelrollout.sim.drive import simulate as play
    from modelrollout.sim.outcome import result

    course = play(job.spec, job.scenario, seed=seed, source=job.source, film=True, profiles=job.profiles)
    short = result(course, seed)
    title = f"{job.spec.key.name}, scenario {job.scenario.name}, seed {seed}: {report.headline(short)}"
    drawn = chart(course, title)
    if svg is not None:
        from modelrollout.sim.draw_svg import svg as draw

        _write(svg, draw(drawn).encode())
    if png is not None:
        from modelrollout.errors import SpecError
        from modelrollout.sim.draw_svg import png as paint

        try:
            _write(png, paint(drawn))
        except SpecError as error:
            fail(error.message, ERROR)
    if journal is not None:
        _write(journal, report.journal_lines(course).encode())
    if output is Output.JSON:
        sys.stdout.write(report.one_as_json(course, short))
    else:
        sys.stdout.write(report.one_as_text(course, title, drawn))
    raise typer.Exit(_code(short.outcome))


def _many(job: Job, first: int, runs: int, output: Output) -> None:
    import os

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from modelrollout.cli import simulate_report as report
    from modelrollout.sim.many import play_all
    from modelrollout.sim.outcome import shares

    results: list[Result] = []
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=runs)
        for batch in play_all(job, first, runs, processes=min(runs, os.cpu_count() or 1)):
            results += batch
            progress.advance(task, len(batch))
    tally = shares(results)
    name = f"{job.spec.key.name}, scenario {job.scenario.name}, {runs} runs, seeds {first} to {first + runs - 1}"
    write = report.many_as_json if output is Output.JSON else report.many_as_text
    sys.stdout.write(write(name, runs, tally))


def _code(outcome: Outcome) -> int:
    return {"promoted": OK, "reverted": ROLLED_BACK, "invalid": INVALID}.get(outcome.value, UNDECIDED)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        fail(f"{path}: {error.strerror}; name a file that can be written", ERROR)
