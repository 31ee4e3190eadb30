"""`modelrollout run`: the operator itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Credentials file; without it the pod's service account is used.")
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only serve this namespace; repeat for more. Default: all.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(help="Only serve ModelRollouts with these labels; for shards.")
    ] = None,
    lease_namespace: Annotated[str | None, typer.Option(help="Namespace of the Lease and of Secrets.")] = None,
    lease_name: Annotated[str | None, typer.Option(help="Name of the Lease that replicas share.")] = None,
    identity: Annotated[str | None, typer.Option(help="Holder of the Lease; differs between processes.")] = None,
    web: Annotated[str | None, typer.Option(help="<host>:<port> of /livez, /readyz, /metrics; port 0: any.")] = None,
    workers: Annotated[str | None, typer.Option(help="Reconciles at the same time, 2 to 64.")] = None,
    resync: Annotated[str | None, typer.Option(help="Seconds between full lists, 60 to 3600.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or plain.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    journal: Annotated[Path | None, typer.Option(help="File for one JSON line per decision.")] = None,
    notify_file: Annotated[
        Path | None, typer.Option(help="YAML file of notification targets; without it nobody is told.")
    ] = None,
    allow_loopback_sources: Annotated[
        bool | None, typer.Option("--allow-loopback-sources", help="Let MetricSources point at this machine.")
    ] = None,
) -> None:
    """Run the operator. Every flag can also be set as MODELROLLOUT_<FLAG>."""
    from modelrollout.shell.main import run as serve

    flags: dict[str, object] = {
        "kubeconfig": kubeconfig,
        "namespace": tuple(namespace or ()),
        "selector": selector,
        "lease_namespace": lease_namespace,
        "lease_name": lease_name,
        "identity": identity,
        "web": web,
        "workers": workers,
        "resync": resync,
        "log_format": log_format,
        "log_level": log_level,
        "journal": journal,
        "notify_file": notify_file,
        "allow_loopback_sources": allow_loopback_sources,
    }
    raise typer.Exit(serve(flags))
