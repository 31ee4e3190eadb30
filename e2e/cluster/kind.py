"""Provider `kind`: the same interface over the kind program, on machines with a container engine.

Thin on purpose: programs run on the machine itself, Services are reached by port forwarding. It has tier `full`
only, brings no Prometheus, and has no audit log and no way to stop components; asking for those is a ClusterError.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from e2e.cluster import gateway
from e2e.cluster.artifacts import cache_root
from e2e.cluster.entry import Entered
from e2e.cluster.machine import require_kind, this_machine
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Tier, check_name

FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+)")


class KindCluster:
    """One kind cluster; see `provider.Cluster` for the contract."""

    def __init__(self, name: str) -> None:
        self.name = check_name(name)
        self._kind_name = f"modelrollout-{name}"
        self._directory = cache_root() / "run" / f"kind-{name}"
        self._forwards: list[subprocess.Popen[str]] = []

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator."""
        return self._directory / "kubeconfig"

    @property
    def host_kubeconfig(self) -> Path:
        """The same file: with kind, inside and outside are one."""
        return self.kubeconfig

    @property
    def prometheus_url(self) -> str:
        """Raises ClusterError: this provider brings no Prometheus."""
        return _lacks("Prometheus")

    def up(self, tier: Tier) -> None:
        """Create the cluster with its gateway, or find it. Raises ClusterError or BuildError."""
        require_kind(this_machine(), tier)
        archives = gateway.images()
        if self._kind_name in self.exec(["kind", "get", "clusters"]).stdout.split():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            self.exec(["kind", "create", "cluster", "--name", self._kind_name, "--wait", "120s"])
            for archive in archives:
                self.load_image(archive)
            gateway.install(self)
            gateway.wait_programmed(self)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Delete the cluster and what was written for it."""
        for forward in self._forwards:
            forward.kill()
            forward.wait()
        self._forwards.clear()
        if self._directory.is_dir():
            self.exec(["kind", "delete", "cluster", "--name", self._kind_name])
            shutil.rmtree(self._directory)

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine with KUBECONFIG set; see `provider.Cluster`."""
        done = subprocess.run(
            [str(part) for part in argv],
            input=input_text if input_text is not None else "",
            capture_output=True,
            text=True,
            env=self._environment(env),
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise ClusterError(f"`{' '.join(map(str, argv))}` ended with code {done.returncode}: {said}")
        return done

    def run(self, argv: Sequence[str | Path]) -> int:
        """Run a program on this process's own input and output; returns its exit code."""
        return subprocess.call([str(part) for part in argv], env=self._environment(None))

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Entered:
        """Start a program of the machine; see `provider.Cluster`."""
        argv = [str(part) for part in argv]
        environment = self._environment(env)
        return _Plain(subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr, text=True, env=environment))

    def load_image(self, archive: Path) -> None:
        """Load an OCI archive into the nodes."""
        self.exec(["kind", "load", "image-archive", archive, "--name", self._kind_name])

    def url(self, service: str, port: int | None = None) -> str:
        """URL on 127.0.0.1 of Service `namespace/name`, by port forwarding (to one of its pods)."""
        namespace, _, name = service.partition("/")
        got = json.loads(self.exec(["kubectl", "get", "service", name, "-n", namespace, "-o", "json"]).stdout)
        wanted = port or got["spec"]["ports"][0]["port"]
        forward = subprocess.Popen(
            ["kubectl", "port-forward", "-n", namespace, f"service/{name}", f":{wanted}"],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment(None),
        )
        self._forwards.append(forward)
        found = FORWARDING.search(forward.stdout.readline() if forward.stdout else "")
        if found is None:
            raise ClusterError(f"kubectl port-forward to {service} said nothing useful; is a pod of it ready?")
        return f"http://{found[1]}"

    def forward(self, url: str) -> str:
        """The URL itself: `url` already reaches the machine."""
        return url

    def logs(self, component: str) -> str:
        """Log of a static pod of the control plane, such as kube-apiserver."""
        selector = f"component={component}"
        return self.exec(["kubectl", "logs", "-n", "kube-system", "-l", selector, "--tail=-1"]).stdout

    def stop(self, component: str) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks(f"a way to stop {component}")

    def start(self, component: str) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks(f"a way to start {component}")

    def signal(self, component: str, number: int) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks(f"a way to signal {component}")

    def audit(self) -> list[dict[str, object]]:
        """Raises ClusterError: not to be had here."""
        return _lacks("an audit log")

    def status(self) -> dict[str, Any] | None:
        """Tier and kubeconfig; None when it is not up."""
        if not self.kubeconfig.is_file():
            return None
        return {"name": self.name, "tier": "full", "kubeconfig": str(self.kubeconfig)}

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), **(extra or {})}


class _Plain(Entered):
    """A program without anything around it."""

    def _program(self) -> int | None:
        return self.popen.pid if self.popen.poll() is None else None


def _lacks(what: str) -> NoReturn:
    raise ClusterError(f"provider kind does not have {what}; use provider embedded")
