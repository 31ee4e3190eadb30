"""`modelrollout replay`: decisions of a journal, or of recorded data, made again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modelrollout.sim.journal import Unread
    from modelrollout.sim.redecide import Again

SAME, ERROR, USAGE, DIFFERS = 0, 1, 2, 7


class Output(StrEnum):
    """Format of a report."""

    TEXT = "text"
    JSON = "json"


def replay(
    journal: Annotated[Path, typer.Option(help="The operator's journal (`modelrollout run --journal`).")],
    rollout: Annotated[str | None, typer.Option(help="Only this rollout, <namespace>/<name>.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show decisions that come out the same, too.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
) -> None:
    """Decide again what the operator decided, and say where it comes out differently.

    Exit codes: 0 all the same, 7 some differ, 1 lines that can't be read or nothing to replay, 2 usage.
    """
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
    raise typer.Exit(DIFFERS if summary.differ else ERROR if summary.unread else SAME)


def _decided_again(journal: Path) -> Iterator[Again | Unread]:
    from modelrollout.sim.journal import Entry, entries
    from modelrollout.sim.redecide import again

    with journal.open("rb") as file:
        for line in entries(file):
            yield again(line) if isinstance(line, Entry) else line


def fail(text: str, code: int = ERROR) -> None:
    """Say what is wrong on stderr and end. Raises typer.Exit."""
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)
