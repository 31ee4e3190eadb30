"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

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


Output = Annotated[Format, typer.Option("--output", "-o", help="text, json, yaml or name.")]
