"""A real Alertmanager: built once from its Go module, run on loopback for one test."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.cluster import artifacts

VERSION = "0.34.2"
MODULE = "github.com/prometheus/alertmanager"
TAGS = "netgo"
# The module has no built web pages; one must be there to be embedded.
PAGE = "<title>Alertmanager</title>\n"
POLL = 0.02


class AlertmanagerFailed(RuntimeError):
    """Alertmanager ended, refused a request or did not get ready; the message has the end of its log."""


def binary() -> Path:
    """The Alertmanager program; built on first use (about 100 s on two cores)."""

    def build(directory: Path) -> None:
        source = directory / "source"
        shutil.copytree(
            artifacts.go_module_dir(MODULE, f"v{VERSION}"), source, copy_function=shutil.copyfile, symlinks=True
        )
        for path in [source, *source.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)  # the module cache is read-only
        page = source / "ui" / "app" / "dist" / "index.html"
        page.parent.mkdir()
        page.write_text(PAGE)
        artifacts.go_build(
            directory / "alertmanager", module_dir=source, package="./cmd/alertmanager", tags=TAGS, ldflags="-s -w"
        )
        artifacts.remove_tree(source)

    key = [VERSION, TAGS, PAGE, platform.system(), platform.machine()]
    path = artifacts.cached("alertmanager", key=key, build=build, label=f"Alertmanager {VERSION}", estimate_s=100)
    return path / "alertmanager"


class Alertmanager:
    """One Alertmanager process on a free loopback port, alone; a context manager.

    Data and log live in a temporary directory that `close` removes. After `stop`, `start` brings it back on the same
    port with the same data. Raises AlertmanagerFailed when it can't start.
    """

    def __init__(self, config: str, *, ready_timeout: float = 30.0) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="alertmanager-"))
        self._config = self._directory / "alertmanager.yml"
        self._config.write_text(config)
        self._log = self._directory / "alertmanager.log"
        self._ready_timeout = ready_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._listen = "127.0.0.1:0"

    @property
    def url(self) -> str:
        """Base address, such as `http://127.0.0.1:39041`; the same over `stop` and `start`."""
        return f"http://{self._listen}"

    def start(self) -> None:
        """Start and wait until requests are answered."""
        argv = [
            str(binary()),
            f"--config.file={self._config}",
            f"--storage.path={self._directory / 'data'}",
            f"--web.listen-address={self._listen}",
            "--cluster.listen-address=",
        ]
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*tied, *argv], stdout=log, stderr=subprocess.STDOUT)
        self._wait(self._find_address, "listening")
        self._wait(self._is_ready, "ready")

    def stop(self) -> None:
        """End the process and keep its data."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop, and remove everything."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def post(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Send alerts as Prometheus does."""
        body = json.dumps(list(alerts)).encode()
        headers = {"Content-Type": "application/json"}
        self._request(urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers, method="POST"))

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are not resolved, each with its labels and whether something holds it back."""
        found: list[dict[str, Any]] = json.loads(self._request(urllib.request.Request(f"{self.url}/api/v2/alerts")))
        return found

    def wait_for(self, holds: Callable[[list[dict[str, Any]]], bool], *, timeout: float = 15.0) -> list[dict[str, Any]]:
        """The first answer to `alerts` that `holds`; raises AlertmanagerFailed with the last one."""
        deadline = time.monotonic() + timeout
        while not holds(found := self.alerts()):
            if time.monotonic() > deadline:
                raise AlertmanagerFailed(f"after {timeout:g} s the alerts were {found}")
            time.sleep(POLL)
        return found

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

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while not done():
            if self._process is None or self._process.poll() is not None:
                raise AlertmanagerFailed(f"Alertmanager ended before it was {what}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise AlertmanagerFailed(f"Alertmanager not {what} after {self._ready_timeout:g} s:\n{self._tail()}")
            time.sleep(POLL)

    def _find_address(self) -> bool:
        found = re.search(r'msg="?Listening on"? address=(\S+:\d+)', self._log.read_text(errors="replace"))
        if found:
            self._listen = found[1]
        return found is not None

    def _is_ready(self) -> bool:
        try:
            self._request(urllib.request.Request(f"{self.url}/-/ready"))
        except (AlertmanagerFailed, OSError):
            return False
        return True

    def _request(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(2000).decode(errors="replace")
            raise AlertmanagerFailed(f"{request.full_url} answered {error.code}: {reason}") from error

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
