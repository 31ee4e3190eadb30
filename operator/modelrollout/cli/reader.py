"""How commands come by a Prometheus: address, token and certificates from their flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import fail

if TYPE_CHECKING:
    from modelrollout.adapters.prom.ranges import RangeReader

TOKEN = "MODELROLLOUT_PROMETHEUS_TOKEN"

Address = Annotated[str, typer.Option("--prometheus", help="Address, such as http://localhost:9090.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help=f"File with a bearer token. Or set {TOKEN}; never on the command line."),
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="PEM certificates to trust instead of the public ones.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds for one answer.", min=1)]


def open_reader(address: str, *, token_file: Path | None, ca_file: Path | None, timeout: float) -> RangeReader:
    """A reader of that server. Raises SpecError for an address, token or CA that can't be used."""
    from modelrollout.adapters.prom.ranges import RangeReader

    token = _text(token_file, "--token-file") if token_file is not None else os.environ.get(TOKEN) or None
    return RangeReader(address, token=token, ca=_text(ca_file, "--ca-file"), timeout=timeout)


def _text(path: Path | None, flag: str) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{flag}: {path}: {error.strerror or type(error).__name__}")
    except UnicodeDecodeError:
        fail(f"{flag}: {path}: is no text")
