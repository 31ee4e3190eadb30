"""Provider `embedded`: a cluster in one private set of namespaces, without a container engine."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.cluster import gateway
from e2e.cluster.blueprint import PROMETHEUS_PORT, prepare, write_plan
from e2e.cluster.control_plane import read_audit
from e2e.cluster.enclosed import Enclosed
from e2e.cluster.layout import Layout
from e2e.cluster.lifecycle import Steps
from e2e.cluster.machine import require_embedded, this_machine
from e2e.cluster.plan import Border
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Tier, check_name
from e2e.cluster.sandbox import NODE_IP


class EmbeddedCluster(Enclosed):
    """One cluster on this machine; see `provider.Cluster` for the contract."""

    def __init__(self, name: str, *, ephemeral: bool = False, scrape: str = "1s") -> None:
        """With `ephemeral` the cluster ends when this process does, however that ends.

        `scrape`: interval at which Prometheus scrapes, such as "2s", when `up` starts it; found up, it keeps its own.
        """
        super().__init__(Layout(check_name(name)), ephemeral=ephemeral)
        self._scrape = scrape

    @property
    def prometheus_url(self) -> str:
        """Base URL of Prometheus (tier `full`), for programs inside."""
        return f"http://{NODE_IP}:{PROMETHEUS_PORT}"

    def up(self, tier: Tier) -> None:
        """Bring it up, or find it up in this tier. Raises ClusterError or BuildError, leaving nothing."""
        require_embedded(this_machine(), tier)

        def plan(border: Border) -> None:
            write_plan(self._layout, tier, border, scrape_interval=self._scrape)

        def finish(steps: Steps) -> None:
            if tier == "full":
                gateway.install(self)
                steps.reached("Envoy Gateway installed")
                gateway.wait_programmed(self)
                steps.reached("Gateway programmed")

        self._bring_up(tier, prepare=lambda: prepare(tier), write_plan=plan, finish=finish)

    def load_image(self, archive: Path) -> None:
        """Import an OCI archive into the node."""
        tier = self._record().tier
        if tier != "full":
            raise ClusterError(f"cluster {self.name} has tier {tier}: it has no real node to load images into")
        self.exec(["ctr", "--namespace", "k8s.io", "images", "import", archive])

    def url(self, service: str, port: int | None = None) -> str:
        """URL of Service `namespace/name` (its first port by default), for programs inside."""
        namespace, _, name = service.partition("/")
        got = json.loads(self.exec(["kubectl", "get", "service", name, "-n", namespace, "-o", "json"]).stdout)
        return f"http://{got['spec']['clusterIP']}:{port or got['spec']['ports'][0]['port']}"

    def audit(self) -> list[dict[str, object]]:
        """Audit events of the API server (metadata level), oldest first."""
        return read_audit(self._layout.control_plane / "audit.jsonl")
