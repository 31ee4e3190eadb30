"""A real Prometheus: built once from its Go module, run on loopback for one test or in a cluster."""

from __future__ import annotations

import json
import signal
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster import artifacts, remote_write
from e2e.cluster.loopback import POLL, LoopbackServer, ServerFailed
from e2e.cluster.remote_write import Sample
from e2e.cluster.scrape import kubernetes_config, static_config

__all__ = ["Prometheus", "PrometheusFailed", "Result", "binary", "command", "kubernetes_config", "promtool"]

VERSION = "3.15.0"
PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"
TAGS = "remove_all_sd,enable_kubernetes_sd,netgo"
MODULE = Path(__file__).parent / "go" / "prometheus"


class PrometheusFailed(ServerFailed):
    """See `ServerFailed`."""


@dataclass(frozen=True, slots=True)
class Result:
    """One element of an instant vector (or the scalar, without labels)."""

    labels: dict[str, str]
    value: float
    timestamp: float


def binary() -> Path:
    """The Prometheus program; built on first use (about 150 s on two cores)."""
    return artifacts.go_binary(
        "prometheus",
        module_dir=MODULE,
        package=PACKAGE,
        tags=TAGS,
        ldflags=f"-s -w -X github.com/prometheus/common/version.Version={VERSION}",
        label=f"Prometheus {VERSION}",
        estimate_s=150,
    )


def promtool() -> Path:
    """The rule checker of the same Prometheus; built on first use (about 100 s on two cores)."""
    return artifacts.go_binary(
        "promtool",
        module_dir=MODULE.with_name("promtool"),
        package=PACKAGE.replace("cmd/prometheus", "cmd/promtool"),
        tags=TAGS,
        ldflags=f"-s -w -X github.com/prometheus/common/version.Version={VERSION}",
        label=f"promtool {VERSION}",
        estimate_s=100,
    )


def command(*, config: Path, data: Path, listen: str) -> list[str]:
    """Arguments that run Prometheus on `listen` (`host:port`, port 0 for any free one) with `config`.

    New pods are scraped within a second (the default reloads discovered targets every 5 s); remote write,
    reload by POST and the admin API are on.
    """
    return [
        str(binary()),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.no-lockfile",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={listen}",
        "--web.enable-lifecycle",
        "--web.enable-admin-api",
        "--web.enable-remote-write-receiver",
        "--scrape.discovery-reload-interval=500ms",
    ]


class Prometheus(LoopbackServer):
    """One Prometheus process on a free loopback port.

    `targets` are scraped each second; `config` replaces the whole configuration. Data and log live in `directory`, or
    in a temporary one that `close` removes.
    """

    NAME = "Prometheus"
    FAILED = PrometheusFailed

    def __init__(
        self,
        *,
        targets: Sequence[str] = (),
        config: str | None = None,
        directory: Path | None = None,
        ready_timeout: float = 30.0,
    ) -> None:
        place = directory or Path(tempfile.mkdtemp(prefix="prometheus-"))
        super().__init__(place, own=directory is None, ready_timeout=ready_timeout)
        self._config = self._directory / "prometheus.yml"
        self._config.write_text(static_config(targets) if config is None else config)

    def _command(self) -> list[str]:
        return command(config=self._config, data=self._directory / "data", listen=self._listen)

    def stop(self) -> None:
        """End the process and keep its data; a hanging one too."""
        if self._process is not None:
            self.wake()
        super().stop()

    def hang(self) -> None:
        """Stop answering without closing connections (SIGSTOP): requests run into their timeout."""
        self._signal(signal.SIGSTOP)
        # The signal is on its way: an answer may still slip out until every thread stands.
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not self._stands():
            time.sleep(0.01)

    def _stands(self) -> bool:
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(task.read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks)

    def wake(self) -> None:
        """Go on after `hang`."""
        self._signal(signal.SIGCONT)

    def reload(self, config: str) -> None:
        """Replace the configuration of the running process."""
        self._config.write_text(config)
        self._post("/-/reload", b"", {})

    def write(self, samples: Iterable[Sample]) -> None:
        """Store samples at their own timestamps, up to 30 days old and 10 minutes ahead, in any order.

        They can be queried when this returns. Raises PrometheusFailed when one is refused.
        """
        self._post("/api/v1/write", remote_write.encode(samples), remote_write.HEADERS)

    def backfill(self, openmetrics_text: str) -> None:
        """`write` the samples of an OpenMetrics text (timestamps in seconds, last line `# EOF`)."""
        self.write(remote_write.parse_openmetrics(openmetrics_text))

    def query(self, expression: str, *, at: float | None = None) -> list[Result]:
        """Instant query at `at` (seconds since 1970; now when None)."""
        parameters = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        answer = json.loads(self._get(f"/api/v1/query?{urllib.parse.urlencode(parameters)}"))
        result: Any = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [Result({}, float(result[1]), float(result[0]))]
        return [Result(r["metric"], float(r["value"][1]), float(r["value"][0])) for r in result]

    def wait_for(
        self, expression: str, holds: Callable[[list[Result]], bool] = bool, *, timeout: float = 15.0
    ) -> list[Result]:
        """The first answer to `expression` that `holds`; raises PrometheusFailed with the last one."""
        deadline = time.monotonic() + timeout
        while not holds(results := self.query(expression)):
            if time.monotonic() > deadline:
                raise PrometheusFailed(f"{expression} was {results} after {timeout:g} s")
            time.sleep(POLL)
        return results

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise PrometheusFailed("Prometheus is not running; call start() first")
        self._process.send_signal(number)
