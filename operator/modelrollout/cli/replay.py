"""`modelrollout replay`: decisions of a journal, or of recorded data, made again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import DIFFERS, ERROR, OK, ROLLED_BACK, UNDECIDED, USAGE, fail
from modelrollout.cli.profile_files import Files

if TYPE_CHECKING:
    from modelrollout.cli.manifest import Manifest
    from modelrollout.core.model import RolloutSpec
    from modelrollout.ports import SourceSpec
    from modelrollout.sim.journal import Unread
    from modelrollout.sim.recorded import Replayed
    from modelrollout.sim.recording import Recording
    from modelrollout.sim.redecide import Again


class Output(StrEnum):
    """Format of a report."""

    TEXT = "text"
    JSON = "json"


def replay(
    manifest: Annotated[
        Path | None,
        typer.Argument(help="ModelRollout to run on --data or --csv; its MetricSource may be in the same file."),
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="The operator's journal (`modelrollout run --journal`).")] = None,
    rollout: Annotated[str | None, typer.Option(help="Of the journal: only this one, <namespace>/<name>.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Of the journal: show decisions that come out the same, too.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Recorded samples (`modelrollout record`).")] = None,
    counts: Annotated[Path | None, typer.Option("--csv", help="Counts per tick: time,arm,sli,total,bad.")] = None,
    lead: Annotated[
        float | None,
        typer.Option(help="Seconds of data before the rollout begins. Default: a tenth, 300 at most."),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    profiles: Files = None,
) -> None:
    """Decide again what the operator decided, or run a rollout on recorded data.

    Exit codes with --journal: 0 all the same, 7 some differ, 1 lines that can't be read or nothing to replay.
    With --data or --csv: 0 promoted, 3 rolled back, 4 the data end before, 1 error. 2 usage.
    """
    if sum(each is not None for each in (journal, data, counts)) != 1:
        fail("give one of --journal, --data and --csv", USAGE)
    if journal is not None:
        if manifest is not None:
            fail("a journal holds the rollouts; give a manifest only with --data or --csv", USAGE)
        _replay_journal(journal, rollout, every=every, output=output)
    if manifest is None:
        fail("name the manifest of the ModelRollout that is to run on the data", USAGE)
    if rollout is not None or every:
        fail("--rollout and --all belong to --journal", USAGE)
    _replay_data(manifest, profiles or [], data=data, counts=counts, lead=lead, output=output)


def _replay_journal(journal: Path, rollout: str | None, *, every: bool, output: Output) -> None:
    from modelrollout.cli.journal_report import Summary, as_json, as_text

    summary = Summary(str(journal), rollout)
    report = as_json if output is Output.JSON else as_text
    try:
        for part in report(_decided_again(journal), summary, all_of_them=every):
            sys.stdout.write(part)
    except OSError as error:
        fail(f"{journal}: {error.strerror or type(error).__name__}; name a journal that can be read")
    problem = summary.problem
    if problem:
        fail(problem)
    raise typer.Exit(DIFFERS if summary.differ else ERROR if summary.unread else OK)


def _decided_again(journal: Path) -> Iterator[Again | Unread]:
    from modelrollout.sim.journal import Entry, entries
    from modelrollout.sim.redecide import again

    with journal.open("rb") as file:
        for line in entries(file):
            yield again(line) if isinstance(line, Entry) else line


def _replay_data(
    path: Path, profiles: list[Path], *, data: Path | None, counts: Path | None, lead: float | None, output: Output
) -> None:
    from modelrollout.cli.data_report import as_json, as_text
    from modelrollout.cli.manifest import load
    from modelrollout.core.model import Phase
    from modelrollout.errors import SpecError
    from modelrollout.sim.recording import BadRecording

    file = data or counts
    assert file is not None
    try:
        result = _result(load(path, profiles), data=data, counts=counts, lead=lead)
    except SpecError as error:
        fail(str(error))
    except BadRecording as error:
        fail(f"{file}: {error}")
    except OSError as error:
        fail(f"{file}: {error.strerror or type(error).__name__}; name a file that can be read")
    except UnicodeDecodeError:
        fail(f"{file}: is no UTF-8 text")
    sys.stdout.write(as_json(result) if output is Output.JSON else as_text(result))
    codes = {Phase.PROMOTED: OK, Phase.ROLLED_BACK: ROLLED_BACK}
    raise typer.Exit(codes.get(result.status.phase, UNDECIDED))


def _result(manifest: Manifest, *, data: Path | None, counts: Path | None, lead: float | None) -> Replayed:
    from rich.console import Console
    from rich.progress import Progress

    from modelrollout.sim.recorded import replay as run

    spec, source, recording = _recorded(manifest, data=data, counts=counts)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(str(spec.key), total=1.0)

        def tell(share: float) -> None:
            progress.update(task, completed=share)

        return run(spec, recording, source, lead=lead, progress=tell, profiles=manifest.profiles)


def _recorded(
    manifest: Manifest, *, data: Path | None, counts: Path | None
) -> tuple[RolloutSpec, SourceSpec, Recording]:
    from modelrollout.ports import ArmsByPod, SourceSpec
    from modelrollout.sim import counts as csv_counts
    from modelrollout.sim.recording import read

    if data is not None:
        with data.open("rb") as file:
            recording = read(file)
        header = recording.header
        source = manifest.source or SourceSpec("recorded", header.arms or ArmsByPod(), header.scrape)
        return manifest.spec, source, recording
    assert counts is not None
    with counts.open(encoding="utf-8-sig", newline="") as text:
        return csv_counts.recording(manifest.spec, csv_counts.read(text))
