"""How a command ends: exit codes, which are API (`docs/reference/cli.md`), and an end with a complaint."""

from __future__ import annotations

from typing import NoReturn

import typer

OK, ERROR, USAGE, ROLLED_BACK, TIMEOUT, INVALID, NOT_PROVABLE, DIFFERS = 0, 1, 2, 3, 4, 5, 6, 7
UNDECIDED = TIMEOUT
"""Of a rollout in virtual or recorded time: the data ended before it did."""


def fail(text: str, code: int = ERROR) -> NoReturn:
    """Say what is wrong on stderr, in a line, and end. Raises typer.Exit."""
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)
