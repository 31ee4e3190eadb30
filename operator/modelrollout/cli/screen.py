"""Where output goes: how wide, with colours or not, redrawn or not; and renderables as text."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from modelrollout.cli.options import Format

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100
"""Columns where nobody says how many there are."""
PHASES = {
    "Idle": "dim",
    "Preflight": "cyan",
    "Progressing": "cyan",
    "Paused": "yellow",
    "RollingBack": "red",
    "RolledBack": "red",
    "Promoted": "green",
    "Invalid": "red",
}
VERDICTS = {"PASS": "green", "WAIT": "cyan", "FAIL": "red", "NO_DATA": "yellow", "INVALID": "yellow"}


def width() -> int:
    """Columns of the terminal, or as COLUMNS says."""
    return max(40, shutil.get_terminal_size((WIDTH, 24)).columns)


def colours(file: TextIO) -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set."""
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_text(what: RenderableType, *, width: int, colour: bool) -> str:
    """A renderable as lines of at most `width` columns, without blanks at their ends."""
    from io import StringIO

    from rich.console import Console

    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(what)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def put(text: str) -> None:
    """Print, also where the terminal can't show every character."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside the answer, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def put_object(obj: Mapping[str, Any], output: Format) -> None:
    """An object, or the items of a List, for programs."""
    if output is Format.YAML:
        import yaml

        put(yaml.safe_dump(obj, sort_keys=False, allow_unicode=True))
    elif output is Format.JSON:
        import json

        put(json.dumps(obj, indent=2, ensure_ascii=False) + "\n")
    else:
        items = obj.get("items") if isinstance(obj.get("items"), list) else [obj]
        put("".join(f"{full_name(each)}\n" for each in items or ()))


def full_name(obj: Mapping[str, Any]) -> str:
    """`modelrollout.modelrollout.dev/fraud`, as kubectl takes it."""
    return f"{str(obj.get('kind')).lower()}.modelrollout.dev/{(obj.get('metadata') or {}).get('name')}"


def interactive() -> bool:
    """Whether what is printed can be drawn over."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
