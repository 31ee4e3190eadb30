"""`modelrollout report`: one rollout as a file that can be sent around, or attached to a postmortem."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from modelrollout.cli import screen
from modelrollout.cli.exits import USAGE, fail
from modelrollout.cli.fields import Fields
from modelrollout.cli.kubectl import Kubectl
from modelrollout.cli.options import Context, Kubeconfig, Namespace
from modelrollout.cli.reads import read

LARGEST = 4 * 2**20
"""Bytes of a file that can be one ModelRollout."""


def report(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The ModelRollout.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one HTML file, with charts.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write a Markdown file.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read `kubectl get mr NAME -o json` from here; -: from stdin.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Report on a rollout: its course, the evidence, the incident, with charts.

    Without --html or --markdown, Markdown is printed. The files need nothing else and load nothing.
    Exit codes: 0, 1 error, 2 usage.
    """
    from modelrollout.cli.report_facts import facts
    from modelrollout.cli.report_html import html as as_html
    from modelrollout.cli.report_markdown import markdown as as_markdown

    if (name is None) == (file is None):
        fail("give either NAME or --file: the ModelRollout to report on", USAGE)
    told = facts(
        Fields(_stored(file) if file else read(Kubectl(namespace, context, kubeconfig), name or "")), time.time()
    )
    for path, made in ((html, as_html), (markdown, as_markdown)):
        if path is not None:
            _write(path, made(told))
    if html is None and markdown is None:
        screen.put(as_markdown(told))


def _stored(path: Path) -> Mapping[str, Any]:
    where = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.buffer.read(LARGEST + 1) if str(path) == "-" else _head(path)
    except OSError as error:
        fail(f"--file {where}: can't be read: {error.strerror}", USAGE)
    if len(text) > LARGEST:
        fail(f"--file {where}: larger than {LARGEST // 2**20} MiB, which no ModelRollout is", USAGE)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        fail(f"--file {where}: is no JSON: write it with `kubectl get mr NAME -o json`", USAGE)
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind != "ModelRollout":
        fail(
            f"--file {where}: kind is {str(kind)[:64]!r}, wanted one ModelRollout: `kubectl get mr NAME -o json`", USAGE
        )
    return dict(found)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(LARGEST + 1)


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a report that breaks off looks like one that has nothing to say."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as part:
            part.write(text)
        Path(part.name).chmod(0o666 & ~_mask())
        Path(part.name).replace(path)
    except OSError as error:
        fail(f"{path}: can't be written: {error.strerror}")
    screen.note(f"written: {path}")


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
