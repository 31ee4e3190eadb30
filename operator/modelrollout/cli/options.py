"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from modelrollout.cli.exits import USAGE, fail

Name = Annotated[str, typer.Argument(metavar="NAME", help="The ModelRollout.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Its namespace. Default: that of the kubeconfig's context.")
]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Credentials file, as for kubectl.")]


class Format(StrEnum):
    """Format of what a command prints."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


JSONPATH = "jsonpath"
AnyOutput = Annotated[str, typer.Option("--output", "-o", help="text, json, yaml, name or jsonpath=TEMPLATE.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="text, json, yaml or name.")]


def form(text: str) -> Format | None:
    """The format that is asked for; None for one of kubectl's templates, as jsonpath=... is. Ends on others: Exit."""
    if text in tuple(Format):
        return Format(text)
    if text.partition("=")[0] in (JSONPATH, f"{JSONPATH}-as-json", f"{JSONPATH}-file") and "=" in text:
        return None
    fail(f"-o {text}: must be text, json, yaml, name or jsonpath=TEMPLATE", USAGE)
