"""One full cluster for all rollout scenarios; a namespace, load and rollouts per test; one operator that they share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.provider import Cluster
from e2e.cluster.providers import open_cluster
from e2e.install import install
from e2e.models import image
from e2e.scenarios.staging import kept
from e2e.stage import ROOT, Operator, until

OPERATOR_PORT = 9464
LIAR_PORT = 9900
SCRAPE = "2s"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A full cluster of its own; gone with the test run, also when that is killed."""
    made = open_cluster(f"e2e-{os.getpid()}", ephemeral=True, scrape=SCRAPE)
    made.up("full")
    try:
        made.load_image(image.archive())
        install(made, prometheus=f"http://127.0.0.1:{LIAR_PORT}", scrape=SCRAPE)
        yield made
    finally:
        made.down()


class Liar:
    """The proxy before Prometheus."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.running = cluster.popen(
            [sys.executable, "-m", "e2e.liar", "--upstream", cluster.prometheus_url, "--port", str(LIAR_PORT)],
            env={"PYTHONPATH": str(ROOT)},
        )
        until("the proxy listens", lambda: self._curl("-o", "/dev/null", "mode") is not None, seconds=15)

    def _curl(self, *argv: str) -> str | None:
        url = f"http://127.0.0.1:{LIAR_PORT}/{argv[-1]}"
        done = self.cluster.exec(["curl", "-sf", "--max-time", "5", *argv[:-1], url], check=False)
        return done.stdout if done.returncode == 0 else None

    def mode(self, name: str, *, channel: str = "") -> None:
        """Answer so from now on: the queries of this channel (see `e2e.liar`), by default those without one."""
        assert self._curl("-X", "POST", f"mode/{name}?channel={channel}") is not None

    def asked(self, *, channel: str = "") -> int:
        """Queries so far."""
        told = self._curl(f"mode?channel={channel}")
        assert told is not None
        count: int = json.loads(told)["asked"]
        return count


@pytest.fixture(scope="session")
def liar_process(cluster: Cluster) -> Iterator[Liar]:
    liar = Liar(cluster)
    yield liar
    liar.running.stop(grace_s=1)


@pytest.fixture
def liar(liar_process: Liar) -> Iterator[Liar]:
    """The proxy; honest again after the test."""
    yield liar_process
    liar_process.mode("honest")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs and records of this run are kept."""
    return kept(tmp_path_factory, "e2e")


@pytest.fixture(scope="session")
def shared_operator(cluster: Cluster, liar_process: Liar, artifacts: Path) -> Iterator[Operator]:
    made = Operator(cluster, artifacts / "operator.log", port=OPERATOR_PORT)
    made.start()
    yield made
    made.stop()
