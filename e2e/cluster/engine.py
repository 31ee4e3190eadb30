"""A container engine of one kind cluster's own, in private namespaces, for machines that have none.

Debian's docker.io, unpacked and not installed: dockerd listens on a unix socket inside only, and ends with all its
containers when the namespaces do.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from e2e.cluster import node_image, programs, runtime
from e2e.cluster.artifacts import debian_tree
from e2e.cluster.blueprint import relay
from e2e.cluster.control_plane import SERVICE_RANGE
from e2e.cluster.enclosed import Enclosed
from e2e.cluster.layout import KIND_PREFIX, Layout
from e2e.cluster.lifecycle import Steps
from e2e.cluster.plan import MACHINE_PATH, Border, Component, Plan, Probe
from e2e.cluster.reach import route_argv

PACKAGES = ("docker.io", "containerd", "runc", "iptables", "iproute2")
SOCKET = "/run/docker.sock"
HOSTNAME = "engine"
FOREIGN = ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "KIND_EXPERIMENTAL_PROVIDER")
"""Variables that would lead kind or docker to another engine."""


class PrivateEngine(Enclosed):
    """The engine of kind cluster `name`; programs run beside it."""

    routed = True

    def __init__(self, name: str, *, ephemeral: bool = False) -> None:
        super().__init__(Layout(name, KIND_PREFIX), ephemeral=ephemeral)

    def open(self, furnish: Callable[[Steps], None]) -> None:
        """Bring the engine up and `furnish` it, or find it so. Raises ClusterError or BuildError, leaving nothing."""
        self._bring_up("full", prepare=prepare, write_plan=self._write_plan, finish=furnish)

    def components(self) -> list[str]:
        """What runs beside the node."""
        return list(self._layout.state())

    def node_image(self) -> str:
        """Name of the node image, once it is in the engine."""
        changes = [flag for change in node_image.CHANGES for flag in ("--change", change)]
        self.exec(["docker", "import", *changes, node_image.archive(), node_image.NAME])
        return node_image.NAME

    def reach(self, address: str) -> None:
        """Lead programs inside to pods and Services through the node at this address; open a door to its API."""
        # Before there was a node, what was sent there would have gone nowhere.
        self.exec(["iptables", "--delete", "OUTPUT", "--destination", SERVICE_RANGE, "--jump", "REJECT"])
        for argv in route_argv("add", address):
            self.exec(argv)
        inside = self.kubeconfig.read_text()
        server = next(line.split()[1] for line in inside.splitlines() if line.strip().startswith("server:"))
        outside = urlsplit(self.forward(server))
        self.host_kubeconfig.write_text(inside.replace(server, f"https://127.0.0.1:{outside.port}"))
        self.host_kubeconfig.chmod(0o600)

    def close(self) -> None:
        """End it with everything in it; see `Enclosed.down`."""
        self.down()

    def _write_plan(self, border: Border) -> None:
        layout = self._layout
        components = [
            Component("dockerd", _dockerd(layout, border.cgroup), probe=Probe("path", SOCKET)),
            relay(layout, border, Probe("started")),
        ]
        plan = Plan(
            run_dir=str(layout.path),
            node_tree=str(tree()),
            hostname=HOSTNAME,
            path=f"{programs.kind_tools()}:{MACHINE_PATH}",
            components=components,
            host_network_fd=border.host_network_fd,
            owner_fd=border.owner_fd,
        )
        plan.check()
        plan.write(layout.plan)

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        found = super()._environment(extra)
        for name in FOREIGN:
            found.pop(name, None)
        settings = {"DOCKER_HOST": f"unix://{SOCKET}", "DOCKER_CONFIG": str(self._layout.node / "docker-cli")}
        return {**found, **settings, **(extra or {})}


def prepare() -> None:
    """Build or fetch the engine, the kind program and the node image. Raises BuildError."""
    tree()
    programs.kind_tools()
    node_image.archive()


def tree() -> Path:
    """File tree with dockerd, containerd and runc as the machine's distribution has them."""
    return debian_tree("engine", PACKAGES)


def _dockerd(layout: Layout, cgroup: str) -> list[str]:
    directory = layout.node
    config = directory / "dockerd.json"  # else that of the machine would be read
    config.write_text(json.dumps({}))
    wrapper = directory / "runtime"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(runtime.__file__)} "$@"\n')
    wrapper.chmod(0o755)
    return [
        "dockerd",
        f"--config-file={config}",
        f"--data-root={directory / 'docker'}",
        "--exec-root=/run/docker",
        "--pidfile=/run/docker.pid",
        f"--host=unix://{SOCKET}",
        "--storage-driver=overlay2",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent=/{cgroup}",
        "--oom-score-adjust=0",
        f"--add-runtime=private={wrapper}",
        "--default-runtime=private",
    ]
