"""A real Alertmanager: built once from its Go module, run on loopback for one test."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e.cluster import artifacts
from e2e.cluster.loopback import POLL, LoopbackServer, ServerFailed

VERSION = "0.34.2"
MODULE = "github.com/prometheus/alertmanager"
TAGS = "netgo"
# The module has no built web pages; one must be there to be embedded.
PAGE = "<title>Alertmanager</title>\n"


class AlertmanagerFailed(ServerFailed):
    """See `ServerFailed`."""


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


class Alertmanager(LoopbackServer):
    """One Alertmanager process on a free loopback port, alone, with everything in a temporary directory."""

    NAME = "Alertmanager"
    FAILED = AlertmanagerFailed

    def __init__(self, config: str, *, ready_timeout: float = 30.0) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="alertmanager-")), own=True, ready_timeout=ready_timeout)
        self._config = self._directory / "alertmanager.yml"
        self._config.write_text(config)

    def _command(self) -> list[str]:
        return [
            str(binary()),
            f"--config.file={self._config}",
            f"--storage.path={self._directory / 'data'}",
            f"--web.listen-address={self._listen}",
            "--cluster.listen-address=",
        ]

    def post(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Send alerts as Prometheus does."""
        body = json.dumps(list(alerts)).encode()
        self._post("/api/v2/alerts", body, {"Content-Type": "application/json"})

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are not resolved, each with its labels and whether something holds it back."""
        found: list[dict[str, Any]] = json.loads(self._get("/api/v2/alerts"))
        return found

    def wait_for(self, holds: Callable[[list[dict[str, Any]]], bool], *, timeout: float = 15.0) -> list[dict[str, Any]]:
        """The first answer to `alerts` that `holds`; raises AlertmanagerFailed with the last one."""
        deadline = time.monotonic() + timeout
        while not holds(found := self.alerts()):
            if time.monotonic() > deadline:
                raise AlertmanagerFailed(f"after {timeout:g} s the alerts were {found}")
            time.sleep(POLL)
        return found
