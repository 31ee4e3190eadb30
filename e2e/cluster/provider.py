"""What a test or a demo may do with a cluster, whoever provides it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, get_args

from e2e.cluster.processes import ClusterError

Tier = Literal["apiserver", "fake", "full"]
"""`apiserver`: objects only. `fake`: controllers, scheduler and nodes that do not exist, for large numbers.
`full`: real pods, Services, DNS, gateway and Prometheus."""

TIERS: tuple[Tier, ...] = get_args(Tier)
NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


class Running(Protocol):
    """A program started in a cluster; a context manager that kills it at the end."""

    @property
    def popen(self) -> subprocess.Popen[str]:
        """The outer process, for its streams; don't signal it, use `signal`."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def signal(self, number: int) -> None:
        """Send a signal to the program itself."""

    def stop(self, grace_s: float = 5.0) -> int:
        """SIGTERM, after the grace period SIGKILL; returns the exit code."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Programs(Protocol):
    """Where programs of the machine run that reach a cluster."""

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine in the cluster's network, with KUBECONFIG set and kubectl on PATH.

        Files and working directory are those of the caller. Raises ClusterError with the output when `check` and
        it fails, subprocess.TimeoutExpired at the timeout.
        """

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Running:
        """Start a program as `exec` does and leave it running."""

    def run(self, argv: Sequence[str | Path]) -> int:
        """Run a program as `exec` does, on this process's own input and output; returns its exit code."""


class Cluster(Programs, Protocol):
    """One named cluster. Everything a test does with it goes through here.

    Addresses (`url`, `prometheus_url`, `kubeconfig`) hold for programs run by `exec` and `popen`; `forward` and
    `host_kubeconfig` make them reachable from the machine's own network.
    """

    name: str

    def up(self, tier: Tier) -> None:
        """Bring it up, or find it up in this tier. Raises ClusterError or BuildError, leaving nothing."""

    def down(self) -> None:
        """Remove every process, mount, cgroup and file of it; also what a killed one left behind."""

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator, for programs inside."""

    @property
    def host_kubeconfig(self) -> Path:
        """The same for programs outside."""

    @property
    def prometheus_url(self) -> str:
        """Base URL of Prometheus (tier `full`), for programs inside."""

    def load_image(self, archive: Path) -> None:
        """Make an OCI archive's images available to pods with `imagePullPolicy: Never` or `IfNotPresent`."""

    def url(self, service: str, port: int | None = None) -> str:
        """`http://ADDRESS:PORT` of Service `namespace/name` (its first port by default), for programs inside."""

    def forward(self, url: str) -> str:
        """A URL on 127.0.0.1 of the machine that reaches `url` inside, until the cluster is down."""

    def logs(self, component: str) -> str:
        """Log of a component; raises ClusterError that names those there are."""

    def stop(self, component: str) -> None:
        """Take one component away (killed, not restarted) until `start`."""

    def start(self, component: str) -> None:
        """Bring a stopped component back and wait until it is ready."""

    def signal(self, component: str, number: int) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT, to a component."""

    def status(self) -> dict[str, Any] | None:
        """Tier, kubeconfig and state of the components; None when it is not up."""

    def audit(self) -> list[dict[str, object]]:
        """Audit events of the API server (metadata level), oldest first."""


def check_name(name: str) -> str:
    """The name, if a cluster may have it. Raises ClusterError."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"cluster name {name!r} must be 1 to 30 lower-case letters, digits and dashes and start with a letter"
        )
    return name
