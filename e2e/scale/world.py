"""What stands around the operator: API server, exporter, Prometheus. Ends with the block."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.bench import Usage
from e2e.cluster import programs
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.processes import fetch
from e2e.cluster.prometheus import Prometheus
from e2e.install import CRDS, source
from e2e.scale.fleet import INTERVAL
from e2e.scale.scraped import exporter, scrapes
from e2e.scale.seed import namespaces


@dataclass(frozen=True, slots=True)
class World:
    """Everything but the operator."""

    api: ApiServer
    prometheus: Prometheus
    exporter: str
    exporter_usage: Usage

    def turn(self, first: int, last: int) -> None:
        """Candidates of these rollouts are bad from their last scrape on."""
        request = urllib.request.Request(f"{self.exporter}/turn?from={first}&to={last}", method="POST")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            answer.read()

    def turned(self) -> dict[int, float]:
        """By shard, the time of the newest change of its number of bad candidates, as Prometheus has stored it."""
        asked = urllib.parse.urlencode({"query": "turned_total[5m]"})
        body = fetch(f"{self.prometheus.url}/api/v1/query?{asked}")
        assert body is not None
        found = {}
        for series in json.loads(body)["data"]["result"]:
            values: list[tuple[float, str]] = series["values"]
            last = values[-1][1]
            found[int(series["metric"]["shard"])] = min(at for at, value in values if value == last)
        return found

    def queries(self) -> float:
        """Queries that Prometheus has answered so far, by its own count (this question aside)."""
        body = fetch(f"{self.prometheus.url}/metrics")
        assert body is not None
        wanted = 'prometheus_http_requests_total{code="200",handler="/api/v1/query"}'
        return sum(float(line.split()[-1]) for line in body.decode().splitlines() if line.startswith(wanted))

    def scrape_seconds(self) -> float:
        """The longest scrape lately: near the interval the exporter or Prometheus does not keep up."""
        found = self.prometheus.query("max(max_over_time(scrape_duration_seconds[1m]))")
        return found[0].value if found else 0.0


@contextmanager
def world(rollouts: int, slis: int, *, audit: bool = True) -> Iterator[World]:
    """Start all of it. CRDs, namespaces and the MetricSource are there; Prometheus has begun to scrape."""
    files = [programs.gateway_api_crds(), CRDS]
    with (
        exporter("e2e.scale.exporter", rollouts=rollouts, slis=slis) as (port, pid),
        Prometheus(config=scrapes(port, INTERVAL)) as prometheus,
        apiserver(audit=audit, crds=files) as api,
    ):
        things = [*namespaces(), source(prometheus.url, f"{INTERVAL:g}s")]
        api.kubectl("apply", "-f", "-", input_text=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))
        yield World(api, prometheus, f"http://127.0.0.1:{port}", Usage(pid))


def load() -> str:
    """Load of the machine over one, five and fifteen minutes."""
    return " ".join(Path("/proc/loadavg").read_text().split()[:3])
