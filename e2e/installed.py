"""The operator as users have it: pods from the chart in a restricted namespace, by the documented commands."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from e2e.cluster import helm
from e2e.cluster.provider import Cluster
from e2e.image import archive
from e2e.install import source
from e2e.models import image
from e2e.stage import ROOT, until

HOME = "modelrollout"
"""Namespace of every release."""
IMAGE, TAG = "registry.example.com/modelrollout", "0.1.0"
"""As the documentation names them."""
INSTALL, TEST, UPGRADE, UNINSTALL = tomllib.loads((ROOT / "docs" / "commands.toml").read_text())["helm"]
SERVED = "serving"
"""The namespace that INSTALL names."""


def prepare(cluster: Cluster) -> None:
    """Put the images on a full cluster and make the operator's namespace, which enforces the restricted profile."""
    cluster.load_image(image.archive())
    cluster.load_image(archive(name=IMAGE, tag=TAG))
    cluster.exec(["kubectl", "create", "namespace", HOME])
    cluster.exec(["kubectl", "label", "namespace", HOME, "pod-security.kubernetes.io/enforce=restricted"])


class Release:
    """One release of the chart; its name must contain the chart's, and is then that of its Deployment and Lease too."""

    def __init__(self, cluster: Cluster, name: str = "modelrollout") -> None:
        self.cluster, self.name = cluster, name

    def install(self, *flags: str, namespaces: Sequence[str] = (SERVED,), scrape: str | None = None) -> None:
        """`helm install` as documented, with more flags; waits until the pods are ready.

        With `scrape` also a MetricSource `default` of the cluster's Prometheus, which scrapes at this interval.
        """
        self.typed(INSTALL.replace(f"{{{SERVED}}}", f"{{{','.join(namespaces)}}}"), *flags)
        if scrape is not None:
            made = json.dumps(source(self.cluster.prometheus_url, scrape))
            self.cluster.exec(["kubectl", "apply", "-f", "-"], input_text=made)

    def upgrade(self, *flags: str) -> None:
        """`helm upgrade` as documented, with more flags."""
        self.typed(UPGRADE, *flags)

    def uninstall(self) -> None:
        """`helm uninstall` as documented."""
        self.typed(UNINSTALL)

    def typed(self, command: str, *flags: str) -> str:
        """What a documented command line prints, typed for this release; it must succeed."""
        line = " ".join([command.replace(" modelrollout ", f" {self.name} ", 1), *flags])
        path = f'PATH="{helm.binary().parent}:$PATH"'
        return self.cluster.exec(["bash", "-c", f"{path}; {line}"], timeout_s=300).stdout

    @property
    def chosen(self) -> str:
        """Label selector of its operator pods."""
        return f"app.kubernetes.io/component=operator,app.kubernetes.io/instance={self.name}"

    def leader(self) -> str | None:
        """Name of the pod that holds the Lease."""
        argv = ["kubectl", "-n", HOME, "get", "lease", self.name, "-o", "json"]
        done = self.cluster.exec(argv, check=False)
        holder: str = json.loads(done.stdout)["spec"].get("holderIdentity") or "" if done.returncode == 0 else ""
        return holder.partition("_")[0] or None

    def led(self) -> str:
        """The pod that leads, once one does."""
        found: str = until("somebody leads", self.leader, seconds=30)
        return found

    def pods(self) -> list[dict[str, Any]]:
        """Its operator pods."""
        argv = ["kubectl", "-n", HOME, "get", "pods", "-l", self.chosen, "-o", "json"]
        found: list[dict[str, Any]] = json.loads(self.cluster.exec(argv).stdout)["items"]
        return found

    def logs(self, lines: int = 15) -> str:
        """The last lines of each of its pods."""
        argv = ["kubectl", "-n", HOME, "logs", "-l", self.chosen, f"--tail={lines}", "--prefix", "--all-containers"]
        return self.cluster.exec(argv, check=False).stdout

    def addresses(self) -> list[str]:
        """IP addresses of its pods."""
        return [address for pod in self.pods() if (address := pod["status"].get("podIP"))]

    def metrics(self, addresses: Sequence[str] = ()) -> str:
        """/metrics of all its pods, or of those at these addresses; a standby's shows no rollouts."""
        urls = [f"http://{address}:8080/metrics" for address in addresses or self.addresses()]
        return self.cluster.exec(["curl", "-s", "--max-time", "5", *urls], check=False).stdout

    def asked(self, expression: str) -> list[Any]:
        """What the cluster's Prometheus answers now."""
        address = f"{self.cluster.prometheus_url}/api/v1/query"
        argv = ["curl", "-s", "--max-time", "5", "-G", address, "--data-urlencode", f"query={expression}"]
        found: list[Any] = json.loads(self.cluster.exec(argv).stdout)["data"]["result"]
        return found

    def signal(self, pod: str, number: int) -> float:
        """Send a signal to the process of a pod; Unix seconds at which it was sent.

        Only on the embedded cluster, whose processes can be seen.
        """
        # A container's first process can't be signalled from within; its environment tells whose it is.
        find = f'grep -lzx "POD_NAME={pod}" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3'
        script = f'pids=$({find}); [ -n "$pids" ] && kill -{number} $pids && date +%s.%N'
        return float(self.cluster.exec(["bash", "-c", script]).stdout)
