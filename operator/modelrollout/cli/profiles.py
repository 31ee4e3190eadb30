"""`modelrollout profiles`: what the catalogue holds, and which of it fits a running Prometheus."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import ERROR, USAGE, fail
from modelrollout.cli.options import Context, Kubeconfig
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
    help="SLI profiles: those that come with modelrollout, of files, and of a cluster.",
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


Local = Annotated[
    list[Path] | None,
    typer.Option("--file", metavar="FILE", help="YAML with SliProfiles that are not applied yet. Repeat."),
]
FromCluster = Annotated[
    bool,
    typer.Option("--cluster", help="Also the SliProfiles of a cluster, through kubectl (or name it with --context)."),
]


@app.command("list")
def list_profiles(
    output: Format = Output.TEXT,
    files: Local = None,
    cluster: FromCluster = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the profiles that come with this version, and those of files and of a cluster where asked for.

    Exit codes: 0 done, 1 a file or the cluster can't be read, 2 usage.
    """
    from modelrollout.cli import profiles_report as report

    found = tuple(_known(files, cluster=cluster, context=context, kubeconfig=kubeconfig).values())
    if output is Output.TEXT:
        report.overview(found, sys.stdout)
    else:
        report.write({"profiles": [report.as_object(each) for each in found]}, output.value, sys.stdout)


@app.command()
def show(
    server: Annotated[str, typer.Argument(metavar="SERVER", help="Name of a profile, such as vllm.")],
    output: Format = Output.TEXT,
    files: Local = None,
    cluster: FromCluster = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show one profile: what each SLI counts, what it can't give, traps, and where the names come from.

    Exit codes: 0 done, 1 a file or the cluster can't be read, 2 there is no such profile.
    """
    from modelrollout.cli import profiles_report as report

    (profile,) = _asked([server], _known(files, cluster=cluster, context=context, kubeconfig=kubeconfig))
    if output is Output.TEXT:
        report.one(profile, sys.stdout)
    else:
        report.write(report.as_object(profile), output.value, sys.stdout)


@app.command()
def check(
    prometheus: Address,
    servers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVER]...", help="Only these profiles. Default: those of --file, else all."),
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the models. Default: all.")] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="Only pods of this Deployment; repeat for legacy and candidate.")
    ] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    timeout: Timeout = 30.0,
    output: Format = Output.TEXT,
    files: Local = None,
    cluster: FromCluster = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say which profiles fit what a Prometheus has scraped in the last five minutes, and what the others lack.

    Exit codes: 0 one fits, 1 none does, a file can't be read, or the server does not answer, 2 usage.
    """
    from modelrollout.cli import profiles_report as report
    from modelrollout.errors import MetricsUnavailable, SpecError

    for flag, name in (("--namespace", namespace), *(("--deployment", each) for each in deployment or [])):
        if name is not None and not KUBERNETES.fullmatch(name):
            fail(f"{flag} {name!r}: is no name of Kubernetes (lower case letters, digits, - and .)", USAGE)
    known = _known(files, cluster=cluster, context=context, kubeconfig=kubeconfig)
    profiles = _asked(servers or list(_read(files)), known)
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


def _read(files: list[Path] | None) -> dict[str, Profile]:
    from modelrollout.cli import profile_files
    from modelrollout.errors import SpecError

    try:
        return profile_files.read(files or [])
    except SpecError as error:
        fail(f"--file: {error}")


def _known(
    files: list[Path] | None, *, cluster: bool, context: str | None, kubeconfig: str | None
) -> Mapping[str, Profile]:
    """Built-in profiles, those of the cluster if asked for, and those of files: what is to be applied there."""
    from modelrollout.catalog import builtin

    found = dict(builtin().profiles)
    if cluster or context or kubeconfig:
        found |= _of_cluster(context, kubeconfig)
    return {**found, **_read(files)}


def _of_cluster(context: str | None, kubeconfig: str | None) -> dict[str, Profile]:
    from modelrollout.cli import profile_files
    from modelrollout.cli.complaints import Complaint, clean
    from modelrollout.cli.kubectl import Kubectl
    from modelrollout.errors import SpecError

    try:
        listed = Kubectl(context=context, kubeconfig=kubeconfig).read("sliprofiles.modelrollout.dev").get("items")
    except Complaint as error:
        fail(str(error))
    found: dict[str, Profile] = {}
    for each in listed if isinstance(listed, list) else ():
        try:
            found |= profile_files.among([each], "cluster", strict=False)
        except SpecError as error:
            typer.echo(clean(f"left out: {error}"), err=True)
    return found


def _asked(servers: Sequence[str], known: Mapping[str, Profile]) -> list[Profile]:
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
