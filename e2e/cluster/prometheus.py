"""A real Prometheus: built once from its Go module, run on loopback for one test or in a cluster."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.cluster import artifacts, remote_write
from e2e.cluster.remote_write import Sample
from e2e.cluster.scrape import kubernetes_config, static_config

__all__ = ["Prometheus", "PrometheusFailed", "Result", "binary", "command", "kubernetes_config", "promtool"]

VERSION = "3.15.0"
PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"
TAGS = "remove_all_sd,enable_kubernetes_sd,netgo"
MODULE = Path(__file__).parent / "go" / "prometheus"
POLL = 0.02


class PrometheusFailed(RuntimeError):
    """Prometheus ended, refused a request or did not get ready; the message has the end of its log."""


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


class Prometheus:
    """One Prometheus process on a free loopback port; a context manager.

    `targets` are scraped each second; `config` replaces the whole configuration. Data and log live in
    `directory`, or in a temporary one that `close` removes. After `stop`, `start` brings it back on the same
    port with the same data. Raises PrometheusFailed when it can't start.
    """

    def __init__(
        self,
        *,
        targets: Sequence[str] = (),
        config: str | None = None,
        directory: Path | None = None,
        ready_timeout: float = 30.0,
    ) -> None:
        self._own = directory is None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="prometheus-"))
        self._config = self._directory / "prometheus.yml"
        self._config.write_text(static_config(targets) if config is None else config)
        self._log = self._directory / "prometheus.log"
        self._ready_timeout = ready_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._listen = "127.0.0.1:0"

    @property
    def url(self) -> str:
        """Base address, such as `http://127.0.0.1:39041`; the same over `stop` and `start`."""
        return f"http://{self._listen}"

    def start(self) -> None:
        """Start and wait until queries are answered."""
        arguments = command(config=self._config, data=self._directory / "data", listen=self._listen)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*_tied(), *arguments], stdout=log, stderr=subprocess.STDOUT)
        self._wait(self._find_address, "listening")
        self._wait(self._is_ready, "ready")

    def stop(self) -> None:
        """End the process and keep its data; a hanging one too."""
        if self._process is None:
            return
        self.wake()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

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

    def close(self) -> None:
        """Stop, and remove a temporary directory."""
        self.stop()
        if self._own:
            shutil.rmtree(self._directory, ignore_errors=True)

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

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise PrometheusFailed("Prometheus is not running; call start() first")
        self._process.send_signal(number)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while not done():
            if self._process is None or self._process.poll() is not None:
                raise PrometheusFailed(f"Prometheus ended before it was {what}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise PrometheusFailed(f"Prometheus not {what} after {self._ready_timeout:g} s:\n{self._log_tail()}")
            time.sleep(POLL)

    def _find_address(self) -> bool:
        found = re.search(r'msg="Listening on".* address=(\S+:\d+)', self._log.read_text(errors="replace"))
        if found:
            self._listen = found[1]
        return found is not None

    def _is_ready(self) -> bool:
        try:
            self._get("/-/ready")
        except (PrometheusFailed, OSError):
            return False
        return True

    def _get(self, path: str) -> bytes:
        return self._request(urllib.request.Request(self.url + path))

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        self._request(urllib.request.Request(self.url + path, body, headers, method="POST"))

    def _request(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(2000).decode(errors="replace")
            raise PrometheusFailed(f"{request.full_url} answered {error.code}: {reason}") from error

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def _tied() -> list[str]:
    """Prefix that ends a program with this process, however that ends; nothing where setpriv is missing."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
