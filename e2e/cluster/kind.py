"""Provider `kind`: the same interface over the kind program, with the machine's container engine or one of its own.

The machine's engine is used where one answers, with kind's own node image; else a private engine with a node image of
our parts (`engine.py`, `node_image.py`). It has tier `full` only, and neither an audit log nor a way to stop or signal
components of the cluster; asking for those is a ClusterError.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, Protocol

import yaml

from e2e.cluster import gateway, helm, machine_engine, monitoring
from e2e.cluster.engine import PrivateEngine
from e2e.cluster.layout import KIND_PREFIX, Layout
from e2e.cluster.lifecycle import Steps
from e2e.cluster.machine import require_kind, this_machine
from e2e.cluster.machine_engine import MachineEngine
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Programs, Running, Tier, check_name

FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+)")
LACKS = {
    "audit": "an audit log",
    "stop": "a way to stop components",
    "signal": "a way to signal components",
}
"""What of `provider.Cluster` this provider does not have; scenarios that need it are skipped."""
CREATE_S = 180


class Engine(Programs, Protocol):
    """A container engine, and the place beside it where programs run; see `provider.Cluster` for what is shared."""

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def host_kubeconfig(self) -> Path: ...

    @property
    def routed(self) -> bool:
        """Whether programs beside it reach pods and Services by their addresses."""

    def open(self, furnish: Callable[[Steps], None]) -> None:
        """Bring the engine up and `furnish` it, or find it so. Raises ClusterError or BuildError, leaving nothing."""

    def node_image(self) -> str:
        """Name of the node image, for `kind create cluster --image`."""

    def reach(self, address: str) -> None:
        """Make the cluster of the node at this address reachable."""

    def close(self) -> None:
        """Remove the cluster and what was written for it; also what a killed one left behind."""

    def forward(self, url: str) -> str: ...

    def status(self) -> dict[str, Any] | None: ...


class KindCluster:
    """One kind cluster; see `provider.Cluster` for the contract."""

    def __init__(self, name: str, *, ephemeral: bool = False, scrape: str = "1s") -> None:
        """With `ephemeral` a cluster on a private engine ends when this process does; one on the machine's does not.

        `scrape`: interval at which Prometheus scrapes, when `up` makes the cluster.
        """
        self.name = check_name(name)
        self._kind_name = f"modelrollout-{name}"
        self._private = PrivateEngine(name, ephemeral=ephemeral)
        self._machine = MachineEngine(name, self._kind_name)
        self._scrape = scrape
        self._forwards = ExitStack()

    @property
    def engine(self) -> Engine:
        """The engine of this cluster: the one it is up on, else the one it would be brought up on."""
        if self._is_private():
            return self._private
        if self._machine.status() is not None:
            return self._machine
        return choose(self._machine, self._private, answers=machine_engine.answers())

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator, for programs beside the engine."""
        return self.engine.kubeconfig

    @property
    def host_kubeconfig(self) -> Path:
        """The same for programs outside."""
        return self.engine.host_kubeconfig

    @property
    def prometheus_url(self) -> str:
        """Base URL of Prometheus, for programs beside the engine, and for pods too where the engine is routed."""
        return self.url(f"{monitoring.NAMESPACE}/{monitoring.NAME}")

    def up(self, tier: Tier) -> None:
        """Create the cluster with its gateway and Prometheus, or find it. Raises ClusterError or BuildError."""
        engine = self.engine
        require_kind(this_machine(), tier, engine=engine is self._machine)
        helm.binary()
        archives = [*gateway.images(), monitoring.image()]

        def furnish(steps: Steps) -> None:
            image = engine.node_image()
            steps.reached("node image")
            self._create(engine, image)
            steps.reached("kind create cluster")
            engine.reach(self._node_address(engine))
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.load_image, archives))
            steps.reached("images loaded")
            engine.exec(["kubectl", "apply", "-f", "-"], input_text=monitoring.manifest(scrape_interval=self._scrape))
            gateway.install(engine)
            steps.reached("Envoy Gateway and Prometheus installed")
            gateway.wait_programmed(engine)
            steps.reached("Gateway programmed")
            wait = ["kubectl", "wait", "--for=condition=Available", f"--timeout={CREATE_S}s", "--namespace"]
            engine.exec([*wait, monitoring.NAMESPACE, f"deployment/{monitoring.NAME}"])
            steps.reached("Prometheus available")

        engine.open(furnish)

    def down(self) -> None:
        """Delete the cluster, its engine when that is private, and what was written for it."""
        self._forwards.close()
        if self._is_private():
            self._private.close()
        self._machine.close()

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program beside the engine; see `provider.Cluster`."""
        return self.engine.exec(argv, check=check, input_text=input_text, env=env, timeout_s=timeout_s)

    def run(self, argv: Sequence[str | Path]) -> int:
        """Run a program on this process's own input and output; returns its exit code."""
        return self.engine.run(argv)

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Running:
        """Start a program beside the engine; see `provider.Cluster`."""
        return self.engine.popen(argv, env=env, stdin=stdin, stdout=stdout, stderr=stderr)

    def load_image(self, archive: Path) -> None:
        """Load an OCI archive into the node."""
        self.exec(["kind", "load", "image-archive", archive, "--name", self._kind_name])

    def url(self, service: str, port: int | None = None) -> str:
        """URL of Service `namespace/name`; where the engine is not routed, of one of its pods by port forwarding."""
        namespace, _, name = service.partition("/")
        got = json.loads(self.exec(["kubectl", "get", "service", name, "-n", namespace, "-o", "json"]).stdout)
        wanted = port or got["spec"]["ports"][0]["port"]
        if self.engine.routed:
            return f"http://{got['spec']['clusterIP']}:{wanted}"
        argv = ["kubectl", "port-forward", "-n", namespace, f"service/{name}", f":{wanted}"]
        forward = self._forwards.enter_context(self.engine.popen(argv, stdout=subprocess.PIPE))
        found = FORWARDING.search(forward.popen.stdout.readline() if forward.popen.stdout else "")
        if found is None:
            raise ClusterError(f"kubectl port-forward to {service} said nothing useful; is a pod of it ready?")
        return f"http://{found[1]}"

    def forward(self, url: str) -> str:
        """A URL on 127.0.0.1 of the machine that reaches `url` beside the engine, until the cluster is down."""
        return self.engine.forward(url)

    def logs(self, component: str) -> str:
        """Log of a static pod of the control plane, such as kube-apiserver, or of a private engine's dockerd.

        Raises ClusterError that names those there are.
        """
        if self._is_private() and component in self._private.components():
            return self._private.logs(component)
        static = ["kubectl", "get", "pods", "-n", "kube-system", "-o", "jsonpath={.items[*].metadata.labels.component}"]
        there = sorted({*self.exec(static).stdout.split(), *(self._private.components() if self._is_private() else ())})
        if component not in there:
            raise ClusterError(f"cluster {self.name} has no log of {component!r}; there are: {', '.join(there)}")
        selector = f"component={component}"
        return self.exec(["kubectl", "logs", "-n", "kube-system", "-l", selector, "--tail=-1"]).stdout

    def stop(self, component: str) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks("stop")

    def start(self, component: str) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks("stop")

    def signal(self, component: str, number: int) -> None:
        """Raises ClusterError: not to be had here."""
        _lacks("signal")

    def audit(self) -> list[dict[str, object]]:
        """Raises ClusterError: not to be had here."""
        return _lacks("audit")

    def status(self) -> dict[str, Any] | None:
        """Tier, kubeconfig and what runs of a private engine; None when it is not up."""
        return self.engine.status()

    def _is_private(self) -> bool:
        return Layout(self.name, KIND_PREFIX).path.is_dir()

    def _create(self, engine: Engine, image: str) -> None:
        create = ["kind", "create", "cluster", "--name", self._kind_name, "--kubeconfig", str(engine.kubeconfig)]
        flags = ["--image", image, "--config", "-", "--wait", f"{CREATE_S}s"]
        engine.exec([*create, *flags], input_text=yaml.safe_dump(configuration()))

    def _node_address(self, engine: Engine) -> str:
        where = 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
        return engine.exec(["kubectl", "get", "nodes", "-o", where]).stdout.split()[0]


def choose(machine: MachineEngine, private: PrivateEngine, *, answers: bool) -> Engine:
    """The machine's engine where it answers, else one of the cluster's own."""
    return machine if answers else private


def configuration() -> dict[str, Any]:
    """kind's configuration of the cluster: one node, which also bears cgroup v1 and no CAP_SYS_RESOURCE."""
    kubelet = {"kind": "KubeletConfiguration", "failCgroupV1": False, "oomScoreAdj": 0}
    proxy = {"kind": "KubeProxyConfiguration", "oomScoreAdj": 0}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1", "kubeProxyMode": "iptables"},
        "kubeadmConfigPatches": [yaml.safe_dump(kubelet), yaml.safe_dump(proxy)],
        "nodes": [{"role": "control-plane"}],
    }


def _lacks(what: str) -> NoReturn:
    raise ClusterError(f"provider kind does not have {LACKS[what]}; use provider embedded")
