"""The container engine that the machine has, and programs that run beside it on the machine itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e.cluster import node_image, programs
from e2e.cluster.artifacts import cache_root
from e2e.cluster.entry import Entered, Runner
from e2e.cluster.lifecycle import Steps, say
from e2e.cluster.processes import ClusterError
from e2e.cluster.reach import POD_RANGE, route_argv

ENGINE = "docker"
ANSWER_S = 20.0


def answers() -> bool:
    """Whether the machine has an engine that answers; its client alone is none."""
    if shutil.which(ENGINE) is None:
        return False
    asked = [ENGINE, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(asked, capture_output=True, timeout=ANSWER_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class MachineEngine(Runner):
    """The machine's engine as cluster `name` uses it. What it leaves behind when it is killed, `close` removes."""

    apart = False

    def __init__(self, name: str, kind_name: str) -> None:
        self.name, self._kind_name = name, kind_name
        self._directory = cache_root() / "run" / f"machine-kind-{name}"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator."""
        return self._directory / "kubeconfig"

    @property
    def host_kubeconfig(self) -> Path:
        """The same file: inside and outside are one."""
        return self.kubeconfig

    @property
    def routed(self) -> bool:
        """Whether programs reach addresses of pods and Services: as root; else by port forwarding only."""
        return os.geteuid() == 0

    def open(self, furnish: Callable[[Steps], None]) -> None:
        """`furnish` the cluster, or find that done. Raises ClusterError or BuildError, leaving nothing."""
        programs.kind_tools()
        if self._kind_name in self.exec(["kind", "get", "clusters"]).stdout.split():
            if (self._directory / "complete").is_file():
                say(f"cluster {self.name} is up already")
                return
            self.close()
            self._delete()
        self._directory.mkdir(parents=True, exist_ok=True)
        steps = Steps()
        say(f"cluster {self.name}: starting with the machine's {ENGINE}")
        try:
            furnish(steps)
            (self._directory / "complete").touch()
        except BaseException:
            self.close()
            raise
        say(f"cluster {self.name}: up after {steps.seconds():.1f} s")

    def node_image(self) -> str:
        """kind's own image, pulled by the engine."""
        return node_image.UPSTREAM

    def reach(self, address: str) -> None:
        """Routes through the node at this address, where that can be had. Raises ClusterError when others are there."""
        if not self.routed:
            return
        taken = self.exec(["ip", "route", "show", POD_RANGE]).stdout.strip()
        if taken:
            raise ClusterError(
                f"the machine has a route to {POD_RANGE} already ({taken}), that of another kind cluster; take it down"
            )
        (self._directory / "node").write_text(address)
        for argv in route_argv("add", address):
            self.exec(argv)

    def close(self) -> None:
        """Delete the cluster, its routes and what was written for it."""
        if not self._directory.is_dir():
            return
        node = self._directory / "node"
        if node.is_file():
            for argv in route_argv("del", node.read_text()):
                self.exec(argv, check=False)
        self._delete()
        shutil.rmtree(self._directory)

    def _delete(self) -> None:
        self.exec(["kind", "delete", "cluster", "--name", self._kind_name])

    def forward(self, url: str) -> str:
        """The URL itself: what a program of the machine reaches is reached from the machine."""
        return url

    def status(self) -> dict[str, Any] | None:
        """Tier, kubeconfig and engine; None when it is not up."""
        if not self.kubeconfig.is_file():
            return None
        return {"name": self.name, "tier": "full", "kubeconfig": str(self.kubeconfig), "engine": ENGINE}

    def _entry(self, argv: Sequence[str | Path]) -> list[str]:
        return [str(part) for part in argv]

    def _started(self, popen: subprocess.Popen[str]) -> Entered:
        return _Plain(popen)

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        path = f"{programs.kind_tools()}:{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, "KUBECONFIG": str(self.kubeconfig), **(extra or {})}


class _Plain(Entered):
    """A program without anything around it."""

    def _program(self) -> int | None:
        return self.popen.pid if self.popen.poll() is None else None
