"""Command line: `python -m e2e.cluster up|status|exec|load-image|logs|forward|down|prepare`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import alertmanager, programs, prometheus
from e2e.cluster.artifacts import BuildError, drop_build_cache
from e2e.cluster.layout import KIND_PREFIX, known_clusters
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import TIERS, Cluster
from e2e.cluster.providers import PROVIDERS, open_cluster

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of the user or the machine are one message, no traceback."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (ClusterError, BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Ctrl-C is how people end a watch: no error, and what a shell reports for it.
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", default="dev", help="name of the cluster (default: dev)")
    shared.add_argument("--provider", choices=PROVIDERS)
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[shared], help="bring a cluster up")
    up.add_argument("--tier", choices=TIERS, default="full")
    commands.add_parser("status", parents=[shared], help="what runs (exit code 1 when it is not up)")
    run = commands.add_parser("exec", parents=[shared], help="run a program in the cluster's network")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- PROGRAM ...")
    load = commands.add_parser("load-image", parents=[shared], help="give an OCI archive to the node")
    load.add_argument("archive", type=Path)
    logs = commands.add_parser("logs", parents=[shared], help="log of one component")
    logs.add_argument("component")
    forward = commands.add_parser("forward", parents=[shared], help="a loopback URL for a URL inside")
    forward.add_argument("url")
    commands.add_parser("down", parents=[shared], help="remove the cluster and every trace of it")
    commands.add_parser("list", help="clusters in namespaces of this machine")
    commands.add_parser("prepare", help="build what the tests below end to end need, one after the other")
    commands.add_parser("drop-build-cache", help="remove Go's intermediate files; programs stay")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "drop-build-cache":
        drop_build_cache()
        return 0
    if arguments.command == "prepare":
        programs.kubernetes()
        programs.gateway_api_crds()
        prometheus.binary()
        alertmanager.binary()
        return 0
    if arguments.command == "list":
        for layout in known_clusters():
            record = layout.record()
            provider = "kind" if layout.prefix == KIND_PREFIX else "embedded"
            print(layout.name, f"up ({provider}, {record.tier})" if record and record.alive() else f"dead ({provider})")
        return 0
    return _command(open_cluster(arguments.name, provider=arguments.provider), arguments)


def _command(cluster: Cluster, arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            cluster.up(arguments.tier)
            print(f"export KUBECONFIG={cluster.host_kubeconfig}")
        case "down":
            cluster.down()
            print(f"cluster {cluster.name} is gone", file=sys.stderr)
        case "status":
            status = cluster.status()
            print(json.dumps(status, indent=1) if status else f"cluster {cluster.name} is not up")
            return 0 if status else 1
        case "exec":
            argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
            if not argv:
                raise ClusterError("exec needs a program: python -m e2e.cluster exec -- kubectl get nodes")
            return cluster.run(argv)
        case "load-image":
            cluster.load_image(arguments.archive.absolute())
        case "logs":
            print(cluster.logs(arguments.component), end="")
        case "forward":
            print(cluster.forward(arguments.url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
