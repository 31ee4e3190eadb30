"""`modelrollout profiles`: what the catalogue holds, and which of it fits a running Prometheus."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import ERROR, USAGE, fail
from modelrollout.cli.reader import Address, CaFile, Timeout, TokenFile, open_reader

if TYPE_CHECKING:
    from modelrollout.adapters.prom.ranges import RangeReader
    from modelrollout.catalog.fitting import ProfileFit
    from modelrollout.catalog.profiles import Profile
    from modelrollout.core.samples import Series

WINDOW = 300.0
"""Seconds that are looked at, as at preflight."""
KUBERNETES = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

app = typer.Typer(
    name="profiles",
    help="SLI profiles of model servers and gateways.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Output(StrEnum):
    """Format of an answer."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


Format = Annotated[Output, typer.Option("--output", "-o", help="text, json or yaml.")]


@app.command("list")
def list_profiles(output: Format = Output.TEXT) -> None:
    """List the profiles that come with this version.

    Exit codes: 0 done, 2 usage.
    """
    from modelrollout.catalog import builtin
    from modelrollout.cli import profiles_report as report

    found = tuple(builtin().profiles.values())
    if output is Output.TEXT:
        report.overview(found, sys.stdout)
    else:
        report.write({"profiles": [report.as_object(each) for each in found]}, output.value, sys.stdout)


@app.command()
def show(
    server: Annotated[str, typer.Argument(metavar="SERVER", help="Name of a profile, such as vllm.")],
    output: Format = Output.TEXT,
) -> None:
    """Show one profile: what each SLI counts, what it can't give, traps, and where the names come from.

    Exit codes: 0 done, 2 there is no such profile.
    """
    from modelrollout.cli import profiles_report as report

    (profile,) = _asked([server])
    if output is Output.TEXT:
        report.one(profile, sys.stdout)
    else:
        report.write(report.as_object(profile), output.value, sys.stdout)


@app.command()
def check(
    prometheus: Address,
    servers: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVER]...", help="Only these profiles. Default: all.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the models. Default: all.")] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="Only pods of this Deployment; repeat for legacy and candidate.")
    ] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    timeout: Timeout = 30.0,
    output: Format = Output.TEXT,
) -> None:
    """Say which profiles fit what a Prometheus has scraped in the last five minutes, and what the others lack.

    Exit codes: 0 one fits, 1 none does or the server does not answer, 2 usage.
    """
    from modelrollout.cli import profiles_report as report
    from modelrollout.errors import MetricsUnavailable, SpecError

    for flag, name in (("--namespace", namespace), *(("--deployment", each) for each in deployment or [])):
        if name is not None and not KUBERNETES.fullmatch(name):
            fail(f"{flag} {name!r}: is no name of Kubernetes (lower case letters, digits, - and .)", USAGE)
    profiles = _asked(servers or [])
    try:
        reader = open_reader(prometheus, token_file=token_file, ca_file=ca_file, timeout=timeout)
    except SpecError as error:
        fail(f"{error.field}: {error}")
    try:
        found = [_held(reader, each, namespace, deployment or []) for each in profiles]
    except MetricsUnavailable as error:
        fail(f"{prometheus} does not answer in a usable way ({error.kind})")
    finally:
        reader.close()
    if output is Output.TEXT:
        report.fits(found, sys.stdout, asked=bool(servers))
    else:
        report.write({"profiles": [report.as_fit(each) for each in found]}, output.value, sys.stdout)
    raise typer.Exit(0 if any(each.fits for each in found) else ERROR)


def _asked(servers: Sequence[str]) -> list[Profile]:
    from modelrollout.catalog import builtin

    known = builtin().profiles
    unknown = [name for name in servers if name not in known]
    if unknown:
        fail(f"no profile {unknown[0]!r}; there are {', '.join(known)}", USAGE)
    return [known[name] for name in dict.fromkeys(servers)] or list(known.values())


def _held(reader: RangeReader, profile: Profile, namespace: str | None, deployments: Sequence[str]) -> ProfileFit:
    from modelrollout.catalog.fitting import fit, names_of
    from modelrollout.catalog.profiles import Arms
    from modelrollout.ports import SeriesQuery
    from modelrollout.runtime.arms import owners

    own = profile.arms is Arms.PODS
    pods = "|".join(f"{name.replace('.', '[.]')}-.+" for name in deployments) if own else ""
    query = SeriesQuery(names_of(profile), WINDOW, (), (namespace,) if namespace and own else (), pods)
    now = time.time()
    # A long stretch may come in parts: a series counts once.
    series: dict[tuple[tuple[str, str], ...], Series] = {}
    for stretch in reader.read(query, now - WINDOW, now):
        for one in stretch.series:
            if own and deployments and not set(owners(one.labels.get("pod", ""))) & set(deployments):
                continue
            series[tuple(sorted(one.labels.items()))] = one
    return fit(profile, tuple(series.values()), namespace=namespace)
